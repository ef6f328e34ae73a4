"""Image files, or their bytes, as arrays: the one place that decodes JPEG, PNG and the rest.

Neither `cv2.imread` nor `PIL.Image.open` is called: ultralytics replaces both when it is imported,
by ones that halve 16 bits and that install packages. Images come as stored: an orientation tag
turns none.
"""

import io
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.base.unfetched import PAGE, UNFETCHED
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.settings.node import MAXIMUM_PIXELS

JPEG, PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
# Pillow's names; only headers are read by it, and label images.
FORMATS = ('PNG', 'BMP', 'WEBP', 'TIFF', 'PPM', 'JPEG2000', 'AVIF', 'GIF')
OTHERS: dict[
    str, tuple[int, tuple[bytes, ...]]
] = {  # formats that nothing here decodes: offset, bytes
    'HEIF (heic)': (4, (b'ftypheic', b'ftypheix', b'ftypmif1', b'ftyphevc', b'ftypmsf1')),
    'JPEG XL': (0, (b'\xff\x0a', b'\x00\x00\x00\x0cJXL ')),
    'OpenEXR': (0, (b'\x76\x2f\x31\x01',)),
    'Radiance HDR': (0, (b'#?RADIANCE', b'#?RGBE')),
    'PDF': (0, (b'%PDF',)),
    'an icon (ICO)': (0, (b'\0\0\1\0',)),
    'H.264 or H.265 video': (0, (b'\x00\x00\x00\x01', b'\x00\x00\x01')),
}
NOTHING = UNFETCHED | {  # what lies in the place of an image, by how it begins
    PAGE: (*UNFETCHED[PAGE], b'<?xml'),
    'zeros, as a copy or a disk that failed leaves them': (bytes(16),),
}
ORIENTATION = 0x0112  # tag of EXIF and TIFF
BITS, PHOTOMETRIC, CHANNELS, PLANAR = 258, 262, 277, 284  # tags of TIFF
REMEDY = 'convert it to JPEG or PNG'
EXTRANEOUS_BYTES = 32  # before a marker: many webcams leave a few, a cut-off image many
HARMLESS = ('Warning: unknown JFIF revision', 'Unknown Adobe color transform')
Rgb = NDArray[np.uint8]  # (H, W, 3)


class UnknownFormatError(FrameError):
    """It is of a format that nothing here decodes, however whole."""


def read_image(
    path: Path, maximum_pixels: int = MAXIMUM_PIXELS, tone: ToneMapper | None = None
) -> Rgb:
    """Read an image file as (H, W, 3) uint8 RGB.

    Args:
        path: of a file in any format that OpenCV decodes; its content counts, not its name.
        maximum_pixels: larger images are refused before they are decoded.
        tone: for 16 bits; None: by this image alone.

    Raises:
        FrameError: it is missing, no image, damaged, cut off or too large.
    """
    rgb: Rgb = file_content(path, lambda data: to_rgb(decode(data, maximum_pixels), tone))
    return rgb


def file_content(path: Path, read: Callable[[bytes], Any]) -> Any:
    """Return what `read` makes of a file's bytes; every FrameError names the file."""
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise FrameError(f'{path} cannot be read: {error.strerror or error}') from error
    except FrameError as error:
        raise FrameError(f'{path} is not a readable image: {error}') from error


def to_rgb(pixels: NDArray[Any], tone: ToneMapper | None = None) -> Rgb:
    """Return what `decode` gave as (H, W, 3) uint8 RGB."""
    if pixels.dtype == np.uint16:
        pixels = (tone or ToneMapper())(pixels)
    elif tone is not None:
        tone.warning = ''  # of a 16-bit image before this one
    return pixels if pixels.ndim == 3 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))


def decode(data: bytes, maximum_pixels: int) -> NDArray[Any]:
    """Decode an image file's bytes, as stored: (H, W) grey or (H, W, 3) RGB, uint8 or uint16.

    Raises:
        FrameError: it is no image, of a format that is not decoded, damaged, cut off or too large.
    """
    if data.startswith(JPEG):
        return _jpeg(data, maximum_pixels)
    kind, image = open_header(data)
    check_size(image.size[0], image.size[1], maximum_pixels)
    check_whole(kind, data)
    if kind == 'TIFF':
        _check_tiff(image)
        data = _upright(data)
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise FrameError(f'damaged {kind}: {error}') from error
    if decoded is None:
        raise FrameError(f'{kind} is damaged, or this OpenCV does not decode it: {REMEDY}')
    pixels = np.asarray(decoded)
    if kind == 'TIFF' and pixels.dtype == np.uint16 and image.tag_v2.get(PHOTOMETRIC) == 0:
        pixels = np.invert(pixels)  # OpenCV knows that 0 is white with 8 bits only
    if pixels.dtype not in (np.uint8, np.uint16):
        raise FrameError(f'{kind} holds {pixels.dtype}, which have no agreed range: {REMEDY}')
    return np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels


def check_size(width: int, height: int, maximum_pixels: int) -> None:
    """Refuse what is empty or larger than allowed, by its header; raises FrameError."""
    if width == 0 or height == 0:
        raise FrameError(f'the image is empty: {width}x{height}')
    if width * height > maximum_pixels:
        raise FrameError(f'{width}x{height} exceeds input.maximum_pixels ({maximum_pixels})')


