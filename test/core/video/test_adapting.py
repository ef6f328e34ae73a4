"""Whose names settle by what: one state a camera or one for all, resets that no image undoes."""

from pathlib import Path

import pytest
import torch

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from torch import Tensor

from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_dense import ClipDenseLabeller
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list, resolve
from semantic_fast_sam_ros.core.video.adapting import (
    SHARED,
    Adaptations,
    AdaptingLabeller,
    Adaptive,
    CameraAdaptation,
)

NAMES = 'road, car | vehicle, dog'
LEARNS = {'clip.ul_tta.gate': 0.0, 'clip.ul_tta.anchor': 1.0, 'clip.ul_tta.angle': 40.0}


def labeller(
    folder: Path, kind: type[ClipLabeller] = ClipLabeller, **more: object
) -> ClipLabeller:
    config = from_values({'labeller': 'clip', 'clip.model': str(folder), **LEARNS, **more})
    model = load_clip(config.clip, Policy(offline=True), Runtime(torch.device('cpu')))
    return kind(model, parse_list(NAMES), config)


def scene(seed: int = 3) -> tuple[Tensor, MaskProposals]:
    """Return an image (3, 48, 80) and three masks."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, 48, 80), dtype=torch.uint8, generator=generator)
    masks = torch.zeros((3, 48, 80), dtype=torch.bool)
    boxes = torch.tensor([[0.0, 0, 20, 30], [30, 10, 60, 40], [50, 16, 80, 48]])
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return image, MaskProposals(masks, boxes, torch.ones(3))


@pytest.mark.parametrize('kind', [ClipLabeller, ClipDenseLabeller])
def test_the_first_image_is_named_by_the_texts_and_later_ones_are_not(
    kind: type[ClipLabeller], clip_path: Path
) -> None:
    plain, camera = labeller(clip_path, kind), CameraAdaptation()
    assert isinstance(plain, Adaptive)
    adapting = AdaptingLabeller(plain, camera)
    with torch.inference_mode():
        expected = plain.label(*scene()).scores
        first = adapting.label(*scene()).scores
        later = adapting.label(*scene()).scores
    torch.testing.assert_close(first, expected)
    assert not torch.allclose(later, expected, atol=1e-4)
    assert camera.state is not None and int(camera.state.taken.sum()) == 6


def test_state_follows_the_vocabulary(clip_path: Path) -> None:
    plain, camera = labeller(clip_path), CameraAdaptation()
    adapting = AdaptingLabeller(plain, camera)
    with torch.inference_mode():
        adapting.label(*scene())
        before = camera.state
        plain.use(plain.prepare(parse_list('dog, lamp')))
        adapting.label(*scene(4))
        between = camera.state
        plain.use(plain.prepare(parse_list(NAMES)))
        adapting.label(*scene(5))
    assert before is not None and between is not None and camera.state is not None
    assert between.looks == (*before.looks, ('lamp',)) == camera.state.looks
    torch.testing.assert_close(between.sums[:2], before.sums[:2])  # road and car rested
    assert int(camera.state.taken.sum()) == 9


def test_negatives_learn_as_names_do(clip_path: Path) -> None:
    plain, camera = labeller(clip_path, **{'clip.negatives': 'wall, sky'}), CameraAdaptation()
    with torch.inference_mode():
        AdaptingLabeller(plain, camera).label(*scene())
    assert camera.state is not None
    assert camera.state.looks[-2:] == (('wall',), ('sky',))


def test_members_of_a_group_learn_each_for_itself(clip_path: Path) -> None:
    plain, camera = labeller(clip_path), CameraAdaptation()
    names = 'classes: [{name: dog, group: thing}, {name: lamp, group: thing}, {name: road}]'
    plain.use(plain.prepare(resolve(names)))
    with torch.inference_mode():
        AdaptingLabeller(plain, camera).label(*scene())
    assert camera.state is not None
    assert camera.state.looks == (('dog',), ('lamp',), ('road',))


def test_a_reset_is_not_undone_by_the_image_in_work(clip_path: Path) -> None:
    camera = CameraAdaptation()

    class Resetting:
        vocabulary: Vocabulary = parse_list(NAMES)

        def label_after(self, image: Tensor, proposals: MaskProposals, before: object) -> object:
            camera.reset()
            return labeller(clip_path).label_after(image, proposals, None)

    with torch.inference_mode():
        AdaptingLabeller(labeller(clip_path), camera).label(*scene())
        AdaptingLabeller(Resetting(), camera).label(*scene())  # type: ignore[arg-type]
    assert camera.state is None


def test_cameras_learn_apart_unless_they_share(clip_path: Path) -> None:
    with torch.inference_mode():
        _, state = labeller(clip_path).label_after(*scene(), None)
    apart, shared = Adaptations(False), Adaptations(True, {SHARED: state})
    assert apart.of('left') is apart.of('left') is not apart.of('right')
    assert shared.of('left') is shared.of('right') and shared.of('left').state is state
    apart.of('left').advance(None, state)
    assert apart.states() == {'left': state}
    apart.reset()
    assert apart.states() == {} and apart.of('left').described() == 'nothing learned yet'
    assert Adaptations(False, {'gone': state}).states() == {'gone': state}


def test_an_images_masks_learn_the_same_however_often_it_is_asked(clip_path: Path) -> None:
    with torch.inference_mode():
        one, other = (labeller(clip_path).label_after(*scene(), None)[1] for _ in range(2))
    assert torch.equal(one.sums, other.sums) and one.looks == other.looks
