"""A frame's answers come in one copy, whatever their types."""

import pytest
import torch

from semantic_fast_sam_ros.core.base.errors import NetworkError
from semantic_fast_sam_ros.core.masks.download import download, download_frame

KINDS = (torch.uint8, torch.int64, torch.float32, torch.bool, torch.int16, torch.int32)


def test_arrays_are_what_the_tensors_were() -> None:
    shapes = [(3, 5), (), (0, 4), (7,), (2, 1, 3), (1,)]
    tensors = [(torch.rand(s) * 9).to(k) for k, s in zip(KINDS, shapes, strict=True)]
    tensors.append(torch.rand(4, 6).T)  # not contiguous
    for tensor, array in zip(tensors, download(tensors), strict=True):
        assert array.dtype == tensor.numpy().dtype and array.tolist() == tensor.tolist()


def test_only_real_masks_count() -> None:
    rows = torch.arange(3.0)
    (found,), count = download_frame([rows], torch.tensor([True, True, False]), [])
    assert count == 2 and found.tolist() == [0, 1, 2]
    assert download_frame([rows], None, [])[1] is None


def test_the_network_that_answered_with_no_numbers_is_named() -> None:
    sums = [('the one', torch.tensor(1.0)), ('the other', torch.tensor(float('inf')))]
    with pytest.raises(NetworkError, match='the other'):
        download_frame([torch.zeros(2)], torch.tensor([True]), sums)
