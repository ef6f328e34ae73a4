"""Read Clothing Co-Parsing (Yang et al., CVPR 2014): photos/, annotations/pixel-level/NAME.mat."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat


def pair_paths(folder: Path) -> list[tuple[Path, Path]]:
    """List (image, label) paths; raises FileNotFoundError if there are none or one is missing."""
    labels = sorted((folder / 'annotations' / 'pixel-level').glob('*.mat'))
    pairs = [(folder / 'photos' / f'{label.stem}.jpg', label) for label in labels]
    missing = [str(image) for image, _ in pairs if not image.is_file()]
    if not pairs or missing:
        raise FileNotFoundError(
            f'{folder}: no annotations/pixel-level/*.mat, or photos missing: {missing[:3]}'
        )
    return pairs


def read_label(path: Path) -> NDArray[np.int32]:
    """Return (H, W): 0 where nothing is said, 1 to 59 skin, hair and pieces of clothing."""
    return np.asarray(loadmat(path)['groundtruth'], np.int32)
