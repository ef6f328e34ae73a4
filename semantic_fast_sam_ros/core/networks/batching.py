"""Run a network on several images in one pass, or in several at once, where it takes them so."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Network = Callable[[Tensor], tuple[Tensor, ...]]  # batch (N, 3, h, w) -> the module's outputs


def takes_batches(network: object) -> bool:
    """Say whether a network, or what runs one, takes more than one image at a time.

    It says so itself, by an attribute of this name.
    """
    return bool(getattr(network, 'takes_batches', False))


def images_at_once(network: object) -> int:
    """Return how many threads may call a network, or what runs one, at the same time.

    It says so itself, by an attribute of this name; else one.
    """
    return int(getattr(network, 'images_at_once', 1))


def outside_torch(network: object) -> bool:
    """Say whether a network, or what runs one, runs outside of torch; itself, likewise."""
    return bool(getattr(network, 'outside_torch', False))


def class_names(network: object) -> tuple[str, ...]:
    """Return the names of a network's classes, in its order.

    It says so itself, by an attribute of this name; else none.
    """
    found: tuple[str, ...] = getattr(network, 'class_names', ())
    return found


def networks_of(labeller: object) -> Sequence[object]:
    """Return what runs the networks of a labeller.

    It says so itself, by an attribute of the name `networks`; else it is taken to do so.
    """
    found: Sequence[object] = getattr(labeller, 'networks', (labeller,))
    return found


class RunsNetwork:
    """What runs a network, and says of itself what the network does."""

    _network: Any = None

    @property
    def takes_batches(self) -> bool:
        """Whether the network takes several images at once."""
        return takes_batches(self._network)

    @property
    def images_at_once(self) -> int:
        """How many threads the network serves at the same time."""
        return images_at_once(self._network)

    @property
    def outside_torch(self) -> bool:
        """Whether the network runs outside of torch."""
        return outside_torch(self._network)


def run_together(network: Network, images: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    """Run a network on images, those of one shape in one pass if it takes batches.

    Args:
        network: to run.
        images: each (1, 3, h, w), as the network wants them.

    Returns:
        the outputs for each image, with a first dimension of 1.
    """
    if len(images) == 1 or not takes_batches(network):
        return [network(image) for image in images]
    found: dict[int, tuple[Tensor, ...]] = {}
    for shape in {image.shape for image in images}:
        alike = [i for i, image in enumerate(images) if image.shape == shape]
        outputs = network(torch.cat([images[i] for i in alike]))
        for row, i in enumerate(alike):
            found[i] = tuple(output[row : row + 1] for output in outputs)
    return [found[i] for i in range(len(images))]


def turns(network: object) -> threading.Semaphore:
    """Return a lock that lets so many threads in."""
    return threading.Semaphore(images_at_once(network))
