"""Camera messages with fields that are wrong, contradict each other, or promise too much."""

import array
import io
import random
import struct
import zlib

import numpy as np
import PIL.Image
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from semantic_fast_sam_ros.core.images.decoding import ENCODINGS

SMALL = 24  # pixels, the longest side of an image before it is damaged
EXTREMES = (0, 1, 2, 3, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1)
FOREIGN_ENCODINGS = ('', 'rgb9', 'RGB8', '32FC1', '16UC1', 'jpeg', 'rgb8\0', 'ß' * 50, 'x' * 5000)
FORMATS = ('jpeg', 'png', '', 'rgb8; jpeg compressed bgr8', 'gif', '../../etc/passwd', 'ß' * 300)
MODES = {
    'JPEG': ('L', 'RGB', 'CMYK'),
    'PNG': ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'),
}
PNG_SIZE = slice(16, 24)  # width and height in a PNG's first chunk
PNG_HEADER = slice(12, 29)  # what that chunk's checksum is over; the sum follows
JPEG_FRAME = b'\xff\xc0'  # start of frame: length (2), precision (1), height (2), width (2)


def damaged_image(dice: random.Random) -> Image:
    """Return an Image whose fields were right before up to three were changed."""
    encoding = dice.choice(list(ENCODINGS))
    channels, depth, _ = ENCODINGS[encoding]
    height, width = dice.randint(1, SMALL), dice.randint(1, SMALL)
    message = Image(header=damaged_header(dice), height=height, width=width, encoding=encoding)
    message.step = width * channels * depth + dice.choice((0, 0, 1, 7))
    message.is_bigendian = dice.choice((0, 1, 255))
    message.data = octets(dice, message.step * height)
    for field in dice.sample(('height', 'width', 'step', 'encoding', 'data'), dice.randint(0, 3)):
        setattr(message, field, _other(dice, field, len(message.data)))
    return message


def _other(dice: random.Random, field: str, size: int) -> object:
    if field == 'encoding':
        return dice.choice((*FOREIGN_ENCODINGS, *ENCODINGS))
    if field == 'data':
        return octets(dice, max(0, size + dice.choice((-size, -1, 1, 4096, -size // 2))))
    return dice.choice((*EXTREMES, dice.randint(0, 2**32 - 1), dice.randint(0, 2 * SMALL)))


def damaged_compressed(dice: random.Random) -> CompressedImage:
    """Return a CompressedImage: whole, cut, flipped, lying of its size, or something else."""
    kind = dice.choice(('JPEG', 'PNG'))
    damage = dice.choice((whole, cut, flipped, bomb, doubled, foreign, noise))
    content = damage(dice, encoded(dice, kind))
    message = CompressedImage(header=damaged_header(dice), format=dice.choice(FORMATS))
    message.data = array.array('B', content)
    return message


def damaged_header(dice: random.Random) -> Header:
    """Return a header with a stamp from anywhere in time."""
    stamp = Time(
        sec=dice.choice((0, 1, -1, -(2**31), 2**31 - 1, dice.randint(0, 2**31 - 1))),
        nanosec=dice.choice((0, 999_999_999, 10**9, 2**32 - 1)),
    )
    return Header(stamp=stamp, frame_id=dice.choice(('', 'camera', '/ß\n' * 100)))


def encoded(dice: random.Random, kind: str) -> bytes:
    """Return a small JPEG or PNG, grey, colour, with a palette or with transparency."""
    modes = (
        ('L', 'RGB', 'CMYK') if kind == 'JPEG' else ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16')
    )
    size = (dice.randint(1, SMALL), dice.randint(1, SMALL))
    buffer = io.BytesIO()
    PIL.Image.new(dice.choice(modes), size).save(buffer, kind)
    return buffer.getvalue()


def whole(dice: random.Random, content: bytes) -> bytes:
    """Leave it as it is."""
    return content


def cut(dice: random.Random, content: bytes) -> bytes:
    """Lose the end."""
    return content[: dice.randint(0, len(content) - 1)]


def flipped(dice: random.Random, content: bytes) -> bytes:
    """Change some bytes."""
    changed = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def bomb(dice: random.Random, content: bytes) -> bytes:
    """Promise a size that would take gigabytes; the checksum is right."""
    changed = bytearray(content)
    if content.startswith(b'\x89PNG'):
        changed[PNG_SIZE] = struct.pack('>II', dice.choice((50_000, 2**31 - 1)), 2**31 - 1)
        end = PNG_HEADER.stop
        changed[end : end + 4] = struct.pack('>I', zlib.crc32(changed[PNG_HEADER]))
    else:
        frame = content.index(JPEG_FRAME) + 5
        changed[frame : frame + 4] = struct.pack('>HH', 65_500, 65_500)
    return bytes(changed)


def doubled(dice: random.Random, content: bytes) -> bytes:
    """Put two images into one message, the second a bomb."""
    return content + bomb(dice, content)


def foreign(dice: random.Random, content: bytes) -> bytes:
    """Send a format that is not accepted."""
    buffer = io.BytesIO()
    PIL.Image.new('RGB', (8, 8)).save(buffer, dice.choice(('GIF', 'BMP', 'TIFF', 'WEBP', 'PPM')))
    return buffer.getvalue()


def noise(dice: random.Random, content: bytes) -> bytes:
    """Send anything."""
    return dice.randbytes(dice.randint(0, 2000))


def octets(dice: random.Random, size: int) -> 'array.array[int]':
    """Return random bytes in the type that a message takes."""
    pixels = np.frombuffer(dice.randbytes(size), np.uint8)
    return array.array('B', pixels.tobytes())
