"""How loops over pixels become fast on a CPU: compiled by numba, run by several threads.

What torch does in many passes over memory that each fills and empties the caches, a loop does in
one. They are in `mask_loops`, `pixel_loops` and `crop_loops`; where they are called, torch has the
same arithmetic for other devices, and tests compare the two.
"""

import contextlib
import fcntl
import functools
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, TypeVar

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.folders import cache_folder

# numba would write beside this file, or into a cache folder of its own.
_settings: Any = numba.config
_settings.CACHE_DIR = _settings.CACHE_DIR or str(cache_folder() / 'numba')

Result = TypeVar('Result')
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Shorts = NDArray[np.int16]
Ints = NDArray[np.int32]
# P points over s samples: the samples before and behind each (P,), the latter's share (P,), and
# the first point behind each sample (s + 1,), the last of which is P.
Line = tuple[Ints, Ints, Floats, Ints]

BAND = 48  # rows that one thread takes at a time: some ten times as long as it takes to wake it


def suits(device: torch.device) -> bool:
    """Say whether tensors on a device are for these loops; else torch does the work."""
    return device.type == 'cpu'


def compiled(
    function: Callable[..., Result], reordered_sums: bool = False
) -> Callable[..., Result]:
    """Compile on the first call, to run without Python's lock; the result is kept in the cache."""
    fast = {'contract', 'nsz'} | ({'reassoc'} if reordered_sums else set())
    made: Any = numba.njit(nogil=True, error_model='numpy', fastmath=fast)(function)
    # Where no folder can be written to, it is compiled anew at each start.
    with contextlib.suppress(RuntimeError):
        made.enable_caching()
        made._cache = _Forgiving(made._cache)
    finished: Callable[..., Result] = made
    return finished


class _Forgiving:
    """A cache that costs time, and no more, where the disk is full or a file was cut off.

    One process at a time writes: two that began together would give one name to two signatures'
    code, and a third would run the wrong one.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, *arguments: Any) -> Any:
        with contextlib.suppress(Exception), self._locked(fcntl.LOCK_SH):
            return self._cache.load_overload(*arguments)
        return None

    def save_overload(self, *arguments: Any) -> None:
        with contextlib.suppress(Exception), self._locked(fcntl.LOCK_EX):
            self._cache.save_overload(*arguments)

    @contextlib.contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with open(os.path.join(self._cache.cache_path, 'lock'), 'a') as file:
            fcntl.flock(file, kind)
            yield


def summing(function: Callable[..., Result]) -> Callable[..., Result]:
    """Compile likewise, and let sums be taken in any order: several terms at once."""
    return compiled(function, reordered_sums=True)


def thread_count() -> int:
    """Return by how many threads loops run."""
    return _count.get() or torch.get_num_threads()


@contextlib.contextmanager
def in_place_of_torch(count: int) -> Iterator[None]:
    """Give the loops of this thread so many threads meanwhile, and torch one.

    torch's own ones spin for a while after each small operation, on the very CPUs that the loops
    and OpenVINO need next: an eighth of a frame's time.
    """
    before, token = torch.get_num_threads(), _count.set(count)
    torch.set_num_threads(1)  # of this thread: OpenMP keeps the number by thread
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _count.reset(token)


_count: ContextVar[int] = ContextVar('count', default=0)


def in_bands(work: Callable[[int, int], Result], length: int, band: int = BAND) -> list[Result]:
    """Call work(start, stop) for bands of a range, by several threads.

    The bands are the same whatever the number of threads, and so are sums over them.

    Args:
        work: to call.
        length: of the range.
        band: so much of it is worth a thread's while.

    Returns:
        the results in the bands' order, one at least.
    """
    edges = [*range(0, max(1, length), band), length]
    bands = list(itertools.pairwise(edges))
    parts = max(1, min(thread_count(), len(bands)))
    cuts = [len(bands) * part // parts for part in range(parts + 1)]

    def in_turn(first: int, last: int) -> list[Result]:
        return [work(start, stop) for start, stop in bands[first:last]]

    others = [_threads().submit(in_turn, *part) for part in itertools.pairwise(cuts[1:])]
    return in_turn(*cuts[:2]) + [result for part in others for result in part.result()]


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), 'loops')


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not outlive a fork
