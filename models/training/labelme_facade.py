"""Read LabelMeFacade (Fröhlich et al., ICPR 2010): images/NAME.jpg, labels/NAME.png in colours."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.images.files import read_image

COLOURS = {  # RGB, of its README; 'various' (black) is left out: it says nothing
    'building': (128, 0, 0),
    'car': (128, 0, 128),
    'door': (128, 128, 0),
    'pavement': (128, 128, 128),
    'road': (128, 64, 0),
    'sky': (0, 128, 128),
    'vegetation': (0, 128, 0),
    'window': (0, 0, 128),
}
IGNORE = len(COLOURS)


def pair_paths(folder: Path) -> list[tuple[Path, Path]]:
    """List (image, label) paths; raises FileNotFoundError if there are none or one is missing."""
    pairs = [(i, folder / 'labels' / f'{i.stem}.png') for i in (folder / 'images').glob('*.jpg')]
    missing = [str(label) for _, label in pairs if not label.is_file()]
    if not pairs or missing:
        raise FileNotFoundError(f'{folder}: no images/*.jpg, or labels missing: {missing[:3]}')
    return sorted(pairs)


def read_label(path: Path) -> NDArray[np.uint8]:
    """Return (H, W) indices into COLOURS, IGNORE where there is another colour."""
    image = read_image(path)
    found = np.full(image.shape[:2], IGNORE, np.uint8)
    for index, colour in enumerate(COLOURS.values()):
        found[(image == colour).all(-1)] = index
    return found
