"""Train the dense segmenter that ships: UPerNet over EfficientNet-Lite0 (dense_network.py).

Begins with a network of this kind, or with the mean of several backbones (`--start`), writes a
Hugging Face folder (`--output`), and keeps a checkpoint in `--work` from which the same command
goes on after an interruption, or with more `--minutes` after the end.

    python models/training/train_dense.py --start efficientnet-lite0-57934424.pth \
        --start dense_lite0_camvid --work /tmp/dense --output models/dense_lite0 --minutes 600 \
        --set camvid:0.45:camvid --set camvid:0:camvid:val --set clothing:0.06:clothing \
        --set labelme_facade:0.25:labelmefacade --set coco_panoptic:0.24:coco

Each --set names a layout, its share of the crops, a folder and, if not `train`, a split. One image
in five of each set but CamVid is measured on instead.
"""

import argparse
import math
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from augmentation import compress, jitter_colours, placement, warp
from checkpoint import Checkpoint
from dense_network import DenseNetwork, begin, keep_wide_filters_exact, write
from dense_scores import report
from label_sets import READERS, Photo
from marginal_loss import training_loss
from meanings import CLASSES, MEANINGS, allowances
from sets import parse_set
from torch import Tensor

SHORTER_SIDE = 360  # that images are brought to before the scale of the crop
AVERAGE_DECAY = 0.998
SAVE_EVERY = 60  # seconds: what an interruption costs at most
IMAGE_SIZE = 384, 512  # that the network is meant for


Sets = list[tuple[float, list[Photo]]]  # each with its share of the crops


def mark_weights(sets: Sets) -> Tensor:
    """Weight each mark by one over the root of its classes' share of the pixels, (marks,).

    The mean over the classes is 1; at most 3, at least 0.3.
    """
    table = allowances() == 1
    shares = np.zeros(len(CLASSES))
    for share, members in sets:
        marks = (photo.read_marks().ravel() for photo in members)
        counts = sum(np.bincount(m, minlength=len(MEANINGS)) for m in marks)
        counts = counts / counts.sum()
        counts[0] = 0
        shares += share * (counts[:, None] * table / table.sum(1, keepdims=True)).sum(0)
    weights = 1 / np.sqrt(shares / shares.sum() + 1e-4)
    weights = np.clip(weights / weights.mean(), 0.3, 3)
    return torch.tensor((table * weights).sum(1) / table.sum(1), dtype=torch.float32)


def crop(photo: Photo, size: tuple[int, int], rng: random.Random) -> tuple[Any, Any]:
    """Return a changed crop of a photo and its marks at half size."""
    image, marks = photo.read()
    base = photo.scale * SHORTER_SIDE / min(marks.shape)
    image, marks = warp(image, marks, placement(image, size, base, rng), size)
    image = jitter_colours(image, rng)
    return (compress(image, rng) if rng.random() < 0.3 else image), marks


def batch(
    sets: Sets, count: int, size: tuple[int, int], rng: random.Random
) -> tuple[Tensor, Tensor]:
    """Draw images (N, 3, H, W) in 0..1 and marks (N, H/2, W/2)."""
    chosen = rng.choices(sets, [share for share, _ in sets], k=count)
    crops = [crop(rng.choice(members), size, rng) for _, members in chosen]
    images = torch.from_numpy(np.stack([c[0] for c in crops])).permute(0, 3, 1, 2).float() / 255
    marks = torch.from_numpy(np.stack([c[1] for c in crops])).long()
    return images.contiguous(memory_format=torch.channels_last), marks


def averaged(average: Tensor, value: Tensor, count: Tensor | int) -> Tensor:
    """Move an average towards a value: by 0.002, and faster among the first 5,000 values.

    So the untrained start is soon forgotten.
    """
    return average + (value - average) * max(1 - AVERAGE_DECAY, 9 / (10 + int(count)))


