"""Which file or folder each model is: the one answer for whoever loads, brings or checks it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.base.folders import looked_in
from semantic_fast_sam_ros.core.base.unfetched import unfetched
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.models import (
    ClipSettings,
    DenseSettings,
    MaskSettings,
    SsaEngineSettings,
    resolve_preset,
)

CLIP_CONFIG = 'open_clip_config.json'
# Where open_clip has the models of the profiles that ship: to know it takes seconds of imports.
HUBS = {
    'MobileCLIP2-S0/dfndr2b': 'timm/MobileCLIP2-S0-OpenCLIP',
    'ViT-L-14/datacomp_xl_s13b_b90k': 'laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K',
    'ViT-L-14-quickgelu/openai': 'timm/vit_large_patch14_clip_224.openai',
}
EXPORTED = ('.onnx', '.xml', '.tflite')
TORCH_WEIGHTS = ('*.safetensors', 'pytorch_model*.bin')
WEIGHTS = (*EXPORTED, '.bin', '.pt', '.pth', '.safetensors', '.ts')
BY_PATH = {
    'exported': 'a network that was exported is named',
    'open_clip file': 'a file of weights for clip.checkpoint is named',
}
Kind = Literal['checkpoint', 'transformers', 'exported', 'open_clip', 'open_clip file']


@dataclass(frozen=True)
class Model:
    """A model as the settings name it."""

    name: str
    kind: Kind  # checkpoint: of ultralytics; transformers, open_clip: a folder in that format

    def find(self, policy: Policy) -> Path:
        """Return its local file or folder, which is downloaded if it may be.

        Raises:
            ModelError: missing and not to be had, not trusted, or changed since it came.
        """
        found = self._find(policy)
        _require_fetched(found)
        return found

    def _find(self, policy: Policy) -> Path:
        if self.name.lower().endswith('.engine'):
            raise ModelError(
                f'{self.name} is a TensorRT engine, which only runs on the kind of GPU and the '
                'TensorRT that made it: name the .onnx that it was made of, and set backend to '
                'tensorrt'
            )
        if self.kind == 'checkpoint':
            return weights.checkpoint_file(self.name, policy)
        if self.kind == 'transformers':
            return weights.pretrained_folder(self.name, policy)
        if self.kind == 'open_clip':
            return _clip_folder(self.name, policy)
        given = Path(self.name).expanduser()
        file = find_exported(given) if self.kind == 'exported' else given
        if file is None and (several := _exported_in(given)):
            names = ', '.join(each.name for each in several[:5]) + ', ...' * (len(several) > 5)
            raise ModelError(f'{given} holds {len(several)} exported networks ({names}): name one')
        if file is None or not file.is_file():
            raise ModelError(
                f'no file {given}{looked_in(given)}: {BY_PATH[self.kind]} by its path'
            )
        return file


def models_of(config: Config) -> list[Model]:
    """Return the models that a configuration loads, each once, that of the masks first."""
    labellers = {
        'closed_set': [dense_model(config.dense)],
        'clipseg': [transformers_model(config.dense.model)],
        'groupvit': [transformers_model(config.dense.model)],
        'clip': [clip_model(config.clip)],
        'clip_dense': [clip_model(config.clip)],
        'hybrid': [dense_model(config.dense), clip_model(config.clip)],
        'yoloe': [checkpoint(config.yoloe.model), checkpoint(config.yoloe.text_model)],
        'ssa_engine': _engine_models(resolve_preset(config.ssa_engine), config.dense),
    }
    found = [mask_model(config.masks), *labellers.get(config.labeller, [])]
    return list(dict.fromkeys(found))


def named(name: str) -> Model:
    """Return the model that a name alone means, as `prefetch` is given it."""
    if name.endswith(weights.CHECKPOINT_SUFFIXES):
        return checkpoint(name)
    return Model(name, 'open_clip' if _is_clip(name) else 'transformers')


def is_exported(path: Path) -> bool:
    """Return whether a file's name ends as those of networks of other tools do."""
    return path.suffix.lower() in EXPORTED


def find_exported(path: Path) -> Path | None:
    """Return the network that a path names: a file, or the one in a folder; None without one."""
    if is_exported(path) and path.is_file():
        return path
    found = _exported_in(path)
    return found[0] if len(found) == 1 else None


def _exported_in(folder: Path) -> list[Path]:
    """Return the files in a folder whose names end as those of networks of other tools do."""
    return [file for file in sorted(folder.glob('*.*')) if is_exported(file)]


