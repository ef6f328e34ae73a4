"""Say what `clip.adaptation: ul_tta` is worth: names of FastSAM's masks on CamVid, in time order.

    python benchmarks/open_adaptation.py --data CamVid --cache /tmp/clip.pt
    python benchmarks/open_adaptation.py --data CamVid --cache /tmp/clip.pt --sweep
    python benchmarks/open_adaptation.py --data CamVid --cache /tmp/hybrid.pt --labeller hybrid

The vectors of all masks are computed once and kept in the cache; everything else is arithmetic on
them. A mask is right if it gets the class of most of its labelled pixels. No label is looked at
while names settle. Names are CamVid's own, and two sets kept out of the CLIP's training. Of these
hybrid asks CLIP for the things alone, and its segmenter, that of the profile `embedded`, for the
rest by the class names. What this costs in time: benchmarks/adaptation_cost.py.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'models' / 'training'))

from camvid import CLASSES, IGNORE, pair_paths
from clip_names import CAMVID, CONCEPTS
from clip_scores import MINIMUM_AREA, QUESTIONS
from clip_segments import camvid_photos

from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.core.masks.painting import largest_first, topmost
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.open_vocabulary import adaptation
from semantic_fast_sam_ros.core.open_vocabulary.hybrid import HybridLabeller
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES, build_classifier
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.adaptation import UlTtaSettings
from semantic_fast_sam_ros.core.settings.effects import ADAPTING
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names
from semantic_fast_sam_ros.core.video.adapting import Adaptive
from semantic_fast_sam_ros.evaluation import calibration, confusion

ANCHORED = UlTtaSettings(angle=0.0, divergence=0.0, temperature=1.0)  # nothing may move
# What hybrid asks CLIP for.
THINGS = ('pole', 'sign', 'fence', 'pedestrian', 'bicyclist')
# Names of things that CamVid's streets do not show.
ABSENT = ('sofa', 'airplane', 'boat', 'cow', 'refrigerator', 'bed', 'sheep', 'pizza')
SWEEP: dict[str, tuple[float, ...]] = {
    'gate': (0.0, 0.3, 0.5, 0.8),
    'anchor': (10.0, 30.0, 100.0, 300.0),
    'angle': (15.0, 30.0, 45.0),
    'divergence': (0.0, 0.05, 0.1),
    'memory': (100.0, 300.0, 1000.0),
    'temperature': (1.0, 1.5, 3.0),
}


@dataclass(frozen=True)
class Seen:
    """What is known of one image."""

    vectors: Tensor  # (N, dim) of its masks
    truth: Tensor  # (N,) int64 class of most labelled pixels; -1: too few are labelled
    painted: Tensor  # (N + 1, classes) float32: labelled pixels where each mask is on top; 0: none
    named: Tensor  # (N,) int64 class that a segmenter named it; -1: it is left to CLIP
    sure: Tensor  # (N,) float32 in [0, 1]: of the segmenter


Stream = Sequence[Seen]


@dataclass(frozen=True)
class Figures:
    """How good a stream's names are, in per cent."""

    top1: float  # of masks
    miou: float
    error: float  # expected calibration error, 15 bins


Rows = Iterable[tuple[str, str, Figures, Figures]]  # what, names, before, after


