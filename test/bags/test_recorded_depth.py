"""Boxes in space of recordings: each image with the depth nearest in time, the same again."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semantic_fast_sam_ros.bags.cluster import label_on_cluster
from semantic_fast_sam_ros.bags.cluster_plan import Pool
from semantic_fast_sam_ros.bags.job import DEFAULT_OUTPUTS, OF_DEPTH, Job
from semantic_fast_sam_ros.bags.messages import camera_message
from semantic_fast_sam_ros.bags.reader import BagReader, all_topics
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

from .fakes import Brightness, label, settings
from .recordings import PERIOD_NS, SIZE, START_NS, TYPES, camera, header, image_message, write_bag

NODE = '/semantic_fast_sam'
DEPTH, INFO, CLOUD = '/depth/image_rect', '/depth/camera_info', '/depth/points'
FX, FY, CX, CY = 40.0, 40.0, 23.5, 17.5
COUNT = 8
JOB = Job(outputs=(*DEFAULT_OUTPUTS, *OF_DEPTH), depth=(DEPTH,))
LATE_NS = 30_000_000  # that depth is recorded after its image


class Things(Brightness):
    """Two things, the halves of the image."""

    vocabulary = from_names(['car', 'person', 'truck'])


def distance(index: int) -> float:
    """Return how far the wall is away that an image sees."""
    return 2.0 + 0.25 * index


def depth_image(index: int, metres: float | None = None, encoding: str = '32FC1') -> Any:
    """Return a wall, taken with the image of that number."""
    wall = np.full(SIZE, distance(index) if metres is None else metres, np.float32)
    pixels = (1000 * wall).astype(np.uint16) if encoding == '16UC1' else wall
    taken = START_NS + index * PERIOD_NS
    data = pixels.reshape(-1).view(np.uint8)
    step = pixels.itemsize * SIZE[1]
    return TYPES['sensor_msgs/msg/Image'](header(taken), *SIZE, encoding, 0, step, data)


def info(size: tuple[int, int] = SIZE) -> Any:
    """Return the calibration of depth images."""
    region = TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    k = np.array([FX, 0, CX, 0, FY, CY, 0, 0, 1.0])
    return TYPES['sensor_msgs/msg/CameraInfo'](
        header(START_NS), *size, '', np.zeros(0), k, np.eye(3).ravel(), np.zeros(12), 0, 0, region
    )


def cloud(index: int) -> Any:
    """Return the same wall as an organised cloud."""
    z = np.full(SIZE, distance(index), np.float32)
    v, u = np.indices(SIZE)
    points = np.stack([(u - CX) / FX * z, (v - CY) / FY * z, z], 2).astype(np.float32)
    field = TYPES['sensor_msgs/msg/PointField']
    fields = [field(name, 4 * i, 7, 1) for i, name in enumerate('xyz')]
    taken, data = START_NS + index * PERIOD_NS, points.reshape(-1).view(np.uint8)
    return TYPES['sensor_msgs/msg/PointCloud2'](
        header(taken), *SIZE, fields, False, 12, 12 * SIZE[1], data, False
    )


def beside(messages: list[Any], topic: str = DEPTH) -> list[Any]:
    """Return depth messages as recorded, each a little after the image of its number."""
    return [
        (topic, START_NS + i * PERIOD_NS + LATE_NS, message) for i, message in enumerate(messages)
    ]


def drive(folder: Path, depth: list[Any], *further: Any) -> Path:
    """Write a recording of one camera and of depth."""
    return write_bag(folder, sorted([*camera(COUNT), *depth, *further], key=lambda m: m[1]))


def good_drive(folder: Path) -> Path:
    depth = beside([depth_image(i) for i in range(COUNT)])
    return drive(folder, depth, (INFO, START_NS, info()))


def read(folder: Path, topic: str) -> list[Any]:
    """Return the messages of an output."""
    found = BagReader(folder).messages(lambda t: t.name == f'{NODE}/{topic}')
    return [camera_message(message) for message in found]


def raw(folder: Path) -> list[tuple[str, int, bytes]]:
    """Return all that a recording holds."""
    return [(m.topic.name, m.time_ns, m.data) for m in BagReader(folder).messages(all_topics)]


def assert_walls(found: list[Any], indices: Any = range(COUNT)) -> None:
    """Check that each image has its two boxes on its own wall."""
    assert len(found) == len(list(indices))
    for index, message in zip(indices, found, strict=True):
        taken = START_NS + index * PERIOD_NS
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == taken
        assert [d.id for d in message.detections] == ['1', '2']
        for detection in message.detections:
            assert detection.bbox.center.position.z == pytest.approx(distance(index), rel=1e-3)
            assert detection.bbox.center.orientation.w == 1
        left, right = message.detections
        assert left.bbox.center.position.x < 0 < right.bbox.center.position.x
        assert left.results[0].hypothesis.class_id == 'car'


@pytest.mark.parametrize('encoding', ['32FC1', '16UC1'])
def test_each_image_has_boxes_of_its_own_depth(tmp_path: Path, encoding: str) -> None:
    depth = beside([depth_image(i, encoding=encoding) for i in range(COUNT)])
    bag = drive(tmp_path / 'bag', depth, (INFO, START_NS, info()))
    outcome = label(bag, tmp_path / 'out', JOB, pipeline=Things())
    assert_walls(read(tmp_path / 'out', 'detections_3d'))
    assert not outcome.statistics.unboxed and not outcome.notes  # depth is not left out
    markers = read(tmp_path / 'out', 'objects/markers')
    assert [len(m.markers) for m in markers] == [5] * COUNT
    assert [m.action for m in markers[0].markers] == [3, 0, 0, 0, 0]
    assert markers[0].markers[2].text == 'car 1'


def test_an_organised_cloud_does_without_calibration(tmp_path: Path) -> None:
    bag = drive(tmp_path / 'bag', beside([cloud(i) for i in range(COUNT)], CLOUD))
    job = replace(JOB, depth=(CLOUD,))
    label(bag, tmp_path / 'out', job, pipeline=Things())
    found = read(tmp_path / 'out', 'detections_3d')
    assert_walls(found)
    good_drive(tmp_path / 'other')
    label(tmp_path / 'other', tmp_path / 'expected', JOB, pipeline=Things())
    for one, other in zip(found, read(tmp_path / 'expected', 'detections_3d'), strict=True):
        for a, b in zip(one.detections, other.detections, strict=True):
            assert a.bbox.size.x == pytest.approx(b.bbox.size.x, abs=1e-4)


@pytest.mark.parametrize('lag_ns', [-400_000_000, 0, 600_000_000])
def test_stamps_count_and_not_when_depth_was_recorded(tmp_path: Path, lag_ns: int) -> None:
    depth = [
        (topic, max(START_NS, time + lag_ns) + i, message)
        for i, (topic, time, message) in enumerate(beside([depth_image(i) for i in range(COUNT)]))
    ]
    bag = drive(tmp_path / 'bag', depth, (INFO, START_NS, info()))
    label(bag, tmp_path / 'out', JOB, pipeline=Things())
    assert_walls(read(tmp_path / 'out', 'detections_3d'))


def test_copied_topics_stay_in_order_and_change_nothing(tmp_path: Path) -> None:
    bag = good_drive(tmp_path / 'bag')
    label(bag, tmp_path / 'plain', JOB, pipeline=Things())
    label(bag, tmp_path / 'out', replace(JOB, copy=('*',)), pipeline=Things())
    found = raw(tmp_path / 'out')
    assert [entry for entry in found if entry[0].startswith(NODE)] == raw(tmp_path / 'plain')
    assert {DEPTH, INFO, '/camera/image_raw'} <= {name for name, _, _ in found}
    assert [time for _, time, _ in found] == sorted(time for _, time, _ in found)


@pytest.mark.parametrize('end', [1, 4, 6])
def test_a_resumed_run_writes_the_bytes_of_a_whole_one(tmp_path: Path, end: int) -> None:
    bag, stop = good_drive(tmp_path / 'bag'), threading.Event()

    def hear(count: int) -> None:
        if count == end:
            stop.set()

    label(bag, tmp_path / 'whole' / 'out', JOB, settings(tmp_path), Things())
    first = label(bag, tmp_path / 'out', JOB, settings(tmp_path), Things(hear), stop)
    assert first.interrupted and first.statistics.frame_count < COUNT
    label(bag, tmp_path / 'out', JOB, settings(tmp_path), Things(), resume=True)
    assert raw(tmp_path / 'out') == raw(tmp_path / 'whole' / 'out')


def test_a_part_of_a_recording_finds_depth_across_its_ends(tmp_path: Path) -> None:
    bag = good_drive(tmp_path / 'bag')
    job = replace(JOB, start_s=2.5 * PERIOD_NS / 1e9, duration_s=2.0 * PERIOD_NS / 1e9)
    label(bag, tmp_path / 'out', job, pipeline=Things())
    assert_walls(read(tmp_path / 'out', 'detections_3d'), range(3, 5))
    label(bag, tmp_path / 'every', replace(JOB, every=3), pipeline=Things())
    assert_walls(read(tmp_path / 'every', 'detections_3d'), range(0, COUNT, 3))


def test_each_camera_has_its_depth(tmp_path: Path) -> None:
    near = beside([depth_image(i, 1.0) for i in range(COUNT)], '/rear/depth')
    far = beside([depth_image(i) for i in range(COUNT)], '/front/depth')
    images = [*camera(COUNT, '/front/image_raw'), *camera(COUNT, '/rear/image_raw')]
    infos = [('/front/camera_info', START_NS, info()), ('/rear/camera_info', START_NS, info())]
    bag = write_bag(tmp_path / 'bag', sorted([*images, *near, *far, *infos], key=lambda m: m[1]))
    job = replace(JOB, depth=('/front/depth', 'rear/depth'))
    label(bag, tmp_path / 'out', job, pipeline=Things())
    for name, expected in (('front', distance(0)), ('rear', 1.0)):
        topic = f'/{name}/image_raw{NODE}/detections_3d'
        (first, *_) = BagReader(tmp_path / 'out').messages(lambda t, name=topic: t.name == name)
        place = camera_message(first).detections[0].bbox.center.position
        assert place.z == pytest.approx(expected, rel=1e-3)


def late(index: int) -> Any:
    message = depth_image(index)
    message.header.stamp.nanosec += 80_000_000 - 10**9 * (message.header.stamp.nanosec > 9e8)
    return message


@pytest.mark.parametrize(
    ('depth', 'told', 'words'),
    [
        ([late(0)], info(), 'nearest depth image is +80 ms from the image: cloud.tolerance_ms'),
        ([], info(), f'no depth on {DEPTH} within a second'),
        ([depth_image(0, encoding='mono8')], info(), "cannot be 'mono8'"),
        ([depth_image(0)], info((36, 24)), 'describes images of 24x36'),
        ([image_message(np.zeros((36, 36, 3), np.uint8), START_NS)], info((36, 36)), "'rgb8'"),
    ],
    ids=['late', 'missing', 'encoding', 'calibration', 'picture'],
)
def test_images_whose_depth_does_not_do_are_counted_and_labelled(
    tmp_path: Path, depth: list[Any], told: Any, words: str
) -> None:
    later = [depth_image(i) for i in range(1, COUNT)]
    messages = [*beside(depth), *((t, n + PERIOD_NS, m) for t, n, m in beside(later))]
    if not depth:  # the recorder missed the first second
        messages = [(t, n, m) for t, n, m in messages if n > START_NS + 10 * PERIOD_NS]
    far = (DEPTH, START_NS + 100 * PERIOD_NS, depth_image(100))
    bag = drive(tmp_path / 'bag', messages, (INFO, START_NS, told), far)
    outcome = label(bag, tmp_path / 'out', replace(JOB, topics=('/camera/image_raw',)))
    assert outcome.statistics.frame_count == COUNT
    assert words in outcome.statistics.unboxed_reasons['/camera/image_raw']
    left_out = outcome.statistics.unboxed['/camera/image_raw']
    assert len(read(tmp_path / 'out', 'detections_3d')) == COUNT - left_out
    assert len(read(tmp_path / 'out', 'detections')) == COUNT
    assert words in (tmp_path / 'out' / 'summary.json').read_text()
    assert 'have no boxes in space' in (tmp_path / 'out' / 'summary.html').read_text()


@pytest.mark.parametrize(
    ('job', 'words'),
    [
        ({'depth': ('/nowhere',)}, rf'on /nowhere in the recording \(there: {DEPTH}\)'),
        ({'depth': (INFO,)}, 'no sensor_msgs/msg/Image or PointCloud2 on /depth/camera_info'),
        ({'depth': (DEPTH, DEPTH)}, 'one depth topic a camera'),
    ],
)
def test_depth_topics_that_cannot_be_are_refused(
    tmp_path: Path, job: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        label(good_drive(tmp_path / 'bag'), tmp_path / 'out', replace(JOB, **job))


def test_depth_without_calibration_is_refused(tmp_path: Path) -> None:
    bag = drive(tmp_path / 'bag', beside([depth_image(0)]))
    with pytest.raises(ConfigError, match=f'no sensor_msgs/msg/CameraInfo on {INFO}'):
        label(bag, tmp_path / 'out', JOB)


def test_what_cannot_be_done_with_depth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'detections_3d takes depth: .*--depth'):
        Job(outputs=('detections_3d',))
    with pytest.raises(ConfigError, match='--depth is for the outputs'):
        Job(depth=(DEPTH,))
    bag = good_drive(tmp_path / 'bag')
    with pytest.raises(ConfigError, match=r"objects.frame 'map' is for the node"):
        label(bag, tmp_path / 'out', JOB, settings(tmp_path, objects__frame='map'))
    with pytest.raises(ConfigError, match=r'nearest to each image.*one machine'):
        label_on_cluster(
            [(bag, tmp_path / 'out')], settings(tmp_path), JOB, Pool(), threading.Event()
        )
