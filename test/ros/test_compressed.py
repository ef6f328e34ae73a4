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


@pytest.mark.parametrize('form', ['jpeg', 'rgb8; jpeg compressed bgr8', 'bgr8; jpeg compressed '])
def test_jpeg_is_decoded_in_rgb_order(form: str) -> None:
    rgb = compressed_to_rgb(message(encoded('JPEG', quality=95, subsampling=0), form), LIMIT)
    assert np.abs(rgb.astype(int) - scene()).max() < 25


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
    with pytest.raises(FrameError, match=r'cut off|not a whole|cannot be decoded'):
        compressed_to_rgb(message(whole[: int(len(whole) * share)]), LIMIT)


@pytest.mark.parametrize('data', [b'', b'\xff\xd8', b'not an image at all', bytes(500)], ids=str)
def test_garbage_is_refused_with_its_format_and_size(data: bytes) -> None:
    with pytest.raises(FrameError, match=rf"'odd'.*{len(data)} bytes.*not a whole JPEG or PNG"):
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


def test_other_formats_are_refused() -> None:
    with pytest.raises(FrameError, match='not a whole JPEG or PNG'):
        compressed_to_rgb(message(encoded('BMP')), LIMIT)


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
