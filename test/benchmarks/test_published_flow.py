"""The published flow labels as ours does, so that only time is compared."""

import afternoon
import numpy as np
import peers
import published
import pytest
import torch

from semantic_fast_sam_ros.core.closed_set.dense_map import DenseMap
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.masks.painting import largest_first, rasterise
from semantic_fast_sam_ros.core.masks.types import MaskProposals
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

NAMES = ('road', 'sky', 'car', 'tree')


class Segmenter:
    """Has names only: its map is given to the vote."""

    class_names = NAMES
    left_out = ''


def _scene(count, height=24, width=40):
    generator = torch.Generator().manual_seed(count)
    logits = torch.randn((len(NAMES), height, width), generator=generator)
    corners = torch.rand((count, 4), generator=generator)
    masks = torch.zeros((count, height, width), dtype=torch.bool)
    for mask, (top, left, down, across) in zip(masks, corners.tolist(), strict=True):
        top, left = int(top * height), int(left * width)
        mask[top : top + 2 + int(down * height), left : left + 2 + int(across * width)] = True
    return DenseMap(logits, are_logits=True), masks


@pytest.mark.parametrize('fill', ['none', 'all', 'some'])
def test_run_lengths_give_the_mask_back(fill):
    mask = np.random.default_rng(0).random((5, 7)) > 0.5
    mask = {'none': mask & False, 'all': mask | True, 'some': mask}[fill]
    code = published.encode(mask)
    assert code[1].sum() == mask.size
    assert (published.decode(code) == mask).all()


def test_run_lengths_go_down_the_columns_and_begin_with_zeros():
    mask = np.array([[True, False, False], [True, True, False]])
    assert published.encode(mask)[1].tolist() == [0, 2, 1, 1, 2]


def test_the_smaller_mask_paints_over_the_larger_one():
    dense = np.array([[0, 0, 0, 1], [0, 1, 1, 1]])
    small = torch.tensor([[False, False, False, True], [False, True, True, True]])
    large = torch.ones((2, 4), dtype=torch.bool)
    painted = published.vote(torch.stack([small, large]), dense)
    assert painted.tolist() == [[0, 0, 0, 1], [0, 1, 1, 1]]


@pytest.mark.parametrize('count', [0, 1, 30])
def test_all_ways_give_the_same_labels(count):
    dense, masks = _scene(count)
    labels = dense.probabilities(tuple(masks.shape[1:])).argmax(0).numpy()
    theirs = published.vote(masks, labels)
    assert (afternoon.vote(masks.numpy(), labels) == theirs).all()
    config = from_values(peers.PUBLISHED_VOTE)
    labeller = ClosedSetLabeller(Segmenter(), from_names(NAMES), config.vote)
    found = MaskProposals(masks, torch.zeros((count, 4)), torch.ones(count))
    proposals = largest_first(found, 1.0)
    ours = rasterise(proposals.masks, labeller.vote(dense, proposals))[0].numpy()
    assert (ours == theirs + 1).all()


@pytest.mark.timeout(300)
def test_peers_are_compared_on_the_shipped_models():
    values = {**peers.PUBLISHED_VOTE, 'vocabulary': '', 'offline': True}
    values |= {'masks.image_size': 96, 'dense.image_size': 64}
    found = peers.measure('96x64', 4, 1, load_profile('embedded', values))
    assert len(found) == 9
    for entry in found:
        assert entry['size'] == '96x64'
        assert entry['peer_ms'] > 0
        assert entry['ratio'] == pytest.approx(entry['peer_ms'] / entry['ours_ms'], rel=0.05)
    votes = found[1]
    assert votes['ours'].endswith('every pixel') and votes['equal_pixels'] == 1
