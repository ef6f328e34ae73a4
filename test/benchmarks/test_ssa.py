"""SAM and FastSAM of the published shapes, random weights, each in a process of its own."""

from contextlib import closing
from functools import partial

import pytest
import ssa
import torch
from contender import Contender

from semantic_fast_sam_ros.benchmarking import shapes
from semantic_fast_sam_ros.core.masks.fastsam import load_ultralytics

SIZE = (64, 96)


def test_fastsam_has_the_published_size(tmp_path):
    network = load_ultralytics(shapes.write_fastsam(tmp_path / 's.pt', 's'), 'segment')
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters == pytest.approx(11.8e6, rel=0.02)


def test_sam_vit_h_has_the_published_blocks():
    shape = shapes.SAM_SHAPES['vit-h']
    assert (shape['hidden_size'], shape['num_hidden_layers']) == (1280, 32)
    assert shape['global_attn_indexes'] == [7, 15, 23, 31]


@pytest.mark.timeout(300)
def test_both_ways_label_a_photo():
    threads = torch.get_num_threads()
    assert ssa.build_ssa('tiny', SIZE, 5, threads, 2)()['masks'] == 5
    ours = ssa.build_ours('n', SIZE, 5, threads, 64)()
    assert 0 < ours['masks'] <= 5
    assert ours['mask_network'] > 0


def test_blobs_are_masks_of_many_sizes():
    masks = ssa.blobs(20, SIZE)
    assert masks.shape == (20, *SIZE)
    assert masks.flatten(1).any(1).all()
    assert len(set(masks.flatten(1).sum(1).tolist())) > 10


def test_a_contender_answers_from_its_own_process():
    with closing(Contender(partial(partial, sum, [1, 2]))) as contender:
        answers = [contender.run() for _ in range(2)]
    assert [answer['facts'] for answer in answers] == [3, 3]
    assert all(answer['ms'] > 0 and 0 < answer['peak_gb'] < 4 for answer in answers)


def test_a_contender_that_fails_says_so():
    with pytest.raises(RuntimeError, match='ended'):
        Contender(partial(int, 'no number')).wait()
