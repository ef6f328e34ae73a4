"""Train the mask network that ships: YOLOv8n-seg with one class, 'segment', on regions.

Each --set names a layout, its share of the images, a folder and, if not `train`, a split:

    python models/training/train_masks.py --start yolov8n-seg-one-class.pt \
        --work /tmp/masks --output models/fastsam_n.pt --hours 1.5 \
        --set bsds500:0.34:BSR/BSDS500/data --set coco_panoptic:0.34:coco \
        --set labelme_facade:0.12:labelmefacade --set clothing:0.07:clothing-co-parsing \
        --set camvid:0.13:camvid

The same command goes on after an interruption, or with more --hours after the end: the state is
written every few minutes.
"""

import argparse
import copy
import math
import time
from functools import partial
from pathlib import Path

import cv2
import torch
from checkpoint import Checkpoint
from mask_batches import Draws
from mask_loss import RegionLoss
from mask_sets import READERS
from sets import parse_set
from torch import Tensor
from ultralytics import YOLO
from ultralytics.cfg import get_cfg

SMALL = ((320, 224), (384, 256), (384, 288))  # width, height; also turned
LARGE = ((384, 288), (448, 320), (448, 352), (512, 352))
SMALL_SHARE = 0.6  # of the time, at first: twice as many steps in the same time
FROZEN = 3  # layers: edges and colours are the same everywhere
BACKBONE = 10  # layers; they learn more slowly
DECAY = 0.998  # of the averaged weights, a step
SAVE_SECONDS = 200


def load_start(path: Path) -> torch.nn.Module:
    """Return a network of one class in training mode, its batch statistics held."""
    network = YOLO(path).model.float()
    network.args = get_cfg(overrides={'task': 'segment', 'overlap_mask': False, 'cls': 1.0})
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network.model[-1].dfl.requires_grad_(False)
    network.model[:FROZEN].requires_grad_(False)
    return hold_statistics(network)


def hold_statistics(network: torch.nn.Module) -> torch.nn.Module:
    """Train with the batch statistics of the start: small batches of many sets vary much."""
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    return network


def optimiser_of(network: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
    """Return AdamW: the backbone at a third of the rate, no decay on what has one dimension."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            slow = int(name.split('.')[1]) < BACKBONE
            key = (rate / 3 if slow else rate, 0.0 if parameter.ndim < 2 else 0.01)
            groups.setdefault(key, []).append(parameter)
    settings = [
        {'params': p, 'lr': lr, 'base': lr, 'weight_decay': decay}
        for (lr, decay), p in groups.items()
    ]
    return torch.optim.AdamW(settings, betas=(0.9, 0.99))


class Training:
    """A training that lasts for so many seconds, all runs of the command together."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.network = load_start(args.start)
        self.averaged = copy.deepcopy(self.network).eval()
        self.optimiser = optimiser_of(self.network, args.rate)
        self.loss = RegionLoss(self.network)
        self.seconds = args.hours * 3600
        self.state = Checkpoint(
            args.work, network=self.network, averaged=self.averaged, optimiser=self.optimiser
        )

    def run(self, draws: Draws, batch: int) -> None:
        """Train until the time is over."""
        saved = last = time.monotonic()
        sums: list[Tensor] = []
        while self.state.elapsed < self.seconds:
            self._set_rate()
            is_early = self.state.elapsed < SMALL_SHARE * self.seconds
            sums.append(self._step(draws.batch(batch, SMALL if is_early else LARGE)))
            now = time.monotonic()
            self.state.elapsed, last = self.state.elapsed + now - last, now
            if self.state.step % 25 == 0:
                parts = ' '.join(f'{value:.3f}' for value in torch.stack(sums).mean(0))
                print(f'{self.state.elapsed:7.0f} s, step {self.state.step}: {parts}', flush=True)
                sums = []
            if now - saved > SAVE_SECONDS:
                self.state.save()
                saved = now
        self.state.save()

    def _set_rate(self) -> None:
        warm = min(1.0, (self.state.step + 1) / 50)
        progress = self.state.elapsed / self.seconds
        share = warm * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)
        for group in self.optimiser.param_groups:
            group['lr'] = group['base'] * share

    def _step(self, batch: dict[str, Tensor]) -> Tensor:
        total, parts = self.loss(self.network(batch['img']), batch)
        self.optimiser.zero_grad()
        (total.sum() / len(batch['img'])).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimiser.step()
        self.state.step += 1
        decay = min(DECAY, (1 + self.state.step) / (10 + self.state.step))
        with torch.no_grad():
            own = dict(self.network.named_parameters())
            for name, average in self.averaged.named_parameters():
                average.lerp_(own[name], 1 - decay)
        return torch.stack(list(parts.values()))


def write_released(network: torch.nn.Module, output: Path) -> None:
    """Write a network as float16, without this machine's paths in it."""
    network = copy.deepcopy(network).eval().half()
    network.args = {'task': 'segment', 'imgsz': 448}
    network.names = {0: 'segment'}
    for name in ('pt_path', 'yaml_file', 'criterion'):
        network.__dict__.pop(name, None)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    torch.save({'model': network, 'train_args': network.args}, output)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--set',
        type=partial(parse_set, readers=READERS),
        action='append',
        required=True,
        dest='sets',
    )
    parser.add_argument('--start', type=Path, required=True)
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--hours', type=float, default=1.5, help='of all runs together')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--rate', type=float, default=1e-3)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    training = Training(args)
    training.run(Draws(args.sets, training.state.step), args.batch)
    write_released(training.averaged, args.output)


if __name__ == '__main__':
    main()
