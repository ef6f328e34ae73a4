"""Every setting, written once: default, range, help, and whether it may change while running.

The ROS parameters, the profile files, the command line and docs/parameters.md all come from
the dataclasses below. A setting's name outside is its path here: `masks.confidence`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from semantic_fast_sam_ros.core.errors import ConfigError
from semantic_fast_sam_ros.core.resources import resource_folder
from semantic_fast_sam_ros.core.vocabulary import read_yaml, suggestion

Value: TypeAlias = bool | int | float | str
MAXIMUM_PIXELS = 7680 * 4320  # 8K
CAMERA_INFO = 'camera_info'  # as output.size: the size that a CameraInfo tells


@dataclass(frozen=True)
class Setting:
    """What is known of one setting."""

    name: str
    default: Value
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    live: bool  # may change between two frames; the others need configure again

    @property
    def kind(self) -> type:
        """Return bool, int, float or str."""
        return type(self.default)


def setting(
    default: Value,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Declare a dataclass field that is a setting."""
    metadata = {'help': help, 'minimum': minimum, 'maximum': maximum, 'choices': choices}
    metadata['live'] = live
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class MaskSettings:
    """The mask branch."""

    model: str = setting(
        'fastsam_n_camvid.pt',
        'FastSAM checkpoint: a file, a file in models/, or a known name (FastSAM-s.pt, '
        'FastSAM-x.pt)',
    )
    image_size: int = setting(
        448,
        'longer side of the image given to FastSAM, pixels',
        minimum=32,
        maximum=4096,
        live=True,
    )
    confidence: float = setting(
        0.15, 'proposals below this score are dropped', minimum=0.0, maximum=1.0, live=True
    )
    iou: float = setting(
        0.7,
        'of two boxes that overlap more than this the better one stays',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_masks: int = setting(
        100, 'at most so many masks an image, best first', minimum=1, maximum=1000, live=True
    )
    retina_masks: bool = setting(
        True,
        "cut masks out at image size (finer edges) instead of at half the network's size",
        live=True,
    )


@dataclass(frozen=True)
class DenseSettings:
    """The dense semantic branch of the closed-set labeller."""

    model: str = setting(
        'dense_lite0_camvid',
        'semantic segmenter: a Hugging Face name or folder, or an ultralytics -sem .pt checkpoint',
    )
    backend: str = setting(
        'auto',
        'library that runs the dense model; auto: ultralytics for .pt, else transformers',
        choices=('auto', 'transformers', 'ultralytics'),
    )
    image_size: int = setting(
        0,
        'shorter side of the image given to the dense model, pixels; 0: as its own processor says',
        minimum=0,
        maximum=4096,
    )


@dataclass(frozen=True)
class VoteSettings:
    """How masks and the dense map become one label map."""

    mode: str = setting(
        'fusion',
        "fusion: the mask's vote weighs in on each pixel's own probabilities; "
        'hard: most frequent class in the mask (as published); soft: largest summed probability',
        choices=('hard', 'soft', 'fusion'),
        live=True,
    )
    fusion_weight: float = setting(
        0.35,
        "fusion: trust in a mask's vote against a pixel's own probabilities; 0: none",
        minimum=0.0,
        maximum=100.0,
        live=True,
    )
    fusion_floor: float = setting(
        0.05,
        "fusion: how much of the image's own shares is mixed into a mask's; larger: milder votes",
        minimum=1e-6,
        maximum=1.0,
        live=True,
    )
    every_pixel: bool = setting(
        False,
        "count and weigh votes at every pixel instead of on the dense model's own, coarser grid",
        live=True,
    )
    minimum_purity: float = setting(
        0.95,
        'hard, soft: a mask whose winning class has a smaller share of it does not paint',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    maximum_mask_share: float = setting(
        0.95,
        'masks that cover more of the image do not paint (FastSAM snaps boxes to the full frame)',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    keep_dense: bool = setting(
        True, 'pixels that no mask paints keep the dense label; false: unlabelled', live=True
    )
    hypotheses: int = setting(
        3, 'ranked classes reported a mask', minimum=1, maximum=20, live=True
    )


@dataclass(frozen=True)
class ClipSettings:
    """The open-vocabulary labellers that use an open_clip network."""

    model: str = setting(
        'MobileCLIP2-S0/dfndr2b',
        'open_clip model: a folder (also one in models/), ARCHITECTURE/TAG of its list such as '
        'MobileCLIP2-S0/dfndr2b, or a hub name; with clip.checkpoint: an architecture',
    )
    checkpoint: str = setting('', 'weights of the architecture clip.model: a file')
    templates: str = setting(
        'photo',
        'sentences that each name is put into; their mean is the class: none (the bare name), '
        'photo (3), many (12)',
        choices=('none', 'photo', 'many'),
    )
    negatives: str = setting(
        '',
        'names that absorb what nobody asked for, as a list `wall, floor | ground`: masks of '
        'these come out unlabelled',
    )
    scales: str = setting(
        '1.5',
        'how far the square crops reach, in longer sides of the box; several (`1.2, 2`): the mean '
        'of their vectors, at that many times the cost',
        live=True,
    )
    fill: str = setting(
        'blur',
        'what hides the neighbours in a crop: blur, mean (one colour), none (they stay)',
        choices=('blur', 'mean', 'none'),
        live=True,
    )
    temperature: float = setting(
        0.0,
        'cosines are divided by it before the softmax; 0: as the model was trained or calibrated',
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    minimum_confidence: float = setting(
        0.0, 'a mask named with less stays unlabelled', minimum=0.0, maximum=1.0, live=True
    )
    margin_weight: float = setting(
        0.0,
        "how much the runner-up lowers a mask's confidence: (1 - p2 / p1) to this power",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    mask_score_weight: float = setting(
        0.0,
        "how much the mask's own score lowers its confidence: the score to this power",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    batch: int = setting(
        64, 'crops encoded at once: bounds the memory', minimum=1, maximum=1024, live=True
    )


@dataclass(frozen=True)
class SsaEngineSettings:
    """The labeller that finds its names by itself (SSA-engine)."""

    preset: str = setting(
        'light',
        'models of the stages that name none themselves: light, or full (as published)',
        choices=('light', 'full'),
    )
    coco_model: str = setting('', 'COCO segmenter, as dense.model; empty: as the preset says')
    ade20k_model: str = setting('', 'ADE20K segmenter, as dense.model; empty: as the preset says')
    caption_model: str = setting(
        '', 'BLIP that captions crops, a Hugging Face name or folder; empty: as the preset says'
    )
    clip_model: str = setting(
        '', 'CLIP that ranks the names, as clip.model; empty: as the preset says'
    )
    clipseg_model: str = setting(
        '', 'CLIPSeg that votes, a Hugging Face name or folder; empty: as the preset says'
    )
    proposals: int = setting(
        3, 'names that CLIP leaves for the vote', minimum=1, maximum=10, live=True
    )
    filter_scale: float = setting(
        1.2, "crops for CLIP, in sides of the mask's box", minimum=1.0, maximum=8.0, live=True
    )
    context_scale: float = setting(
        1.6,
        "crops for the caption and the vote, in sides of the mask's box",
        minimum=1.0,
        maximum=8.0,
        live=True,
    )
    caption_tokens: int = setting(
        20, 'at most so many tokens a caption', minimum=1, maximum=200, live=True
    )
    batch: int = setting(
        16,
        'crops captioned or segmented at once: bounds the memory',
        minimum=1,
        maximum=1024,
        live=True,
    )


@dataclass(frozen=True)
class YoloeSettings:
    """The labeller that finds masks and names in one network."""

    model: str = setting(
        'yoloe-26s-seg.pt',
        'YOLOE-seg checkpoint, a file or a known name; the same name in masks.model: its '
        'instances are the masks, and one network does all',
    )
    text_model: str = setting(
        'mobileclip2_b.ts',
        'its text encoder, a TorchScript file: mobileclip2_b.ts for yoloe-26, mobileclip_blt.ts '
        'for yoloe-11 and yoloe-v8',
    )
    image_size: int = setting(
        640, 'longer side of the image given to it, pixels', minimum=32, maximum=4096, live=True
    )
    confidence: float = setting(
        0.1, 'instances below this score are dropped', minimum=0.0, maximum=1.0, live=True
    )
    iou: float = setting(
        0.7,
        'of two boxes that overlap more than this the better one stays (yoloe-26 needs none)',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_instances: int = setting(
        300, 'at most so many instances an image', minimum=1, maximum=1000, live=True
    )


@dataclass(frozen=True)
class InputSettings:
    """What the node subscribes to."""

    transport: str = setting(
        'raw',
        'raw: sensor_msgs/Image on `image`; compressed: sensor_msgs/CompressedImage on '
        '`image/compressed`',
        choices=('raw', 'compressed'),
    )
    reliability: str = setting(
        'best_effort',
        'best_effort hears every publisher; reliable only reliable ones, and may wait for lost '
        'frames',
        choices=('best_effort', 'reliable'),
    )
    depth: int = setting(
        4,
        'images kept by the middleware while Python is busy; of those the newest wins all the '
        'same. 1 loses some of a large or fast camera before they are counted',
        minimum=1,
        maximum=100,
    )
    timeout_s: float = setting(
        3.0, 'no image for so long is logged and shown in diagnostics', minimum=0.1, maximum=3600.0
    )
    maximum_pixels: int = setting(
        MAXIMUM_PIXELS, 'larger images are refused (default: 8K)', minimum=1, maximum=2**31 - 1
    )


@dataclass(frozen=True)
class OutputSettings:
    """What the node publishes."""

    reliability: str = setting(
        'reliable',
        'reliable reaches every subscriber (RViz2 needs it); best_effort suits lossy Wi-Fi',
        choices=('best_effort', 'reliable'),
    )
    depth: int = setting(2, 'messages kept for slow subscribers', minimum=1, maximum=100)
    size: str = setting(
        'input',
        'size of all images published: `input`, WIDTHxHEIGHT such as 640x480, or `camera_info`: '
        'that of the images which depth/camera_info describes',
        live=True,
    )
    overlay_opacity: float = setting(
        0.5, 'share of the class colour in the overlay', minimum=0.0, maximum=1.0, live=True
    )
    overlay_contours: bool = setting(True, 'draw the borders of the masks', live=True)
    overlay_names: bool = setting(True, 'write class names on the larger regions', live=True)
    jpeg_quality: int = setting(
        85, 'quality of the compressed overlay', minimum=1, maximum=100, live=True
    )
    packed_instances: bool = setting(
        False,
        'publish ~/packed_instances as well: 32SC1, mask id << 16 | class id, as Hydra takes it',
    )
    diagnostics_period_s: float = setting(
        1.0, 'seconds between diagnostics', minimum=0.1, maximum=60.0
    )


@dataclass(frozen=True)
class CloudSettings:
    """The labelled point cloud."""

    enabled: bool = setting(
        False,
        'publish ~/points as well: depth/image (registered to the camera) with labels; takes '
        'depth/camera_info',
    )
    organised: bool = setting(
        True,
        'one point for each pixel of the depth image, NaN where it has none (as Nav2 needs it); '
        'false: only points with depth',
        live=True,
    )
    colours: str = setting(
        'image',
        "rgb of the points: the camera's, or those of the classes",
        choices=('image', 'classes'),
        live=True,
    )
    tolerance_ms: float = setting(
        50.0,
        'stamps of image and depth may differ by so much',
        minimum=0.0,
        maximum=10_000.0,
        live=True,
    )


@dataclass(frozen=True)
class Config:
    """All settings of the pipeline and the node. Immutable: a change is a new object."""

    masks: MaskSettings = field(default_factory=MaskSettings)
    dense: DenseSettings = field(default_factory=DenseSettings)
    vote: VoteSettings = field(default_factory=VoteSettings)
    clip: ClipSettings = field(default_factory=ClipSettings)
    ssa_engine: SsaEngineSettings = field(default_factory=SsaEngineSettings)
    yoloe: YoloeSettings = field(default_factory=YoloeSettings)
    input: InputSettings = field(default_factory=InputSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    cloud: CloudSettings = field(default_factory=CloudSettings)
    labeller: str = setting(
        'closed_set',
        'closed_set: a dense segmenter votes in each mask; clip: open vocabulary, CLIP on the '
        'crop of each mask; clip_dense: CLIP features of one image pass, pooled in each mask; '
        'clipseg, groupvit: dense.model scores every pixel by text and votes; yoloe: instances '
        'found by text vote; hybrid: a closed-set segmenter for the names it has, CLIP for the '
        'rest; ssa_engine: finds the names itself; none: masks only',
        choices=(
            'closed_set',
            'clip',
            'clip_dense',
            'clipseg',
            'groupvit',
            'yoloe',
            'hybrid',
            'ssa_engine',
            'none',
        ),
    )
    vocabulary: str = setting(
        '',
        'names to publish: a file in config/vocabularies, a YAML file, or a list '
        "`road, car | vehicle`; empty: the model's own. With an open-vocabulary labeller it can "
        'change while running',
        live=True,
    )
    vocabulary_file: str = setting(
        '', 'a YAML file of names, prompts and colours; goes before `vocabulary`', live=True
    )
    groups: str = setting(
        '', 'merge classes: a YAML file or text such as `{drivable: [road, parking]}`'
    )
    device: str = setting('auto', 'auto, cpu, cuda, cuda:N or mps')
    precision: str = setting(
        'auto',
        'number format of the networks; auto: fp16 on CUDA, else fp32',
        choices=('auto', 'fp32', 'fp16', 'bf16'),
    )
    cameras: str = setting(
        '',
        'names of cameras that share the models, such as `front, left`: NAME/image in, '
        '~/NAME/label_image and so on out; empty: one camera without a name',
    )
    max_age_ms: float = setting(
        0.0,
        "images whose stamp is older than this by the node's clock are dropped; 0: none are",
        minimum=0.0,
        maximum=3.6e6,
        live=True,
    )
    min_interval_ms: float = setting(
        0.0,
        'least time between the starts of two images of one camera: spares the machine',
        minimum=0.0,
        maximum=3.6e6,
        live=True,
    )
    target_rate_hz: float = setting(
        0.0,
        'images a second to hold for each camera, by giving up masks, image size and labels in '
        'steps where they take too long; 0: give nothing up',
        minimum=0.0,
        maximum=1000.0,
        live=True,
    )
    rest_without_subscribers: bool = setting(
        True, 'compute nothing while nobody subscribes to an output', live=True
    )
    backend: str = setting(
        'auto',
        'what runs mask and dense network; other than torch, it converts them once, at the first '
        'start. auto: on a CPU, OpenVINO where it is installed and the network ships or is '
        'converted already (command export), else torch. tensorrt: through ONNX Runtime',
        choices=('auto', 'torch', 'openvino', 'onnxruntime', 'tensorrt'),
    )
    threads: int = setting(0, 'CPU threads of torch; 0: as torch decides', minimum=0, maximum=1024)
    offline: bool = setting(False, 'never download; models must be in models/ or the cache')
    trust_model_files: bool = setting(
        False,
        'load .pt files from anywhere. They can run code: only for files whose origin you trust',
    )
    autostart: bool = setting(
        True, 'configure and activate by itself; false: wait for a lifecycle manager'
    )


def settings() -> list[Setting]:
    """Return all settings in order of declaration."""
    return [Setting(name, cast(Value, f.default), **f.metadata) for name, f in _walk(Config)]


def flatten(config: Config) -> dict[str, Value]:
    """Return the values of a configuration by setting name."""
    return {name: _read(config, name) for name, _ in _walk(Config)}


def from_values(values: Mapping[str, object]) -> Config:
    """Build a configuration from values by setting name; the rest takes its default.

    Raises:
        ConfigError: an unknown name, a wrong type, or a value out of range.
    """
    known = {s.name: s for s in settings()}
    for name in values:
        if name not in known:
            raise ConfigError(f'unknown setting {name!r}{suggestion(name, known)}')
    checked = {name: check(known[name], value) for name, value in values.items()}
    return cast(Config, _build(Config, '', checked))


def check(known: Setting, value: object) -> Value:
    """Return a value in the setting's type, or raise a ConfigError that says what is allowed."""
    if known.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    listed = known.name in LISTS and isinstance(value, list | tuple) and len(value) > 0
    if listed and all(isinstance(name, str) for name in cast(list[object], value)):
        value = ', '.join(cast(list[str], value))  # as YAML and launch files read `[road, car]`
    if type(value) is not known.kind:
        raise ConfigError(f'{known.name} must be a {known.kind.__name__}, not {value!r}')
    if known.choices and value not in known.choices:
        raise ConfigError(f'{known.name} must be one of {", ".join(known.choices)}, not {value!r}')
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = known.minimum, known.maximum
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            raise ConfigError(f'{known.name} must lie in {low:g} ... {high:g}, not {value!r}')
    if known.name in PARSERS:
        PARSERS[known.name](str(value))
    return cast(Value, value)


def parse_size(text: str) -> tuple[int, int] | None:
    """Read an output size: (height, width) of 'WIDTHxHEIGHT', None where messages give it."""
    if text in ('input', CAMERA_INFO):
        return None
    width, _, height = text.partition('x')
    if not (
        width.isdecimal()
        and height.isdecimal()
        and 0 < int(width) <= 16384
        and 0 < int(height) <= 16384
        and int(width) * int(height) <= MAXIMUM_PIXELS
    ):
        raise ConfigError(
            'output.size must be `input` or WIDTHxHEIGHT such as 640x480, or `camera_info`, '
            f'not {text!r}'
        )
    return int(height), int(width)


def parse_cameras(text: str) -> tuple[str, ...]:
    """Read the camera names, 'front, left'; one without a name where none is given."""
    if not text.strip():
        return ('',)
    names = tuple(name.strip() for name in text.split(','))
    if not all(name.isascii() and name.isidentifier() for name in names):
        raise ConfigError(
            f'cameras must list names of letters, digits and _ such as `front, left`, not {text!r}'
        )
    if len(set(names)) < len(names):
        raise ConfigError(f'cameras names one twice: {text!r}')
    return names


def parse_scales(text: str) -> tuple[float, ...]:
    """Read the crop scales, '1.2, 2': numbers in 0.5 ... 8."""
    try:
        scales = tuple(float(part) for part in text.split(','))
    except ValueError:
        scales = ()
    if not scales or not all(0.5 <= scale <= 8 for scale in scales):
        raise ConfigError(f'clip.scales must list numbers in 0.5 ... 8 such as 1.5, not {text!r}')
    return scales


# Settings that YAML and launch files may give as a list.
LISTS = ('vocabulary', 'cameras')
# Settings whose text has a form of its own.
PARSERS: dict[str, Callable[[str], object]] = {
    'output.size': parse_size,
    'clip.scales': parse_scales,
    'cameras': parse_cameras,
}


# SSA-engine's stages. `full` is the published choice; `light` has the smallest public models.
ENGINE_PRESETS: dict[str, dict[str, str]] = {
    'light': {
        'coco_model': 'facebook/mask2former-swin-tiny-coco-panoptic',
        'ade20k_model': 'nvidia/segformer-b0-finetuned-ade-512-512',
        'caption_model': 'Salesforce/blip-image-captioning-base',
        'clip_model': 'MobileCLIP2-S0/dfndr2b',
        'clipseg_model': 'CIDAS/clipseg-rd64-refined',
    },
    'full': {
        'coco_model': 'shi-labs/oneformer_coco_swin_large',
        'ade20k_model': 'shi-labs/oneformer_ade20k_swin_large',
        'caption_model': 'Salesforce/blip-image-captioning-large',
        'clip_model': 'ViT-L-14-quickgelu/openai',
        'clipseg_model': 'CIDAS/clipseg-rd64-refined',
    },
}


def resolve_preset(settings: SsaEngineSettings) -> SsaEngineSettings:
    """Return the settings with the preset's model wherever they name none."""
    preset = ENGINE_PRESETS[settings.preset]
    missing: dict[str, Any] = {s: m for s, m in preset.items() if not getattr(settings, s)}
    return replace(settings, **missing)


def model_names(config: Config) -> list[str]:
    """Return the models that a configuration loads, each once."""
    dense, clip = [config.dense.model], [config.clip.model]
    engine = resolve_preset(config.ssa_engine)
    labellers = {
        'closed_set': dense,
        'clipseg': dense,
        'groupvit': dense,
        'clip': clip,
        'clip_dense': clip,
        'hybrid': [*dense, *clip],
        'yoloe': [config.yoloe.model, config.yoloe.text_model],
        'ssa_engine': [getattr(engine, stage) for stage in ENGINE_PRESETS[engine.preset]],
    }
    return list(dict.fromkeys([config.masks.model, *labellers.get(config.labeller, [])]))


def profiles() -> dict[str, Path]:
    """Return the shipped profiles by name."""
    return {path.stem: path for path in sorted(resource_folder('config').glob('*.yaml'))}


def profile_path(name: str) -> Path:
    """Return the file of a profile: a shipped name or a path.

    Raises:
        ConfigError: there is no such profile; the message lists the shipped ones.
    """
    path = Path(name).expanduser()
    if path.suffix in ('.yaml', '.yml'):
        return path
    if name not in profiles():
        raise ConfigError(f'unknown profile {name!r}{suggestion(name, profiles())}')
    return profiles()[name]


def load_profile(name: str, overrides: Mapping[str, object] | None = None) -> Config:
    """Read a profile, which is a ROS parameter file, and lay overrides on top."""
    return from_values(read_parameter_file(profile_path(name)) | dict(overrides or {}))


def read_parameter_file(path: Path) -> dict[str, object]:
    """Read the values of a ROS 2 parameter file, `/**: {ros__parameters: {...}}`, flattened."""
    content = read_yaml(path)
    values: dict[str, object] = {}
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: expected a ROS parameter file')
    for node, body in content.items():
        if not isinstance(body, dict) or not isinstance(body.get('ros__parameters'), dict):
            raise ConfigError(f'{path}: expected the key "ros__parameters" under {node!r}')
        values.update(_flatten_yaml(body['ros__parameters'], ''))
    return values


def _flatten_yaml(tree: Mapping[str, object], prefix: str) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in tree.items():
        name = f'{prefix}{key}'
        values.update(
            _flatten_yaml(value, f'{name}.') if isinstance(value, dict) else {name: value}
        )
    return values


def _walk(section: type, prefix: str = '') -> Iterator[tuple[str, 'Field[Any]']]:
    for f in fields(section):
        if is_dataclass(f.type):
            yield from _walk(cast(type, f.type), f'{prefix}{f.name}.')
        else:
            yield f'{prefix}{f.name}', f


def _read(config: Config, name: str) -> Value:
    value: Any = config
    for part in name.split('.'):
        value = getattr(value, part)
    return cast(Value, value)


def _build(section: type, prefix: str, values: Mapping[str, Value]) -> object:
    arguments: dict[str, object] = {}
    for f in fields(section):
        name = f'{prefix}{f.name}'
        if is_dataclass(f.type):
            arguments[f.name] = _build(cast(type, f.type), f'{name}.', values)
        elif name in values:
            arguments[f.name] = values[name]
    return section(**arguments)
