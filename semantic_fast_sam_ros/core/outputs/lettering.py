"""Class names as small pictures, in a font that has their letters."""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

EDGE = 1  # pixels of shadow round the letters
KEPT = 512  # names that are not drawn anew
FONT = 'DejaVuSans.ttf'  # Latin, Greek, Cyrillic, Arabic, Hebrew, ...: comes with matplotlib
SYSTEM_FONTS = Path('/usr/share/fonts')
# Debian, Ubuntu: apt install fonts-noto-cjk
CJK_FONTS = ('opentype/noto/NotoSansCJK-Regular.ttc', 'truetype/noto/NotoSansCJK-Regular.ttc')
CJK_FROM = '\u2e80'  # DejaVu has nothing from here on
Coverage = NDArray[np.float32]


def write(image: NDArray[np.uint8], name: str, centre: tuple[float, float], size: int) -> None:
    """Write a name into an image (H, W, 3), white with a shadow, moved inside where it sticks out.

    Args:
        image: is changed.
        name: in any script.
        centre: x, y in pixels.
        size: of the font, pixels.
    """
    text, shadow = _drawn(name, size)
    height, width = (min(a, b) for a, b in zip(text.shape, image.shape[:2], strict=True))
    left = int(np.clip(centre[0] - width / 2, 0, image.shape[1] - width))
    top = int(np.clip(centre[1] - height / 2, 0, image.shape[0] - height))
    place = image[top : top + height, left : left + width]
    light, dark = text[:height, :width, None], 1 - shadow[:height, :width, None]
    place[:] = np.round(place * dark * (1 - light) + 255 * light)


@lru_cache(KEPT)
def _drawn(name: str, size: int) -> tuple[Coverage, Coverage]:
    """Return how much of each pixel letters and their shadow cover, (h, w) in 0 ... 1."""
    font = _font(size, max(name, default='') >= CJK_FROM)
    left, top, right, bottom = (round(side) for side in font.getbbox(name))
    drawn = Image.new('L', (right - left + 2 * EDGE, bottom - top + 2 * EDGE))
    ImageDraw.Draw(drawn).text((EDGE - left, EDGE - top), name, 255, font)
    text = (np.asarray(drawn) / 255).astype(np.float32)
    padded = np.pad(text, EDGE)
    height, width = text.shape
    moved = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return text, np.max(moved, 0)


@lru_cache(16)
def _font(size: int, cjk: bool) -> Any:
    wanted = [SYSTEM_FONTS / name for name in CJK_FONTS] if cjk else []
    file = next((file for file in (*wanted, *_places()) if file.is_file()), None)
    if file is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)


def _places() -> list[Path]:
    """Return where the font may lie; matplotlib is not imported for it."""
    found = importlib.util.find_spec('matplotlib')
    folders = [Path(p) for p in (found and found.submodule_search_locations) or ()]
    data = [*(folder / 'mpl-data' for folder in folders), Path('/usr/share/matplotlib/mpl-data')]
    return [*(d / 'fonts' / 'ttf' / FONT for d in data), SYSTEM_FONTS / 'truetype/dejavu' / FONT]
