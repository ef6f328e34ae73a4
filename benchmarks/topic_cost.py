"""Say what each topic of objects, boxes in space and queries costs an image.

    OMP_NUM_THREADS=1 python benchmarks/topic_cost.py

CPU time of one thread, the median of rounds in which all parts take turns, with the models that
ship on ultralytics' street photo at 640 x 480 with depth of that size: what other processes do
counts little. A topic's row goes from the labelled image to the bytes that the middleware sends,
and says how many those are.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from ultralytics.utils import ASSETS

from semantic_fast_sam_ros.benchmarking import clock
from semantic_fast_sam_ros.core.images.calibration import Calibration
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.objects.box_messages import detections_3d, marker_array
from semantic_fast_sam_ros.core.objects.boxes_3d import boxes_3d
from semantic_fast_sam_ros.core.objects.memory import ObjectMemory
from semantic_fast_sam_ros.core.objects.queries import QueryEncoder
from semantic_fast_sam_ros.core.objects.track_ids import TrackIds
from semantic_fast_sam_ros.core.objects.tracks import ObjectTracker
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import TEMPLATES
from semantic_fast_sam_ros.core.outputs import frame_outputs
from semantic_fast_sam_ros.core.outputs.depth import of_cloud, of_image
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.core.settings.objects import ObjectSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary
from semantic_fast_sam_ros.ros.conversions import array_to_image, new, to_message

TEXT = 'automobile | van, house, dog'
HEIGHT, WIDTH = 480, 640
FOCAL, CX, CY = 525.0, 319.5, 239.5
CALIBRATION = Calibration(WIDTH, HEIGHT, k=(FOCAL, 0, CX, 0, FOCAL, CY, 0, 0, 1))
IMAGE_NS = round(1e9 / 30)


def slope() -> NDArray[np.float32]:
    """Return depth that comes nearer downwards, with noise and holes, metres."""
    random = np.random.default_rng(0)
    metres = np.linspace(8, 2, HEIGHT, dtype=np.float32)[:, None] * np.ones(WIDTH, np.float32)
    metres *= 1 + 0.005 * random.normal(size=metres.shape).astype(np.float32)
    metres[random.random(metres.shape) < 0.1] = np.nan
    return metres


def cloud_of(metres: NDArray[np.float32]) -> PointCloud2:
    """Return depth as an organised cloud."""
    v, u = np.indices(metres.shape, np.float32)
    points = np.stack([(u - CX) / FOCAL * metres, (v - CY) / FOCAL * metres, metres], 2)
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate('xyz')
    ]
    message = PointCloud2(height=HEIGHT, width=WIDTH, fields=fields, point_step=12)
    message.row_step, message.data = 12 * WIDTH, points.astype(np.float32).tobytes()
    return message


def parts() -> tuple[dict[str, Callable[[], Any]], str]:
    """Return what is timed, by name, and what of."""
    photo = read_image(ASSETS / 'bus.jpg')
    image = np.asarray(cv2.resize(photo, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
    pipeline = SemanticFastSam.from_profile('embedded_open', device='cpu', offline=True)
    assert pipeline.encoder is not None
    model, config = pipeline.encoder.model, pipeline.config
    plain = pipeline(image, features=True)
    assert plain.features is not None
    # Every mask is one of things, so that as much as possible is tracked and has a box.
    words = Vocabulary(tuple(replace(c, thing=True) for c in plain.vocabulary.classes))
    plain = replace(plain, vocabulary=words)
    tracker = ObjectTracker(TrackIds(), 2.0)
    stamps = iter(range(0, 10**18, IMAGE_NS))
    for _ in range(3):
        result = tracker.update(plain, next(stamps))
    encoder = QueryEncoder(model, TEMPLATES[config.clip.templates])
    negatives = {'query.negatives': config.query.negatives}
    query = encoder.encode(TEXT, pipeline.vocabulary, negatives, model.scale)
    assert query is not None and result.features is not None
    found = Found(query.names, query.scores(result.features), config.query.threshold)
    memory, header = ObjectMemory(60.0), Header(frame_id='camera')
    metres = slope()
    depth, cloud = array_to_image(metres, '32FC1', header), cloud_of(metres)
    view = of_image(depth, CALIBRATION, '', HEIGHT * WIDTH)

    def sent(topic: str) -> Callable[[], bytes]:
        def build() -> bytes:
            outputs = OutputSettings()
            contents = frame_outputs.frame_contents(image, result, outputs, {topic}, found=found)
            ((_, content),) = contents
            return bytes(serialize_message(to_message(content, header)))

        return build

    def boxed(build: Callable[..., Any], asked: Found | None = None) -> Callable[[], bytes]:
        def boxes() -> bytes:
            settings = ObjectSettings()
            inside = boxes_3d(result, view.metres, view.intrinsics, settings, None, asked)
            return bytes(serialize_message(build(new, inside, header)))

        return boxes

    def out_of_sight() -> bytes:
        remembered = memory.out_of_sight(query, config.query.threshold, 2)
        return bytes(serialize_message(to_message(remembered, header)))

    timed: dict[str, Callable[[], Any]] = {
        'tracking': lambda: tracker.update(plain, next(stamps)),
        'a depth image in': lambda: of_image(depth, CALIBRATION, '', HEIGHT * WIDTH),
        'an organised cloud in its place': lambda: of_cloud(cloud, HEIGHT * WIDTH),
        "a query's scores": lambda: query.scores(result.features),
        'the memory': lambda: memory.see(result, 1),
        '~/detections': sent('detections'),
        '~/instances': sent('instances'),
        '~/detections_3d': boxed(detections_3d),
        '~/objects/markers': boxed(marker_array),
        '~/features': sent(frame_outputs.FEATURES),
        '~/query/detections': sent(frame_outputs.FOUND),
        '~/query/detections_3d': boxed(detections_3d, found),
        '~/query/heat': sent(frame_outputs.HEAT),
        '~/query/remembered': out_of_sight,
    }
    boxes = boxes_3d(result, view.metres, view.intrinsics, ObjectSettings())
    about = (
        f'{len(result.mask_ids)} masks of {result.features.shape[1]} dimensions, '
        f'{int(np.sum(result.tracked))} tracked, {len(boxes.boxes)} boxes, '
        f'{len(found.ranked())} answers to {TEXT!r}'
    )
    return timed, about


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=100)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    timed, about = parts()
    print(f'{about}\n\n| part | ms an image | bytes |\n|---|---|---|')
    spent = clock.by_turns(timed, rounds, warm_up=3, now=time.thread_time)
    for name, action in timed.items():
        answer = action()
        size = f'{len(answer):,}' if isinstance(answer, bytes) else ''
        print(f'| {name} | {clock.median(spent[name]):.2f} | {size} |')


if __name__ == '__main__':
    main()
