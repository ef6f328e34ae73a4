"""Every encoding of sensor_msgs/image_encodings is read as the table beside cv_bridge's says.

The table is that of docs/reference/topics.md. What it says of this package is always tried, what
it says of cv_bridge where that is installed and works.
"""

import array
import re
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed: run scripts/setup')

from ament_index_python.packages import get_package_prefix
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.decoding import image_to_rgb
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.ros import field_bridge

pytestmark = pytest.mark.quick
HEADER = 'include/sensor_msgs/sensor_msgs/image_encodings.hpp'
TABLE = Path(__file__).parents[2] / 'docs' / 'reference' / 'topics.md'
HEIGHT, WIDTH = 24, 36
GREY_LEVELS = {'equal': 0, 'nearly': 1}  # apart from cv_bridge, by how a cell of the table begins


def rows() -> list[tuple[list[str], str, str]]:
    """Return the table: patterns of encodings, what is said of this package, of cv_bridge."""
    _, _, after = TABLE.read_text().partition('| encoding | here | cv_bridge |\n')
    cells = (line.split(' | ') for line in after.partition('\n\n')[0].splitlines())
    found = [(re.findall(r'`(\S+)`', c[0]), c[1], c[2]) for c in cells if c[0].startswith('| `')]
    assert found
    return found


def published() -> list[str]:
    """Return the encodings that sensor_msgs knows."""
    header = Path(get_package_prefix('sensor_msgs')) / HEADER
    if not header.exists():
        pytest.skip(f'{header} is not here: sensor_msgs without its C++ headers')
    return re.findall(r'^const char \w+\[\] = "(\w+)"', header.read_text(), re.MULTILINE)


def message(encoding: str, padding: int) -> Image:
    """Return random pixels; the padding is in pixels, as cv_bridge's Python takes no other."""
    rows, samples = {'nv12': (1.5, 1), 'nv21': (1.5, 1), 'nv24': (3, 1)}.get(encoding, (1, 0))
    if match := re.fullmatch(r'(\d+)[USF]C(\d)', encoding):
        size = int(match[1]) // 8 * int(match[2])
    else:
        kinds = (('bayer', 1), ('mono', 1), ('rgba', 4), ('bgra', 4), ('rgb', 3), ('bgr', 3))
        channels = next((n for start, n in kinds if encoding.startswith(start)), samples or 2)
        size = channels * (2 if encoding.endswith('16') else 1)
    step, height = (WIDTH + padding) * size, round(HEIGHT * rows)
    sent = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step)
    pixels = np.random.default_rng(len(encoding)).integers(0, 256, step * height, np.uint8)
    sent.data = array.array('B', pixels.tobytes())
    return sent


def test_each_published_encoding_has_one_row() -> None:
    table = [pattern for patterns, _, _ in rows() for pattern in patterns]
    for encoding in published():
        assert sum(fnmatchcase(encoding, pattern) for pattern in table) == 1, encoding


@pytest.mark.parametrize(('patterns', 'here', '_'), rows())
def test_what_the_table_says_is_decoded_is_and_nothing_else(
    patterns: list[str], here: str, _: str
) -> None:
    for encoding in published():
        if any(fnmatchcase(encoding, pattern) for pattern in patterns):
            if here.startswith('refused'):
                with pytest.raises(FrameError, match=f"encoding '{encoding}' is not supported"):
                    image_to_rgb(message(encoding, 0), 10**4, ToneMapper())
            else:
                found = image_to_rgb(message(encoding, 0), 10**4, ToneMapper())
                assert found.shape == (HEIGHT, WIDTH, 3), encoding


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize(('patterns', 'here', 'there'), rows())
def test_cv_bridge_does_what_the_table_says(
    patterns: list[str], here: str, there: str, padding: int
) -> None:
    bridge = field_bridge.cv_bridge()
    if bridge is None:
        pytest.skip('no cv_bridge that works (a ROS workspace has it)')
    for encoding in published():
        if not any(fnmatchcase(encoding, pattern) for pattern in patterns):
            continue
        sent = message(encoding, padding)
        if there.startswith('refused'):
            with pytest.raises(TypeError, match=re.search("'(.+)'", there)[1]):
                bridge.imgmsg_to_cv2(sent, 'rgb8')
        else:
            theirs = bridge.imgmsg_to_cv2(sent, 'rgb8').astype(int)
            ours = image_to_rgb(sent, 10**4, ToneMapper('full'))
            assert np.abs(theirs - ours).max() == GREY_LEVELS[here.split()[0]], encoding
