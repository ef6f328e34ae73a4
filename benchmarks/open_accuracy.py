"""Say how often the CLIP that ships names true segments rightly, on photos kept out of training.

    python benchmarks/open_accuracy.py --set camvid:1:CamVid:val --set coco_panoptic:1:coco

Segments of at least 200 pixels; sets as for models/training/train_clip.py, of which only what is
held out counts. Printed: top-1 and top-5, in per cent, by the names of the set and by names that
were kept out of training; with --crops for several crop scales and fills.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'models' / 'training'))

from clip_scores import MINIMUM_AREA, accuracies
from clip_segments import READERS, Photo
from sets import parse_set

from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.runtime import choose_runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

# (scales, fill): what is compared; the profile's own comes first.
CHOICES = (('1.1', 'mean'), ('1.1', 'none'), ('1', 'blur'), ('1.2', 'blur'), ('1.5', 'blur'))


@torch.inference_mode()
def vectors_of(labeller: ClipLabeller, photos: list[Photo]) -> tuple[Tensor, Tensor]:
    """Return the unit vectors (N, dim) and concepts (N,) of all segments."""
    vectors, concepts = [], []
    for photo in photos:
        if (it := photo.read(MINIMUM_AREA)) is None:
            continue
        pixels = torch.from_numpy(it.image).permute(2, 0, 1)
        proposals = MaskProposals(it.masks, it.boxes, torch.ones(len(it.masks)))
        vectors.append(labeller.encode(pixels, proposals))
        concepts.append(it.concepts)
    return torch.cat(vectors), torch.cat(concepts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    kind = partial(parse_set, readers=READERS)
    parser.add_argument('--set', type=kind, action='append', required=True, dest='sets')
    parser.add_argument('--precision', default='auto', help='as the setting; fp32: not in 8 bits')
    parser.add_argument('--model', default='', help="instead of the profile's")
    parser.add_argument('--crops', action='store_true', help='other scales and fills, too')
    arguments = parser.parse_args()
    values = {'precision': arguments.precision, 'device': 'cpu'}
    values |= {'clip.model': arguments.model} if arguments.model else {}
    config = load_profile('embedded_open', values)
    model = load_clip(config.clip, Policy(offline=True), choose_runtime(config))
    labeller = ClipLabeller(model, from_names(['segment']), config)
    sets: dict[str, list[Photo]] = {}
    for photo in (p for _, photos in arguments.sets for p in photos if p.held_out):
        sets.setdefault(photo.source, []).append(photo)
    own = (config.clip.scales, config.clip.fill)
    for scales, fill in (own, *CHOICES) if arguments.crops else (own,):
        labeller.update(replace(config, clip=replace(config.clip, scales=scales, fill=fill)))
        for source, photos in sets.items():
            vectors, concepts = vectors_of(labeller, photos)
            found = accuracies(source, vectors, concepts, partial(_encode, labeller))
            print(f'{source}, {len(concepts)} segments, {scales}, {fill}: {found}', flush=True)


def _encode(labeller: ClipLabeller, names: list[str]) -> Tensor:
    return labeller.prepare(from_names(names)).weights


if __name__ == '__main__':
    main()
