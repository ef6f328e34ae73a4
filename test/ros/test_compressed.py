"""JPEG and PNG messages become the image; damaged or oversized ones are refused."""

import array
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed: run scripts/setup')

import PIL.Image
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.decoding import compressed_to_rgb
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.ros.conversions import jpeg_message

pytestmark = pytest.mark.quick

LIMIT = 1_000_000


def scene() -> NDArray[np.uint8]:
    """Return an RGB image (30, 40) whose left half is red and whose lower half is bright."""
    rgb = np.full((30, 40, 3), 40, np.uint8)
    rgb[:, :20, 0] = 220
    rgb[15:, :, 1] = 180
    return rgb


def message(data: bytes, form: str = 'rgb8; jpeg compressed bgr8') -> CompressedImage:
    """Return a camera's compressed message."""
    return CompressedImage(format=form, data=array.array('B', data))


def encoded(kind: str, **options: object) -> bytes:
    """Return the scene as Pillow writes it."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(scene()).save(buffer, kind, **options)
    return buffer.getvalue()


# compressed_subscriber.cpp: what was not turned into BGR before has red and blue changed.
@pytest.mark.parametrize(
    ('form', 'order'),
    [
        ('jpeg', 1),
        ('', 1),
        ('jpg', 1),
        ('rgb8; jpeg compressed bgr8', 1),
        ('bgr8; jpeg compressed bgr8', 1),
        ('rgba8; jpeg compressed bgr8', 1),
        ('yuv422_yuy2; jpeg compressed bgr8', 1),
        ('mono8; jpeg compressed mono8', 1),
        ('rgb8; jpeg compressed rgb8', -1),
        ('rgb8; png compressed rgb8', -1),
        ('bgr8; jpeg compressed ', -1),
        ('rgb16; jpeg compressed rgb16', -1),
    ],
)
def test_the_order_of_colours_is_what_the_format_says(form: str, order: int) -> None:
    rgb = compressed_to_rgb(message(encoded('JPEG', quality=95, subsampling=0), form), LIMIT)
    assert np.abs(rgb[..., ::order].astype(int) - scene()).max() < 25


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
def test_a_mosaic_in_png_is_demosaiced(pattern: str, bits: int) -> None:
    seen = np.random.default_rng(5).integers(0, 256, (10, 14), np.uint8)
    sent = seen if bits == 8 else seen.astype(np.uint16) << 8
    data = cv2.imencode('.png', sent)[1].tobytes()
    rgb = compressed_to_rgb(message(data, f'bayer_{pattern}{bits}; png compressed '), LIMIT)
    code = getattr(cv2, f'COLOR_Bayer{pattern.upper()}2RGB')
    np.testing.assert_array_equal(rgb, cv2.cvtColor(seen, code))


def test_a_mosaic_that_image_transport_made_grey_for_jpeg_stays_grey() -> None:
    data = cv2.imencode('.jpg', scene()[..., 0])[1].tobytes()
    rgb = compressed_to_rgb(message(data, 'bayer_rggb8; jpeg compressed mono8'), LIMIT)
    assert (rgb == rgb[..., :1]).all()


@pytest.mark.parametrize(
    'form', ['16UC1; png compressed ', '16UC1; compressedDepth png', '32FC1; compressedDepth rvl']
)
def test_depth_is_refused_by_its_format(form: str) -> None:
    data = cv2.imencode('.png', scene()[..., 0].astype(np.uint16))[1].tobytes()
    with pytest.raises(FrameError, match=r'depth camera.*input\.mono16'):
        compressed_to_rgb(message(data, form), LIMIT)


def test_16uc1_in_png_is_grey_where_a_setting_says_so() -> None:
    data = cv2.imencode('.png', scene()[..., 0].astype(np.uint16) << 8)[1].tobytes()
    rgb = compressed_to_rgb(message(data, '16UC1; png compressed '), LIMIT, ToneMapper('full'))
    np.testing.assert_array_equal(rgb[..., 0], scene()[..., 0])


@pytest.mark.parametrize('kind', ['TIFF', 'WebP', 'BMP', 'PPM'])
def test_what_opencv_decodes_is_decoded(kind: str) -> None:
    options = {'lossless': True} if kind == 'WebP' else {}
    np.testing.assert_array_equal(
        compressed_to_rgb(message(encoded(kind, **options), kind.lower()), LIMIT), scene()
    )


@pytest.mark.parametrize(
    ('data', 'name'),
    [
        (b'\0\0\0\x18ftypheic' + bytes(50), r'HEIF \(heic\)'),
        (b'\0\0\0\x01\x67' + bytes(50), 'video'),
        (b'\xff\x0a' + bytes(50), 'JPEG XL'),
        (b'GARBAGE!' + bytes(50), 'unknown format'),
    ],
)
def test_other_formats_are_refused_with_their_name_and_a_remedy(data: bytes, name: str) -> None:
    with pytest.raises(FrameError, match=rf"'odd'.*{name}.*JPEG or PNG.*input\.transport: raw"):
        compressed_to_rgb(message(data, 'odd'), LIMIT)


def test_of_a_jpeg_with_several_pictures_the_first_is_taken() -> None:
    second = [PIL.Image.fromarray(255 - scene())]  # as stereo cameras send them
    data = encoded('MPO', quality=95, subsampling=0, save_all=True, append_images=second)
    rgb = compressed_to_rgb(message(data), LIMIT)
    assert np.abs(rgb.astype(int) - scene()).max() < 25


def test_png_is_decoded_exactly() -> None:
    np.testing.assert_array_equal(compressed_to_rgb(message(encoded('PNG')), LIMIT), scene())


@pytest.mark.parametrize(
    'values', [scene()[..., 0], np.dstack([scene(), scene()[..., :1]])], ids=['grey', 'alpha']
)
def test_png_of_other_channels_gives_rgb(values: NDArray[np.uint8]) -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(values).save(buffer, 'PNG')
    rgb = compressed_to_rgb(message(buffer.getvalue()), LIMIT)
    expected = values[..., :3] if values.ndim == 3 else np.repeat(values[..., None], 3, -1)
    np.testing.assert_array_equal(rgb, expected)


def older_frame(length: int) -> bytes:
    """Return what an older, longer frame left in a driver's buffer behind so many bytes."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    rest = cv2.imencode('.jpg', noise, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()[length:]
    assert len(rest) > 100
    return rest


