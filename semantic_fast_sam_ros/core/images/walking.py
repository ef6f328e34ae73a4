"""The images and videos below a folder: the one walk, in the order in which a person counts."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import ConfigError

# What is decoded, and (the last line) what is refused with the reason instead of passed over.
IMAGE_SUFFIXES = (
    *('.png', '.jpg', '.jpeg', '.jpe', '.jfif', '.mpo', '.bmp', '.dib', '.webp', '.tif', '.tiff'),
    *('.ppm', '.pgm', '.pnm', '.pbm', '.jp2', '.avif', '.gif'),
    *('.heic', '.heif', '.jxl', '.tga', '.exr', '.hdr'),
)
VIDEO_SUFFIXES = (
    *('.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts'),
    *('.3gp', '.wmv', '.flv', '.ogv', '.mjpg', '.mjpeg', '.h264', '.264', '.h265', '.hevc'),
)
# Folders that macOS, NAS devices, Windows and file systems leave; names with a dot are hidden.
FOREIGN = ('__MACOSX', '@eaDir', '#recycle', '$RECYCLE.BIN', 'System Volume Information')


def files_below(
    folder: Path,
    suffixes: tuple[str, ...] = IMAGE_SUFFIXES,
    deep: bool = True,
    but: Path | None = None,
    unread: list[OSError] | None = None,
) -> list[Path]:
    """Return the files of a folder with these suffixes, in natural order.

    Hidden files and folders are passed over, such as macOS's `._a.jpg`, and so are those of
    archives, network drives and notebooks that only look like images.

    Args:
        folder: to walk through; links to folders are followed.
        suffixes: in lower case; of the files in any.
        deep: also in the folders below.
        but: a folder to leave out, such as one that is written to.
        unread: gets why a folder below cannot be read; None: it is an error.

    Raises:
        ConfigError: the folder cannot be read.
    """
    left_out = None if but is None else but.resolve()
    seen = {folder.resolve()}

    def new(place: Path) -> bool:
        real = place.resolve()
        if is_foreign(place.name) or real == left_out or real in seen:
            return False
        seen.add(real)
        return True

    def tell(error: OSError) -> None:
        if unread is not None and Path(error.filename) != folder:
            unread.append(error)
        elif not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise ConfigError(f'{error.filename} cannot be read: {error.strerror}')

    found: list[Path] = []
    for top, folders, names in os.walk(folder, onerror=tell, followlinks=True):
        here = Path(top)
        folders[:] = [name for name in sorted(folders) if deep and new(here / name)]
        found += [here / n for n in names if n.lower().endswith(suffixes) and _wanted(here / n)]
    return sorted(found, key=lambda file: natural(str(file.relative_to(folder))))


def natural(text: str) -> tuple[object, ...]:
    """Return what to sort a path by, so that frame_2 comes before frame_10."""
    parts = re.split(r'(\d+)', text.replace(os.sep, '\0').casefold())
    return (*((int(part), '') if i % 2 else (-1, part) for i, part in enumerate(parts)), text)


def require_unique(files: list[Path], name: Callable[[Path], str]) -> None:
    """Refuse files that share what they are to be called.

    Raises:
        ConfigError: it names the first two and what both would be.
    """
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(name(file), file)
        if other is not file:
            raise ConfigError(
                f'{other} and {file} would both be {name(file)!r} in the output: rename one, or '
                'move it to a folder of its own'
            )


def _wanted(file: Path) -> bool:
    """Say no to what hides, to pipes and devices; what cannot be read is told when it is."""
    try:
        return not is_foreign(file.name) and (file.is_file() or not file.exists())
    except PermissionError:  # a folder that may be listed, but not entered
        return True


def is_foreign(name: str) -> bool:
    """Say whether a name hides a file or folder, or is one that a system leaves behind."""
    return name.startswith('.') or name in FOREIGN
