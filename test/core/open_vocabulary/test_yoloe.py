"""YOLOE against ultralytics' own prediction, and its instances as votes and as masks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.tokenizer import tokenize
from tiny import write_fastsam, write_yoloe, write_yoloe_text
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.masks.fastsam import FastSamGenerator
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.letterbox import Letterbox
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.yoloe import (
    YoloeGenerator,
    YoloeLabeller,
    load_yoloe,
)
from semantic_fast_sam_ros.core.open_vocabulary.yoloe_network import Instances
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list

pytestmark = pytest.mark.filterwarnings('ignore:.*torch.jit:FutureWarning')
CPU, FP32 = torch.device('cpu'), torch.float32
NAMES = ('road', 'car', 'traffic light')
HEIGHT, WIDTH = 128, 160  # as the network takes it, so that resizing does not enter
COMPARED = 20  # instances
KINDS = ('26', '26 one to one', '11', 'v8')


@pytest.fixture(scope='module', params=KINDS)
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Give settings that name a tiny network of each kind and its text encoder."""
    base = tmp_path_factory.mktemp('yoloe')
    family, _, one_to_one = request.param.partition(' ')
    checkpoint = write_yoloe(base / 'yoloe.pt', family, bool(one_to_one))
    return settings(checkpoint, write_yoloe_text(base / 'text.ts'))


@pytest.fixture(scope='module')
def one(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Give settings that name one tiny network."""
    base = tmp_path_factory.mktemp('yoloe')
    return settings(write_yoloe(base / 'yoloe.pt', '11'), write_yoloe_text(base / 'text.ts'))


def settings(checkpoint: Path, text: Path, **changed: object) -> Config:
    values = {
        'labeller': 'yoloe',
        'yoloe.model': str(checkpoint),
        'yoloe.text_model': str(text),
        'yoloe.image_size': WIDTH,
        'trust_model_files': True,
    }
    return from_values({**values, **{k.replace('__', '.'): v for k, v in changed.items()}})


def labeller(config: Config, names: Vocabulary | None = None) -> YoloeLabeller:
    policy = Policy(offline=True, trust_model_files=config.trust_model_files)
    return load_yoloe(config, names or parse_list(', '.join(NAMES)), policy, CPU, FP32)


def picture() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand((1, 3, 8, 10), generator=generator) * 255
    grown = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode='bilinear')
    return grown[0].to(torch.uint8)


def plainly(config: Config, image: Tensor) -> Any:
    """Return ultralytics' own result, its text vectors made one by one."""
    from ultralytics import YOLOE

    model = YOLOE(config.yoloe.model)
    encoder = torch.jit.load(config.yoloe.text_model)
    vectors = torch.cat([encoder(tokenize([name]).int()) for name in NAMES])
    network: Any = model.model
    network.model[-1].agnostic_nms = True
    with torch.no_grad():
        model.set_classes(list(NAMES), network.float().model[-1].get_tpe(vectors[None]))
    bgr = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])
    options = {'conf': config.yoloe.confidence, 'iou': config.yoloe.iou, 'agnostic_nms': True}
    return model.predict(
        bgr, imgsz=WIDTH, retina_masks=True, verbose=False, save=False, device='cpu', **options
    )[0]


def test_instances_are_those_of_the_library(models: Config) -> None:
    image = picture()
    ours = labeller(models)
    generator = YoloeGenerator(ours, models.masks)
    with torch.inference_mode():
        found, proposals = ours.instances(image), generator.generate(image)
    expected = plainly(models, image)
    # The best only: near the end, masks of one pixel or none hang on the last digit.
    boxes, masks = expected.boxes.data[:COMPARED], expected.masks.data[:COMPARED].bool()
    assert len(boxes) == COMPARED and boxes[:, 4].std() > 1e-3 and len(boxes[:, 5].unique()) > 1
    assert torch.allclose(proposals.scores[:COMPARED], boxes[:, 4], atol=1e-4)
    assert torch.allclose(proposals.boxes[:COMPARED], boxes[:, :4], atol=1e-2)
    assert (proposals.masks[:COMPARED] != masks).float().mean() < 1e-3
    same = (found.scores[:, None] - boxes[:, 4]).abs() < 1e-4
    assert (same & (found.classes[:, None] == boxes[:, 5])).any(0).all()


