"""Fit the dense network's class offsets and the scale of its logits, into its last layer.

The class-weighted loss of train_dense.py makes rare classes too likely wherever the network is
unsure. One number a class, added to its logits, puts that right; one factor on all of them makes
the confidences true. Both are fitted on images that the network was trained on, and cost nothing
at run time.

    python models/training/calibrate_dense.py --model /tmp/dense --output models/dense_lite0 \
        --set camvid:0.5:camvid --set labelme_facade:0.5:labelmefacade
"""

import argparse
import random
from pathlib import Path

import torch
from dense_network import read, write
from dense_scores import predict
from label_sets import Photo
from marginal_loss import marginal_cross_entropy, marginal_lovasz
from meanings import CLASSES, allowances
from torch import Tensor
from train_dense import IMAGE_SIZE, add_sets, part

PIXELS = 4000  # drawn from each image
BATCH = 8  # images
Pixels = tuple[Tensor, Tensor]  # (1, C, 1, PIXELS) logits, (1, 1, PIXELS) marks


@torch.no_grad()
def draw(network: torch.nn.Module, photo: Photo) -> Pixels:
    """Return some pixels of an image whose labels say something."""
    image, marks = photo.read()
    logits = predict(network, image).flatten(1)
    flat = torch.from_numpy(marks).long().flatten()
    known = flat.nonzero()[:, 0]
    chosen = known[torch.randint(len(known), (PIXELS,))]
    return logits[:, chosen][None, :, None], flat[chosen][None, None]


def fit(pixels: list[Pixels], steps: int) -> tuple[Tensor, Tensor]:
    """Return offsets (C,), of mean 0, and the scale (1,) for logits.

    The offsets lower the unweighted losses of the training, the scale cross-entropy alone.
    """
    table = torch.from_numpy(allowances())
    equal = torch.ones(len(table))
    offsets = torch.zeros(len(CLASSES), requires_grad=True)
    scale = torch.ones(1, requires_grad=True)
    optimiser = torch.optim.Adam([offsets, scale], 0.03)
    rng = random.Random(0)
    for step in range(steps):
        optimiser.param_groups[0]['lr'] = 0.03 * (1 - step / steps)
        logits, marks = (torch.cat(t) for t in zip(*rng.choices(pixels, k=BATCH), strict=True))
        moved = logits + offsets[:, None, None]
        loss = marginal_cross_entropy(moved.detach() * scale, marks, table, equal)
        loss = loss + marginal_cross_entropy(moved, marks, table, equal)
        loss = loss + marginal_lovasz(moved, marks, table)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return (offsets - offsets.mean()).detach(), scale.detach()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sets(parser)
    parser.add_argument('--model', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--images', type=int, default=200)
    parser.add_argument('--steps', type=int, default=200)
    parser.add_argument('--threads', type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    network = read(args.model)
    sets, _ = part(args.sets)
    rng = random.Random(0)
    chosen = rng.choices(sets, [share for share, _ in sets], k=args.images)
    photos = [rng.choice(members) for _, members in chosen]
    offsets, scale = fit([draw(network, photo) for photo in photos], args.steps)
    shown = {c: round(float(v), 2) for c, v in zip(CLASSES, offsets, strict=True)}
    print(f'scale {float(scale):.3f}, offsets {shown}')
    network.calibrate(offsets, scale)
    write(network, args.output, IMAGE_SIZE)


if __name__ == '__main__':
    main()
