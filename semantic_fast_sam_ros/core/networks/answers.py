"""What networks say of an image is looked at before it counts."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError, NetworkError, first_line
from semantic_fast_sam_ros.core.networks.memory import ran_out

BACKGROUND = 'background'  # what a pixel is that the one class of a network is not


def require_finite(who: str, *answers: Tensor) -> None:
    """Raise NetworkError if a network's answers hold NaN or infinity; the sum tells it cheaply.

    Inside of `sums_collected` whoever collects does so: a GPU is not waited for here.
    """
    collected = _collected.get()
    for answer in answers:
        total = answer.sum(dtype=torch.float32)
        if collected is not None:
            collected.append((who, total))
        else:
            refuse_unless_finite(who, float(total))


def refuse_unless_finite(who: str, total: float) -> None:
    """Raise NetworkError if what a network's answers sum to is NaN or infinity."""
    if not math.isfinite(total):
        raise NetworkError(
            f'{who} answered with numbers that are none (NaN or infinity): its weights are '
            'damaged, or `precision` is too coarse for it (try fp32)'
        )


@contextmanager
def sums_collected() -> Iterator[list[tuple[str, Tensor]]]:
    """Collect who answered, and what the answers sum to, for `refuse_unless_finite` later."""
    found: list[tuple[str, Tensor]] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


_collected: ContextVar[list[tuple[str, Tensor]] | None] = ContextVar('collected', default=None)


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a segmenter's classes: one alone has the background beside it."""
    if len(names) == 1:
        return ('other' if names[0].lower() == BACKGROUND else BACKGROUND, names[0])
    return tuple(names)


def class_logits(who: str, logits: Tensor, count: int) -> Tensor:
    """Return logits (C, h, w) of as many classes as there are names.

    One logit says yes or no: beside a 0, the softmax makes it the sigmoid.

    Raises:
        ModelError: the network knows more or fewer classes than it has names.
    """
    if len(logits) == count:
        return logits
    if len(logits) == 1 and count == 2:
        return torch.cat([torch.zeros_like(logits), logits])
    raise ModelError(f'{who} scores {len(logits)} classes, but has names for {count}')


@contextmanager
def refused_models(names: Sequence[str]) -> Iterator[None]:
    """Say of networks that fail on a first image that it is they that do not suit.

    Args:
        names: of the models.

    Raises:
        ModelError: they failed; memory that ran out stays what it is.
    """
    try:
        yield
    except (NetworkError, RuntimeError, ValueError, IndexError, KeyError, TypeError) as error:
        if ran_out(error):
            raise
        raise ModelError(
            f'tried on a grey image, {" + ".join(names)} failed: {first_line(error)}'
        ) from error
