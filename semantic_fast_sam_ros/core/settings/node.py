"""The settings of what the node subscribes to and publishes."""

from dataclasses import dataclass

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.setting import setting

MAXIMUM_PIXELS = 7680 * 4320  # 8K
CAMERA_INFO = 'camera_info'  # as output.size: the size that a CameraInfo tells
AUTO, FULL, WINDOW, BITS = 'auto', 'full', 'window', 'bits:'  # of input.mono16


def fixed_bits(mono16: str) -> int | None:
    """Read `input.mono16`: the N of 'bits:N', None where the images or all 16 bits decide.

    Raises:
        ConfigError: it is none of the values allowed.
    """
    if mono16 in (AUTO, FULL, WINDOW):
        return None
    number = mono16.removeprefix(BITS)
    if mono16.startswith(BITS) and number.isdecimal() and 8 <= int(number) <= 16:
        return int(number)
    raise ConfigError(
        f'input.mono16 must be auto, full, window or bits:N with N from 8 to 16, not {mono16!r}'
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
    mono16: str = setting(
        AUTO,
        'how 16 bits a channel become 8. auto: by what the images use, the fewest of 8, 10, 12, '
        '14 or 16 bits that hold it, or a window where that is narrow (thermal cameras); full: '
        'the upper 8 of 16 bits; bits:N (8 to 16): the upper 8 of the lower N; window: from the '
        '0.1st to the 99.9th percentile. All but auto also take 16UC1, otherwise depth, as grey',
        live=True,
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


IMAGE, POINTS = 'image', 'points'  # of cloud.source


@dataclass(frozen=True)
class CloudSettings:
    """The labelled point cloud."""

    enabled: bool = setting(
        False,
        'publish ~/points as well: depth/image (registered to the camera) with labels; takes '
        'depth/camera_info',
    )
    source: str = setting(
        IMAGE,
        'what depth is taken from, for cloud and boxes. image: depth/image and depth/camera_info; '
        'points: a sensor_msgs/PointCloud2 on depth/points, organised like the image (a point a '
        "pixel) in the camera's optical frame, without camera_info",
        choices=(IMAGE, POINTS),
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