class Recorder:
    """The profile's networks."""

    def __init__(self, labeller: str) -> None:
        """Load them."""
        values: dict[str, object] = {'device': 'cpu', 'labeller': labeller}
        dense = load_profile('embedded').dense
        values |= {'dense.model': dense.model, 'dense.image_size': dense.image_size}
        self.config = load_profile('embedded_open', values)
        pipeline = SemanticFastSam(self.config)
        assert isinstance(pipeline._labeller, Adaptive)
        self.labeller, self._generator = pipeline._labeller, pipeline._generator
        self._dense = None
        if isinstance(self.labeller, HybridLabeller):
            by_source = (
                replace(c, source='clip' if c.name in THINGS else 'dense')
                for c in from_names(CLASSES).classes
            )
            self._dense = self.labeller.prepare(Vocabulary(tuple(by_source))).dense

    @property
    def asked(self) -> list[int]:
        """The classes whose names CLIP is asked for."""
        return [i for i, c in enumerate(CLASSES) if self._dense is None or c in THINGS]

    def text(self, names: Iterable[str]) -> Tensor:
        """Return the text vectors of names, (dim, names)."""
        templates = TEMPLATES[self.config.clip.templates]
        return build_classifier(self.labeller.model, from_names(list(names)), templates).weights

    @torch.inference_mode()
    def masks(self, image: Path, label: Path) -> Seen:
        """Return what FastSAM's masks of an image show."""
        pixels = torch.from_numpy(np.ascontiguousarray(read_image(image))).permute(2, 0, 1)
        flat = torch.from_numpy(read_labels(label)).flatten().long()
        share = self.config.vote.maximum_mask_share
        proposals = largest_first(self._generator.generate(pixels), share)
        one_hot = torch.nn.functional.one_hot(flat, IGNORE + 1)[:, :IGNORE].float()
        counts = proposals.masks.flatten(1).float() @ one_hot
        truth = torch.where(counts.sum(1) >= MINIMUM_AREA, counts.argmax(1), -1)
        painted = torch.zeros((len(proposals) + 1, IGNORE))
        painted.index_add_(0, topmost(proposals.shapes).flatten().long(), one_hot)
        return self._seen(pixels, proposals, truth, painted)

    @torch.inference_mode()
    def segments(self, folder: Path, split: str) -> dict[str, Seen]:
        """Return what the true segments of a split show, by image."""
        classes = torch.tensor([CONCEPTS.index(c) for c in CAMVID.values()])
        found = {}
        for photo in camvid_photos(folder, split):
            it = photo.read(MINIMUM_AREA)
            assert it is not None
            pixels = torch.from_numpy(it.image).permute(2, 0, 1)
            proposals = MaskProposals(it.masks, it.boxes, torch.ones(len(it.masks)))
            truth = (it.concepts[:, None] == classes).int().argmax(1)
            nothing = torch.zeros((len(truth) + 1, IGNORE))
            found[photo.image.stem] = self._seen(pixels, proposals, truth, nothing)
        return found

    def _seen(
        self, pixels: Tensor, proposals: MaskProposals, truth: Tensor, painted: Tensor
    ) -> Seen:
        named, sure = torch.full_like(truth, -1), torch.zeros(len(truth))
        if self._dense is not None:
            labels = self._dense.label(pixels, proposals)
            named, sure = labels.class_ids[:, 0].long() - 1, labels.scores[:, 0].float()
        vectors = self.labeller.encode(pixels, proposals)
        return Seen(vectors, truth, painted, named, sure)


def record(data: Path, labeller: str) -> dict[str, Any]:
    """Return streams by sequence and kind of masks, text vectors by kind of names, the scale."""
    recorder = Recorder(labeller)
    streams: dict[str, list[Seen]] = {}
    for split in ('val', 'train'):
        segments = recorder.segments(data, split)
        for image, label in pair_paths(data / split):
            name = 'val' if split == 'val' else image.stem.split('_')[0]
            streams.setdefault(f'{name} masks', []).append(recorder.masks(image, label))
            streams.setdefault(f'{name} segments', []).append(segments[image.stem])
    texts = {
        kind: recorder.text([asked[CAMVID[CLASSES[c]]] for c in recorder.asked])
        for kind, asked in QUESTIONS['camvid'].items()
    }
    return {
        'labeller': labeller,
        'streams': {k: [astuple(s) for s in v] for k, v in streams.items()},
        'texts': texts,
        'asked': recorder.asked,
        'absent': recorder.text(ABSENT),
        'scale': recorder.labeller.model.scale,
    }


