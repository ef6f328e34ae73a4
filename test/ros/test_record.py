"""record: what a node publishes, in a recording that others read."""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pytest
import yaml
from harness import BEST_EFFORT, LATCHED, NAME, until
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo, VisionClass

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.ros.conversions import array_to_image
from semantic_fast_sam_ros.tools import record

COUNT = 20
ALL_RELIABLE = QoSProfile(depth=COUNT)


def _start(*words: str) -> 'subprocess.Popen[str]':
    command = [sys.executable, '-m', 'semantic_fast_sam_ros', 'record', *words]
    return subprocess.Popen(
        command, cwd=harness.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _labels(number: int) -> Image:
    pixels = np.full((4, 6), number, np.uint8)
    return array_to_image(pixels, 'mono8', harness.header(number))


def _end(process: 'subprocess.Popen[str]') -> tuple[int, str]:
    """Interrupt twice, as the terminal and launch together do."""
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=harness.TIMEOUT_S)
    return process.returncode, out + err


@pytest.mark.timeout(300)
@pytest.mark.parametrize('offered', [ALL_RELIABLE, BEST_EFFORT], ids=['reliable', 'best effort'])
def test_names_and_labels_are_recorded_whatever_the_publisher_offers(
    tmp_path: Path, peer: harness.Peer, offered: Any
) -> None:
    names = peer.node.create_publisher(LabelInfo, f'{NAME}/label_info', LATCHED)
    names.publish(LabelInfo(class_map=[VisionClass(class_id=1, class_name='road')]))
    labels = peer.node.create_publisher(Image, f'{NAME}/label_image', offered)
    process = _start(str(tmp_path / 'out'))
    try:
        until(lambda: labels.get_subscription_count() and names.get_subscription_count(), 'both')
        for number in range(1, COUNT + 1):
            labels.publish(_labels(number))
            time.sleep(0.02)  # as a camera does
    finally:
        code, said = _end(process)
    assert code == 0, said
    found: dict[str, list[Any]] = {}
    with AnyReader([tmp_path / 'out']) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append(message)
    assert [c.class_name for c in found[f'{NAME}/label_info'][0].class_map] == ['road']
    numbers = [message.header.stamp.nanosec for message in found[f'{NAME}/label_image']]
    assert numbers and numbers == sorted(set(numbers))
    if offered is ALL_RELIABLE:
        assert numbers == list(range(1, COUNT + 1)), 'nothing is lost'
    assert f'{sum(map(len, found.values()))} messages' in said


def test_shipped_qos_names_every_output_once() -> None:
    found = record.read_overrides(resource_folder('config') / record.SHIPPED_QOS)
    assert set(found) == {f'{NAME}/{name}' for name in record.TOPICS}
    latched = [name for name, qos in found.items() if qos['durability'] == 'transient_local']
    assert sorted(latched) == [f'{NAME}/{name}' for name in ('features/space', 'label_info')]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('- 3', 'must map topics'),
        ('/a: {reliability: sometimes}', 'reliability of /a must be one of reliable'),
        ('/a: {durability: 3}', 'durability of /a must be one of volatile'),
        ('/a: {depth: 0}', 'depth of /a must be a positive number, not 0'),
        ('/a: [', 'is not YAML'),
    ],
)
def test_malformed_qos_is_told(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / 'qos.yaml'
    file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        record.read_overrides(file)
    with pytest.raises(ConfigError, match='cannot read'):
        record.read_overrides(tmp_path / 'none.yaml')


def test_an_output_that_exists_or_is_unknown_is_refused(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    record.add_arguments(parser)
    with pytest.raises(ConfigError, match='exists'):
        record.run(parser.parse_args([str(tmp_path)]))
    with pytest.raises(ConfigError, match="unknown output 'depth'"):
        record.run(parser.parse_args([str(tmp_path / 'new'), '--outputs', 'depth']))
    assert yaml.safe_load((resource_folder('config') / record.SHIPPED_QOS).read_text())


@pytest.mark.timeout(300)
def test_a_recording_of_nothing_is_no_success(tmp_path: Path) -> None:
    process = _start(str(tmp_path / 'out'), '--node', '/nobody', '--seconds', '0.1')
    _, told = process.communicate(timeout=harness.TIMEOUT_S)
    assert process.returncode == 1
    assert 'nothing was recorded: nobody publishes /nobody/label_info' in told
    assert 'is the node active (--node)?' in told
