"""New names while the node runs: checked at once, encoded on a thread of their own."""

from collections.abc import Callable

from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import requested, required
from semantic_fast_sam_ros.ros.worker import LatestFrameWorker

SHOWN_NAMES = 20


class LiveVocabulary:
    """Hands vocabularies to a pipeline so that neither images nor services wait."""

    def __init__(
        self,
        pipeline: SemanticFastSam,
        done: Callable[[str], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Start the thread.

        Args:
            pipeline: that takes the names.
            done: is told the names that images are labelled with from now on.
            failed: is told why names could not be taken.
        """
        self._pipeline, self._done = pipeline, done
        self._worker = LatestFrameWorker[Vocabulary](self._set, failed)
        self._worker.start()

    def change(self, before: Config, after: Config) -> None:
        """Take the names of a configuration.

        Raises:
            ConfigError: the pipeline cannot take them; the reason is told.
        """
        if not self._pipeline.open_vocabulary and requested(after) == requested(before):
            return  # set to what it is
        vocabulary = required(after)
        self._pipeline.check_vocabulary(vocabulary)
        self._worker.submit(vocabulary)

    def close(self) -> None:
        """End the thread."""
        self._worker.stop()

    def _set(self, vocabulary: Vocabulary) -> None:
        self._pipeline.set_vocabulary(vocabulary)
        self._done(', '.join(vocabulary.names[:SHOWN_NAMES]))
