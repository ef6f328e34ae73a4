"""Put tiny networks where the public models of the shipped profiles would lie once prefetched."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tiny
import tiny_clip
import tiny_text

from semantic_fast_sam_ros.core.base.folders import cache_folder
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.checksums import pin, pins_file
from semantic_fast_sam_ros.core.networks.model_files import Model, hub_name, models_of
from semantic_fast_sam_ros.core.settings import profiles

weights.silence_libraries()  # before any of them is imported, and finds a cache of its own
COMMIT = 'c' * 40
# Small enough for a busy machine; settings that are no network's own.
QUICK = {
    'masks.image_size': 128,
    'masks.confidence': 0.02,
    'yoloe.image_size': 128,
    'threads': 1,
    'device': 'cpu',
    'offline': True,
}
# The first part of a name that fits decides which tiny network stands for it.
WRITERS: dict[str, Callable[[Path], Path]] = {
    'FastSAM': tiny.write_fastsam,
    'yoloe': tiny.write_yoloe,
    'yolo26': tiny.write_semantic,
    'mobileclip': tiny.write_yoloe_text,
    'nvidia/segformer': tiny.write_segformer,
    'shi-labs/oneformer': tiny.write_oneformer,
    'facebook/mask2former': tiny.write_mask2former,
    'Salesforce/blip': tiny_text.write_blip,
    'CIDAS/clipseg': tiny_text.write_clipseg,
    'MobileCLIP2': tiny_clip.write_clip,
    'ViT-L-14': tiny_clip.write_clip,
}


@contextmanager
def prefetched() -> Iterator[None]:
    """Have every model of every shipped profile in the cache, or in models/."""
    written = [_write(model) for model in absent()]
    try:
        yield
    finally:
        for path in written:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            pins_file(path).unlink(missing_ok=True)


def absent() -> list[Model]:
    """Return the models of all shipped profiles that do not ship."""
    found = [m for name in profiles.profiles() for m in models_of(profiles.load_profile(name))]
    folder = weights.models_folder()
    return [model for model in dict.fromkeys(found) if not (folder / model.name).exists()]


def write_to_serve(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Write a network for each absent model; return files of releases, folders of the hub."""
    releases: dict[str, Path] = {}
    hub: dict[str, Path] = {}
    for model in absent():
        name = hub_name(model)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (releases if model.kind == 'checkpoint' else hub)[name] = _writer(model)(folder / name)
    return releases, hub


def _writer(model: Model) -> Callable[[Path], Path]:
    return next(w for start, w in WRITERS.items() if model.name.startswith(start))


def _write(model: Model) -> Path:
    """Write a network as `prefetch` leaves it; return what is to be removed again."""
    writer = _writer(model)
    if model.kind == 'checkpoint':
        file = cache_folder() / 'weights' / model.name
        file.parent.mkdir(parents=True, exist_ok=True)
        pin(writer(file))
        return file
    from huggingface_hub.constants import HF_HUB_CACHE

    place = Path(HF_HUB_CACHE) / f'models--{hub_name(model).replace("/", "--")}'
    folder = place / 'snapshots' / COMMIT
    folder.mkdir(parents=True)
    (place / 'refs').mkdir()
    (place / 'refs' / 'main').write_text(COMMIT)
    pin(writer(folder))
    return place
