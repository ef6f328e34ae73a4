"""Say how far the confidences of the profile embedded_open can be believed, on CamVid's val split.

Each FastSAM mask is right if its name is that of most of its labelled pixels. Printed for several
weights of margin and mask score: the calibration error, and the share of wrong masks among the
more confident half. Also draws the reliability diagram of the weights as shipped.

    python benchmarks/open_calibration.py --data CamVid --output /tmp/reliability.png
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'models' / 'training'))

from camvid import CLASSES, IGNORE, load_pairs

from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.profiles import load_profile

WEIGHTS = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 0.25), (0.0, 0.5), (0.5, 0.25))
MINIMUM_AREA = 200
Points = NDArray[np.float64]  # (N, 2): confidence, right or not


def truth_of(masks: torch.Tensor, label: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the class of most labelled pixels of each mask; -1 where too few are labelled."""
    flat = torch.from_numpy(label).flatten().long()
    counts = masks.flatten(1).float() @ torch.nn.functional.one_hot(flat, IGNORE + 1).float()
    known = counts[:, :IGNORE]
    best: NDArray[np.int64] = known.argmax(1).numpy()
    return np.where(known.sum(1).numpy() >= MINIMUM_AREA, best, -1)


@torch.inference_mode()
def collect(data: Path) -> dict[tuple[float, float], Points]:
    """Return confidence and rightness of all masks, for each pair of weights."""
    config = load_profile('embedded_open', {'vocabulary': ', '.join(CLASSES)})
    pipeline = SemanticFastSam(config)
    labeller, generator = pipeline._labeller, pipeline._generator
    assert isinstance(labeller, ClipLabeller)
    found: dict[tuple[float, float], list[Points]] = {pair: [] for pair in WEIGHTS}
    for image, label in load_pairs(data / 'val')[1::2]:  # the even ones fitted the temperature
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
        proposals = generator.generate(pixels)
        truth = truth_of(proposals.masks, label)
        for margin, mask_score in WEIGHTS:
            clip = replace(config.clip, margin_weight=margin, mask_score_weight=mask_score)
            labeller.update(replace(config, clip=clip))
            labels = labeller.label(pixels, proposals)
            right = labels.class_ids[:, 0].numpy() - 1 == truth
            points = np.stack([labels.scores[:, 0].numpy(), right], 1)[truth >= 0]
            found[margin, mask_score].append(points.astype(np.float64))
    return {pair: np.concatenate(points) for pair, points in found.items()}


def bins_of(points: Points) -> list[tuple[float, float, int]]:
    """Return mean confidence, share of right ones and count of each of ten bins that has any."""
    index = np.minimum((points[:, 0] * 10).astype(int), 9)
    chosen = [points[index == b] for b in range(10)]
    return [(float(p[:, 0].mean()), float(p[:, 1].mean()), len(p)) for p in chosen if len(p)]


def draw(points: Points, path: Path) -> None:
    """Draw the reliability diagram."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    confidence, right, count = zip(*bins_of(points), strict=True)
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5), layout='constrained')
    axes.plot([0, 1], [0, 1], '--', color='grey', label='as it should be')
    axes.plot(confidence, right, 'o-', label='masks of val')
    for x, y, n in zip(confidence, right, count, strict=True):
        axes.annotate(str(n), (x, y), textcoords='offset points', xytext=(6, -10), fontsize=8)
    axes.set(xlabel='confidence', ylabel='share that is right', xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--output', type=Path, help='a PNG')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    found = collect(arguments.data)
    for (margin, mask_score), points in found.items():
        error = sum(n * abs(c - r) for c, r, n in bins_of(points)) / len(points)
        better = points[np.argsort(-points[:, 0])][: len(points) // 2]
        print(
            f'margin {margin:g}, mask score {mask_score:g}: {len(points)} masks, '
            f'{100 * points[:, 1].mean():.1f} % right, ECE {100 * error:.1f} %, '
            f'wrong in the surer half {100 * (1 - better[:, 1].mean()):.1f} %'
        )
    for confidence, right, count in bins_of(found[0.0, 0.0]):
        print(f'  confidence {confidence:.2f}: {100 * right:.0f} % right of {count}')
    if arguments.output:
        draw(found[0.0, 0.0], arguments.output)


if __name__ == '__main__':
    main()