def _require_fetched(place: Path) -> None:
    """Raise ModelError if what lies at a model's place, or in its folder, never came."""
    beside = (file for file in sorted(place.glob('*.*')) if file.suffix.lower() in WEIGHTS)
    for file in beside if place.is_dir() else [place]:
        try:
            with file.open('rb') as stream:
                instead = unfetched(stream.read(32))
        except OSError as error:
            raise ModelError(f'{file} cannot be read: {error}') from error
        if instead:
            raise ModelError(f'{file} is no model: it is {instead}')


def checkpoint(name: str) -> Model:
    """Return the model of a setting that names an ultralytics checkpoint."""
    return Model(name, 'checkpoint')


def transformers_model(name: str) -> Model:
    """Return the model of a setting that names a Hugging Face folder."""
    return Model(name, 'transformers')


def mask_model(settings: MaskSettings) -> Model:
    """Return the model that `masks.model` names."""
    return _exported(settings.model) or checkpoint(settings.model)


def dense_model(settings: DenseSettings) -> Model:
    """Return the model that `dense.model` names."""
    if exported := _exported(settings.model):
        return exported
    automatic = settings.backend == 'auto' and settings.model.endswith('.pt')
    if automatic or settings.backend == 'ultralytics':
        return checkpoint(settings.model)
    return transformers_model(settings.model)


def _exported(name: str) -> Model | None:
    """Return the network of another tool that a name stands for; None if it does for none."""
    path = Path(name).expanduser()
    inside = _exported_in(path)
    for_torch = any(any(path.glob(pattern)) for pattern in TORCH_WEIGHTS)
    if is_exported(path) or len(inside) == 1 or (inside and not for_torch):
        return Model(name, 'exported')
    return None


def clip_model(settings: ClipSettings) -> Model:
    """Return the model that `clip.model`, or `clip.checkpoint`, names."""
    if settings.checkpoint:
        return Model(settings.checkpoint, 'open_clip file')
    return Model(settings.model, 'open_clip')


def _engine_models(engine: SsaEngineSettings, dense: DenseSettings) -> list[Model]:
    segmenters = (engine.coco_model, engine.ade20k_model)
    return [
        *(dense_model(replace(dense, model=name)) for name in segmenters),
        transformers_model(engine.caption_model),
        Model(engine.clip_model, 'open_clip'),
        transformers_model(engine.clipseg_model),
    ]


def _clip_folder(name: str, policy: Policy) -> Path:
    """Return the folder of an open_clip model.

    Named by a folder, one in models/, a hub name, or `ARCHITECTURE/TAG` of open_clip's list such
    as `MobileCLIP2-S0/dfndr2b`.
    """
    place = name if _is_clip_folder(name) else _clip_hub(name)
    return weights.pretrained_folder(place, policy, CLIP_CONFIG)


def hub_name(model: Model) -> str:
    """Return where the hub has a model that comes from there.

    Raises:
        ModelError: open_clip's list has no such set of weights.
    """
    return _clip_hub(model.name) if model.kind == 'open_clip' else model.name


def _clip_hub(name: str) -> str:
    name = name.removeprefix('hf-hub:')
    return HUBS[name] if name in HUBS else hub_of(name)


def hub_of(name: str) -> str:
    """Return where open_clip has `ARCHITECTURE/TAG`; what is none of its names, as it is.

    Raises:
        ModelError: an architecture without a tag, or with one that no hub has.
    """
    import open_clip as untyped_open_clip

    open_clip: Any = untyped_open_clip
    architecture, _, tag = name.partition('/')
    if architecture not in open_clip.list_models():
        return name
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    hub = open_clip.get_pretrained_cfg(architecture, tag).get('hf_hub', '') if tag else ''
    if not hub:
        raise ModelError(
            f'clip.model {name!r} needs a set of weights that a hub holds: write '
            f'`{architecture}/TAG` with one of {", ".join(tags) or "(none)"}, '
            'or name a file in clip.checkpoint'
        )
    return str(hub).rstrip('/')


def _is_clip(name: str) -> bool:
    """Return whether a name is one of open_clip's list, or of a folder in its format."""
    if name in HUBS or _is_clip_folder(name):
        return True
    try:
        import open_clip
    except ImportError:
        return False
    return name.partition('/')[0] in open_clip.list_models()


def _is_clip_folder(name: str) -> bool:
    return weights.local_folder(name, CLIP_CONFIG) is not None
