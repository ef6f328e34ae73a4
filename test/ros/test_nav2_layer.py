"""Nav2's semantic_segmentation_layer, played byte by byte on what the node publishes.

The layer (kiwicampus/semantic_segmentation_layer) reads `data[v * width + u]` of mask and
confidence, never the encoding; takes costs by class name from its parameters and ids from the
label info; and drops images whose size is not the cloud's.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from harness import header, until
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.settings import vocabulary as vocabularies
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.core.settings.node import OutputSettings
from semantic_fast_sam_ros.ros.outputs import Outputs

ROOT = Path(__file__).resolve().parents[2]
CLOUD_HEIGHT, CLOUD_WIDTH = 4, 6  # of the organised cloud
CAMVID = vocabulary_files.resolve('camvid')
# As the layer subscribes: nav2::qos::SensorDataQoS(50) and LatchedSubscriptionQoS(5).
SENSOR = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ROAD, SIDEWALK, CAR = (CAMVID.find(name).id for name in ('road', 'sidewalk', 'car'))


def _parameters() -> dict[str, Any]:
    content = yaml.safe_load((ROOT / 'config' / 'nav2' / 'semantic_layer.yaml').read_text())
    tree = content['local_costmap']['local_costmap']['ros__parameters']
    return tree['semantic_segmentation_layer']['camera']


@dataclass
class Layer:
    """What the layer keeps of one observation source."""

    peer: Any
    masks: list[Image] = field(default_factory=list)
    confidences: list[Image] = field(default_factory=list)
    infos: list[LabelInfo] = field(default_factory=list)

    def __post_init__(self) -> None:
        camera = _parameters()
        topics = {'segmentation': Image, 'confidence': Image, 'labels': LabelInfo}
        places = {'segmentation': self.masks, 'confidence': self.confidences, 'labels': self.infos}
        for name, kind in topics.items():
            profile = LATCHED if kind is LabelInfo else SENSOR
            topic = camera[f'{name}_topic']
            self.peer.node.create_subscription(kind, topic, places[name].append, profile)
        kinds = {kind: camera[kind] for kind in camera['class_types']}
        self.cost_of_name = {n: k['max_cost'] for k in kinds.values() for n in k['classes']}

    def costs(self) -> dict[int, int]:
        """Return the cost of each id; every name must be among the layer's parameters."""
        info = self.infos[-1]
        unknown = [c.class_name for c in info.class_map if c.class_name not in self.cost_of_name]
        assert not unknown, f'the layer would ignore {unknown}'
        return {c.class_id: self.cost_of_name[c.class_name] for c in info.class_map}

    def observations(self) -> list[tuple[int, int, int, int]]:
        """Return (row, column, cost, confidence) of each pixel that the layer would take."""
        mask, confidence = self.masks[-1], self.confidences[-1]
        assert (mask.header.stamp, confidence.header.stamp) == (mask.header.stamp,) * 2
        assert mask.width * mask.height == CLOUD_WIDTH * CLOUD_HEIGHT, 'not the size of the cloud'
        assert len(mask.data) == len(confidence.data) == CLOUD_WIDTH * CLOUD_HEIGHT
        costs = self.costs()
        found = []
        for v in range(mask.height):
            for u in range(mask.width):
                index = v * mask.width + u
                if mask.data[index] in costs:
                    cost = costs[mask.data[index]]
                    found.append((v, u, cost, confidence.data[index]))
        return found


@pytest.fixture(name='node')
def _node(peer):
    node = LifecycleNode('semantic_fast_sam', context=peer.context)
    yield node
    node.destroy_node()


@pytest.fixture(name='outputs')
def _outputs(node):
    outputs = Outputs(node, OutputSettings())
    yield outputs
    outputs.destroy()


def _result(vocabulary=CAMVID, scale: int = 2) -> SegmentationResult:
    """Return road below, car at the right, unlabelled at the top left; `scale` pixels a cell."""
    cells = np.full((CLOUD_HEIGHT, CLOUD_WIDTH), ROAD, np.uint8)
    cells[:2, :2] = 0
    cells[:, 5] = CAR
    labels = cells.repeat(scale, 0).repeat(scale, 1)
    confidence = np.where(labels > 0, 200, 0).astype(np.uint8)
    return SegmentationResult(
        label_map=labels,
        confidence=confidence,
        instances=np.zeros(labels.shape, np.uint16),
        mask_ids=np.zeros(0, np.uint16),
        boxes=np.zeros((0, 4), np.float32),
        mask_scores=np.zeros(0, np.float32),
        class_ids=np.zeros((0, 1), np.int64),
        class_scores=np.zeros((0, 1), np.float32),
        vocabulary=vocabulary,
    )


