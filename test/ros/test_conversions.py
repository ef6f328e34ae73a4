"""Camera images in every encoding of the contract become the RGB image that was encoded."""

import array

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed: run scripts/setup')

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.decoding import image_to_rgb
from semantic_fast_sam_ros.core.images.encodings import ENCODINGS, PLANES
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.ros.conversions import array_to_image, bytes_to_array

pytestmark = pytest.mark.quick

HEIGHT, WIDTH = 6, 8
LIMIT = 10_000
BAYER = {'rggb': 'rggb', 'bggr': 'bggr', 'gbrg': 'gbrg', 'grbg': 'grbg'}
CHANNEL = {'r': 0, 'g': 1, 'b': 2}


def scene() -> NDArray[np.uint8]:
    """Return an RGB image all of whose values differ from their neighbours'."""
    return np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def smooth(height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    """Return an RGB image of slow, differing gradients: subsampling hardly changes it."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    red, green = 40 + 120 * x / width, 200 - 120 * y / height
    return np.stack([red, green, 90 + 40 * (x + y) / (width + height)], -1).astype(np.uint8)


def message(
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    encoding: str,
    padding: int = 0,
    big_endian: bool = False,
) -> Image:
    """Return a camera's message, each row followed by `padding` bytes of 0xEE."""
    stored = pixels.astype(pixels.dtype.newbyteorder('>' if big_endian else '<'))
    rows = np.frombuffer(stored.tobytes(), np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    result = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    result.step, result.is_bigendian = rows.shape[1], int(big_endian)
    result.data = array.array('B', rows.tobytes())
    return result


def grey(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a grey image as RGB."""
    return np.repeat(values[..., None], 3, -1)


def alpha(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image with a fourth channel that must not matter."""
    return np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)])


