"""Masks of other origin than FastSAM, to compare it with: SAM, superpixels, the true regions."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantic_fast_sam_ros.core import loading
from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.types import MaskGenerator, MaskLabeller, MaskProposals
from semantic_fast_sam_ros.core.networks import model_files, weights
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.settings.config import Config

SEGMENTS = 200  # superpixels an image
POINTS_PER_BATCH = 64


def proposals_of(masks: NDArray[np.bool_], device: torch.device) -> MaskProposals:
    """Return masks (N, H, W) as proposals of score 1 with their boxes."""
    height, width = masks.shape[1:]
    columns, rows = masks.any(1), masks.any(2)
    boxes = np.stack(
        [
            columns.argmax(1),
            rows.argmax(1),
            width - columns[:, ::-1].argmax(1),
            height - rows[:, ::-1].argmax(1),
        ],
        1,
    ).astype(np.float32)
    tensors = (masks, boxes, np.ones(len(masks), np.float32))
    return MaskProposals(*(torch.from_numpy(t).to(device) for t in tensors))


def slic(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Cut an RGB image into superpixels (Achanta et al., TPAMI 2012): (N, H, W)."""
    from skimage.segmentation import slic as segment

    return _one_a_segment(segment(image, n_segments=SEGMENTS, compactness=10, start_label=0))


def felzenszwalb(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Cut an RGB image by its graph (Felzenszwalb and Huttenlocher, IJCV 2004): (N, H, W)."""
    from skimage.segmentation import felzenszwalb as segment

    return _one_a_segment(segment(image, scale=200, sigma=0.8, min_size=60))


SUPERPIXELS: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.bool_]]] = {
    'superpixels': slic,
    'felzenszwalb': felzenszwalb,
}


def _one_a_segment(segments: NDArray[np.integer]) -> NDArray[np.bool_]:
    return np.asarray(segments[None] == np.unique(segments)[:, None, None])


def load_generators(
    kinds: Iterable[str],
    config: Config,
    runtime: Runtime,
    sam: str,
    labellers: Iterable[MaskLabeller] = (),
) -> dict[str, MaskGenerator]:
    """Load what makes the masks of some rows (`Row.masks`); '' and true need nothing loaded.

    The labellers are those of the rows, see `loading.load_generator`.

    Raises:
        ModelError: as the pipeline raises it.
    """
    policy = loading.policy_of(config)
    generators: dict[str, MaskGenerator] = {}
    for kind in set(kinds):
        if kind == 'fastsam':
            generators[kind] = loading.load_generator(config, runtime, labellers)
        elif kind == 'sam':
            folder = model_files.transformers_model(sam).find(policy)
            generators[kind] = SamGenerator(folder, runtime.device)
        elif kind in SUPERPIXELS:
            generators[kind] = SuperpixelGenerator(SUPERPIXELS[kind])
    return generators


class SuperpixelGenerator:
    """Superpixels as mask proposals."""

    def __init__(self, segment: Callable[[NDArray[np.uint8]], NDArray[np.bool_]]) -> None:
        """Take a function of an RGB image (H, W, 3) that returns masks (N, H, W)."""
        self._segment = segment

    def generate(self, image: Tensor) -> MaskProposals:
        """Propose masks for an image, (3, H, W) uint8 RGB."""
        return proposals_of(self._segment(image.permute(1, 2, 0).cpu().numpy()), image.device)


class SamGenerator:
    """Segment everything with a SAM of Hugging Face (Kirillov et al., arXiv 2304.02643).

    SAM 2 (Ravi et al., arXiv 2408.00714) and EdgeTAM (Zhou et al., arXiv 2501.07256) go in, too.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Load a folder; raises ModelError if it holds no SAM."""
        weights.silence_libraries()
        import transformers as untyped_transformers

        transformers: Any = untyped_transformers
        local: dict[str, Any] = {'local_files_only': True, 'trust_remote_code': False}
        try:
            self._pipeline = transformers.pipeline(
                'mask-generation',
                model=transformers.AutoModelForMaskGeneration.from_pretrained(folder, **local),
                image_processor=transformers.AutoImageProcessor.from_pretrained(folder, **local),
                device=device,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f'cannot load SAM from {folder}: {str(error)[:200]}') from error
        self._device = device

    def generate(self, image: Tensor) -> MaskProposals:
        """Propose masks for an image, (3, H, W) uint8 RGB."""
        from PIL import Image

        picture = Image.fromarray(image.permute(1, 2, 0).cpu().numpy())
        found = self._pipeline(picture, points_per_batch=POINTS_PER_BATCH)
        size = tuple(image.shape[1:])
        masks = [np.asarray(mask, bool) for mask in found['masks']]
        stacked = np.stack(masks) if masks else np.zeros((0, *size), bool)
        plain = proposals_of(stacked, self._device)
        scores = torch.as_tensor(found['scores'], dtype=torch.float32, device=self._device)
        return MaskProposals(plain.masks, plain.boxes, scores.reshape(-1).clamp(0, 1))
