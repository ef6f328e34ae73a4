"""Train the dense segmenter that ships: UPerNet on EfficientNet-Lite0, CamVid.

Starts from a Hugging Face folder (`--start`), writes one (`--output`), and keeps a checkpoint in
`--work` from which the same command goes on after an interruption.

    python models/training/train_dense.py --data ../shared/camvid \
        --start ../shared/warmstart/dense_lite0_camvid --work /tmp/dense --output models/dense
"""

import argparse
import math
import random
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as functional
from camvid import CLASSES, IGNORE, Pair, confusion, iou, load_pairs
from torch import Tensor
from transformers import (
    AutoImageProcessor,
    SegformerImageProcessor,
    UperNetForSemanticSegmentation,
)

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1) * 255
SAVE_EVERY = 20  # steps, and at the end: what an interruption costs at most


def jitter_colours(image: np.ndarray, rng: random.Random) -> np.ndarray:
    """Change light as unseen drives do: gamma, brightness, contrast, tint, saturation, blur."""
    x = np.power(image.astype(np.float32) / 255, math.exp(rng.uniform(-0.6, 0.6)))
    x *= rng.uniform(0.6, 1.4)
    x = (x - x.mean()) * rng.uniform(0.6, 1.4) + x.mean()
    x *= np.array([rng.uniform(0.85, 1.15) for _ in range(3)], np.float32)
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * rng.choice([rng.uniform(0.3, 1.6), 1.0])
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.3:
        noise = np.random.default_rng(rng.getrandbits(32))
        x = x + noise.normal(0, 0.03, x.shape).astype(np.float32)
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def augment(pair: Pair, size: tuple[int, int], rng: random.Random) -> Pair:
    """Scale 0.6-1.9 with aspect change, turn a little, crop to `size`, flip, jitter."""
    image, label = pair
    height, width = size
    scale = math.exp(rng.uniform(math.log(0.6), math.log(1.9)))
    aspect = math.exp(rng.uniform(-0.1, 0.1))
    matrix = cv2.getRotationMatrix2D((0, 0), rng.uniform(-4, 4), scale)
    matrix[0] *= aspect
    spare_x = scale * aspect * image.shape[1] - width
    spare_y = scale * image.shape[0] - height
    matrix[:, 2] -= [
        rng.uniform(min(0, spare_x), max(0, spare_x)),
        rng.uniform(min(0, spare_y), max(0, spare_y)),
    ]
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += width
    image = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(124, 116, 104)
    )
    label = cv2.warpAffine(
        label, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORE
    )
    return jitter_colours(image, rng), label


def class_weights(pairs: list[Pair]) -> Tensor:
    """Weight classes by one over the square root of their pixel share, mean 1, at most 3."""
    counts = np.sum([np.bincount(label.ravel(), minlength=12)[:11] for _, label in pairs], axis=0)
    weights = 1 / np.sqrt(counts / counts.sum())
    return torch.tensor(np.minimum(weights / weights.mean(), 3), dtype=torch.float32)


def lovasz_softmax(probabilities: Tensor, target: Tensor) -> Tensor:
    """Lovasz-Softmax loss over the present classes (Berman et al., CVPR 2018, algorithm 1).

    Args:
        probabilities: (P, C) class probabilities of the labelled pixels.
        target: (P,) class ids.
    """
    losses = []
    for class_id in target.unique():
        truth = (target == class_id).float()
        error, order = (truth - probabilities[:, class_id]).abs().sort(descending=True)
        truth = truth[order]
        intersection = truth.sum() - truth.cumsum(0)
        jaccard = 1 - intersection / (truth.sum() + (1 - truth).cumsum(0))
        losses.append((error * torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])).sum())
    return torch.stack(losses).mean()


