"""What a YOLO that tells classes apart says, as if it knew one: an object of any kind."""

import torch
from torch import Tensor

BOX = 4  # x y width height


def one_class(predicted: Tensor, coefficients: int) -> Tensor:
    """Keep the best class's score.

    Args:
        predicted: (N, 4 + C + K, anchors): boxes, a score for each class, mask coefficients.
        coefficients: K.

    Returns:
        (N, 5 + K, anchors).
    """
    classes = predicted.shape[1] - BOX - coefficients
    if classes == 1:
        return predicted
    best = predicted[:, BOX : BOX + classes].amax(1, keepdim=True)
    return torch.cat([predicted[:, :BOX], best, predicted[:, BOX + classes :]], 1)


def picked(found: Tensor) -> Tensor:
    """Return what an end-to-end head has picked, (N, picks, 6 + K), as other heads say it.

    Its boxes are corners, and behind the score it says a class, which is left out.
    """
    low, high = found[..., :2], found[..., 2:BOX]
    parts = ((low + high) / 2, high - low, found[..., BOX : BOX + 1], found[..., BOX + 2 :])
    return torch.cat(parts, -1).transpose(1, 2)
