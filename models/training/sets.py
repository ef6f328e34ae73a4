"""Name data sets on the command line, and keep some of their images aside."""

import argparse
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

Member = TypeVar('Member')
Reader = Callable[[Path, str], list[Member]]  # of a folder and a split, '' where none is named


def parse_set(text: str, readers: Mapping[str, Reader[Member]]) -> tuple[float, list[Member]]:
    """Return share and members of LAYOUT:SHARE:FOLDER[:SPLIT]."""
    parts = text.split(':')
    if len(parts) not in (3, 4) or parts[0] not in readers:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not LAYOUT:SHARE:FOLDER[:SPLIT] with a layout of {", ".join(readers)}'
        )
    kind, share, folder, *split = parts
    return float(share), readers[kind](Path(folder), split[0] if split else '')


def is_held_out(image: Path, one_in: int = 10) -> bool:
    """Tell by the name whether an image is kept for validation."""
    return zlib.crc32(image.stem.encode()) % one_in == 0
