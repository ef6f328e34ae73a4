"""Fit the offsets of the dense segmenter's classes and write them into its last layer.

The class-weighted loss of train_dense.py makes rare classes too likely wherever the network is
unsure. One number a class, added to its logits, puts that right and costs nothing at run time. It
is fitted for each sequence by itself, on train, and the mean is written: 11 numbers.

    python models/training/calibrate_dense.py --data ../shared/camvid \
        --model models/dense_lite0_camvid --output /tmp/dense
"""

import argparse
import shutil
from pathlib import Path

import torch
import torch.nn.functional as functional
from camvid import CLASSES, IGNORE, load_pairs, pair_paths
from torch import Tensor
from train_dense import lovasz_softmax, normalise
from transformers import UperNetForSemanticSegmentation

PIXELS = 6000  # drawn from each image
Pixels = tuple[Tensor, Tensor]  # (PIXELS, 11) logits, (PIXELS,) class ids


@torch.no_grad()
def draw(model: torch.nn.Module, data: Path, stride: int) -> dict[str, list[Pixels]]:
    """Return sequence -> pixels of every stride-th image, with their logits."""
    drawn: dict[str, list[Pixels]] = {}
    pairs = load_pairs(data / 'train')
    for index, (path, _) in list(enumerate(pair_paths(data / 'train')))[::stride]:
        image, label = pairs[index]
        logits = model(normalise([image])).logits[0].flatten(1).T
        truth = torch.from_numpy(label).long().flatten()
        labelled = (truth != IGNORE).nonzero()[:, 0]
        chosen = labelled[torch.randperm(len(labelled))[:PIXELS]]
        sequence = path.stem.rpartition('_')[0]
        drawn.setdefault(sequence, []).append((logits[chosen], truth[chosen]))
    return drawn


def fit(images: list[Pixels], steps: int) -> Tensor:
    """Return offsets, (11,) of mean 0, that lower cross-entropy + Lovasz-Softmax, unweighted."""
    offsets = torch.zeros(len(CLASSES), requires_grad=True)
    optimiser = torch.optim.Adam([offsets], 0.03)
    for step in range(steps):
        optimiser.param_groups[0]['lr'] = 0.03 * (1 - step / steps)
        logits, truth = images[int(torch.randint(len(images), ()))]
        moved = logits + offsets
        loss = functional.cross_entropy(moved, truth) + lovasz_softmax(moved.softmax(1), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return (offsets - offsets.mean()).detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--model', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--stride', type=int, default=6, help='every so many-th image')
    parser.add_argument('--steps', type=int, default=120)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = UperNetForSemanticSegmentation.from_pretrained(args.model, dtype=torch.float32).eval()
    found = {
        name: fit(images, args.steps)
        for name, images in draw(model, args.data, args.stride).items()
    }
    offsets = torch.stack(list(found.values())).mean(0)
    for name, values in {**found, 'mean': offsets}.items():
        print(name, {c: round(float(v), 2) for c, v in zip(CLASSES, values, strict=True)})
    with torch.no_grad():
        model.decode_head.classifier.bias += offsets
    shutil.copytree(args.model, args.output, dirs_exist_ok=True)
    model.half().save_pretrained(args.output)


if __name__ == '__main__':
    main()
