"""Say how often the CLIP that ships names true segments rightly, on CamVid's val split.

    python benchmarks/open_accuracy.py --data ../shared/camvid

Segments are connected regions of one class of at least 200 pixels. Printed for several crop scales
and fills: top-1 by the eleven class names, and by both sets of names kept out of training; for the
profile's own settings the accuracy by class, too.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'models' / 'training'))

from camvid import CLASSES, load_pairs
from road_names import HELD_OUT_NAMES
from train_clip import MINIMUM_EVALUATION_AREA, Segments, find_segments

from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

QUESTIONS = {
    'class names': list(CLASSES),
    'kept out, set 1': [HELD_OUT_NAMES[c][0] for c in CLASSES],
    'kept out, set 2': [HELD_OUT_NAMES[c][1] for c in CLASSES],
}
# (scales, fill): what is compared; the profile's own comes first.
CHOICES = (('1.1', 'mean'), ('1.1', 'none'), ('1', 'blur'), ('1.2', 'blur'), ('1.5', 'blur'))


@torch.inference_mode()
def vectors_of(labeller: ClipLabeller, segments: Segments) -> tuple[Tensor, Tensor]:
    """Return the unit vectors (N, dim) and classes (N,) of all segments."""
    vectors, classes = [], []
    for image, masks, boxes, labels in segments:
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        proposals = MaskProposals(masks, boxes, torch.ones(len(masks)))
        vectors.append(labeller.encode(pixels, proposals))
        classes.append(labels)
    return torch.cat(vectors), torch.cat(classes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--precision', default='auto', help='as the setting; fp32: not in 8 bits')
    arguments = parser.parse_args()
    config = load_profile('embedded_open', {'precision': arguments.precision, 'device': 'cpu'})
    model = load_clip(config.clip, Policy(offline=True), choose_runtime(config))
    labeller = ClipLabeller(model, from_names(CLASSES), config)
    segments = find_segments(load_pairs(arguments.data / 'val'), MINIMUM_EVALUATION_AREA)
    asked = {kind: labeller.prepare(from_names(q)).weights for kind, q in QUESTIONS.items()}
    for number, (scales, fill) in enumerate(((config.clip.scales, config.clip.fill), *CHOICES)):
        labeller.update(replace(config, clip=replace(config.clip, scales=scales, fill=fill)))
        vectors, classes = vectors_of(labeller, segments)
        right = {kind: (vectors @ texts).argmax(1) == classes for kind, texts in asked.items()}
        shares = ', '.join(f'{kind} {100 * r.float().mean():.1f} %' for kind, r in right.items())
        print(f'{len(classes)} segments, scale {scales}, {fill}: {shares}', flush=True)
        if number == 0:
            for i, name in enumerate(CLASSES):
                mine = right['class names'][classes == i].float()
                print(f'  {name}: {100 * mine.mean():.0f} % of {len(mine)}')


if __name__ == '__main__':
    main()
