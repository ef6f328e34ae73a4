"""Who uses the networks when: images by turns or together, changes of settings between them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from semantic_fast_sam_ros.core.base.jit import in_place_of_torch
from semantic_fast_sam_ros.core.base.shared_lock import SharedLock
from semantic_fast_sam_ros.core.masks.types import MaskGenerator, MaskLabeller
from semantic_fast_sam_ros.core.networks.batching import images_at_once, networks_of, outside_torch
from semantic_fast_sam_ros.core.open_vocabulary.interface import NameFinder
from semantic_fast_sam_ros.core.open_vocabulary.yoloe import YoloeLabeller


class Turns:
    """The order in which threads may use a generator and a labeller."""

    def __init__(self, generator: MaskGenerator, labeller: MaskLabeller, threads: int) -> None:
        """Take what runs networks.

        Args:
            generator: of masks.
            labeller: of these.
            threads: of the CPU, for one image.
        """
        self._networks = [generator, *networks_of(labeller)]
        self._threads = threads
        self._lock = SharedLock()
        # New names get ids in the order of the images; YOLOE remembers what the generator found.
        self.in_order = isinstance(labeller, NameFinder | YoloeLabeller)

    @property
    def concurrent_images(self) -> int:
        """How many images at once are worth it: those in the networks, and one out of them."""
        return 1 if self.in_order else min(map(images_at_once, self._networks)) + 1

    @contextmanager
    def image(self) -> Iterator[None]:
        """Wait for one's turn to label, and share the CPU's threads out meanwhile."""
        apart = all(map(outside_torch, self._networks))
        lock = self._lock.use() if self.concurrent_images > 1 else self._lock.change()
        threads = (
            in_place_of_torch(self._threads) if apart or self._threads == 1 else nullcontext()
        )
        with lock, threads:
            yield

    def change(self) -> AbstractContextManager[None]:
        """Wait until no image is labelled, and let none begin meanwhile."""
        return self._lock.change()
