"""Say which machine and which version of the code a figure comes from."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import torch

CPU_INFO = Path('/proc/cpuinfo')
LIBRARIES = ('torch', 'ultralytics', 'transformers', 'numpy', 'opencv-python-headless')


def machine() -> str:
    """Return the processor, how many of it, the memory and the GPUs in one line."""
    parts = [_processor(), f'{len(os.sched_getaffinity(0))} CPUs', f'{_memory_gb():.0f} GB']
    parts += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ', '.join(parts if torch.cuda.is_available() else [*parts, 'no GPU'])


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that do the work."""
    found = {'python': platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = 'absent'
    return found


def commit() -> str:
    """Return the commit of the checkout, with + if files differ from it; '' outside of one."""
    folder = Path(__file__).resolve().parents[2]
    name = _git(folder, 'rev-parse', '--short', 'HEAD')
    changed = _git(folder, 'status', '--porcelain', '--untracked-files=no')
    return f'{name}+' if name and changed else name


def _git(folder: Path, *words: str) -> str:
    try:
        found = subprocess.run(
            ['git', '-C', str(folder), *words], capture_output=True, text=True, check=False
        )
    except OSError:  # no git
        return ''
    return found.stdout.strip() if found.returncode == 0 else ''


def _processor() -> str:
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.is_file() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{names[0] if names else platform.processor()} ({platform.machine()})'


def _memory_gb() -> float:
    return float(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')) / 1e9