def _publish(
    outputs: Outputs, number: int, result: SegmentationResult, told: bool = False
) -> None:
    """Publish at the size of the cloud, given by the setting or told by a CameraInfo."""
    image = np.zeros((*result.label_map.shape, 3), np.uint8)
    setting = 'camera_info' if told else f'{CLOUD_WIDTH}x{CLOUD_HEIGHT}'
    size = (CLOUD_HEIGHT, CLOUD_WIDTH) if told else None
    outputs.publish(image, result, OutputSettings(size=setting), header(number), size)


def _wait_connected(outputs: Outputs, layer: Layer) -> None:
    images = [
        p for p in outputs.publishers if p.topic_name.endswith(('label_image', 'confidence'))
    ]
    assert len(images) == 2
    until(lambda: all(p.get_subscription_count() for p in images), 'the layer is connected')


def _wait_frame(
    outputs: Outputs, layer: Layer, result: SegmentationResult, told: bool = False
) -> None:
    """Publish until a mask and its confidence came; best effort may lose the first."""
    numbers = iter(range(1, 1000))

    def came() -> bool:
        _publish(outputs, next(numbers), result, told)
        stamps = {m.header.stamp.nanosec for m in layer.masks}
        return bool(stamps & {c.header.stamp.nanosec for c in layer.confidences})

    until(came, 'mask and confidence of one frame')


@pytest.mark.parametrize('scale', [1, 2, 5])
@pytest.mark.parametrize('told', [False, True], ids=['WIDTHxHEIGHT', 'camera_info'])
def test_the_layer_takes_costs_and_confidence_from_the_bytes(peer, outputs, scale, told):
    layer = Layer(peer)
    _wait_connected(outputs, layer)
    _wait_frame(outputs, layer, _result(scale=scale), told)
    until(lambda: layer.infos, 'label info')
    seen = layer.observations()
    assert len(seen) == CLOUD_HEIGHT * CLOUD_WIDTH - 4, 'unlabelled pixels are not observed'
    assert {(cost, conf) for _, u, cost, conf in seen if u == 5} == {(254, 200)}
    assert {(cost, conf) for _, u, cost, conf in seen if u < 5} == {(0, 200)}
    assert not any(v < 2 and u < 2 for v, u, _, _ in seen)


def test_mask_and_confidence_carry_the_stamp_of_the_image(peer, outputs):
    """The layer pairs them with a cloud at most 100 ms apart, by the camera's clock."""
    layer = Layer(peer)
    _wait_connected(outputs, layer)
    sent = header(7)
    image = np.zeros((8, 12, 3), np.uint8)

    def came() -> bool:
        outputs.publish(image, _result(), OutputSettings(), sent)
        return bool(layer.masks and layer.confidences)

    until(came, 'mask and confidence')
    assert all(m.header == sent for m in (*layer.masks, *layer.confidences))


def test_unlabelled_pixels_have_no_confidence(peer, outputs):
    layer = Layer(peer)
    _wait_connected(outputs, layer)
    _wait_frame(outputs, layer, _result())
    bytes_of = zip(layer.masks[-1].data, layer.confidences[-1].data, strict=True)
    assert all((label == 0) == (confidence == 0) for label, confidence in bytes_of)


def test_a_layer_that_joins_late_still_learns_the_names(peer, outputs):
    outputs.announce(CAMVID, header(1))
    for number in range(2, 5):
        _publish(outputs, number, _result())
    late = Layer(peer)
    until(lambda: late.infos, 'label info from before the layer was there')
    assert late.costs()[ROAD] == 0
    assert late.costs()[SIDEWALK] == 150
    assert late.costs()[CAR] == 254


def test_an_id_keeps_its_name_when_the_names_change(peer, outputs):
    history = vocabularies.VocabularyHistory()
    history.admit(CAMVID)
    changed = history.admit(vocabulary_files.parse_list('fence, road, car, pedestrian'))
    layer = Layer(peer)
    outputs.announce(CAMVID, header(1))
    until(lambda: layer.infos, 'the first names')
    outputs.announce(changed, header(2))
    until(lambda: len(layer.infos) > 1, 'the new names')
    first = {c.class_id: c.class_name for c in layer.infos[0].class_map}
    second = {c.class_id: c.class_name for c in layer.infos[-1].class_map}
    assert set(second.values()) == {'fence', 'road', 'car', 'pedestrian'}
    assert all(first[class_id] == name for class_id, name in second.items())
