"""Find, download and verify model files, and keep every library off the network and the home."""

import contextlib
import http.client
import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.base.folders import cache_folder, resource_folder
from semantic_fast_sam_ros.core.networks.checksums import pin, pins_file, verify

DOWNLOAD_TIMEOUT_S = 10.0
HUB_TIMEOUT_S = 8.0  # for the first answer of the model hub, which waits for ever otherwise
PREFETCH = 'python -m semantic_fast_sam_ros prefetch'
_ASSETS = 'https://github.com/ultralytics/assets/releases/download/v8.4.0'
# Licence of all of these: AGPL-3.0.
KNOWN = {
    name: f'{_ASSETS}/{name}'
    for name in (
        'FastSAM-s.pt',
        'FastSAM-x.pt',
        *(f'yolo26{size}-sem{suffix}.pt' for size in 'nsmlx' for suffix in ('', '-ade20k')),
        *(f'yolo{kind}{size}-seg.pt' for kind in ('26', '11', 'v8') for size in 'nsmlx'),
        *(f'yoloe-26{size}-seg.pt' for size in 'nsmlx'),
        *(f'yoloe-{family}{size}-seg.pt' for family in ('11', 'v8') for size in 'sml'),
        'mobileclip2_b.ts',
        'mobileclip_blt.ts',
    )
}
CHECKPOINT_SUFFIXES = ('.pt', '.ts')  # of files; other models are folders
HUB_NAME = re.compile(r'\w+([.-]\w+)*/\w+([.-]\w+)*(?<!\.git)', re.ASCII)  # nearly all of them
# What a Hugging Face segmenter needs: no training states, no other frameworks' weights.
PRETRAINED_PATTERNS = ('*.json', '*.txt', '*.model', '*.safetensors', '*.bin')


@dataclass(frozen=True)
class Policy:
    """Which files may be loaded, and from where."""

    offline: bool = False
    trust_model_files: bool = False


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

    A bare name is looked for in models/, the cache and the working folder; then downloaded.

    Raises:
        ModelError: missing, not trusted, or not what was downloaded at first.
    """
    given = Path(name).expanduser()
    places = [models_folder() / name, cache_folder() / 'weights' / name]
    if given.name != name:
        return _trusted(given, policy)
    if places[0].is_file():
        return places[0]
    if places[1].is_file():
        verify(places[1])
        return places[1]
    if given.is_file():
        return _trusted(given, policy)
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
    try:
        folder = _cached_snapshot(name)
        if (folder is None or not (folder / marker).is_file()) and not policy.offline:
            folder = _download_snapshot(name)
        if folder is not None and (folder / marker).is_file():
            return folder
        reason = f'bring it with `{PREFETCH} {name}` on a machine with a network'
        if not policy.offline:
            reason = f'the hub has it, but without {marker}'
    except ModelError:
        raise
    except Exception as error:  # the hub client lets through what its HTTP library raises
        reason = f'download failed ({_first_line(error)}); `{PREFETCH} {name}` brings it'
    raise _missing(name, [*places, cache_folder() / 'huggingface'], reason)


def _cached_snapshot(name: str) -> Path | None:
    """Return the folder of a hub model that was downloaded whole; asks no network."""
    silence_libraries()
    if HUB_NAME.fullmatch(name) and not _in_the_hub_cache(name):
        return None  # known without the imports of the hub client
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            name, local_files_only=True, allow_patterns=list(PRETRAINED_PATTERNS)
        )
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        reason = 'it is no folder, and no Hugging Face name either'
        raise _missing(name, [Path(name), models_folder() / name], reason) from error
    if not pins_file(Path(found)).is_file():
        return None
    verify(Path(found))
    return Path(found)


def _in_the_hub_cache(name: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    return (Path(HF_HUB_CACHE) / f'models--{name.replace("/", "--")}').is_dir()


def _download_snapshot(name: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    HfApi().model_info(name, timeout=HUB_TIMEOUT_S)
    folder = Path(snapshot_download(name, allow_patterns=list(PRETRAINED_PATTERNS)))
    pin(folder)
    return folder


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
        pin(target, partial)
        partial.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise ModelError(f'cannot download {url} to {target}: {error}') from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return target


def _trusted(path: Path, policy: Policy) -> Path:
    if not path.is_file():
        raise ModelError(f'no model file {path}')
    folder = models_folder()
    # As named or as resolved: an installation may link models/ file by file.
    if path.absolute().parent == folder or path.resolve().is_relative_to(folder.resolve()):
        return path
    if path.resolve().parent == (cache_folder() / 'weights').resolve():
        verify(path)
        return path
    if not policy.trust_model_files:
        raise ModelError(
            f'{path} is not one of the shipped models, and a .pt file can run code: '
            'set trust_model_files to true if you trust its origin'
        )
    return path


def _missing(name: str, places: list[Path], advice: str) -> ModelError:
    looked = ', '.join(map(str, places))
    return ModelError(f'model {name!r} is not here (looked in {looked}): {advice}')


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _copy(source: object, target: object) -> Iterator[int]:
    done = 0
    while block := source.read(1 << 18):  # type: ignore[attr-defined]
        target.write(block)  # type: ignore[attr-defined]
        done += len(block)
        yield done


def _progress(done: int, size: int) -> str:
    megabytes = f'{done / 1e6:.1f} MB'
    return f'{100 * done / size:3.0f} % of {size / 1e6:.1f} MB' if size else megabytes
