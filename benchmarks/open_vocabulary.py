"""Time the CLIP labeller against vocabulary size and number of masks, beside the unbatched way.

    python benchmarks/open_vocabulary.py --output /tmp/open_vocabulary.json

Three ways are timed in one run, on the same image, masks and network:

- ours: crops of all masks in one batch, text encoded once for the vocabulary (not timed);
- one by one: each crop by PIL and the library's own transform, one forward pass a mask, text
  encoded once;
- as published: like one by one, and the text of the whole vocabulary is encoded for every mask.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor

from semantic_fast_sam_ros.core import crops
from semantic_fast_sam_ros.core.clip import ClipLabeller
from semantic_fast_sam_ros.core.clip_model import clip_folder, load_clip
from semantic_fast_sam_ros.core.config import from_values
from semantic_fast_sam_ros.core.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.types import MaskProposals
from semantic_fast_sam_ros.core.vocabulary import Vocabulary, from_names
from semantic_fast_sam_ros.core.weights import Policy

VOCABULARIES = (4, 16, 64, 400)
MASKS = (8, 32, 64, 128, 256)
FIXED_MASKS, FIXED_NAMES = 64, 16
PUBLISHED_MASKS = 8  # the published way is timed on so many masks only


def scene(count: int, height: int = 480, width: int = 640) -> tuple[Tensor, MaskProposals]:
    """Return a smooth random image and elliptic masks of all sizes."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(0, 256, (1, 3, 24, 32)).astype(np.float32))
    image = torch.nn.functional.interpolate(coarse, (height, width), mode='bicubic')[0]
    side = np.exp(rng.uniform(np.log(16), np.log(300), (count, 2)))
    centre = rng.uniform(0, 1, (count, 2)) * (width, height)
    low, high = centre - side / 2, centre + side / 2
    boxes = np.concatenate([low.clip(0), np.minimum(high, (width, height))], 1).round()
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 4)
    rows, columns = np.mgrid[:height, :width]
    masks = [
        ((columns - (x1 + x2) / 2) / (x2 - x1)) ** 2 + ((rows - (y1 + y2) / 2) / (y2 - y1)) ** 2
        < 0.25
        for x1, y1, x2, y2 in boxes
    ]
    return image.clamp(0, 255).to(torch.uint8), MaskProposals(
        torch.from_numpy(np.stack(masks)),
        torch.from_numpy(boxes.astype(np.float32)),
        torch.ones(count),
    )


def names(count: int) -> Vocabulary:
    """Return that many names."""
    return from_names([f'thing number {i}' for i in range(count)])


class OneByOne:
    """The plain use of the library: one crop and one forward pass a mask."""

    def __init__(self, folder: Path, encode_text_always: bool) -> None:
        place = f'local-dir:{folder}'
        self._model, _, self._transform = open_clip.create_model_and_transforms(place)
        self._model.eval()
        self._tokenizer = open_clip.get_tokenizer(place)
        self._always = encode_text_always
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
            self._model,
            self._tokenizer,
            self._names,
            TEMPLATES['photo'],
            num_classes_per_batch=100,
        )


def median_ms(action: Callable[[], Any], repeats: int) -> float:
    """Return the median time of an action after one that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


@torch.inference_mode()
def measure(model: str, repeats: int) -> dict[str, Any]:
    """Return the times in ms by vocabulary size and by number of masks."""
    folder = clip_folder(model, Policy())
    config = from_values({'labeller': 'clip', 'clip.model': str(folder), 'clip.fill': 'mean'})
    clip = load_clip(config.clip, Policy(), torch.device('cpu'), torch.float32)
    ours = ClipLabeller(clip, names(FIXED_NAMES), config)
    plain, published = OneByOne(folder, False), OneByOne(folder, True)
    image, fixed = scene(FIXED_MASKS)
    few = fixed.take(torch.arange(PUBLISHED_MASKS))
    by_names, by_masks = [], []
    for count in VOCABULARIES:
        vocabulary = names(count)
        for way in (plain, published):
            way.use(vocabulary)
        started = time.perf_counter()
        ours.use(ours.prepare(vocabulary))
        encoding = 1000 * (time.perf_counter() - started)
        by_names.append(
            {
                'names': count,
                'ours_ms': median_ms(lambda: ours.label(image, fixed), repeats),
                'one_by_one_ms': median_ms(lambda: plain.label(image, fixed), 1),
                f'published_{PUBLISHED_MASKS}_masks_ms': median_ms(
                    lambda: published.label(image, few), 1
                ),
                'text_once_ms': encoding,
            }
        )
        print(by_names[-1], flush=True)
    ours.use(ours.prepare(names(FIXED_NAMES)))
    plain.use(names(FIXED_NAMES))
    for count in MASKS:
        drawn = scene(count)
        by_masks.append(
            {
                'masks': count,
                'ours_ms': median_ms(partial(ours.label, *drawn), repeats),
                'one_by_one_ms': median_ms(partial(plain.label, *drawn), 1),
            }
        )
        print(by_masks[-1], flush=True)
    return {'by_vocabulary': by_names, 'by_masks': by_masks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', required=True, help='as clip.model')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--threads', type=int, default=0, help='0: as torch decides')
    parser.add_argument('--output', type=Path, help='a JSON file')
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    result = {
        'model': args.model,
        'machine': platform.processor() or platform.machine(),
        'threads': torch.get_num_threads(),
        'image': '640x480',
        'fixed_masks': FIXED_MASKS,
        'fixed_names': FIXED_NAMES,
        **measure(args.model, args.repeats),
    }
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
