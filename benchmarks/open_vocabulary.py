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
SLOW_ROUNDS = 3
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


def elapsed_ms(action: Callable[[], Any]) -> float:
    """Return the time that an action takes."""
    started = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - started)


def by_turns(actions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median times of actions that take turns, after one round that is not counted.

    Turns, so that whatever else the machine does meets all of them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            spent = elapsed_ms(action)
            if number:
                times[name].append(spent)
    return {name: round(statistics.median(spent), 1) for name, spent in times.items()}


@torch.inference_mode()
def measure(model: str, rounds: int) -> dict[str, Any]:
    """Return the times in ms by vocabulary size and by number of masks."""
    folder = clip_folder(model, Policy())
    config = from_values({'labeller': 'clip', 'clip.model': str(folder), 'clip.fill': 'mean'})
    clip = load_clip(config.clip, Policy(), torch.device('cpu'), torch.float32)
    image, fixed = scene(FIXED_MASKS)
    few = fixed.take(torch.arange(PUBLISHED_MASKS))
    ours: dict[str, Callable[[], Any]] = {}
    slow: dict[str, Callable[[], Any]] = {}
    text_once = {}
    for count in VOCABULARIES:
        labeller = ClipLabeller(clip, names(count), config)
        text_once[count] = round(elapsed_ms(partial(labeller.prepare, names(count))), 1)
        plain, published = OneByOne(folder, False), OneByOne(folder, True)
        plain.use(names(count))
        published.use(names(count))
        ours[f'{count} names'] = partial(labeller.label, image, fixed)
        slow[f'{count} names, one by one'] = partial(plain.label, image, fixed)
        slow[f'{count} names, {PUBLISHED_MASKS} masks, as published'] = partial(
            published.label, image, few
        )
    result: dict[str, Any] = {'text_once_ms': text_once}
    result['by_vocabulary_ms'] = by_turns(ours, rounds) | by_turns(slow, SLOW_ROUNDS)
    labeller = ClipLabeller(clip, names(FIXED_NAMES), config)
    plain = OneByOne(folder, False)
    plain.use(names(FIXED_NAMES))
    scenes = {count: scene(count) for count in MASKS}
    result['by_masks_ms'] = by_turns(
        {f'{n} masks': partial(labeller.label, *given) for n, given in scenes.items()}, rounds
    ) | by_turns(
        {f'{n} masks, one by one': partial(plain.label, *given) for n, given in scenes.items()},
        SLOW_ROUNDS,
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', default='clip_camvid', help='as clip.model')
    parser.add_argument('--rounds', type=int, default=15)
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
        **measure(args.model, args.rounds),
    }
    print(json.dumps(result, indent=1))
    if args.output:
        args.output.write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
