"""Find, download and verify model files, and keep every library off the network and the home."""

import contextlib
import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from semantic_fast_sam_ros.core.errors import ModelError
from semantic_fast_sam_ros.core.resources import resource_folder

DOWNLOAD_TIMEOUT_S = 10.0
PREFETCH = 'python -m semantic_fast_sam_ros prefetch'
_ASSETS = 'https://github.com/ultralytics/assets/releases/download/v8.4.0'
# Licence of all of these: AGPL-3.0.
KNOWN = {
    name: f'{_ASSETS}/{name}'
    for name in (
        'FastSAM-s.pt',
        'FastSAM-x.pt',
        *(f'yolo26{size}-sem{suffix}.pt' for size in 'nsmlx' for suffix in ('', '-ade20k')),
        *(f'yoloe-26{size}-seg.pt' for size in 'nsmlx'),
    )
}
# What a Hugging Face segmenter needs: no training states, no other frameworks' weights.
PRETRAINED_PATTERNS = ('*.json', '*.txt', '*.model', '*.safetensors', '*.bin')


@dataclass(frozen=True)
class Policy:
    """Which files may be loaded, and from where."""

    offline: bool = False
    trust_model_files: bool = False


def cache_folder() -> Path:
    """Return the one folder that this package and its libraries write to."""
    chosen = os.environ.get('SEMANTIC_FAST_SAM_CACHE')
    base = os.environ.get('XDG_CACHE_HOME') or str(Path.home() / '.cache')
    return Path(chosen) if chosen else Path(base) / 'semantic_fast_sam_ros'


def silence_libraries() -> None:
    """Keep ultralytics and the hub client from phoning home and from writing outside the cache.

    Both read these when they are imported, so this is called before. What the user has set
    stays, except that ultralytics never unpickles code: see `SAFE_LOAD` in its `nn.tasks`.
    """
    cache = cache_folder()
    for name, value in {
        'YOLO_OFFLINE': '1',
        'YOLO_AUTOINSTALL': '0',
        'YOLO_VERBOSE': '0',
        'YOLO_CONFIG_DIR': str(cache),
        'MPLCONFIGDIR': str(cache / 'matplotlib'),
        'HF_HOME': str(cache / 'huggingface'),
        'HF_HUB_DISABLE_TELEMETRY': '1',
        'HF_HUB_DISABLE_XET': '1',
        'HF_HUB_ETAG_TIMEOUT': '5',
        'HF_HUB_DOWNLOAD_TIMEOUT': '10',
        'TRANSFORMERS_VERBOSITY': 'error',
        'TRANSFORMERS_NO_ADVISORY_WARNINGS': '1',
    }.items():
        os.environ.setdefault(name, value)
    os.environ['ULTRALYTICS_SAFE_LOAD'] = '1'
    for folder in (cache, cache / 'matplotlib'):
        with contextlib.suppress(OSError):  # a read-only home: the libraries fall back to /tmp
            folder.mkdir(parents=True, exist_ok=True)


def checkpoint_file(name: str, policy: Policy) -> Path:
    """Return the local file of a `.pt` checkpoint, downloading a known one if it is missing.

    Looked for as a path, in models/, in the cache; then downloaded.

    Raises:
        ModelError: missing, not trusted, or not what was downloaded at first.
    """
    given = Path(name).expanduser()
    if given.name != name or given.is_file():
        return _trusted(given, policy)
    places = [models_folder() / name, cache_folder() / 'weights' / name]
    if places[0].is_file():
        return places[0]
    if places[1].is_file():
        verify(places[1])
        return places[1]
    if name not in KNOWN:
        raise _missing(name, places, f'known names: {", ".join(sorted(KNOWN))}')
    if policy.offline:
        raise _missing(
            name, places, f'bring it with `{PREFETCH} {name}` on a machine with a network'
        )
    return download(KNOWN[name], places[1])


