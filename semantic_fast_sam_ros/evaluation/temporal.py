"""Whether a thing keeps its label from one frame to the next."""

import cv2
import numpy as np
from numpy.typing import NDArray

LOOP_TOLERANCE = 1.5  # pixels between a place and where flow forth and back leads


def flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return where each pixel of the first RGB image goes, (H, W, 2) x and y offsets.

    Dense inverse search (Kroeger et al., ECCV 2016) as OpenCV implements it.
    """
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, second)]
    return np.asarray(method.calc(grey[0], grey[1], None), np.float32)


def targets(forth: NDArray[np.float32], back: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the flat index in the second frame of each pixel of the first, (H, W); -1 = none.

    A pixel counts where it stays in the image and the flow back leads to where it came from.
    """
    height, width = forth.shape[:2]
    y, x = np.mgrid[:height, :width]
    to_x = np.rint(x + forth[..., 0]).astype(np.int64)
    to_y = np.rint(y + forth[..., 1]).astype(np.int64)
    inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    index = np.where(inside, to_y * width + to_x, 0)
    loop = forth + back.reshape(-1, 2)[index]
    returns = np.hypot(loop[..., 0], loop[..., 1]) <= LOOP_TOLERANCE
    return np.where(inside & returns, index, -1).astype(np.int32)


def agreement(
    first: NDArray[np.int16], second: NDArray[np.int16], moved: NDArray[np.int32]
) -> tuple[int, int]:
    """Count (pixels followed, pixels that keep their label); negative labels are left out.

    Args:
        first: (H, W) labels of the first frame.
        second: (H, W) labels of the second.
        moved: from `targets`.
    """
    later = second.reshape(-1)[np.maximum(moved, 0)]
    valid = (moved >= 0) & (first >= 0) & (later >= 0)
    return int(valid.sum()), int((first == later)[valid].sum())
