"""What a YOLO that tells classes apart says, as if it knew one: an object of any kind."""

import torch
from torch import Tensor

BOX = 4  # x y width height


def one_class(predicted: Tensor, coefficients: int) -> tuple[Tensor, ...]:
    """Keep the best class's score, and which class that is beside it.

    Args:
        predicted: (N, 4 + C + K, anchors): boxes, a score for each class, mask coefficients.
        coefficients: K.

    Returns:
        (N, 5 + K, anchors), and, where C > 1, class indices (N, 1, anchors) of the same type.
    """
    classes = predicted.shape[1] - BOX - coefficients
    if classes == 1:
        return (predicted,)
    best, which = predicted[:, BOX : BOX + classes].max(1, keepdim=True)
    merged = torch.cat([predicted[:, :BOX], best, predicted[:, BOX + classes :]], 1)
    return merged, which.to(predicted.dtype)


def picked(found: Tensor) -> tuple[Tensor, ...]:
    """Return what an end-to-end head has picked, (N, picks, 6 + K), as `one_class` does.

    Its boxes are corners, and behind the score it says a class.
    """
    low, high = found[..., :2], found[..., 2:BOX]
    parts = ((low + high) / 2, high - low, found[..., BOX : BOX + 1], found[..., BOX + 2 :])
    which = found[..., BOX + 1 : BOX + 2]
    return torch.cat(parts, -1).transpose(1, 2), which.transpose(1, 2)
