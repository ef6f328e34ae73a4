"""Vectors of masks in recordings: rows as the detections, and the space that they are of."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ultralytics

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.messages import camera_message
from semantic_fast_sam_ros.bags.reader import BagReader
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.profiles import load_profile

from .fakes import Brightness, label
from .recordings import START_NS, camera_bag, image_message, write_bag

NODE = '/semantic_fast_sam'
COUNT = 6
JOB = Job(outputs=('detections', 'features'))


class Vectors(Brightness):
    """Has a vector of each mask, the brightness of its image among them."""

    encoder = SimpleNamespace(
        model=SimpleNamespace(source=Path(__file__), dimension=8, scale=10.0)
    )

    def __call__(self, image: np.ndarray, features: bool = False) -> SegmentationResult:
        """Label an image."""
        vectors = np.eye(2, 8, dtype=np.float32)
        vectors[:, 7] = image.mean()
        return replace(super().__call__(image), features=vectors if features else None)


def rows_in(folder: Path) -> list[np.ndarray]:
    """Return the vectors of each image."""
    found = BagReader(folder).messages(lambda t: t.name == f'{NODE}/features')
    messages = [camera_message(message) for message in found]
    assert all(m.encoding == '32FC1' for m in messages)
    return [m.data.view(np.float32).reshape(m.height, m.width) for m in messages]


def spaces_in(folder: Path) -> list[dict[str, object]]:
    found = BagReader(folder).messages(lambda t: t.name == f'{NODE}/features/space')
    return [json.loads(camera_message(message).data) for message in found]


def test_features_are_written_where_asked_with_their_space_once(tmp_path: Path) -> None:
    bag = camera_bag(tmp_path / 'bag', COUNT)
    label(bag, tmp_path / 'out', JOB, pipeline=Vectors())
    found = rows_in(tmp_path / 'out')
    assert [rows.shape for rows in found] == [(2, 8)] * COUNT
    assert len({float(rows[0, 7]) for rows in found}) == COUNT, 'each its own image'
    (space,) = spaces_in(tmp_path / 'out')
    assert space['dimension'] == 8 and space['file'] == Path(__file__).name
    (topic,) = {m.topic for m in BagReader(tmp_path / 'out').messages(lambda t: 'space' in t.name)}
    assert 'durability: 1' in topic.qos, 'latched'
    label(bag, tmp_path / 'without', Job(), pipeline=Vectors())
    assert not rows_in(tmp_path / 'without') and not spaces_in(tmp_path / 'without')


def test_a_resumed_run_goes_on_with_them(tmp_path: Path) -> None:
    bag, stop = camera_bag(tmp_path / 'bag', COUNT), threading.Event()
    pipeline = Vectors(lambda count: stop.set() if count == 2 else None)
    assert label(bag, tmp_path / 'out', JOB, pipeline=pipeline, stop=stop).interrupted
    label(bag, tmp_path / 'out', JOB, pipeline=Vectors(), resume=True)
    assert len(rows_in(tmp_path / 'out')) == COUNT
    assert len(spaces_in(tmp_path / 'out')) == 1


def test_a_labeller_without_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="features: labeller 'none' has no vectors of masks"):
        label(camera_bag(tmp_path / 'bag', 1), tmp_path / 'out', JOB)


def test_vectors_of_the_clip_that_ships_are_those_of_its_pipeline(
    tmp_path: Path,
) -> None:
    street = read_image(Path(ultralytics.__file__).parent / 'assets' / 'bus.jpg')
    small = np.ascontiguousarray(street[::4, ::4])
    bag = write_bag(tmp_path / 'bag', [('/camera', START_NS, image_message(small, START_NS))])
    config = load_profile('embedded_open', {'vocabulary': 'road, building', 'device': 'cpu'})
    pipeline = SemanticFastSam(config)
    label(bag, tmp_path / 'out', JOB, config, pipeline)
    (rows,) = rows_in(tmp_path / 'out')
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows, pipeline(small, features=True).features)
    assert spaces_in(tmp_path / 'out')[0]['dimension'] == rows.shape[1]
