"""Organised clouds as depth: which camera sees the points so, and which clouds are refused."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.outputs.depth import of_cloud, too_far

INTRINSICS = (110.0, 105.0, 41.0, 28.5)
SIZE = (60, 80)
FLOAT32, FLOAT64, UINT8 = 7, 8, 2


def wave(noise: float = 0.0) -> np.ndarray:
    """Return depth that differs everywhere, with holes, (h, w) metres."""
    v, u = np.indices(SIZE)
    depth = 2 + 0.5 * np.sin(u / 9) + 0.3 * np.cos(v / 7)
    random = np.random.default_rng(0)
    depth *= 1 + noise * random.normal(size=SIZE)
    depth[random.random(SIZE) < 0.3] = np.nan
    return depth


def cloud(depth: np.ndarray, kind: str = '<f4', beside: int = 4, padding: int = 8) -> Any:
    """Return depth as a cloud: so many bytes beside a point's places, and behind each row."""
    fx, fy, cx, cy = INTRINSICS
    v, u = np.indices(depth.shape)
    places = np.stack([(u - cx) / fx * depth, (v - cy) / fy * depth, depth], 2).astype(kind)
    size = places.itemsize
    rows = np.zeros((*depth.shape, 3 * size + beside), np.uint8)
    rows[..., : 3 * size] = places.view(np.uint8).reshape(*depth.shape, 3 * size)
    data = np.pad(rows.reshape(depth.shape[0], -1), ((0, 0), (0, padding)))
    datatype = FLOAT32 if size == 4 else FLOAT64
    fields = [
        SimpleNamespace(name=name, offset=size * i, datatype=datatype, count=1)
        for i, name in enumerate('xyz')
    ]
    return SimpleNamespace(
        height=depth.shape[0],
        width=depth.shape[1],
        fields=fields,
        is_bigendian=kind[0] == '>',
        point_step=3 * size + beside,
        row_step=data.shape[1],
        data=data.ravel(),
    )


@pytest.mark.parametrize('kind', ['<f4', '>f4', '<f8'])
@pytest.mark.parametrize('noise', [0.0, 0.02])
def test_depth_and_the_camera_that_sees_it_so(kind: str, noise: float) -> None:
    depth = wave(noise)
    view = of_cloud(cloud(depth, kind), 10_000)
    np.testing.assert_allclose(view.metres, depth.astype(np.float32), rtol=1e-6)
    np.testing.assert_allclose(view.intrinsics, INTRINSICS, rtol=1e-4)


def test_points_behind_the_camera_and_zeros_are_no_depth() -> None:
    depth = wave()
    depth[:3], depth[3:6] = -1.0, 0.0
    view = of_cloud(cloud(depth), 10_000)
    assert np.isnan(view.metres[:6]).all() and np.isfinite(view.metres[6:]).any()
    np.testing.assert_allclose(view.intrinsics, INTRINSICS, rtol=1e-4)


def test_a_cloud_without_depth_is_one_without_depth() -> None:
    view = of_cloud(cloud(np.full(SIZE, np.nan)), 10_000)
    assert view.metres.shape == SIZE and np.isnan(view.metres).all()
    assert view.intrinsics[0] > 0 and view.intrinsics[1] > 0


def shuffled(message: Any) -> None:
    points = message.data.reshape(SIZE[0], -1)
    message.data = points[np.random.default_rng(1).permutation(SIZE[0])].ravel()


def mirrored(message: Any) -> None:
    points = message.data.reshape(SIZE[0], -1)
    message.data = points[::-1].ravel()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda m: m.__dict__.update(height=1, width=4800), 'not organised like an image: 4800x1'),
        (lambda m: m.__dict__.update(height=0, width=0), 'not organised like an image: 0x0'),
        (lambda m: m.fields.pop(1), r'no y as a float \(it has x, z\)'),
        (lambda m: m.fields[2].__dict__.update(datatype=UINT8), 'no z as a float'),
        (lambda m: m.fields[2].__dict__.update(offset=14), 'contradicts itself.*z at 14'),
        (lambda m: m.__dict__.update(row_step=100), 'contradicts itself'),
        (lambda m: m.__dict__.update(data=m.data[:-1]), 'contradicts itself'),
        (shuffled, 'no camera of 80x60 pixels sees the points of the cloud so'),
        (mirrored, 'no camera of 80x60 pixels sees the points of the cloud so'),
    ],
)
def test_clouds_that_are_no_view_are_refused(change: Any, words: str) -> None:
    message = cloud(wave())
    change(message)
    with pytest.raises(FrameError, match=words):
        of_cloud(message, 10_000)


def test_a_cloud_that_is_too_large_is_refused() -> None:
    with pytest.raises(FrameError, match=r'more than input\.maximum_pixels'):
        of_cloud(cloud(wave()), 4799)


def test_stamps_may_differ_by_as_much_as_the_setting_says() -> None:
    assert too_far(-50_000_000, 50.0) == ''
    assert '-51 ms' in too_far(-51_000_000, 50.0)
