"""The hybrid labeller: the segmenter names what it knows, CLIP what is left."""

from pathlib import Path

import pytest
import torch
from tiny import write_segformer
from torch import Tensor

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.closed_set.dense import load_dense
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.loading import OPEN_LABELLERS
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.open_vocabulary.hybrid import HybridLabeller
from semantic_fast_sam_ros.core.settings.config import Config, flatten, from_values
from semantic_fast_sam_ros.core.settings.vocabulary import SemanticClass, Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import load, parse_list

CPU, FP32 = torch.device('cpu'), torch.float32
MODEL_CLASSES = ('road', 'sky', 'car', 'tree', 'person')


@pytest.fixture(scope='module')
def config(clip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Give settings that name tiny models of both branches."""
    dense = write_segformer(tmp_path_factory.mktemp('hybrid') / 'dense', MODEL_CLASSES)
    return from_values(
        {
            'labeller': 'hybrid',
            'dense.model': str(dense),
            'clip.model': str(clip_path),
            'vocabulary': 'road, sky, shopping trolley, dog',
        }
    )


def hybrid(config: Config, vocabulary: Vocabulary) -> HybridLabeller:
    policy = Policy(offline=True)
    segmenter = load_dense(config.dense, policy, Runtime(CPU))
    return HybridLabeller(
        segmenter, load_clip(config.clip, policy, Runtime(CPU)), vocabulary, config
    )


def scene() -> tuple[Tensor, MaskProposals]:
    """Return a smooth image (3, 48, 80) and six masks side by side."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand((1, 3, 6, 10), generator=generator) * 255
    image = torch.nn.functional.interpolate(coarse, (48, 80), mode='bilinear')[0].to(torch.uint8)
    edges = [(0, 0, 30, 20), (30, 0, 60, 20), (60, 0, 80, 20), (0, 20, 30, 48), (30, 20, 60, 48)]
    edges.append((60, 20, 80, 48))
    masks = torch.zeros((len(edges), 48, 80), dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, edges, strict=True):
        mask[y1:y2, x1:x2] = True
    return image, MaskProposals(masks, torch.tensor(edges).float(), torch.ones(len(edges)))


class Halves:
    """Finds road in the left half of an image and sky in the right."""

    class_names = MODEL_CLASSES
    left_out = ''

    def segment(self, image: Tensor) -> DenseMap:
        """Score an image (3, H, W)."""
        scores = torch.zeros((len(MODEL_CLASSES), *image.shape[1:]))
        scores[0, :, : image.shape[2] // 2] = 1
        scores[1, :, image.shape[2] // 2 :] = 1
        return DenseMap(scores, are_logits=False)


def test_each_mask_is_named_by_the_branch_that_it_falls_to(config: Config) -> None:
    image, proposals = scene()
    model = load_clip(config.clip, Policy(offline=True), Runtime(CPU))
    names = parse_list('road, shopping trolley, dog')
    with torch.inference_mode():
        labels = HybridLabeller(Halves(), model, names, config).label(image, proposals)
        by_clip = ClipLabeller(model, Vocabulary(names.classes[1:]), config)
        expected = by_clip.label(image, proposals)
    road = torch.tensor([True, False, False, True, False, False])
    assert labels.class_ids[road, 0].tolist() == [1, 1]
    assert torch.equal(labels.class_ids[~road, :2], expected.class_ids[~road])
    assert torch.allclose(labels.scores[~road, :2], expected.scores[~road], atol=1e-5)
    assert labels.paints[~road].all()
    assert labels.pixels is not None
    assert (labels.pixels.class_ids[:, :40] == 1).all()
    assert not labels.pixels.class_ids[:, 40:].any()


def test_sources_of_the_file_are_followed(config: Config, tmp_path: Path) -> None:
    file = tmp_path / 'names.yaml'
    file.write_text(
        'classes:\n- {name: road, source: dense}\n- {name: car, source: clip}\n- {name: dog}\n'
    )
    ours = hybrid(config, load(file))
    names = ours._names
    assert names.dense is not None and names.dense.vocabulary.names == ('road',)
    assert names.clip is not None and names.clip.vocabulary.names == ('car', 'dog')


def test_what_the_segmenter_leaves_out_falls_to_clip(config: Config) -> None:
    class WithoutSky(Halves):
        left_out = 'sky'

    model = load_clip(config.clip, Policy(offline=True), Runtime(CPU))
    names = HybridLabeller(WithoutSky(), model, parse_list('road, sky'), config)._names
    assert names.dense is not None and names.dense.vocabulary.names == ('road',)
    assert names.clip is not None and names.clip.vocabulary.names == ('sky',)


def test_wrong_sources_are_refused(config: Config, tmp_path: Path) -> None:
    file = tmp_path / 'names.yaml'
    file.write_text('classes:\n- {name: road, source: text}\n')
    with pytest.raises(ConfigError, match='source must be dense or clip'):
        load(file)
    ours = hybrid(config, parse_list('road, dog'))
    unknown = Vocabulary((SemanticClass(1, 'roads', (0, 0, 0), source='dense'),))
    with pytest.raises(ConfigError, match=r"'roads' has the source dense.*did you mean 'road'"):
        ours.check(unknown)


@pytest.mark.parametrize('names', ['road, sky', 'shopping trolley, dog'])
def test_names_of_one_branch_alone(config: Config, names: str) -> None:
    image, proposals = scene()
    with torch.inference_mode():
        labels = hybrid(config, parse_list(names)).label(image, proposals)
    assert len(labels.class_ids) == len(proposals)
    assert labels.class_ids.max() <= 2


def test_names_change_and_live_settings_reach_both_branches(config: Config) -> None:
    image, proposals = scene()
    ours = hybrid(config, parse_list('road, dog'))
    ours.use(ours.prepare(parse_list('sky, lamp')))
    assert ours.vocabulary.names == ('sky', 'lamp')
    strict = from_values(
        {'clip.minimum_confidence': 1.0, 'vote.mode': 'hard', 'vote.keep_dense': False}
    )
    ours.update(strict)
    with torch.inference_mode():
        labels = ours.label(image, proposals)
    assert labels.pixels is None and 2 not in labels.class_ids[labels.scores[:, 0] < 1, 0]


def test_no_masks_give_dense_pixels(config: Config) -> None:
    image, proposals = scene()
    none = proposals.take(torch.tensor([], dtype=torch.long))
    with torch.inference_mode():
        labels = hybrid(config, parse_list('road, dog')).label(image, none)
    assert len(labels.class_ids) == 0 and labels.pixels is not None


def test_it_is_chosen_by_its_name(config: Config) -> None:
    ours = OPEN_LABELLERS['hybrid'](config, Policy(offline=True), Runtime(CPU))
    assert isinstance(ours, HybridLabeller)
    assert ours.vocabulary.names == ('road', 'sky', 'shopping trolley', 'dog')


def test_vectors_are_of_all_masks_whoever_names_them(config: Config) -> None:
    image, proposals = scene()
    for names in ('road, sky, shopping trolley, dog', 'road, sky', 'dog'):
        ours = hybrid(config, parse_list(names))
        with torch.inference_mode():
            vectors = ours.encode(image, proposals)
        expected = ClipLabeller(ours.model, parse_list('dog'), config).encode(image, proposals)
        assert torch.allclose(vectors, expected, atol=1e-5), names


def test_names_settle_by_the_masks_that_the_segmenter_leaves(config: Config) -> None:
    settles = from_values({**flatten(config), 'clip.ul_tta.gate': 0.0, 'clip.ul_tta.anchor': 1.0})
    model = load_clip(config.clip, Policy(offline=True), Runtime(CPU))
    ours = HybridLabeller(Halves(), model, parse_list('road, shopping trolley, dog'), settles)
    image, proposals = scene()
    with torch.inference_mode():
        plain = ours.label(image, proposals)
        first, state = ours.label_after(image, proposals, None)
        later, _ = ours.label_after(image, proposals, state)
    torch.testing.assert_close(first.scores, plain.scores)
    by_clip = plain.class_ids[:, 0] > 1
    assert state is not None and state.looks == (('shopping trolley',), ('dog',))
    assert 0 < int(state.taken.sum()) == int(by_clip.sum()) < len(proposals)
    torch.testing.assert_close(later.scores[~by_clip], plain.scores[~by_clip])
    assert not torch.allclose(later.scores[by_clip], plain.scores[by_clip], atol=1e-4)
