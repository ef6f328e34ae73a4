"""Every setting, written once: default, range, help, and whether it may change while running.

The ROS parameters, the profile files, the command line and docs/parameters.md all come from
the dataclass below and those that it is made of (models.py, temporal.py,
node.py, objects.py, query.py). A setting's name outside is its path here: `masks.confidence`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any, cast

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion
from semantic_fast_sam_ros.core.settings.models import (
    ClipSettings,
    DenseSettings,
    MaskSettings,
    SsaEngineSettings,
    VoteSettings,
    YoloeSettings,
)
from semantic_fast_sam_ros.core.settings.node import (
    CAMERA_INFO,
    MAXIMUM_PIXELS,
    CloudSettings,
    InputSettings,
    OutputSettings,
    fixed_bits,
)
from semantic_fast_sam_ros.core.settings.objects import BYTETRACK, OFF, ObjectSettings
from semantic_fast_sam_ros.core.settings.query import MemorySettings, QuerySettings
from semantic_fast_sam_ros.core.settings.setting import Setting, Value, setting
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.core.settings.yaml_values import converted, hint


@dataclass(frozen=True)
class Config:
    """All settings of the pipeline and the node. Immutable: a change is a new object."""

    masks: MaskSettings = field(default_factory=MaskSettings)
    dense: DenseSettings = field(default_factory=DenseSettings)
    vote: VoteSettings = field(default_factory=VoteSettings)
    clip: ClipSettings = field(default_factory=ClipSettings)
    ssa_engine: SsaEngineSettings = field(default_factory=SsaEngineSettings)
    yoloe: YoloeSettings = field(default_factory=YoloeSettings)
    temporal: TemporalSettings = field(default_factory=TemporalSettings)
    input: InputSettings = field(default_factory=InputSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    cloud: CloudSettings = field(default_factory=CloudSettings)
    objects: ObjectSettings = field(default_factory=ObjectSettings)
    query: QuerySettings = field(default_factory=QuerySettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
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
        'number format of the networks. auto: fp16 on CUDA; on a CPU the 8-bit form of those that '
        '`backend` runs, where there is one (the models that ship have it) and OpenVINO runs '
        'them, else fp32. int8: only such a form will do',
        choices=('auto', 'fp32', 'fp16', 'bf16', 'int8'),
    )
    tracking: str = setting(
        OFF,
        'things keep their mask id from image to image. bytetrack: by box and score of the masks '
        'whose class is one of things (`thing` in vocabulary files)',
        choices=(OFF, BYTETRACK),
    )
    cameras: str = setting(
        '',
        'names of cameras that share the models, such as `front, left`: NAME/image in, '
        '~/NAME/label_image and so on out; empty: one camera without a name',
    )
    batch_cameras: str = setting(
        'auto',
        'images of several cameras that wait go through the networks in one pass, where these '
        'take that (torch: yes; conversions: no). auto: on CUDA; on a CPU it saves no time',
        choices=('auto', 'always', 'never'),
        live=True,
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
        'what runs mask and dense network and the image encoder of CLIP; openvino, onnxruntime '
        'and tensorrt (through ONNX Runtime) convert them once, at the first start. auto: on a '
        'CPU, OpenVINO where it is installed and the network ships or is converted already '
        '(command export), else torch. compile: torch.compile, which takes minutes at the first '
        'image of each size (on CUDA with CUDA graphs); torch where it fails',
        choices=('auto', 'torch', 'compile', 'openvino', 'onnxruntime', 'tensorrt'),
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
    value = converted(known, value)
    if type(value) is not known.kind:
        kind, advice = known.kind.__name__, hint(known, value)
        raise ConfigError(f'{known.name} must be a {kind}, not {value!r}{advice}')
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
            'cameras must list names of letters, digits and _ that begin with no digit, such as '
            f'`front, left`, not {text!r}'
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


def parse_colour(text: str) -> tuple[float, float, float] | None:
    """Read three numbers, '123.7, 116.3, 103.5', or one for all; None where there is no text."""
    if not text.strip():
        return None
    try:
        values = [float(part) for part in text.strip().strip('[]').split(',')]
    except ValueError:
        values = []
    if len(values) not in (1, 3):
        raise ConfigError(f'three numbers such as `123.7, 116.3, 103.5` are wanted, not {text!r}')
    red, green, blue = values * 3 if len(values) == 1 else values
    return red, green, blue


# Settings whose text has a form of its own.
PARSERS: dict[str, Callable[[str], object]] = {
    'output.size': parse_size,
    'input.mono16': fixed_bits,
    'clip.scales': parse_scales,
    'cameras': parse_cameras,
    'dense.mean': parse_colour,
    'dense.std': parse_colour,
}


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