class Training:
    """The network, its average and its optimiser."""

    def __init__(self, starts: list[Path], work: Path) -> None:
        """Build the network, or go on from the checkpoint in `work`."""
        self.model = DenseNetwork(CLASSES)
        begin(self.model, starts)
        keep_wide_filters_exact(self.model)
        self.model.to(memory_format=torch.channels_last).train()
        self.model.hold_edges()
        self.average = torch.optim.swa_utils.AveragedModel(
            self.model, avg_fn=averaged, use_buffers=True
        )
        early = [p for p in self.model.upernet.backbone.parameters() if p.requires_grad]
        late = [p for n, p in self.model.named_parameters() if '.backbone.' not in n]
        self.optimiser = torch.optim.AdamW(
            [{'params': early}, {'params': late}], lr=1e-3, weight_decay=0.02
        )
        self.state = Checkpoint(
            work, model=self.model, average=self.average, optimiser=self.optimiser
        )

    def learn(self, loss: Tensor, rates: tuple[float, float]) -> None:
        """Take one step down a loss at the rates of early and late layers."""
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group['lr'] = rate
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        self.state.step += 1


def add_sets(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the data sets."""
    kind = partial(parse_set, readers=READERS)
    parser.add_argument('--set', type=kind, action='append', required=True, dest='sets')


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sets(parser)
    parser.add_argument(
        '--start',
        type=Path,
        action='append',
        required=True,
        help='folder of a trained network, or ImageNet weights; given again: the mean of all',
    )
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--minutes', type=float, default=95, help='training time in all')
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--crop', type=int, nargs=2, default=(288, 384), metavar=('H', 'W'))
    parser.add_argument(
        '--rates',
        type=float,
        nargs=2,
        default=(5e-4, 1.5e-3),
        help='peak learning rates of the backbone and of the heads',
    )
    parser.add_argument(
        '--bfloat16', action='store_true', help='quicker on CPUs that multiply in it (AVX512_BF16)'
    )
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--validate-every', type=float, default=20, help='minutes')
    return parser.parse_args()


def part(sets: Sets) -> tuple[Sets, dict[str, list[Photo]]]:
    """Return the sets without what is held out, and that by layout."""
    learned = [(share, [p for p in members if not p.held_out]) for share, members in sets]
    held_out: dict[str, list[Photo]] = {}
    for photo in (p for _, members in sets for p in members if p.held_out):
        held_out.setdefault(photo.source, []).append(photo)
    return [(share, members) for share, members in learned if members], held_out


def train(args: argparse.Namespace, training: Training) -> None:
    """Train until the time is over, saving often; the rate falls by a cosine of the time."""
    state = training.state
    sets, validation = part(args.sets)
    table, weights = torch.from_numpy(allowances()), mark_weights(sets)
    saved, validated, whole = state.elapsed, state.elapsed, 60 * args.minutes
    while state.elapsed < whole:
        began = time.monotonic()
        factor = 0.5 * (1 + math.cos(math.pi * state.elapsed / whole)) + 0.005
        factor *= min(1, (state.step + 1) / 100)
        images, marks = batch(sets, args.batch, args.crop, random.Random(state.step))
        with torch.autocast('cpu', torch.bfloat16, enabled=args.bfloat16):
            outputs = training.model(images)
        loss = training_loss(tuple(o.float() for o in outputs), marks, table, weights)
        training.learn(loss, (args.rates[0] * factor, args.rates[1] * factor))
        state.elapsed += time.monotonic() - began
        if state.step % 20 == 0:
            minutes = state.elapsed / 60
            print(f'step {state.step} {minutes:.1f} min loss {loss.item():.3f}', flush=True)
        if state.elapsed - saved > SAVE_EVERY or state.elapsed >= whole:
            saved = state.elapsed
            state.save()
        if state.elapsed - validated > 60 * args.validate_every:
            validated = state.elapsed
            report(training.average.module, validation)
    report(training.average.module, validation)


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    training = Training(args.start, args.work)
    train(args, training)
    write(training.average.module, args.output, IMAGE_SIZE)


if __name__ == '__main__':
    main()
