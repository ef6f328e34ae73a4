"""cv_bridge is asked for encodings that are unknown here, where it is installed and works."""

import array
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='sensor_msgs is not installed: run scripts/setup')

from sensor_msgs.msg import Image

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.ros import field_bridge
from semantic_fast_sam_ros.ros.frames import decode

# Knows what the trial asks for, and an encoding of its own: inverted.
STAND_IN = """
import numpy as np
class CvBridge:
    def imgmsg_to_cv2(self, message, desired):
        assert desired == 'rgb8'
        if message.encoding not in ('bgr8', 'negative8'):
            raise RuntimeError(f'Unrecognized image encoding [{message.encoding}]')
        values = np.frombuffer(message.data, np.uint8)
        return 255 - values.reshape(message.height, message.width, 3)
"""


@pytest.fixture
def _cv_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a stand-in where Python looks for cv_bridge."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)
    field_bridge.cv_bridge.cache_clear()
    yield tmp_path / 'cv_bridge.py'
    field_bridge.cv_bridge.cache_clear()
    sys.modules.pop('cv_bridge', None)


def message(encoding: str) -> Image:
    """Return an image of 3x2 pixels."""
    sent = Image(height=2, width=3, encoding=encoding, step=9)
    sent.data = array.array('B', range(18))
    return sent


def test_an_unknown_encoding_goes_through_cv_bridge(_cv_bridge: Path) -> None:
    _cv_bridge.write_text(STAND_IN)
    found = decode(message('negative8'), 100, ToneMapper())
    np.testing.assert_array_equal(found, 255 - np.arange(18).reshape(2, 3, 3))


def test_what_cv_bridge_does_not_know_either_is_refused_in_its_words(_cv_bridge: Path) -> None:
    _cv_bridge.write_text(STAND_IN)
    with pytest.raises(FrameError, match=r"'odd9'.*cv_bridge says: Unrecognized.*\[odd9\]"):
        decode(message('odd9'), 100, ToneMapper())


def test_its_limits_are_ours(_cv_bridge: Path) -> None:
    _cv_bridge.write_text(STAND_IN)
    with pytest.raises(FrameError, match=r'maximum_pixels \(5\)'):
        decode(message('negative8'), 5, ToneMapper())


@pytest.mark.parametrize(
    'content',
    ['', 'import os; os.abort()', 'raise ImportError("compiled for NumPy 1")'],
    ids=['without a bridge', 'ends the process', 'fails'],
)
def test_a_cv_bridge_that_does_not_work_is_not_asked(_cv_bridge: Path, content: str) -> None:
    _cv_bridge.write_text(content)
    with pytest.raises(FrameError, match=r"'negative8' is not supported; accepted: rgb8"):
        decode(message('negative8'), 100, ToneMapper())


def test_known_encodings_never_meet_cv_bridge(_cv_bridge: Path) -> None:
    _cv_bridge.write_text(STAND_IN)
    expected = np.arange(18).reshape(2, 3, 3)[..., ::-1]
    np.testing.assert_array_equal(decode(message('bgr8'), 100, ToneMapper()), expected)