def open_header(data: bytes) -> tuple[str, Any]:
    """Return a format's name and Pillow's image of it, of which nothing is decoded yet.

    Raises:
        FrameError: the format is unknown, the header damaged, or there is nothing.
    """
    import PIL.Image

    PIL.Image.init()
    start = data[:16].ljust(16, b'\0')
    for kind, (factory, accepts) in PIL.Image.OPEN.items():
        # Some answer with a text: why they cannot.
        if kind in FORMATS and accepts is not None and accepts(start) is True:
            try:
                return kind, factory(io.BytesIO(data), '')
            except Exception as error:  # Pillow's decoders raise many kinds
                raise FrameError(f'damaged {kind}: {error}') from error
    if not data:
        raise FrameError('empty data: 0 bytes')
    if instead := what_instead(data):
        raise UnknownFormatError(f'it is {instead}')
    raise UnknownFormatError(f'{_name(data)} is not decoded here: {REMEDY}')


def what_instead(data: bytes) -> str:
    """Return what lies where a file should, by how it begins; '' if it may be the file."""
    return next((name for name, marks in NOTHING.items() if data.startswith(marks)), '')


def _name(data: bytes) -> str:
    known = (name for name, (at, marks) in OTHERS.items() if data[at:].startswith(marks))
    return next(known, f'{len(data)} bytes that begin with {data[:8]!r}: an unknown format')


def _jpeg(data: bytes, maximum_pixels: int) -> NDArray[np.uint8]:
    """Decode a JPEG to its own end: what a driver sends behind that does not matter."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        check_size(width, height, maximum_pixels)
        kind = {'Gray': 'GRAY', 'CMYK': 'CMYK', 'YCCK': 'CMYK'}.get(colours, 'RGB')
        pixels = np.asarray(_whole_jpeg(data, kind))
    except ValueError as error:
        raise FrameError(f'JPEG is damaged or cut off: {error}') from error
    if kind == 'CMYK':  # as Adobe stores it, inverted; OpenCV's formula
        ink, black = pixels[..., :3].astype(np.int32), pixels[..., 3:].astype(np.int32)
        return (black - ((255 - ink) * black >> 8)).astype(np.uint8)
    return pixels[..., 0] if kind == 'GRAY' else pixels


def _whole_jpeg(data: bytes, kind: str) -> Any:
    """Decode, and refuse what libjpeg would fill with grey.

    Data that ends too early, or goes on with an older image's, gives a warning of libjpeg's. So do
    a few superfluous bytes and odd headers, which do no harm.
    """
    try:
        return simplejpeg.decode_jpeg(data, kind, strict=True)
    except ValueError as error:
        superfluous = re.search(r'(\d+) extraneous bytes', str(error))
        few = superfluous is not None and int(superfluous[1]) <= EXTRANEOUS_BYTES
        if not few and not str(error).startswith(HARMLESS):
            raise
        return simplejpeg.decode_jpeg(data, kind, strict=False)


def _check_tiff(image: Any) -> None:
    """Refuse a TIFF that OpenCV makes something else of, without an error; raises FrameError."""
    try:
        image.load()
    except OSError as error:  # OpenCV leaves black what it cannot decode
        raise FrameError(
            f'TIFF is damaged, or packed in a way that is not decoded here ({error}): {REMEDY}'
        ) from error
    except Exception:  # Pillow knows fewer kinds of pixels than OpenCV, and raises many errors
        pass
    tags = image.tag_v2
    if tags.get(PLANAR) == 2 and tags.get(CHANNELS, 1) > 1 and 16 in tags.get(BITS, ()):
        raise FrameError(f'TIFF with 16 bits, colour by colour, is not decoded here: {REMEDY}')


def _upright(data: bytes) -> bytes:
    """Return a TIFF whose orientation tag turns nothing: OpenCV heeds it whatever it is told."""
    order, changed = '<' if data[:2] == b'II' else '>', bytearray(data)
    try:
        # A large file (BigTIFF, version 43) has offsets of eight bytes.
        big = struct.unpack_from(f'{order}H', data, 2) == (43,)
        at, offset, number, size, value = (8, 'Q', 'Q', 20, 12) if big else (4, 'I', 'H', 12, 8)
        (start,) = struct.unpack_from(order + offset, data, at)
        (count,) = struct.unpack_from(order + number, data, start)
        first = start + struct.calcsize(order + number)
        for entry in range(first, first + size * count, size):
            if struct.unpack_from(f'{order}H', data, entry) == (ORIENTATION,):
                struct.pack_into(f'{order}H', changed, entry + value, 1)
    except struct.error as error:
        raise FrameError(f'damaged TIFF: {error}') from error
    return bytes(changed)


def check_whole(kind: str, data: bytes) -> None:
    """Refuse what ends before its own end, which decoders may fill; raises FrameError."""
    if kind == 'PNG':
        at = len(PNG)
        while data[at + 4 : at + 8] != b'IEND':
            at += 12 + int.from_bytes(data[at : at + 4], 'big')  # length, name, body, checksum
            if at >= len(data):
                raise FrameError('PNG is cut off: its end mark is missing')
    if kind == 'WEBP' and len(data) < 8 + int.from_bytes(data[4:8], 'little'):
        raise FrameError('WEBP is cut off')
