"""Tracks in recordings: by the images' stamps, the same again, and on where a run ended."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

pytest.importorskip('lap', reason='lap is missing: requirements/base.txt')

from semantic_fast_sam_ros.bags.cluster import label_on_cluster
from semantic_fast_sam_ros.bags.cluster_plan import Pool
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.track_ids import LAST_TRACK
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

from .fakes import Brightness, label, settings
from .recordings import START_NS, camera, camera_bag, picture, write_bag

NODE = '/semantic_fast_sam'
COUNT = 30
INDEX = {picture(i).tobytes(): i for i in range(COUNT)}


class Drive(Brightness):
    """The road, a car that drives to the right, and a person from the tenth image on."""

    vocabulary = from_names(['road', 'car', 'person'])

    def __call__(self, image: np.ndarray) -> SegmentationResult:
        """Label an image."""
        step, result = INDEX[image.tobytes()], super().__call__(image)
        boxes = [[0, 20, 48, 36], [step, 2, step + 12, 18], [8, 4, 16.3, 16]]
        count = 2 if step < 10 else 3
        return replace(
            result,
            instances=np.minimum(result.instances, count).astype(np.uint16),
            mask_ids=np.arange(1, count + 1, dtype=np.uint16),
            boxes=np.array(boxes[:count], np.float32),
            mask_scores=np.ones(count, np.float32),
            class_ids=np.array([[1], [2], [3]])[:count],
            class_scores=np.array([[0.9], [0.8], [0.7]], np.float32)[:count],
        )


def ids_in(folder: Path, topic: str = f'{NODE}/detections') -> list[list[int]]:
    """Return the ids of each image's detections."""
    with AnyReader([folder]) as reader:
        found = [(c, d) for c, _, d in reader.messages() if c.topic == topic]
        messages = [reader.deserialize(data, c.msgtype) for c, data in found]
    return [[int(d.id) for d in message.detections] for message in messages]


def tracked(folder: Path, **values: object):
    return settings(folder, tracking='bytetrack', **values)


def test_things_have_one_id_through_a_recording(tmp_path: Path) -> None:
    bag = camera_bag(tmp_path / 'bag', COUNT)
    label(bag, tmp_path / 'out', config=tracked(tmp_path), pipeline=Drive())
    found = ids_in(tmp_path / 'out')
    assert len(found) == COUNT
    assert found[0][1] > LAST_TRACK, 'seen once'
    assert {ids[1] for ids in found[1:]} == {1}
    assert [ids[2] for ids in found[11:]] == [2] * (COUNT - 11)
    assert all(ids[0] > LAST_TRACK for ids in found), 'the road'


def test_without_the_setting_ids_mean_one_image(tmp_path: Path) -> None:
    label(camera_bag(tmp_path / 'bag', 3), tmp_path / 'out', pipeline=Drive())
    assert ids_in(tmp_path / 'out') == [[1, 2]] * 3


def test_cameras_do_not_mix_and_time_is_that_of_the_stamps(tmp_path: Path) -> None:
    late = [(topic, time, message) for topic, time, message in camera(COUNT, '/rear/image_raw')]
    for index, (_, _, message) in enumerate(late):  # ten seconds lie between its images
        message.header.stamp.sec = START_NS // 10**9 + 10 * index
    bag = write_bag(
        tmp_path / 'bag', sorted([*camera(COUNT, '/front/image_raw'), *late], key=lambda m: m[1])
    )
    label(bag, tmp_path / 'out', config=tracked(tmp_path), pipeline=Drive())
    front = [ids[1] for ids in ids_in(tmp_path / 'out', f'/front/image_raw{NODE}/detections')]
    rear = [ids[1] for ids in ids_in(tmp_path / 'out', f'/rear/image_raw{NODE}/detections')]
    assert set(front[1:]) == {1}
    assert len(rear) == COUNT and min(rear) > LAST_TRACK


@pytest.mark.parametrize('end', [1, 7, 11, 20])
def test_a_resumed_run_writes_the_bytes_of_a_whole_one(tmp_path: Path, end: int) -> None:
    bag, stop = camera_bag(tmp_path / 'bag', COUNT), threading.Event()

    def hear(count: int) -> None:
        if count == end:
            stop.set()

    config = tracked(tmp_path)
    label(bag, tmp_path / 'whole' / 'out', config=config, pipeline=Drive())
    first = label(bag, tmp_path / 'out', config=config, pipeline=Drive(hear), stop=stop)
    assert first.interrupted and first.statistics.frame_count < COUNT
    label(bag, tmp_path / 'out', config=config, pipeline=Drive(), resume=True)
    assert ids_in(tmp_path / 'out') == ids_in(tmp_path / 'whole' / 'out')


@pytest.mark.parametrize(
    ('outputs', 'size'), [(('label_image',), 'input'), (('detections', 'label_image'), '24x18')]
)
def test_a_run_whose_boxes_were_not_written_as_they_were_cannot_be_resumed(
    tmp_path: Path, outputs: tuple[str, ...], size: str
) -> None:
    bag, stop = camera_bag(tmp_path / 'bag', COUNT), threading.Event()
    config, job = tracked(tmp_path, output__size=size), Job(outputs=outputs)
    label(bag, tmp_path / 'out', job, config, Drive(lambda count: stop.set()), stop)
    with pytest.raises(ConfigError, match='`detections` among --outputs'):
        label(bag, tmp_path / 'out', job, config, Drive(), resume=True)


def test_a_cluster_refuses_to_track(tmp_path: Path) -> None:
    bag = camera_bag(tmp_path / 'bag', 2)
    with pytest.raises(ConfigError, match='tracking follows a camera'):
        label_on_cluster(
            [(bag, tmp_path / 'out')],
            tracked(tmp_path),
            Job(),
            Pool(),
            threading.Event(),
            progress=False,
        )
