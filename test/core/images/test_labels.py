"""Label images hold class numbers, however many bits and whatever palette they are stored with."""

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
from semantic_fast_sam_ros.core.images.labels import read_labels

LIMIT = 10_000


def png(values: NDArray[np.uint8], bits: int, colour_type: int = 0, palette: bytes = b'') -> bytes:
    """Return a PNG of (H, W) values below 2 ** bits, written by hand."""
    height, width = values.shape
    digits = np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :].reshape(height, -1)
    rows = np.pad(np.packbits(digits, axis=1), ((0, 0), (1, 0)))  # each after its filter, 0
    header = struct.pack('>IIBBBBB', width, height, bits, colour_type, 0, 0, 0)
    parts = [(b'IHDR', header), (b'PLTE', palette), (b'IDAT', zlib.compress(rows.tobytes()))]
    parts.append((b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
        for kind, body in parts
        if body or kind == b'IEND'
    )


def labels(bits: int) -> NDArray[np.uint8]:
    """Return 5x7 labels that use all values of so many bits, as far as there is room."""
    return (np.arange(35) % (1 << bits)).astype(np.uint8).reshape(5, 7)


def read(data: bytes, folder: Path) -> NDArray[np.unsignedinteger]:
    file = folder / 'label.png'
    file.write_bytes(data)
    return read_labels(file, LIMIT)


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
@pytest.mark.parametrize('palette', [b'', bytes(range(256)) * 3], ids=['grey', 'palette'])
def test_values_come_as_stored(bits: int, palette: bytes, tmp_path: Path) -> None:
    data = png(labels(bits), bits, 3 if palette else 0, palette[: 3 << bits])
    found = read(data, tmp_path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, labels(bits))


def test_sixteen_bits_come_as_stored(tmp_path: Path) -> None:
    wide = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1500
    found = read(cv2.imencode('.png', wide)[1].tobytes(), tmp_path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, wide)


def test_a_transparent_palette_entry_changes_no_index(tmp_path: Path) -> None:
    picture = PIL.Image.fromarray(labels(4)).convert('P')
    picture.putdata(labels(4).ravel().tolist())
    buffer = io.BytesIO()
    picture.save(buffer, 'PNG', transparency=3)
    np.testing.assert_array_equal(read(buffer.getvalue(), tmp_path), labels(4))


def test_colours_instead_of_numbers_are_told(tmp_path: Path) -> None:
    for mode in ('RGB', 'RGBA', 'LA'):
        buffer = io.BytesIO()
        PIL.Image.new(mode, (7, 5)).save(buffer, 'PNG')
        with pytest.raises(FrameError, match=f'it is {mode} with 8 bits: a label image has one'):
            read(buffer.getvalue(), tmp_path)


def test_what_is_no_whole_png_is_refused(tmp_path: Path) -> None:
    whole = png(labels(8), 8)
    bmp, jpeg = (cv2.imencode(ending, labels(8))[1].tobytes() for ending in ('.bmp', '.jpg'))
    for data, said in (
        (whole[:-30], 'cut off'),
        (bmp, 'is a PNG, this is BMP'),
        (jpeg, 'is a PNG, this is JPEG, which'),
        (b'', 'empty data'),
    ):
        with pytest.raises(FrameError, match=rf'label\.png is not a readable image: .*{said}'):
            read(data, tmp_path)
    damaged = bytearray(whole)
    damaged[50] ^= 0xFF
    with pytest.raises(FrameError, match='damaged PNG'):
        read(bytes(damaged), tmp_path)
    with pytest.raises(FrameError, match='cannot be read: No such file'):
        read_labels(tmp_path / 'nowhere.png', LIMIT)


def test_a_header_larger_than_allowed_is_refused_before_decoding(tmp_path: Path) -> None:
    data = bytearray(png(labels(8), 8))
    data[16:29] = struct.pack('>IIBBBBB', 40_000, 40_000, 8, 0, 0, 0, 0)
    data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
    with pytest.raises(FrameError, match=r'40000x40000 exceeds input\.maximum_pixels'):
        read(bytes(data), tmp_path)