JPEG_KINDS = {
    'baseline': {},
    'progressive': {'progressive': True},
    'restart markers': {'restart_marker_blocks': 1},
    'thumbnail': {'exif': b'Exif\0\0' + b'\xff\xd8\xff\xd9' * 9},
    'orientation': {'exif': b'Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0'},
}


@pytest.mark.parametrize(
    'after', [bytes(500_000), b'\xff' * 300, b'\xff\xd9' * 9, older_frame(0), older_frame(900)]
)
@pytest.mark.parametrize('options', JPEG_KINDS.values(), ids=JPEG_KINDS)
def test_the_end_of_a_jpeg_is_its_own(options: dict, after: bytes) -> None:
    data = encoded('JPEG', quality=95, subsampling=0, **options)
    rgb = compressed_to_rgb(message(data + after), LIMIT)
    np.testing.assert_array_equal(rgb, compressed_to_rgb(message(data), LIMIT))


@pytest.mark.parametrize('share', [0.75, 0.9])
@pytest.mark.parametrize('options', JPEG_KINDS.values(), ids=JPEG_KINDS)
def test_a_truncated_jpeg_is_refused_whatever_follows(options: dict, share: float) -> None:
    busy = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(busy).save(buffer, 'JPEG', quality=90, **options)
    data = buffer.getvalue()[: int(buffer.tell() * share)]
    for after in (b'', bytes(5000), b'\xff\xd9', older_frame(len(data)), buffer.getvalue()):
        with pytest.raises(FrameError, match='JPEG is damaged or cut off'):
            compressed_to_rgb(message(data + after), LIMIT)