def test_one_network_gives_masks_and_names_in_one_pass(
    one: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, ours = picture(), labeller(one)
    passes: list[int] = []
    predict = ours._network._network.predict
    monkeypatch.setattr(
        ours._network._network, 'predict', lambda *a, **k: passes.append(1) or predict(*a, **k)
    )
    with torch.inference_mode():
        proposals = YoloeGenerator(ours, one.masks).generate(image)
        labels = ours.label(image, proposals)
        assert len(passes) == 1 and len(proposals) > 3
        ours.label(image.clone(), proposals)
        assert len(passes) == 2
        ours.use(ours.prepare(parse_list('dog')))
        ours.label(image, proposals)
        assert len(passes) == 3
    best = labels.scores[:, 0]
    assert labels.class_ids[best > 0, 0].unique().tolist() != [0]


def test_channel_order_is_red_green_blue(one: Config) -> None:
    image, ours = picture(), labeller(one)
    with torch.inference_mode():
        right, wrong = (ours.instances(i).found for i in (image, image.flip(0)))
    assert right.shape != wrong.shape or not torch.allclose(right, wrong, atol=1e-3)


def planted(
    ours: YoloeLabeller, monkeypatch: pytest.MonkeyPatch, *rows: tuple[float, ...]
) -> None:
    """Let the network find boxes (x1, y1, x2, y2, score, class) filled to their edges."""
    found = torch.tensor([[*row, 1.0] for row in rows]).reshape(-1, 7)
    place = Letterbox(HEIGHT, WIDTH, 0, 0)
    size = (HEIGHT, WIDTH)
    instances = Instances(
        found, torch.ones(1, HEIGHT // 4, WIDTH // 4), torch.zeros(1, 3, *size), place, size
    )
    monkeypatch.setattr(ours, 'instances', lambda image: instances)


def boxes(*corners: tuple[int, int, int, int]) -> MaskProposals:
    masks = torch.zeros((len(corners), HEIGHT, WIDTH), dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, corners, strict=True):
        mask[y1:y2, x1:x2] = True
    return MaskProposals(
        masks, torch.tensor(corners).reshape(-1, 4).float(), torch.ones(len(corners))
    )


def test_instances_vote_by_score_and_by_the_share_they_cover(
    one: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = labeller(one)
    planted(
        ours, monkeypatch, (0, 0, 80, 64, 0.9, 1), (80, 0, 160, 64, 0.5, 2), (0, 0, 8, 8, 1, 0)
    )
    proposals = boxes((0, 0, 80, 64), (40, 0, 160, 64), (0, 64, 80, 128))
    labels = ours.label(picture(), proposals)
    assert labels.class_ids[:, 0].tolist() == [2, 3, 0]
    assert labels.scores[0].tolist() == pytest.approx([0.9, 64 / (80 * 64), 0])
    assert labels.scores[1, :2].tolist() == pytest.approx([2 / 3 * 0.5, 1 / 3 * 0.9])
    assert labels.paints.tolist() == [True, True, False]
    assert labels.pixels is not None
    assert labels.pixels.class_ids[2, 2] == 1 and labels.pixels.class_ids[30, 100] == 3
    assert labels.pixels.confidence[30, 100] == pytest.approx(0.5)
    assert not labels.pixels.class_ids[64:].any() and not labels.pixels.confidence[64:].any()


def test_negatives_groups_and_minimum_confidence(
    one: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = (
        SemanticClass(1, 'wall', (1, 1, 1), negative=True),
        SemanticClass(2, 'vehicle', (2, 2, 2), looks=(('car',), ('bus', 'coach'))),
        SemanticClass(3, 'dog', (3, 3, 3), minimum_confidence=0.6),
    )
    ours = labeller(one, Vocabulary(classes))
    rows = [(40 * i, 0, 40 * i + 40, 128, 0.5, i) for i in range(4)]  # wall, car, bus, dog
    planted(ours, monkeypatch, *rows)
    labels = ours.label(picture(), boxes(*((40 * i, 0, 40 * i + 40, 128) for i in range(4))))
    assert labels.class_ids[:, 0].tolist() == [0, 2, 2, 0]
    assert labels.pixels is not None
    assert labels.pixels.class_ids[64, [20, 60, 100, 140]].tolist() == [0, 2, 2, 0]


def test_nothing_found_and_no_masks_give_no_labels(
    one: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = labeller(one)
    planted(ours, monkeypatch)
    labels = ours.label(picture(), boxes((0, 0, 80, 64)))
    assert not labels.class_ids.any() and not labels.paints.any()
    assert labels.pixels is not None and labels.pixels.class_ids.shape == (HEIGHT, WIDTH)
    planted(ours, monkeypatch, (0, 0, 80, 64, 0.9, 1))
    assert len(ours.label(picture(), boxes()).class_ids) == 0


def test_letterboxed_instances_lie_where_the_image_is(one: Config) -> None:
    found = torch.tensor([[0.0, 0, 160, 160, 1, 0, 1]])
    prototypes = torch.zeros(1, 40, 40)
    prototypes[:, 10:20] = 1  # rows 40 to 80 of the batch; the image has rows 40 to 120
    it = Instances(found, prototypes, torch.zeros(1), Letterbox(80, 160, 40, 0), (160, 160))
    masks = it.masks()
    assert masks.shape == (1, 20, 40)
    assert masks[0, :10].all() and not masks[0, 10:].any()


@pytest.mark.parametrize('names', ['car', 'car, ' + ', '.join(f'thing {i}' for i in range(99))])
def test_any_number_of_names(one: Config, names: str) -> None:
    with torch.inference_mode():
        labels = labeller(one, parse_list(names)).label(picture(), boxes((0, 0, 80, 64)))
    assert labels.class_ids.shape == (1, min(3, len(parse_list(names))))


def test_pipeline_takes_masks_from_it_or_from_fastsam(one: Config, tmp_path: Path) -> None:
    photo = np.ascontiguousarray(picture().permute(1, 2, 0).numpy())
    fastsam = write_fastsam(tmp_path / 'fastsam.pt')
    for masks, kind in ((one.yoloe.model, YoloeGenerator), (str(fastsam), FastSamGenerator)):
        changed = {'masks__model': masks, 'vocabulary': 'road, car, dog', 'device': 'cpu'}
        config = settings(Path(one.yoloe.model), Path(one.yoloe.text_model), **changed)
        pipeline = SemanticFastSam(config)
        assert type(pipeline._generator) is kind
        result = pipeline(photo)
        assert result.label_map.any() and len(result.mask_ids)


def test_other_files_are_refused_with_the_reason(
    one: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests put tiny networks under public names into the cache that all share.
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    text = Path(one.yoloe.text_model)
    plain = write_fastsam(tmp_path / 'plain.pt')
    (tmp_path / 'broken.ts').write_bytes(b'nothing')
    short = write_yoloe_text(tmp_path / 'short.ts', values=256)
    yoloe = Path(one.yoloe.model)
    for config, reason in (
        (settings(plain, text), 'no YOLOE'),
        (settings(yoloe, tmp_path / 'broken.ts'), r'broken\.ts is not a readable TorchScript'),
        (settings(yoloe, short), '256 values'),
        (settings(yoloe, text, trust_model_files=False), 'trust_model_files'),
        (settings(Path('yoloe-26s-seg.pt'), text), 'prefetch yoloe-26s-seg.pt'),
        (settings(yoloe, Path('mobileclip2_b.ts')), r'prefetch mobileclip2_b\.ts'),
    ):
        with pytest.raises(ModelError, match=reason):
            labeller(config)
