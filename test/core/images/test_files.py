"""Image files become RGB as stored, or are refused by name; no foreign hook has a say."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.files import decode, read_image

LIMIT = 10_000


def scene() -> NDArray[np.uint8]:
    """Return a smooth RGB image (30, 40) that differs in every direction."""
    y, x = np.mgrid[0:30, 0:40]
    return np.stack([40 + 4 * x, 200 - 5 * y, 90 + x + y], -1).astype(np.uint8)


def stored(folder: Path, kind: str, **options: object) -> Path:
    """Write the scene with Pillow."""
    path = folder / f'photo.{kind.lower()}'
    PIL.Image.fromarray(scene()).save(path, kind, **options)
    return path


def tiff(pixels: NDArray[np.uint16], big: bool = False, **tags: int) -> bytes:
    """Return a TIFF of one strip with 16-bit pixels as they lie in memory."""
    channels, body = 3 if pixels.ndim == 3 else 1, pixels.tobytes()
    named = {
        'width': (256, 40),
        'height': (257, 30),
        'bits': (258, 16),
        'compression': (259, 1),
        'photometric': (262, tags.get('photometric', pixels.ndim - 1)),  # 1: grey, 2: RGB
        'strip': (273, 16),
        'orientation': (274, tags.get('orientation', 1)),
        'channels': (277, channels),
        'rows': (278, 30),
        'bytes': (279, len(body)),
        'planar': (284, tags.get('planar', 1)),
    }
    start = 16 + len(body)
    if big:
        head = struct.pack('<2sHHHQ', b'II', 43, 8, 0, start)
        entries = [struct.pack('<HHQQ', tag, 4, 1, value) for tag, value in named.values()]
        return head + body + struct.pack('<Q', len(entries)) + b''.join(entries) + bytes(8)
    head = struct.pack('<2sHIQ', b'II', 42, start, 0)
    entries = [struct.pack('<HHII', tag, 4, 1, value) for tag, value in named.values()]
    return head + body + struct.pack('<H', len(entries)) + b''.join(entries) + bytes(4)


@pytest.mark.parametrize('kind', ['PNG', 'BMP', 'TIFF', 'PPM', 'WEBP'])
def test_formats_without_loss_are_exact(kind: str, tmp_path: Path) -> None:
    options = {'lossless': True} if kind == 'WEBP' else {}
    np.testing.assert_array_equal(read_image(stored(tmp_path, kind, **options), LIMIT), scene())


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    path = stored(tmp_path, 'PNG').rename(tmp_path / 'photo.jpg')
    np.testing.assert_array_equal(read_image(path, LIMIT), scene())


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize('turn', [3, 6, 8])
def test_an_orientation_tag_turns_nothing(kind: str, turn: int, tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = turn
    options = {'quality': 95, 'subsampling': 0} if kind == 'JPEG' else {}
    found = read_image(stored(tmp_path, kind, exif=exif, **options), LIMIT)
    assert found.shape == scene().shape
    assert np.abs(found.astype(int) - scene()).mean() < 6


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM'])
@pytest.mark.parametrize('share', [0.5, 0.95])
def test_a_file_that_is_cut_off_is_refused(kind: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    path = tmp_path / 'photo'
    PIL.Image.fromarray(noise).save(path, kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FrameError, match='photo is not a readable image'):
        read_image(path, LIMIT)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM', 'GIF'])
def test_the_limit_holds_for_every_format(kind: str, tmp_path: Path) -> None:
    path = stored(tmp_path, kind)
    assert read_image(path, 30 * 40).shape == (30, 40, 3)
    with pytest.raises(FrameError, match=r'40x30 exceeds input.maximum_pixels \(1199\)'):
        read_image(path, 30 * 40 - 1)


def test_a_huge_header_is_refused_before_decoding(tmp_path: Path) -> None:
    header = b'IHDR' + struct.pack('>IIBBBBB', 40_000, 40_000, 8, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n\0\0\0\x0d' + header + struct.pack('>I', zlib.crc32(header))
    (tmp_path / 'huge.png').write_bytes(data + b'\0\0\0\0IEND\xaeB`\x82')
    with pytest.raises(FrameError, match=r'huge\.png .*40000x40000 exceeds'):
        read_image(tmp_path / 'huge.png', 1 << 25)


@pytest.mark.parametrize('channels', [1, 3])
def test_ten_bits_in_sixteen_are_seen(channels: int, tmp_path: Path) -> None:
    values = scene()[..., :channels].astype(np.uint16) << 2 | 3
    cv2.imwrite(str(tmp_path / 'deep.png'), values[..., ::-1] if channels == 3 else values)
    found = read_image(tmp_path / 'deep.png', LIMIT)
    np.testing.assert_array_equal(found, np.broadcast_to(scene()[..., :channels], found.shape))


def test_numbers_without_an_agreed_range_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'depth.tiff'), np.ones((5, 7), np.float32))
    with pytest.raises(FrameError, match=r'TIFF holds float32.*convert it'):
        read_image(tmp_path / 'depth.tiff', LIMIT)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / 'link.png').symlink_to(tmp_path / 'gone.png')
    with pytest.raises(FrameError, match=r'link\.png cannot be read: No such file'):
        read_image(tmp_path / 'link.png', LIMIT)


def test_ultralytics_hooks_decide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(*arguments: object, **options: object) -> None:
        raise AssertionError("a foreign library's hook was asked")

    monkeypatch.setattr(cv2, 'imread', hook)
    monkeypatch.setattr(PIL.Image, 'open', hook)
    for kind in ('PNG', 'JPEG', 'TIFF'):
        assert read_image(stored(tmp_path, kind), LIMIT).shape == (30, 40, 3)
    (tmp_path / 'apple.heic').write_bytes(b'\0\0\0\x18ftypheic' + bytes(40))
    with pytest.raises(FrameError, match=r'HEIF \(heic\) is not decoded here: convert it to JPEG'):
        read_image(tmp_path / 'apple.heic', LIMIT)


def test_a_picture_of_several_pages_gives_the_first(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    others = [PIL.Image.fromarray(255 - scene())]
    PIL.Image.fromarray(scene()).save(buffer, 'TIFF', save_all=True, append_images=others)
    (tmp_path / 'pages.tif').write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(read_image(tmp_path / 'pages.tif', LIMIT), scene())


@pytest.mark.parametrize('big', [False, True], ids=['', 'BigTIFF'])
def test_a_tiff_is_read_as_its_tags_say(big: bool) -> None:
    grey = scene()[..., 0].astype(np.uint16) * 200
    for tags in ({}, {'orientation': 6}, {'orientation': 3}, {'planar': 2}):
        np.testing.assert_array_equal(decode(tiff(grey, big, **tags), LIMIT), grey)
    np.testing.assert_array_equal(decode(tiff(~grey, big, photometric=0), LIMIT), grey)


def test_a_tiff_that_opencv_would_make_something_else_of_is_refused() -> None:
    colours = np.moveaxis(scene().astype(np.uint16) * 200, -1, 0).copy()
    with pytest.raises(
        FrameError, match='16 bits, colour by colour, is not decoded here: convert'
    ):
        decode(tiff(colours, planar=2), LIMIT)


@pytest.mark.parametrize('compression', ['tiff_lzw', 'tiff_adobe_deflate'])
def test_a_tiff_with_wrong_bytes_inside_is_refused(compression: str) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    PIL.Image.fromarray(noise).save(buffer, 'TIFF', compression=compression)
    data = bytearray(buffer.getvalue())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(255 - value for value in data[middle : middle + 40])
    with pytest.raises(FrameError, match='TIFF is damaged'):
        decode(bytes(data), LIMIT)
