"""Record the node's outputs into a rosbag2, on machines without `ros2 bag`."""

import argparse
import contextlib
import importlib
import queue
import threading
import time
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags.job import CHOICES, LABEL_INFO, NODE
from semantic_fast_sam_ros.bags.messages import OUTPUT_TYPES, qos_text, topic_of
from semantic_fast_sam_ros.bags.types import Message, Topic
from semantic_fast_sam_ros.bags.writer import BagWriter
from semantic_fast_sam_ros.core.errors import ConfigError
from semantic_fast_sam_ros.tools.label_bag import stop_on_signals

QUEUE_MESSAGES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument('output', type=Path, help='folder to create')
    parser.add_argument('--node', default=NODE, help=f'node to record (default: {NODE})')
    parser.add_argument(
        '--outputs', default=','.join(n for n in CHOICES if n != 'overlay'), help='by comma'
    )
    parser.add_argument('--seconds', type=float, help='how long (default: until Ctrl-C)')


def run(arguments: argparse.Namespace) -> int:
    """Record until SIGINT, SIGTERM, or the time is over."""
    import rclpy
    from rclpy.node import Node
    from rclpy.signals import SignalHandlerOptions

    if arguments.output.exists():
        raise ConfigError(f'{arguments.output} exists: choose another output')
    names = [LABEL_INFO, *(n.strip() for n in arguments.outputs.split(',') if n.strip())]
    unknown = [name for name in names if name not in OUTPUT_TYPES]
    if unknown:
        raise ConfigError(f'unknown output {unknown[0]!r} (known: {", ".join(CHOICES)})')
    received: queue.Queue[Message | None] = queue.Queue(QUEUE_MESSAGES)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node('label_recorder')
    for name in names:
        _subscribe(node, f'/{arguments.node.strip("/")}/{name}', name, received)
    writer = BagWriter(arguments.output)
    thread = threading.Thread(target=_write, args=(writer, received))
    thread.start()
    end = time.monotonic() + arguments.seconds if arguments.seconds else float('inf')
    with stop_on_signals() as stop:
        while not stop.is_set() and time.monotonic() < end and thread.is_alive():
            rclpy.spin_once(node, timeout_sec=0.1)
    received.put(None)
    thread.join()
    writer.close()
    node.destroy_node()
    rclpy.try_shutdown()
    print(f'{writer.storage.message_count} messages -> {arguments.output}')
    return 0


def _subscribe(node: Any, topic: str, name: str, received: 'queue.Queue[Message | None]') -> None:
    from rclpy.qos import DurabilityPolicy, QoSProfile

    latched = name == LABEL_INFO
    durability = 'transient_local' if latched else 'volatile'
    recorded: Topic = topic_of(topic, OUTPUT_TYPES[name], qos_text('reliable', durability, 1))
    profile = QoSProfile(depth=1 if latched else 50)
    profile.durability = DurabilityPolicy[durability.upper()]

    def receive(data: bytes) -> None:
        with contextlib.suppress(queue.Full):  # the writer has ended: its error is on the way
            received.put(Message(recorded, time.time_ns(), data), timeout=1.0)

    package, _, kind = OUTPUT_TYPES[name].split('/')
    message_type = getattr(importlib.import_module(f'{package}.msg'), kind)
    node.create_subscription(message_type, topic, receive, profile, raw=True)


def _write(writer: BagWriter, received: 'queue.Queue[Message | None]') -> None:
    number = 0
    while (message := received.get()) is not None:
        number += 1
        writer.write(message, number)
        writer.end_of_frame()
