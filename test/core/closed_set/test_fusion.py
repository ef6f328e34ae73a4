"""The fusion of mask votes and pixel probabilities."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from semantic_fast_sam_ros.core.closed_set import voting
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.painting import rasterise
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

HEIGHT, WIDTH = 6, 9
NAMES = ('road', 'car', 'pole')


class Fixed:
    """A segmenter that never sees an image."""

    class_names = NAMES
    left_out = ''

    def segment(self, image: Tensor) -> DenseMap:
        """Refuse: the tests hand the dense map over."""
        raise NotImplementedError


def labeller(**values: object) -> ClosedSetLabeller:
    vote = VoteSettings(mode='fusion', **values)  # type: ignore[arg-type]
    return ClosedSetLabeller(Fixed(), from_names(NAMES), vote)


def scene(seed: int, masks: int) -> tuple[DenseMap, MaskProposals]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn((len(NAMES), HEIGHT, WIDTH), generator=generator)
    shapes = torch.rand((masks, HEIGHT, WIDTH), generator=generator) < 0.4
    scores = torch.rand(masks, generator=generator)
    return DenseMap(logits, True), MaskProposals(shapes, torch.zeros(masks, 4), scores)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_weight_zero_gives_the_dense_map(seed: int, count: int) -> None:
    dense, proposals = scene(seed, count)
    pixels = labeller(fusion_weight=0.0).vote(dense, proposals).pixels
    own = dense.probabilities((HEIGHT, WIDTH)).max(0)
    assert pixels is not None
    assert torch.equal(pixels.class_ids, own.indices + 1)
    torch.testing.assert_close(pixels.confidence, own.values)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 6), st.floats(0, 20), st.floats(1e-6, 1))
def test_fused_probabilities_sum_to_one(
    seed: int, count: int, weight: float, floor: float
) -> None:
    dense, proposals = scene(seed, count)
    own = dense.probabilities((HEIGHT, WIDTH))
    votes = voting.soft_votes(proposals.masks, own)
    evidence = voting.evidence(votes, own.mean((1, 2)), floor)
    fused = voting.fuse(proposals.masks, own, evidence, weight * proposals.scores)
    assert bool((fused >= 0).all())
    torch.testing.assert_close(fused.sum(0), torch.ones(HEIGHT, WIDTH))


def test_no_masks_give_dense_labels() -> None:
    dense, proposals = scene(1, 0)
    labels = labeller().vote(dense, proposals)
    label_map, _, instances = rasterise(proposals.masks, labels)
    assert torch.equal(label_map, dense.scores.argmax(0) + 1)
    assert not instances.any()


def test_a_mask_corrects_a_pixel_that_is_unsure_and_spares_one_that_is_sure() -> None:
    own = torch.full((3, 4, 7), 0.05)
    own[0, :, :5], own[1, :, 5:] = 0.9, 0.9  # road on the left, car on the right
    own[:, 0, 0] = torch.tensor([0.4, 0.55, 0.05])  # rather car, inside a mask of road
    own[:, 1, 3] = torch.tensor([0.005, 0.005, 0.99])  # surely a pole in front of it
    masks = torch.zeros((1, 4, 7), dtype=torch.bool)
    masks[0, :, :5] = True
    proposals = MaskProposals(masks, torch.zeros(1, 4), torch.ones(1))
    pixels = labeller().vote(DenseMap(own.log(), True), proposals).pixels
    assert pixels is not None
    expected = torch.ones((4, 7), dtype=torch.int64)
    expected[:, 5:], expected[1, 3] = 2, 3
    assert torch.equal(pixels.class_ids, expected)


def test_hand_computed_pool_of_two_overlapping_masks() -> None:
    own = torch.tensor([[[0.5, 0.2]], [[0.5, 0.8]]])
    masks = torch.tensor([[[True, False]], [[True, True]]])
    votes = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    fused = voting.fuse(masks, own, votes.log(), torch.tensor([1.0, 0.5]))
    left = 0.5 * 0.9 * 0.4**0.5 / (0.5 * 0.9 * 0.4**0.5 + 0.5 * 0.1 * 0.6**0.5)
    right = 0.2 * 0.4**0.5 / (0.2 * 0.4**0.5 + 0.8 * 0.6**0.5)
    torch.testing.assert_close(fused[0, 0], torch.tensor([left, right]))


def test_evidence_compares_a_mask_with_the_image_by_hand() -> None:
    votes = torch.tensor([[0.8, 0.0, 0.2], [0.3, 0.0, 0.7]])
    image = torch.tensor([0.3, 0.0, 0.7])
    found = voting.evidence(votes, image, 0.25)
    expected = torch.tensor([(0.8 + 0.075) / 0.375, 0.2, (0.2 + 0.175) / 0.875]).log()
    torch.testing.assert_close(found[0], expected)
    # A mask that is as the whole image tells nothing of the classes that the image has.
    torch.testing.assert_close(found[1, [0, 2]], torch.zeros(2))


def test_a_class_as_rare_in_the_mask_as_in_the_image_is_not_voted_down() -> None:
    own = torch.full((3, 8, 20), 0.02)
    own[0, :, :10], own[1, :, 10:] = 0.96, 0.96  # road on the left, car on the right
    own[:, 1, 3] = own[:, 5, 14] = torch.tensor([0.35, 0.25, 0.40])  # poles in both halves
    masks = torch.zeros((1, 8, 20), dtype=torch.bool)
    masks[0, :, :10] = True
    proposals = MaskProposals(masks, torch.zeros(1, 4), torch.ones(1))
    pixels = labeller().vote(DenseMap(own.log(), True), proposals).pixels
    assert pixels is not None
    assert pixels.class_ids[1, 3] == 1  # road gains in a mask of road, more than poles do
    share = own[2].mean()
    evidence = voting.evidence(own[:, :, :10].mean((1, 2))[None], own.mean((1, 2)), 0.05)
    assert abs(float(evidence[0, 2])) < 0.02 and float(share) < 0.03


def test_blocks_of_pixels_give_what_one_block_gives(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    dense, proposals = scene(3, 5)
    whole = labeller().vote(dense, proposals).pixels
    monkeypatch.setattr(voting, 'VOTE_CHUNK_ELEMENTS', 35)  # 7 pixels at a time
    parts = labeller().vote(dense, proposals).pixels
    assert whole is not None and parts is not None
    assert torch.equal(whole.class_ids, parts.class_ids)


def test_masks_keep_their_ranked_names_and_their_pixels() -> None:
    dense, proposals = scene(4, 3)
    fused = labeller().vote(dense, proposals)
    soft = ClosedSetLabeller(Fixed(), from_names(NAMES), VoteSettings(mode='soft')).vote(
        dense, proposals
    )
    assert torch.equal(fused.class_ids, soft.class_ids)
    assert torch.equal(rasterise(proposals.masks, fused)[2], rasterise(proposals.masks, soft)[2])


def test_without_the_dense_map_only_covered_pixels_are_labelled() -> None:
    dense, proposals = scene(5, 2)
    pixels = labeller(keep_dense=False).vote(dense, proposals).pixels
    assert pixels is not None
    assert torch.equal(pixels.class_ids > 0, proposals.masks.any(0))
    assert bool((pixels.confidence[~proposals.masks.any(0)] == 0).all())