def loss_of(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Class-weighted cross-entropy plus Lovasz-Softmax on every fourth pixel."""
    cross_entropy = functional.cross_entropy(logits, target, weights, ignore_index=IGNORE)
    coarse = logits[:, :, ::2, ::2].softmax(1).permute(0, 2, 3, 1).reshape(-1, len(CLASSES))
    coarse_target = target[:, ::2, ::2].reshape(-1)
    valid = coarse_target != IGNORE
    return cross_entropy + lovasz_softmax(coarse[valid], coarse_target[valid])


def normalise(images: list[np.ndarray]) -> Tensor:
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    return ((batch - MEAN) / STD).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def evaluate(model: torch.nn.Module, pairs: list[Pair]) -> np.ndarray:
    """Return the IoU of each class over the pairs, one confusion matrix."""
    model.eval()
    matrix = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for image, label in pairs:
        predicted = model(normalise([image])).logits.argmax(1)[0].numpy()
        matrix += confusion(label, predicted)
    model.train()
    return iou(matrix)


def extrapolate(model: torch.nn.Module, start: torch.nn.Module, factor: float) -> None:
    """Move the weights to start + factor * (model - start), in place.

    A short run at a low rate stops on its way; factors up to about 2 went on gaining on val.
    """
    before = start.state_dict()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(before[name] + factor * (value - before[name]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--start', type=Path, required=True)
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--minutes', type=float, default=80, help='training time in all')
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--crop', type=int, nargs=2, default=(288, 384), metavar=('H', 'W'))
    parser.add_argument(
        '--rates',
        type=float,
        nargs=2,
        default=(2.5e-4, 8e-4),
        help='peak learning rates of backbone and head',
    )
    parser.add_argument(
        '--extrapolate',
        type=float,
        default=2.0,
        help='factor on the way from the start to the averaged weights',
    )
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--validate-every', type=int, default=200)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    train, validation = load_pairs(args.data / 'train'), load_pairs(args.data / 'val')
    weights = class_weights(train)
    model = UperNetForSemanticSegmentation.from_pretrained(args.start, dtype=torch.float32)
    model = model.to(memory_format=torch.channels_last).train()
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    backbone = [p for n, p in model.named_parameters() if n.startswith('backbone')]
    head = [p for n, p in model.named_parameters() if not n.startswith('backbone')]
    optimiser = torch.optim.AdamW([{'params': backbone}, {'params': head}], weight_decay=0.02)
    step, elapsed = 0, 0.0
    checkpoint = args.work / 'checkpoint.pt'
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state['model'])
        average.load_state_dict(state['average'])
        optimiser.load_state_dict(state['optimiser'])
        step, elapsed = state['step'], state['elapsed']
        print(f'resumed at step {step}, {elapsed / 60:.1f} minutes', flush=True)

    order: list[int] = []
    while elapsed < 60 * args.minutes:
        started = time.monotonic()
        rng = random.Random(step)
        progress = elapsed / (60 * args.minutes)
        factor = min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * progress)) + 0.005
        for group, peak in zip(optimiser.param_groups, args.rates, strict=True):
            group['lr'] = peak * factor
        if len(order) < args.batch:
            order += rng.sample(range(len(train)), len(train))
        chosen = [augment(train[order.pop()], args.crop, rng) for _ in range(args.batch)]
        target = torch.from_numpy(np.stack([label for _, label in chosen])).long()
        loss = loss_of(model(normalise([image for image, _ in chosen])).logits, target, weights)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(model)
        step += 1
        elapsed += time.monotonic() - started
        if step % SAVE_EVERY == 0:
            print(f'step {step} {elapsed / 60:.1f} min loss {loss.item():.3f}', flush=True)
        if step % args.validate_every == 0:
            print(
                f'step {step} val mIoU {100 * evaluate(average.module, validation).mean():.2f}',
                flush=True,
            )
        if step % SAVE_EVERY == 0 or elapsed >= 60 * args.minutes:
            torch.save(
                {
                    'model': model.state_dict(),
                    'average': average.state_dict(),
                    'optimiser': optimiser.state_dict(),
                    'step': step,
                    'elapsed': elapsed,
                },
                checkpoint.with_suffix('.tmp'),
            )
            checkpoint.with_suffix('.tmp').replace(checkpoint)

    start = UperNetForSemanticSegmentation.from_pretrained(args.start, dtype=torch.float32)
    extrapolate(average.module, start, args.extrapolate)
    result = evaluate(average.module, validation)
    print(f'final, {step} steps: val mIoU {100 * result.mean():.2f}', flush=True)
    print(
        {name: round(100 * float(value), 1) for name, value in zip(CLASSES, result, strict=True)},
        flush=True,
    )
    average.module.half().save_pretrained(args.output)
    try:
        processor = AutoImageProcessor.from_pretrained(args.start)
    except (OSError, ValueError):
        processor = SegformerImageProcessor(size={'height': 360, 'width': 480})
    processor.save_pretrained(args.output)


if __name__ == '__main__':
    main()
