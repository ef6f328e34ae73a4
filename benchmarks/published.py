"""The labelling flow as Semantic-Segment-Anything and Semantic-Fast-SAM publish it, for timing.

Written anew from the papers' descriptions, in the published order of work: masks leave the device,
become run-length codes and are decoded again one by one; each votes in a loop; each crop goes
through CLIP by itself, with the names of the whole vocabulary encoded again. The faults of the
published code that change results (boxes taken for x y w h, BGR taken for RGB) are not here.
"""

from pathlib import Path

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary import crops
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

Rle = tuple[tuple[int, int], NDArray[np.int64]]  # (height, width), run lengths, the first of zeros
LabelMap = NDArray[np.integer]  # (H, W)


def encode(mask: NDArray[np.bool_]) -> Rle:
    """Return the run lengths of a mask, down the columns as COCO counts."""
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], changes, [flat.size]])
    runs = np.diff(starts)
    return mask.shape, np.concatenate([[0], runs]) if flat[0] else runs


def decode(code: Rle) -> NDArray[np.bool_]:
    """Return the mask of run lengths."""
    (height, width), runs = code
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def vote(masks: Tensor, dense: LabelMap) -> LabelMap:
    """Paint each mask with its most frequent dense label, largest mask first.

    Args:
        masks: (N, H, W) bool.
        dense: (H, W), what pixels of no mask keep.
    """
    codes = [encode(mask.cpu().numpy()) for mask in masks]
    codes.sort(key=lambda code: code[1][1::2].sum(), reverse=True)
    original = torch.from_numpy(dense)
    painted = original.clone()
    for code in codes:
        inside = torch.from_numpy(decode(code).copy())
        found = original[inside]
        if not len(torch.unique(found)):
            continue
        counts = torch.bincount(found.flatten().long())
        painted[inside] = counts.argmax().to(painted.dtype)
    return painted.numpy()


class OneByOne:
    """CLIP on crops by the plain use of the library: one crop and one forward pass a mask."""

    def __init__(
        self, folder: Path, encode_text_always: bool, templates: tuple[str, ...] = ()
    ) -> None:
        """Load an open_clip folder.

        Args:
            folder: of the model.
            encode_text_always: encode the vocabulary again for every mask, as published.
            templates: that names are put into; those of the setting `photo` by default.
        """
        place = f'local-dir:{folder}'
        self._model, _, self._transform = open_clip.create_model_and_transforms(place)
        self._model.eval()
        self._tokenizer = open_clip.get_tokenizer(place)
        self._always = encode_text_always
        self._templates = templates or TEMPLATES['photo']
        self._classifier: Tensor | None = None

    def use(self, vocabulary: Vocabulary) -> None:
        """Take a vocabulary."""
        self._names = list(vocabulary.names)
        self._classifier = self._encode()

    def label(self, image: Tensor, proposals: MaskProposals) -> list[int]:
        """Return the best class of each mask."""
        pixels = image.permute(1, 2, 0).numpy()
        best = []
        squares = crops.square_boxes(proposals.boxes, 1.5).round().int().tolist()
        for mask, (x1, y1, x2, y2) in zip(proposals.masks.numpy(), squares, strict=True):
            grey = np.where(mask[:, :, None], pixels, np.uint8(114))
            crop = Image.fromarray(grey).crop((x1, y1, x2, y2))
            classifier = self._encode() if self._always else self._classifier
            vector = self._model.encode_image(self._transform(crop)[None], normalize=True)
            best.append(int((vector @ classifier).argmax()))
        return best

    def _encode(self) -> Tensor:
        return open_clip.build_zero_shot_classifier(
            self._model, self._tokenizer, self._names, self._templates, num_classes_per_batch=100
        )