def figures(stream: Stream, shares: Sequence[Tensor]) -> Figures:
    """Return how good the shares are; names beyond CamVid's classes are none of them."""
    matrix = np.zeros((len(CLASSES), len(CLASSES) + 1), np.int64)
    truths, found, confidences = [], [], []
    for seen, share in zip(stream, shares, strict=True):
        sure, best = share.max(1)
        best = best.clamp_max(len(CLASSES))
        columns = torch.cat([torch.tensor([len(CLASSES)]), best])
        counts = torch.zeros(len(CLASSES) + 1, len(CLASSES)).index_add_(0, columns, seen.painted)
        matrix += counts.T.long().numpy()
        truths.append(seen.truth)
        found.append(best)
        confidences.append(sure)
    truth, named, sure = (torch.cat(parts) for parts in (truths, found, confidences))
    right = (named == truth)[truth >= 0].float().mean()
    histogram = calibration.histogram(_short(truth), _short(named), sure.numpy())
    return Figures(
        100 * float(right),
        100 * confusion.mean_iou(matrix),
        100 * calibration.expected_error(histogram),
    )


def _short(values: Tensor) -> NDArray[np.int16]:
    return values.numpy().astype(np.int16)


@dataclass(frozen=True)
class Recorded:
    """What the cache holds, with the ways to ask it."""

    labeller: str
    streams: dict[str, list[Seen]]
    texts: dict[str, Tensor]  # (dim, names that CLIP is asked for) by kind
    asked: list[int]  # the classes of these names
    absent: Tensor  # (dim, more names)
    scale: float

    def compare(self, name: str, names: str, settings: UlTtaSettings) -> tuple[Figures, Figures]:
        """Return the figures of a stream without and with adaptation."""
        return self.figures(name, names, ANCHORED), self.figures(name, names, settings)

    def figures(self, name: str, names: str, settings: UlTtaSettings) -> Figures:
        """Return the figures of a stream whose names settle by these settings."""
        stream = self.streams[name]
        return figures(stream, self.play(stream, self.texts[names], settings))

    def play(self, stream: Stream, text: Tensor, settings: UlTtaSettings) -> list[Tensor]:
        """Return the reported shares of the classes, (N, classes), of each image in order.

        Names behind those of the classes, in `text`, are classes of their own.
        """
        looks = tuple((str(column),) for column in range(text.shape[1]))
        state = adaptation.known(adaptation.empty(len(text), text.device), looks)
        more = text.shape[1] - len(self.asked)
        classes = torch.tensor([*self.asked, *range(len(CLASSES), len(CLASSES) + more)])
        shares = []
        for seen in stream:
            left = seen.named < 0
            vectors = seen.vectors[left]
            found = adaptation.adapted(state, text, settings)
            logits = found.logits(vectors, self.scale) / found.temperature
            share = torch.zeros(len(left), len(CLASSES) + more)
            share[left.nonzero(), classes] = logits.softmax(1)
            share[(~left).nonzero()[:, 0], seen.named[~left]] = seen.sure[~left]
            shares.append(share)
            state = adaptation.take_in(state, vectors, text, found, self.scale, settings)
        return shares


def load(data: Path, cache: Path, labeller: str) -> Recorded:
    """Read the cache, or fill it."""
    if not cache.is_file():
        torch.save(record(data, labeller), cache)
    it = torch.load(cache, weights_only=True)
    if it['labeller'] != labeller:
        sys.exit(f'{cache} was recorded with --labeller {it["labeller"]}: name another file')
    it['streams'] = {k: [Seen(*parts) for parts in v] for k, v in it['streams'].items()}
    return Recorded(**it)


def show(title: str, rows: Rows) -> None:
    """Print a table, of figures without → with, or before → after."""
    print(f'\n{title}\n\n| | names | top-1 | mIoU | ECE |\n|---|---|---|---|---|')
    for name, kind, before, after in rows:
        pairs = zip(astuple(before), astuple(after), strict=True)
        cells = (f'{one:.1f} → {other:.1f}' if one == one else '' for one, other in pairs)
        print(f'| {name} | {kind} | {" | ".join(cells)} |', flush=True)


def tables(it: Recorded, settings: UlTtaSettings) -> None:
    """Print everything."""
    show(
        'every stream',
        [
            (name, kind, *it.compare(name, kind, settings))
            for name in it.streams
            for kind in it.texts
        ],
    )
    show(
        'one part at a time (val masks)',
        [
            (part, kind, *it.compare('val masks', kind, chosen))
            for part, chosen in alone(settings).items()
            for kind in it.texts
        ],
    )
    for name in (name for name in it.streams if name.endswith(' masks')):
        show(f'first and last third ({name})', thirds(it, name, settings))
    show('val alone → after another street (0006R0), both with', moved(it, settings))
    show('val masks twenty times: the first → the last, both with', repeated(it, settings))
    show('eight names that never occur (val masks)', unasked(it, settings))


