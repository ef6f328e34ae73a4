"""Pin the checksums of downloaded models, and tell whether a file changed since."""

import hashlib
import json
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import ModelError


def pin(path: Path, content: Path | None = None) -> None:
    """Write the SHA-256 of a file, or of a folder's files, beside it.

    Args:
        path: the file or folder that the pins are for.
        content: the file that will become `path`, where that is not there yet.
    """
    digests = {path.name: _sha256(content)} if content is not None else _checksums(path)
    pins = pins_file(path)
    partial = pins.with_suffix('.part')
    try:  # not in place: a disk that is full must leave no half of a file, nor spoil an old one
        partial.write_text(json.dumps(digests, indent=1))
        partial.replace(pins)
    finally:
        partial.unlink(missing_ok=True)


def verify(path: Path) -> None:
    """Compare a file or folder with the checksums pinned when it came.

    Raises:
        ModelError: it has no readable pin, or a file of it changed, went missing or is new.
    """
    expected = _pinned(path)
    found = _checksums(path)
    changed = sorted(n for n in {*expected, *found} if expected.get(n) != found.get(n))
    if changed:
        raise ModelError(
            f'{path}: {", ".join(changed)} changed since the download: delete and prefetch again'
        )


def content(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or one of all files of a folder."""
    return _sha256(path) if path.is_file() else checksum(path)


def checksum(path: Path) -> str:
    """Return one SHA-256 of a file's or a folder's files, their names with them."""
    return hashlib.sha256(json.dumps(_checksums(path), sort_keys=True).encode()).hexdigest()


def pins_file(path: Path) -> Path:
    """Return the file that holds the checksums of a file or folder."""
    return path.parent / f'{path.name}.sha256.json'


def _pinned(path: Path) -> dict[str, str]:
    pins = pins_file(path)
    try:
        content = json.loads(pins.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(
            f'{path} has no pinned checksum ({pins.name}): delete it and prefetch again'
        ) from error
    return content if isinstance(content, dict) else {}


def _checksums(path: Path) -> dict[str, str]:
    if path.is_file():
        return {path.name: _sha256(path)}
    files = sorted(p for p in path.rglob('*') if p.is_file())
    return {file.relative_to(path).as_posix(): _sha256(file) for file in files}


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
