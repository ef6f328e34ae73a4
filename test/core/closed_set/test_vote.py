"""The vote must label as the plain loop over masks does, whatever the masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scenes import NAMES, Names, Scene, loop, proposals_of, scene, scenes, vote

from semantic_fast_sam_ros.core.closed_set import labeller, voting
from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks import prototypes
from semantic_fast_sam_ros.core.masks.painting import rasterise
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary, from_names

PLAIN = VoteSettings(mode='hard', minimum_purity=0.0, maximum_mask_share=1.0)
quick = settings(max_examples=120, deadline=None, derandomize=True)


def halves(*masks: str) -> Scene:
    """Make a 2 x 6 scene, left half road, right half sky, with masks drawn as '#' and '.'."""
    road = np.array([[0.7, 0.7, 0.7, 0.2, 0.2, 0.2]] * 2)
    probabilities = np.stack([road, 0.9 - road, road * 0 + 0.06, road * 0 + 0.04])
    drawn = [[[c == '#' for c in row] for row in mask.split('/')] for mask in masks]
    return Scene(probabilities.astype(np.float32), np.array(drawn, bool).reshape(-1, 2, 6))


@given(scenes())
@quick
def test_hard_vote_labels_as_the_loop_over_masks(drawn: Scene) -> None:
    _, painted, _ = vote(drawn, PLAIN)
    expected = loop(drawn, PLAIN)
    np.testing.assert_array_equal(painted.labels, expected.labels)
    np.testing.assert_array_equal(painted.instances, expected.instances)
    np.testing.assert_allclose(painted.confidence, expected.confidence, atol=1e-5)


@pytest.mark.parametrize('keep_dense', [True, False])
@pytest.mark.parametrize('mode', ['hard', 'soft'])
@given(drawn=scenes())
@settings(quick, max_examples=40)
def test_every_rule_agrees_with_the_loop(mode: str, keep_dense: bool, drawn: Scene) -> None:
    rules = VoteSettings(mode, minimum_purity=0.6, maximum_mask_share=0.5, keep_dense=keep_dense)
    _, painted, _ = vote(drawn, rules)
    expected = loop(drawn, rules)
    np.testing.assert_array_equal(painted.labels, expected.labels)
    np.testing.assert_array_equal(painted.instances, expected.instances)
    np.testing.assert_allclose(painted.confidence, expected.confidence, atol=1e-5)


@given(scenes())
@quick
def test_confidence_is_zero_exactly_where_unlabelled(drawn: Scene) -> None:
    few = from_names(NAMES[:2])  # the rest of the model's classes comes out unlabelled
    _, painted, _ = vote(drawn, VoteSettings('hard', minimum_purity=0.5), few)
    np.testing.assert_array_equal(painted.confidence == 0, painted.labels == 0)
    assert set(np.unique(painted.labels)) <= {0, 1, 2}


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = scene(seed=3, count=11)
    _, whole, _ = vote(drawn, PLAIN)
    monkeypatch.setattr(voting, 'VOTE_CHUNK_ELEMENTS', 60)  # a few pixels a block
    monkeypatch.setattr(prototypes, 'PAINT_CHUNK_ELEMENTS', 3 * 9 * 14)  # three masks a block
    _, chunked, _ = vote(drawn, PLAIN)
    np.testing.assert_array_equal(chunked.labels, whole.labels)
    np.testing.assert_array_equal(chunked.instances, whole.instances)
    np.testing.assert_allclose(chunked.confidence, whole.confidence, atol=1e-6)


def test_no_masks_gives_the_dense_labels() -> None:
    labels, painted, _ = vote(halves(), PLAIN)
    assert labels.class_ids.shape[0] == 0
    assert painted.labels.tolist() == [[1, 1, 1, 2, 2, 2]] * 2
    assert painted.instances.max() == 0
    np.testing.assert_allclose(painted.confidence, 0.7, atol=1e-6)


def test_a_mask_takes_its_most_frequent_class() -> None:
    _, painted, _ = vote(halves('.####./......'), PLAIN)  # two road pixels, two of the sky
    assert painted.labels[0].tolist() == [1, 1, 1, 1, 1, 2]  # a tie goes to the smaller class
    _, painted, _ = vote(halves('..####/......'), PLAIN)
    assert painted.labels[0].tolist() == [1, 1, 2, 2, 2, 2]


def test_votes_are_counted_on_the_dense_map_not_on_the_painted_one() -> None:
    # The large mask paints all sky; the small one in its road part still sees road.
    _, painted, _ = vote(halves('.#####/.#####', '.#..../.#....'), PLAIN)
    assert painted.labels.tolist() == [[1, 1, 2, 2, 2, 2]] * 2
    assert painted.instances.tolist() == [[0, 2, 1, 1, 1, 1]] * 2


def test_smaller_masks_overwrite_larger_ones_whatever_their_order() -> None:
    for order in (['######/######', '.##.../......'], ['.##.../......', '######/######']):
        _, painted, proposals = vote(halves(*order), PLAIN)
        assert proposals.masks.flatten(1).sum(1).tolist() == [12, 2]
        assert painted.instances.tolist() == [[1, 2, 2, 1, 1, 1], [1] * 6]


def test_a_mask_of_the_whole_frame_does_not_vote() -> None:
    whole = halves('######/######', '..##../......')
    labels, painted, _ = vote(whole, VoteSettings('hard', 0.0, maximum_mask_share=0.95))
    assert len(labels.paints) == 1
    assert painted.labels[1].tolist() == [1, 1, 1, 2, 2, 2]
    assert painted.instances.max() == 1


def test_an_unclear_mask_does_not_paint_but_stays_an_instance() -> None:
    unclear = halves('.####./......', '...##./......')
    labels, painted, _ = vote(unclear, VoteSettings('hard', minimum_purity=0.6))
    assert labels.paints.tolist() == [False, True]
    assert painted.labels[0].tolist() == [1, 1, 1, 2, 2, 2]
    assert painted.instances[0].tolist() == [0, 1, 1, 2, 2, 0]


@pytest.mark.parametrize(
    ('rule', 'paints'),
    [
        (VoteSettings('fusion'), True),
        (VoteSettings('hard'), False),
        (VoteSettings('soft'), False),
    ],
)
def test_over_a_map_without_scores_fusion_votes_as_published(
    rule: VoteSettings, paints: bool
) -> None:
    classes = torch.tensor([[0, 0, 0, 1, 1, 1]] * 2)
    scores = torch.nn.functional.one_hot(classes, len(NAMES)).permute(2, 0, 1).float()
    dense = DenseMap(scores, are_logits=False, finished=True)
    mixed = proposals_of(halves('..###./......').masks)
    labels = ClosedSetLabeller(Names(), from_names(NAMES), rule).vote(dense, mixed)
    assert labels.paints.tolist() == [paints]
    assert labels.class_ids[0, 0] == 2
    assert labels.pixels is not None and labels.pixels.class_ids[0].tolist() == [1, 1, 1, 2, 2, 2]


def test_purity_counts_the_threshold_itself() -> None:
    nine_of_ten = Scene(
        np.array([[[0.9] * 9 + [0.1]]], np.float32).repeat(2, 0), np.ones((1, 1, 10), bool)
    )
    nine_of_ten.probabilities[1] = 1 - nine_of_ten.probabilities[0]
    padded = np.concatenate([nine_of_ten.probabilities, np.full((2, 1, 10), 1e-9)], 0)
    drawn = Scene(padded.astype(np.float32), nine_of_ten.masks)
    rule = VoteSettings('hard', minimum_purity=0.9, maximum_mask_share=1.0)
    assert vote(drawn, rule)[0].paints.tolist() == [True]


def test_soft_and_hard_vote_differ_where_few_pixels_are_sure() -> None:
    # Two pixels lean to road, one is sure of the sky.
    pixels = np.array([[[0.5, 0.5, 0.02]], [[0.3, 0.3, 0.96]]], np.float32)
    rest = (1 - pixels.sum(0, keepdims=True)) / 2
    drawn = Scene(np.concatenate([pixels, rest, rest]), np.array([[[1, 1, 1]]], bool))
    rule = {'minimum_purity': 0.0, 'maximum_mask_share': 1.0}
    hard, painted, _ = vote(drawn, VoteSettings('hard', **rule))
    assert painted.labels.tolist() == [[1, 1, 1]]
    assert hard.scores[0, 0].item() == pytest.approx(2 / 3)
    soft, painted, _ = vote(drawn, VoteSettings('soft', **rule))
    assert painted.labels.tolist() == [[2, 2, 2]]
    assert soft.scores[0, 0].item() == pytest.approx(0.52)


def test_hypotheses_are_ranked_and_as_many_as_asked() -> None:
    drawn = scene(seed=5, count=8)
    for mode in ('hard', 'soft'):
        labels, _, _ = vote(drawn, VoteSettings(mode, hypotheses=3))
        assert labels.class_ids.shape == labels.scores.shape == (len(labels.paints), 3)
        assert (labels.scores.diff(dim=1) <= 0).all()
        assert (labels.scores.sum(1) <= 1 + 1e-5).all()
        assert all(len(set(row)) == 3 for row in labels.class_ids.tolist())


def test_a_winner_outside_the_vocabulary_leaves_its_mask_unlabelled() -> None:
    labels, painted, _ = vote(halves('..####/..####'), PLAIN, from_names(['road']))
    assert labels.class_ids[0, 0] == 0
    assert painted.labels.tolist() == [[1, 1, 0, 0, 0, 0]] * 2


def test_a_coarser_grid_for_large_images_keeps_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labeller, 'MAX_PROBABILITY_VALUES', 4 * 2 * 3)
    _, painted, _ = vote(halves('######/......', '#...../......'), PLAIN)
    assert painted.labels.shape == painted.confidence.shape == (2, 6)
    assert painted.labels[1].tolist() == [1, 1, 1, 2, 2, 2] or painted.labels[1, 0] == 1


def test_a_mask_between_the_points_of_the_coarser_grid_paints_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labeller, 'MAX_PROBABILITY_VALUES', 4 * 1 * 2)
    labels, painted, _ = vote(halves('#...../......'), PLAIN)
    assert labels.paints.tolist() == [False]
    assert painted.labels.min() > 0


def test_below_its_minimum_a_class_is_not_given_and_negatives_never_are() -> None:
    drawn = halves('###.../###...', '...###/...###')
    road, sky, *others = from_names(NAMES).classes
    for changed, expected in (
        (replace(road, minimum_confidence=0.71), [0, sky.id]),
        (replace(road, minimum_confidence=0.6), [road.id, sky.id]),
        (replace(road, negative=True), [0, sky.id]),
    ):
        words = Vocabulary((changed, sky, *others))
        labels, painted, _ = vote(drawn, replace(PLAIN, mode='soft'), words)
        assert labels.class_ids[:, 0].tolist() == expected
        assert labels.pixels is not None
        assert labels.pixels.class_ids[0].unique().tolist() == sorted(expected)
        assert (painted.labels[:, :3] == expected[0]).all()
        assert not painted.confidence[painted.labels == 0].any()


def test_renumbering_changes_the_ids_and_nothing_else() -> None:
    drawn = scene(seed=8, count=6)
    _, before, proposals = vote(drawn, PLAIN)
    from scenes import Names

    from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap

    older = from_names(['dog', *NAMES[::-1]])
    labeller = ClosedSetLabeller(Names(), from_names(NAMES), PLAIN)
    labeller.renumber(labeller.vocabulary.extended_from(older))
    dense = DenseMap(torch.from_numpy(drawn.probabilities).log(), are_logits=True)
    after, _, _ = rasterise(proposals.masks, labeller.vote(dense, proposals))
    names = [labeller.vocabulary.name_of(i) for i in after.flatten().tolist()]
    assert names == [NAMES[i - 1] for i in before.labels.flatten().tolist()]
    assert after.max() <= 5 and after.min() >= 2  # 'dog' keeps its 1