def alone(settings: UlTtaSettings) -> dict[str, UlTtaSettings]:
    """Return the settings with one part at work; priors as far as they might go."""
    return {
        'prototypes': replace(ANCHORED, **_moving(settings, 'angle')),
        'priors': replace(ANCHORED, **_moving(settings, 'prior_anchor'), divergence=0.1),
        'temperature': replace(ANCHORED, **_moving(settings, 'temperature')),
    }


def _moving(settings: UlTtaSettings, part: str) -> dict[str, float]:
    common = ('gate', 'anchor', 'memory', part)
    return {name: getattr(settings, name) for name in common}


def thirds(it: Recorded, name: str, settings: UlTtaSettings) -> Rows:
    """Give the figures of the first and the last third of a stream."""
    stream = it.streams[name]
    third = len(stream) // 3
    for kind, text in it.texts.items():
        plain = it.play(stream, text, ANCHORED)
        after = it.play(stream, text, settings)
        for part, chosen in (('first', slice(third)), ('last', slice(-third, None))):
            own = stream[chosen]
            yield part, kind, figures(own, plain[chosen]), figures(own, after[chosen])


def moved(it: Recorded, settings: UlTtaSettings) -> Rows:
    """Give the figures of val alone and after another street, adapted both times."""
    val, other = it.streams['val masks'], it.streams['0006R0 masks']
    for kind, text in it.texts.items():
        alone_ = figures(val, it.play(val, text, settings))
        both = it.play([*other, *val], text, settings)
        yield 'val', kind, alone_, figures(val, both[len(other) :])


def repeated(it: Recorded, settings: UlTtaSettings) -> Rows:
    """Give the figures of the first and the twentieth time of the same stream."""
    stream = it.streams['val masks']
    for kind, text in it.texts.items():
        shares = it.play(list(stream) * 20, text, settings)
        first, last = shares[: len(stream)], shares[-len(stream) :]
        yield 'val', kind, figures(stream, first), figures(stream, last)


def unasked(it: Recorded, settings: UlTtaSettings) -> Rows:
    """Give the figures with names beside the right ones that no image shows."""
    stream = it.streams['val masks']
    for kind, text in it.texts.items():
        both = torch.cat([text, it.absent], 1)
        plain = it.play(stream, both, ANCHORED)
        yield 'val', kind, figures(stream, plain), figures(stream, it.play(stream, both, settings))


def sweep(it: Recorded, settings: UlTtaSettings) -> None:
    """Change one setting after the other for most of val's masks named rightly.

    What counts is the mean over the kinds of names; of the temperature, the calibration error.
    """

    def score(chosen: UlTtaSettings, by_error: bool) -> float:
        found = [it.figures('val masks', kind, chosen) for kind in it.texts]
        values = [-f.error if by_error else f.top1 for f in found]
        return sum(values) / len(values)

    best = settings
    for name, values in SWEEP.items():
        trials = {value: replace(best, **{name: value}) for value in values}
        scores = {v: score(chosen, name == 'temperature') for v, chosen in trials.items()}
        best = trials[max(scores, key=lambda value: scores[value])]
        shown = ', '.join(f'{value:g}: {points:.2f}' for value, points in scores.items())
        print(f'{name:<14} {shown}', flush=True)
    print(best)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', type=Path, required=True)
    parser.add_argument('--cache', type=Path, required=True, help='a file to make, or made before')
    parser.add_argument('--labeller', choices=ADAPTING, default=ADAPTING[0])
    parser.add_argument('--sweep', action='store_true', help='look for settings on val instead')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    it = load(arguments.data, arguments.cache, arguments.labeller)
    settings = UlTtaSettings()
    with torch.inference_mode():
        sweep(it, settings) if arguments.sweep else tables(it, settings)


if __name__ == '__main__':
    main()
