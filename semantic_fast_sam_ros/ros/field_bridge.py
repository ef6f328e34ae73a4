"""cv_bridge, the field's converter, for encodings that core/images does not know."""

import functools
import importlib
import importlib.util
import os
import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.images.files import check_size

# In a process of its own: built for another NumPy, cv_bridge ends the process that calls it.
TRIAL = (
    'import array; from cv_bridge import CvBridge; from sensor_msgs.msg import Image; '
    'message = Image(height=1, width=2, encoding="bgr8", step=6); '
    'message.data = array.array("B", bytes(6)); '
    'assert CvBridge().imgmsg_to_cv2(message, "rgb8").shape == (1, 2, 3)'
)
TRIAL_LIMIT_S = 30.0


def to_rgb(message: Image, maximum_pixels: int) -> NDArray[np.uint8] | None:
    """Return an image as (H, W, 3) uint8 RGB; None where there is no cv_bridge that works.

    Raises:
        FrameError: cv_bridge does not know the encoding, or the image contradicts itself.
    """
    bridge = cv_bridge()
    if bridge is None:
        return None
    check_size(message.width, message.height, maximum_pixels)
    try:
        found = np.asarray(bridge.imgmsg_to_cv2(message, 'rgb8'))
    except Exception as error:  # CvBridgeError, cv2.error, and what NumPy says to a wrong size
        raise FrameError(f'encoding {message.encoding!r}: cv_bridge says: {error}') from error
    if found.shape != (message.height, message.width, 3) or found.dtype != np.uint8:
        raise FrameError(
            f'encoding {message.encoding!r}: cv_bridge made {found.shape} {found.dtype} of it'
        )
    return found


@functools.cache
def cv_bridge() -> Any:
    """Return a CvBridge, tried out once; None where it is not installed, or does not work."""
    if importlib.util.find_spec('cv_bridge') is None:
        return None
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    try:
        subprocess.run(
            [sys.executable, '-c', TRIAL],
            env=environment,
            capture_output=True,
            timeout=TRIAL_LIMIT_S,
            check=True,
        )
        return importlib.import_module('cv_bridge').CvBridge()
    except (OSError, subprocess.SubprocessError, ImportError):
        return None
