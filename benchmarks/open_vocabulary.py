"""Time the CLIP labeller against vocabulary size and number of masks, beside the unbatched way.

    python benchmarks/open_vocabulary.py --output /tmp/open_vocabulary.json

Three ways are timed in one run, on the same image, masks and network:

- ours: crops of all masks in one batch, text encoded once for the vocabulary (not timed);
- one by one: each crop by PIL and the library's own transform, one forward pass a mask, text
  encoded once;
- as published: like one by one, and the text of the whole vocabulary is encoded for every mask.

Whole images are timed as well: the profile embedded_open beside YOLOE-26n-seg, which is masks and
names in one network. Its weights are random, so that it finds nothing: the time is the network's.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from published import OneByOne
from torch import Tensor

from semantic_fast_sam_ros.benchmarking import clock, machine
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.model_files import named
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names
from semantic_fast_sam_ros.tools.sources import street_photo

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


def _medians(actions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    times = clock.by_turns(actions, rounds)
    return {name: round(clock.median(spent), 1) for name, spent in times.items()}


@torch.inference_mode()
def measure(model: str, rounds: int) -> dict[str, Any]:
    """Return the times in ms by vocabulary size and by number of masks."""
    folder = named(model).find(Policy())
    values = {'labeller': 'clip', 'clip.model': str(folder), 'clip.fill': 'mean', 'device': 'cpu'}
    config = from_values(values)
    clip = load_clip(config.clip, Policy(), choose_runtime(config))
    image, fixed = scene(FIXED_MASKS)
    few = fixed.take(torch.arange(PUBLISHED_MASKS))
    ours: dict[str, Callable[[], Any]] = {}
    slow: dict[str, Callable[[], Any]] = {}
    text_once = {}
    for count in VOCABULARIES:
        labeller = ClipLabeller(clip, names(count), config)
        text_once[count] = round(clock.elapsed_ms(partial(labeller.prepare, names(count))), 1)
        plain, published = OneByOne(folder, False), OneByOne(folder, True)
        plain.use(names(count))
        published.use(names(count))
        ours[f'{count} names'] = partial(labeller.label, image, fixed)
        slow[f'{count} names, one by one'] = partial(plain.label, image, fixed)
        slow[f'{count} names, {PUBLISHED_MASKS} masks, as published'] = partial(
            published.label, image, few
        )
    result: dict[str, Any] = {'text_once_ms': text_once}
    result['by_vocabulary_ms'] = _medians(ours, rounds) | _medians(slow, SLOW_ROUNDS)
    labeller = ClipLabeller(clip, names(FIXED_NAMES), config)
    plain = OneByOne(folder, False)
    plain.use(names(FIXED_NAMES))
    scenes = {count: scene(count) for count in MASKS}
    result['by_masks_ms'] = _medians(
        {f'{n} masks': partial(labeller.label, *given) for n, given in scenes.items()}, rounds
    ) | _medians(
        {f'{n} masks, one by one': partial(plain.label, *given) for n, given in scenes.items()},
        SLOW_ROUNDS,
    )
    result['whole_image_ms'] = _medians(whole_images(), SLOW_ROUNDS)
    return result


def whole_images() -> dict[str, Callable[[], Any]]:
    """Return what labels a street photo, 640 x 480, with few and with many names."""
    photo = cv2.resize(street_photo(), (640, 480), interpolation=cv2.INTER_AREA)
    actions: dict[str, Callable[[], Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        one_network = random_yoloe(Path(folder))
        for count in (VOCABULARIES[0], VOCABULARIES[-1]):
            asked = ', '.join(names(count).names)
            ours = SemanticFastSam.from_profile('embedded_open', vocabulary=asked)
            rival = SemanticFastSam.from_profile('yoloe', vocabulary=asked, **one_network)
            found = len(ours(photo).mask_ids)
            actions[f'{count} names, embedded_open, {found} masks'] = partial(ours, photo)
            actions[f'{count} names, YOLOE-26n-seg'] = partial(rival, photo)
    return actions


def random_yoloe(folder: Path) -> dict[str, object]:
    """Write YOLOE-26n-seg and a text encoder, both random; return settings that name them."""
    from ultralytics.nn.tasks import YOLOESegModel

    network = YOLOESegModel('yoloe-26n-seg.yaml', verbose=False)
    network.task = 'segment'
    torch.save({'model': network, 'train_args': {}}, folder / 'yoloe.pt')
    words = torch.nn.Sequential(torch.nn.Embedding(49408, 512), Mean())
    torch.jit.trace(words, torch.zeros((1, 77), dtype=torch.int32)).save(folder / 'text.ts')
    model = str(folder / 'yoloe.pt')
    return {
        'masks__model': model,
        'yoloe__model': model,
        'yoloe__text_model': str(folder / 'text.ts'),
        'yoloe__image_size': 448,  # as the profile embedded_open gives FastSAM
        'trust_model_files': True,
    }


class Mean(torch.nn.Module):
    """Averages the words of texts."""

    def forward(self, words: Tensor) -> Tensor:
        """Return (T, dim) for (T, words, dim)."""
        return words.mean(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', default='clip_lite0', help='as clip.model')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--threads', type=int, default=0, help='0: as torch decides')
    parser.add_argument('--output', type=Path, help='a JSON file')
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    result = {
        'model': args.model,
        'machine': machine.machine(),
        'commit': machine.commit(),
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
