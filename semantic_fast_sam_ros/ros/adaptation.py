"""Names that settle, seen from outside: the service that resets them, the file that keeps them."""

from collections.abc import Callable
from pathlib import Path

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from semantic_fast_sam_ros.core.base.errors import reason_of
from semantic_fast_sam_ros.core.loading import clip_identity
from semantic_fast_sam_ros.core.open_vocabulary import adaptation_file
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import State
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.video.adapting import Adaptations

SERVICE = '~/reset_adaptation'


class ResetService:
    """Lets the names of all cameras begin at their texts again."""

    def __init__(
        self,
        node: LifecycleNode,
        config: Callable[[], Config],
        adaptations: Callable[[], Adaptations | None],
    ) -> None:
        """Offer the service.

        Args:
            node: that offers it.
            config: gives the settings as they stand.
            adaptations: gives what the cameras' names have settled into; None while the node is
                not configured.
        """
        self._config, self._adaptations = config, adaptations
        node.create_service(Trigger, SERVICE, self._reset)

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        adaptations = self._adaptations()
        if adaptations is None:
            response.message = 'nothing to reset: the node is not configured'
            return response
        adaptations.reset()
        response.success = self._config().clip.adapts
        response.message = (
            'all names begin at their texts again'
            if response.success
            else 'nothing adapts: clip.adaptation is off'
        )
        return response


class KeptAdaptations(Adaptations):
    """What cameras' names have settled into, in `clip.adaptation_file` from run to run."""

    def __init__(self, config: Config, pipeline: SemanticFastSam) -> None:
        """Begin with what the file keeps, or at the texts.

        Args:
            config: that the pipeline was loaded by.
            pipeline: whose names settle.

        Raises:
            ConfigError: the file is damaged, something else, or of another model.
        """
        known: dict[str, State] = {}
        self._file: Path | None = None
        if config.clip.adaptation_file and pipeline.encoder is not None:
            self._file = Path(config.clip.adaptation_file).expanduser()
            self._model = clip_identity(config)
            dimension = pipeline.encoder.model.dimension
            known = adaptation_file.load(self._file, self._model, dimension, pipeline.device)
        super().__init__(config.clip.ul_tta.shared, known)

    def keep(self, log: RcutilsLogger) -> None:
        """Write the file, if there is to be one."""
        if self._file is None:
            return
        try:
            adaptation_file.save(self._file, self.states(), self._model)
        except OSError as error:
            log.error(f'clip.adaptation_file {self._file} is not written: {reason_of(error)}')