@pytest.mark.parametrize('count', [1, 4, 16])
def test_a_few_superfluous_bytes_before_the_end_do_no_harm(count: int) -> None:
    whole = encoded('JPEG', quality=95, subsampling=0)
    rgb = compressed_to_rgb(message(whole[:-2] + bytes(count) + whole[-2:]), LIMIT)
    np.testing.assert_array_equal(rgb, compressed_to_rgb(message(whole), LIMIT))


def test_a_jpeg_of_printing_inks_gives_its_colours() -> None:
    data = io.BytesIO()
    PIL.Image.fromarray(scene()).convert('CMYK').save(data, 'JPEG', quality=95, subsampling=0)
    expected = cv2.imdecode(np.frombuffer(data.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    rgb = compressed_to_rgb(message(data.getvalue()), LIMIT)
    np.testing.assert_array_equal(rgb, expected[..., ::-1])


def test_16_bit_png_keeps_the_upper_byte() -> None:
    _, data = cv2.imencode('.png', scene()[..., 0].astype(np.uint16) * 257)
    rgb = compressed_to_rgb(message(data.tobytes()), LIMIT)
    np.testing.assert_array_equal(rgb[..., 0], scene()[..., 0])


def test_orientation_tag_does_not_turn_the_image() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    rgb = compressed_to_rgb(message(encoded('JPEG', exif=exif)), LIMIT)
    assert rgb.shape == scene().shape


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_padding_after_the_end_is_accepted(kind: str) -> None:
    assert compressed_to_rgb(message(encoded(kind) + bytes(1000)), LIMIT).shape == (30, 40, 3)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
@pytest.mark.parametrize('share', [0.5, 0.9, 0.99])
def test_truncated_data_is_refused(kind: str, share: float) -> None:
    whole = encoded(kind)
    with pytest.raises(FrameError, match=r'cut off|damaged'):
        compressed_to_rgb(message(whole[: int(len(whole) * share)]), LIMIT)


@pytest.mark.parametrize('data', [b'', b'\xff\xd8', b'not an image at all', bytes(500)], ids=str)
def test_garbage_is_refused_with_its_format_and_size(data: bytes) -> None:
    with pytest.raises(FrameError, match=rf"'odd'.*{len(data)} bytes.*JPEG or PNG"):
        compressed_to_rgb(message(data, 'odd'), LIMIT)


def test_damaged_png_is_refused() -> None:
    data = bytearray(encoded('PNG'))
    data[60] ^= 0xFF
    with pytest.raises(FrameError):
        compressed_to_rgb(message(bytes(data)), LIMIT)


def test_jpeg_without_a_picture_is_refused() -> None:
    whole = encoded('JPEG')
    headers = whole[: whole.index(b'\xff\xda')]  # up to the start of the scan
    with pytest.raises(FrameError):
        compressed_to_rgb(message(headers + b'\xff\xd9'), LIMIT)


@pytest.mark.parametrize('side', [1001, 30_000, 2**31 - 1])
def test_huge_header_is_refused_before_decoding(side: int) -> None:
    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
    data += chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')
    with pytest.raises(FrameError, match='exceeds'):
        compressed_to_rgb(message(data), LIMIT)


def test_jpeg_message_carries_header_format_and_picture() -> None:
    header = Header(frame_id='cam')
    header.stamp.sec = 7
    sent = jpeg_message(scene(), 95, header)
    assert sent.header == header
    assert sent.format == 'rgb8; jpeg compressed bgr8'
    assert isinstance(sent.data, array.array)
    back = np.asarray(PIL.Image.open(io.BytesIO(sent.data.tobytes())))
    assert back.shape == scene().shape
    assert np.abs(back.astype(int) - scene()).mean() < 6


def test_jpeg_quality_changes_the_size() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    small, large = (jpeg_message(noise, quality, Header()) for quality in (10, 95))
    assert len(small.data) < len(large.data) / 2


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
