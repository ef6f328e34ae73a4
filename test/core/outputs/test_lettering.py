"""Names are drawn in their own letters, whatever the version of OpenCV."""

import numpy as np
import pytest
from numpy.typing import NDArray

from semantic_fast_sam_ros.core.outputs import lettering


def _written(name: str, size: int = 20) -> NDArray[np.uint8]:
    image = np.full((60, 160, 3), 90, np.uint8)
    lettering.write(image, name, (80.0, 30.0), size)
    return image


@pytest.mark.parametrize(
    ('name', 'mistaken'),
    [('Straße', 'Stra??e'), ('Bäume', 'Baume'), ('дорога', '??????'), ('δρόμος', '??????')],
)
def test_letters_beyond_ascii_are_drawn_as_themselves(name: str, mistaken: str) -> None:
    assert not np.array_equal(_written(name), _written(mistaken))
    missing = '\uf8ff' * len(name)  # of no font: drawn as a box
    assert not np.array_equal(_written(name), _written(missing))


def test_letters_are_white_on_a_dark_edge() -> None:
    image = _written('road')
    assert image.max() == 255 and image.min() == 0
    changed = (image != 90).any(2)
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() - 30) < 4 and abs(columns.mean() - 80) < 4
    assert not changed[:12].any() and not changed[-12:].any()


@pytest.mark.parametrize('centre', [(0.0, 0.0), (159.0, 59.0), (-50.0, 500.0)])
def test_a_name_at_the_border_is_moved_inside(centre: tuple[float, float]) -> None:
    image, middle = np.full((60, 160, 3), 90, np.uint8), _written('sky')
    lettering.write(image, 'sky', centre, 20)
    assert (image != 90).sum() == (middle != 90).sum()


@pytest.mark.parametrize('name', ['a name much longer than the image is wide', 'x', '道路', ' '])
def test_any_name_fits_any_image(name: str) -> None:
    image = np.full((8, 20, 3), 90, np.uint8)
    lettering.write(image, name, (10.0, 4.0), 20)
    assert image.shape == (8, 20, 3)


def test_a_name_is_drawn_once() -> None:
    lettering._drawn.cache_clear()
    for _ in range(3):
        _written('pavement')
    assert lettering._drawn.cache_info().misses == 1