def pretrained_folder(name: str, policy: Policy, marker: str = 'config.json') -> Path:
    """Return the local folder of a Hugging Face model: a folder, one in models/, or a hub name.

    The folder is known by a file in it, the marker.

    A hub name that the cache holds is used without asking the network.

    Raises:
        ModelError: missing and not to be had, or changed since it was downloaded.
    """
    places = [Path(name).expanduser(), models_folder() / name]
    for place in places:
        if (place / marker).is_file():
            return place
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = list(PRETRAINED_PATTERNS)
    try:
        with contextlib.suppress(LocalEntryNotFoundError):
            folder = Path(snapshot_download(name, local_files_only=True, allow_patterns=patterns))
            if (folder / marker).is_file() and _pins_file(folder).is_file():
                verify(folder)
                return folder
        if not policy.offline:
            folder = Path(snapshot_download(name, allow_patterns=patterns))
            pin(folder)
            return folder
        reason = f'bring it with `{PREFETCH} {name}` on a machine with a network'
    except HFValidationError:
        reason = 'it is no folder, and no Hugging Face name either'
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = f'download failed ({str(error).splitlines()[0]}); `{PREFETCH} {name}` brings it'
    raise _missing(name, [*places, cache_folder() / 'huggingface'], reason)


def models_folder() -> Path:
    """Return the folder of the models that ship."""
    return resource_folder('models')


def download(url: str, target: Path) -> Path:
    """Download a file with a progress line, pin its checksum, and return it.

    Raises:
        ModelError: the network, the server or the disk refused; nothing partial stays behind.
    """
    partial = target.with_suffix('.part')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as response,
            partial.open('wb') as file,
        ):
            size = int(response.headers.get('Content-Length') or 0)
            for done in _copy(response, file):
                print(f'\r{target.name}: {_progress(done, size)}', end='', file=sys.stderr)
        print(file=sys.stderr)
        if size and partial.stat().st_size != size:
            raise OSError(f'got {partial.stat().st_size} of {size} bytes')
        partial.replace(target)
        pin(target)
    except (OSError, urllib.error.URLError) as error:
        partial.unlink(missing_ok=True)
        raise ModelError(f'cannot download {url} to {target}: {error}') from error
    return target


def pin(path: Path) -> None:
    """Write the SHA-256 of a file, or of a folder's files, beside it."""
    _pins_file(path).write_text(json.dumps(_checksums(path), indent=1))


def verify(path: Path) -> None:
    """Compare a cached file or folder with the checksums pinned when it came.

    Raises:
        ModelError: it has no pin, or it changed.
    """
    pins = _pins_file(path)
    if not pins.is_file():
        raise ModelError(
            f'{path} has no pinned checksum ({pins.name}): delete it and prefetch again'
        )
    expected = json.loads(pins.read_text())
    changed = sorted(
        name for name, digest in _checksums(path).items() if expected.get(name) != digest
    )
    if changed:
        raise ModelError(
            f'{path}: {", ".join(changed)} changed since the download: delete and prefetch again'
        )


def _trusted(path: Path, policy: Policy) -> Path:
    if not path.is_file():
        raise ModelError(f'no model file {path}')
    inside = path.resolve().is_relative_to(models_folder().resolve())
    if not inside and not policy.trust_model_files:
        raise ModelError(
            f'{path} is not one of the shipped models, and a .pt file can run code: '
            'set trust_model_files to true if you trust its origin'
        )
    return path


def _missing(name: str, places: list[Path], advice: str) -> ModelError:
    looked = ', '.join(map(str, places))
    return ModelError(f'model {name!r} is not here (looked in {looked}): {advice}')


def _pins_file(path: Path) -> Path:
    return path.parent / f'{path.name}.sha256.json'


def _checksums(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob('*') if p.is_file())
    return {file.name: _sha256(file) for file in files}


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _copy(source: object, target: object) -> Iterator[int]:
    done = 0
    while block := source.read(1 << 18):  # type: ignore[attr-defined]
        target.write(block)  # type: ignore[attr-defined]
        done += len(block)
        yield done


def _progress(done: int, size: int) -> str:
    megabytes = f'{done / 1e6:.1f} MB'
    return f'{100 * done / size:3.0f} % of {size / 1e6:.1f} MB' if size else megabytes
