"""Memory of the process and of its device: what is used, when it ran out, giving it back."""

import contextlib
import ctypes
import gc
import re
import resource
import sys
from pathlib import Path

import psutil
import torch

_EXHAUSTED = ('out of memory', "can't allocate memory", 'not enough memory')  # torch's wordings


def ran_out(error: BaseException) -> bool:
    """Return whether an error says that the device or the host has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _EXHAUSTED)


def free_memory() -> None:
    """Give memory that nobody holds any more back to the device and to the system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL('libc.so.6').malloc_trim(0)


def process_bytes() -> int:
    """Return the resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Return the most resident memory that this process has had.

    `getrusage` would count what its parent held when it was started.
    """
    with contextlib.suppress(OSError):
        if found := re.search(r'VmHWM:\s*(\d+) kB', Path('/proc/self/status').read_text()):
            return int(found[1]) << 10
    unit = 1 if sys.platform == 'darwin' else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def device_bytes(device: torch.device) -> int:
    """Return what torch holds of a CUDA device's memory, 0 on others."""
    return int(torch.cuda.memory_reserved(device)) if device.type == 'cuda' else 0