def wide(values: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return 16-bit values whose upper bytes these are."""
    return values.astype(np.uint16) << 8 | 0x34


PLAIN = {
    'rgb8': lambda rgb: rgb,
    'bgr8': lambda rgb: rgb[..., ::-1],
    '8UC3': lambda rgb: rgb[..., ::-1],
    'rgba8': alpha,
    'bgra8': lambda rgb: alpha(rgb[..., ::-1]),
    '8UC4': lambda rgb: alpha(rgb[..., ::-1]),
    'rgb16': lambda rgb: wide(rgb),
    'bgr16': lambda rgb: wide(rgb[..., ::-1]),
    '16UC3': lambda rgb: wide(rgb[..., ::-1]),
    'rgba16': lambda rgb: wide(alpha(rgb)),
    'bgra16': lambda rgb: wide(alpha(rgb[..., ::-1])),
    '16UC4': lambda rgb: wide(alpha(rgb[..., ::-1])),
}
MONO = {
    'mono8': lambda values: values,
    '8UC1': lambda values: values,
    'mono16': lambda values: wide(values),
}


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', PLAIN)
def test_colour_encodings_give_the_exact_image(encoding: str, padding: int) -> None:
    rgb = scene()
    received = message(PLAIN[encoding](rgb), encoding, padding)
    np.testing.assert_array_equal(image_to_rgb(received, LIMIT), rgb)


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('encoding', MONO)
def test_grey_encodings_give_three_equal_channels(encoding: str, padding: int) -> None:
    values = scene()[..., 0]
    received = message(MONO[encoding](values), encoding, padding)
    np.testing.assert_array_equal(image_to_rgb(received, LIMIT), grey(values))


@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bgr16'])
def test_big_endian_values_are_swapped(encoding: str) -> None:
    rgb = scene()
    pixels = MONO['mono16'](rgb[..., 0]) if encoding == 'mono16' else PLAIN[encoding](rgb)
    expected = grey(rgb[..., 0]) if encoding == 'mono16' else rgb
    received = message(pixels, encoding, padding=6, big_endian=True)
    np.testing.assert_array_equal(image_to_rgb(received, LIMIT), expected)


def test_big_endian_flag_leaves_single_bytes_alone() -> None:
    received = message(scene(), 'rgb8')
    received.is_bigendian = 1
    np.testing.assert_array_equal(image_to_rgb(received, LIMIT), scene())


def test_odd_step_of_a_16_bit_image_is_read() -> None:
    values = scene()[..., 1]
    received = message(MONO['mono16'](values), 'mono16', padding=1)
    np.testing.assert_array_equal(image_to_rgb(received, LIMIT), grey(values))


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_yuv422_gives_the_colours_back(encoding: str, order: str, padding: int) -> None:
    rgb = smooth()
    received = message(to_yuv422(rgb, order), encoding, padding)
    difference = image_to_rgb(received, LIMIT).astype(int) - rgb
    assert np.abs(difference).max() <= 8  # two pixels share a chroma value


def test_yuv422_of_odd_width_is_refused() -> None:
    received = message(np.zeros((4, 5, 2), np.uint8), 'uyvy')
    with pytest.raises(FrameError, match='even width, not 5'):
        image_to_rgb(received, LIMIT)


@pytest.mark.parametrize('pattern', BAYER)
def test_bayer_gives_the_colours_back(pattern: str) -> None:
    rgb = smooth()
    rgb_back = image_to_rgb(message(mosaic(rgb, pattern), f'bayer_{pattern}8', 4), LIMIT)
    inner = (slice(2, -2), slice(2, -2))
    difference = rgb_back.astype(int)[inner] - rgb[inner]
    assert np.abs(difference).max() <= 6


@pytest.mark.parametrize('pattern', BAYER)
def test_bayer_of_16_bits_is_that_of_8_bits(pattern: str) -> None:
    seen = mosaic(scene(), pattern)
    found = image_to_rgb(message(wide(seen), f'bayer_{pattern}16', 3), LIMIT)
    expected = image_to_rgb(message(seen, f'bayer_{pattern}8'), LIMIT)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
def test_nv12_and_nv21_give_the_colours_back(encoding: str, padding: int) -> None:
    rgb = smooth()
    difference = image_to_rgb(planes(rgb, encoding, padding), LIMIT).astype(int) - rgb
    assert np.abs(difference).max() <= 10  # four pixels share a chroma value


def test_nv24_gives_the_colours_back() -> None:
    rgb = smooth()
    difference = image_to_rgb(planes(rgb, 'nv24'), LIMIT).astype(int) - rgb
    assert np.abs(difference).max() <= 3


def test_planes_without_padding_are_read_whatever_the_step_says() -> None:
    sent = planes(smooth(), 'nv12')
    expected = image_to_rgb(sent, LIMIT)
    sent.step = 2 * sent.width  # as numChannels of sensor_msgs/image_encodings counts
    np.testing.assert_array_equal(image_to_rgb(sent, LIMIT), expected)


def test_planes_that_contradict_their_size_are_refused() -> None:
    sent = planes(smooth(), 'nv21')
    sent.data = sent.data[:-1]
    with pytest.raises(FrameError, match=r'data has 1151 bytes, but 32x24 nv21 .* 1152'):
        image_to_rgb(sent, LIMIT)
    sent.width = 31
    with pytest.raises(FrameError, match='even sides, not 31x24'):
        image_to_rgb(sent, LIMIT)
    with pytest.raises(FrameError, match=r'maximum_pixels \(100\)'):
        image_to_rgb(planes(smooth(), 'nv12'), 100)


@pytest.mark.parametrize('size', [(2, 8), (8, 2)])
def test_bayer_image_too_small_to_interpolate_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(FrameError, match='too small'):
        image_to_rgb(message(np.zeros(size, np.uint8), 'bayer_rggb8'), LIMIT)


def test_every_accepted_encoding_is_tested_here() -> None:
    yuv = {'yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'}
    bayer = {f'bayer_{pattern}{bits}' for pattern in BAYER for bits in (8, 16)}
    assert {*PLAIN, *MONO, *yuv, *bayer} == set(ENCODINGS)
    assert {'nv12', 'nv21', 'nv24'} == set(PLANES)


def test_unknown_encoding_names_the_accepted_ones() -> None:
    with pytest.raises(FrameError) as refused:
        image_to_rgb(message(scene(), '32FC3'), LIMIT)
    assert "'32FC3'" in str(refused.value)
    assert all(encoding in str(refused.value) for encoding in [*ENCODINGS, *PLANES])


def test_16uc1_is_depth_unless_a_setting_says_that_it_is_grey() -> None:
    values = scene()[..., 0]
    received = message(wide(values), '16UC1')
    with pytest.raises(FrameError, match=r"'16UC1' .*depth.*set input\.mono16"):
        image_to_rgb(received, LIMIT)
    for mode in ('full', 'bits:16'):
        found = image_to_rgb(received, LIMIT, ToneMapper(mode))
        np.testing.assert_array_equal(found, grey(values))


@pytest.mark.parametrize(('width', 'height'), [(0, 6), (8, 0), (0, 0)])
def test_empty_image_is_refused(width: int, height: int) -> None:
    with pytest.raises(FrameError, match=f'{width}x{height}'):
        image_to_rgb(Image(width=width, height=height, encoding='rgb8'), LIMIT)


def test_step_shorter_than_a_row_is_refused() -> None:
    received = message(scene(), 'rgb8')
    received.step = 3 * WIDTH - 1
    with pytest.raises(FrameError, match=r'step 23 .* 8 rgb8 pixels \(24 bytes\)'):
        image_to_rgb(received, LIMIT)


@pytest.mark.parametrize('change', [-1, 1, -24, -144])
def test_data_of_the_wrong_length_is_refused(change: int) -> None:
    received = message(scene(), 'rgb8')
    received.data = array.array('B', bytes(len(received.data) + change))
    with pytest.raises(FrameError, match=rf'data has {144 + change} bytes, .* is 144'):
        image_to_rgb(received, LIMIT)


def test_last_row_without_its_padding_is_accepted() -> None:
    received = message(scene(), 'bgr8', padding=5)
    received.data = received.data[:-5]
    np.testing.assert_array_equal(image_to_rgb(received, LIMIT), scene()[..., ::-1])


def test_image_of_more_pixels_than_allowed_is_refused_without_its_data() -> None:
    huge = Image(width=2**31, height=2**31, encoding='rgb8', step=2**32 - 1)
    with pytest.raises(FrameError, match=r'exceeds input.maximum_pixels \(10000\)'):
        image_to_rgb(huge, LIMIT)


def test_image_of_exactly_the_allowed_pixels_is_accepted() -> None:
    assert image_to_rgb(message(scene(), 'rgb8'), HEIGHT * WIDTH).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_result_is_uint8_rgb_of_the_message_size(encoding: str) -> None:
    channels, depth, _ = ENCODINGS[encoding]
    shape = (HEIGHT, WIDTH, channels) if channels > 1 else (HEIGHT, WIDTH)
    pixels = np.zeros(shape, np.uint8 if depth == 1 else np.uint16)
    rgb = image_to_rgb(message(pixels, encoding, padding=2), LIMIT)
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.dtype == np.uint8


@pytest.mark.parametrize(
    ('shape', 'kind', 'encoding', 'row'),
    [
        ((5, 7), np.uint8, 'mono8', 7),
        ((5, 7), np.uint16, 'mono16', 14),
        ((5, 7, 3), np.uint8, 'rgb8', 21),
    ],
)
def test_published_rows_are_tight(
    shape: tuple[int, ...], kind: type, encoding: str, row: int
) -> None:
    wide = np.arange(np.prod(shape) * 2).astype(kind).reshape(shape[0], shape[1] * 2, *shape[2:])
    pixels = wide[:, ::2]  # not contiguous
    sent = array_to_image(pixels, encoding, Header())
    assert (sent.height, sent.width, sent.step, sent.encoding) == (5, 7, row, encoding)
    assert sent.is_bigendian == 0
    np.testing.assert_array_equal(np.frombuffer(sent.data, kind).reshape(shape), pixels)


def test_published_data_is_an_array_that_the_field_takes_unchecked() -> None:
    data = bytes_to_array(scene())
    assert isinstance(data, array.array)
    assert data.typecode == 'B'
    assert data.tobytes() == scene().tobytes()


def test_header_is_copied_unchanged() -> None:
    header = Header(frame_id='left/optical')
    header.stamp.sec, header.stamp.nanosec = 12, 345_678_901
    sent = array_to_image(scene(), 'rgb8', header)
    assert sent.header == header
    assert (header.stamp.sec, header.stamp.nanosec, header.frame_id) == (
        12,
        345_678_901,
        'left/optical',
    )


def to_yuv(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
    """Return Y, U and V of each pixel in BT.601 studio swing."""
    red, green, blue = (rgb[..., i].astype(np.float64) for i in range(3))
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    return luma, u, v


def planes(rgb: NDArray[np.uint8], encoding: str, padding: int = 0) -> Image:
    """Return a message with a plane of grey, then one of U and V by turns, as V4L2 has them."""
    luma, u, v = to_yuv(rgb)
    height, width = luma.shape
    if encoding != 'nv24':
        u, v = (c.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for c in (u, v))
    chroma = np.stack([v, u] if encoding == 'nv21' else [u, v], -1)
    rows = np.concatenate([luma, chroma.reshape(-1, width)]).round().astype(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    sent = Image(height=height, width=width, encoding=encoding, step=width + padding)
    sent.data = array.array('B', rows.tobytes())
    return sent


def to_yuv422(rgb: NDArray[np.uint8], order: str) -> NDArray[np.uint8]:
    """Return (H, W, 2) bytes in BT.601 studio swing, chroma shared by pixel pairs."""
    luma, u, v = to_yuv(rgb)
    chroma = np.empty_like(luma)
    chroma[:, 0::2], chroma[:, 1::2] = pair_mean(u), pair_mean(v)
    planes = [chroma, luma] if order == 'uyvy' else [luma, chroma]
    return np.stack(planes, -1).round().astype(np.uint8)


def pair_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each two neighbours in a row."""
    return (values[:, 0::2] + values[:, 1::2]) / 2


def mosaic(rgb: NDArray[np.uint8], pattern: str) -> NDArray[np.uint8]:
    """Return what a sensor behind a colour filter sees; the pattern names its first 2x2 cell."""
    seen = np.empty(rgb.shape[:2], np.uint8)
    for place, colour in enumerate(pattern):
        y, x = divmod(place, 2)
        seen[y::2, x::2] = rgb[y::2, x::2, CHANNEL[colour]]
    return seen


def test_bayer_matches_what_opencv_calls_the_same_pattern() -> None:
    seen = np.random.default_rng(5).integers(0, 256, (10, 14), np.uint8)
    expected = cv2.cvtColor(seen, cv2.COLOR_BayerRGGB2RGB)
    np.testing.assert_array_equal(image_to_rgb(message(seen, 'bayer_rggb8'), LIMIT), expected)
