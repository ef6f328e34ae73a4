"""Find, download and verify model files, and keep every library off the network and the home."""

import contextlib
import os
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import ModelError, first_line
from semantic_fast_sam_ros.core.base.folders import cache_folder, resource_folder
from semantic_fast_sam_ros.core.networks.checksums import pin, pins_file, verify
from semantic_fast_sam_ros.core.networks.downloads import download

HUB_TIMEOUT_S = 8.0  # for the first answer of the model hub, which waits for ever otherwise
PREFETCH = 'python -m semantic_fast_sam_ros prefetch'
_ASSETS = 'https://github.com/ultralytics/assets/releases/download/v8.4.0'
KNOWN = {
    name: f'{_ASSETS}/{name}'
    for name in (
        'FastSAM-s.pt',
        'FastSAM-x.pt',
        *(f'yolo26{size}-sem{suffix}.pt' for size in 'nsmlx' for suffix in ('', '-ade20k')),
        *(f'yolo{kind}{size}-seg.pt' for kind in ('26', '11', 'v8') for size in 'nsmlx'),
        *(f'yolov9{size}-seg.pt' for size in 'ce'),
        *(f'yoloe-26{size}-seg.pt' for size in 'nsmlx'),
        *(f'yoloe-{family}{size}-seg.pt' for family in ('11', 'v8') for size in 'sml'),
        'mobileclip2_b.ts',
        'mobileclip_blt.ts',
    )
}
CHECKPOINT_SUFFIXES = ('.pt', '.ts')  # of files; other models are folders
# Of the known files: ultralytics' networks, and Apple's text encoders (MobileCLIP).
LICENCES = {'.pt': 'AGPL-3.0', '.ts': 'apple-amlr (research only)'}
HUB_NAME = re.compile(r'\w+([.-]\w+)*/\w+([.-]\w+)*(?<!\.git)', re.ASCII)  # nearly all of them
# What a Hugging Face segmenter needs: no training states, no other frameworks' weights.
PRETRAINED_PATTERNS = ('*.json', '*.txt', '*.model', '*.safetensors', '*.bin')
_SAFE_TWIN = re.compile(r'pytorch_model(.*)\.bin$')


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
    if here := local_folder(name, marker):
        return here
    if any(place.is_dir() for place in _folders(name)) and not HUB_NAME.fullmatch(name):
        raise _missing(name, _folders(name), f'the folder has no {marker}')
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
        reason = f'download failed ({first_line(error)}); `{PREFETCH} {name}` brings it'
    raise _missing(name, [*_folders(name), cache_folder() / 'huggingface'], reason)


def local_folder(name: str, marker: str) -> Path | None:
    """Return the folder that a name is, or one in models/, if it has the marker in it."""
    return next((place for place in _folders(name) if (place / marker).is_file()), None)


def _folders(name: str) -> list[Path]:
    return [Path(name).expanduser(), models_folder() / name]


def _cached_snapshot(name: str) -> Path | None:
    """Return the folder of a hub model that was downloaded whole; asks no network."""
    silence_libraries()
    if HUB_NAME.fullmatch(name) and not _in_the_hub_cache(name):
        return None  # known without the imports of the hub client
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        # No file is asked for: the pins tell whether all that was brought is there.
        found = snapshot_download(name, local_files_only=True, allow_patterns=[])
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        reason = 'it is no folder, and no Hugging Face name either'
        raise _missing(name, _folders(name), reason) from error
    if not pins_file(Path(found)).is_file():
        return None
    verify(Path(found))
    return Path(found)


def _in_the_hub_cache(name: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    return (Path(HF_HUB_CACHE) / f'models--{name.replace("/", "--")}').is_dir()


def _download_snapshot(name: str) -> Path:
    from huggingface_hub import snapshot_download

    wanted, _ = hub_files(name)
    folder = Path(snapshot_download(name, allow_patterns=list(wanted)))
    pin(folder)
    return folder


def hub_files(name: str) -> tuple[dict[str, int], str]:
    """Ask the hub which of a model's files are brought: bytes by name, and the model's licence.

    Weights that lie there in two formats are brought in the safe one.
    """
    from huggingface_hub import HfApi

    found = HfApi().model_info(name, timeout=HUB_TIMEOUT_S, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in found.siblings or []}
    wanted = {
        file: size
        for file, size in sizes.items()
        if any(fnmatch(file, pattern) for pattern in PRETRAINED_PATTERNS)
        and _SAFE_TWIN.sub(r'model\1.safetensors', file) not in sizes.keys() - {file}
    }
    licences = [tag for tag in found.tags or [] if tag.startswith('license:')]
    return wanted, licences[0].partition(':')[2] if licences else 'not stated'


def models_folder() -> Path:
    """Return the folder of the models that ship."""
    return resource_folder('models')


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
    looked = ', '.join(map(str, dict.fromkeys(places)))  # an absolute name is one place
    return ModelError(f'model {name!r} is not here (looked in {looked}): {advice}')
