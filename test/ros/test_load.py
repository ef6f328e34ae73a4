"""Age, rate and counts under load, measured by a process outside of the node's."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from harness import NAME, Diagnosis, NodeProcess, Peer, photo_message, until
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header

PROCESSING_MS = 60
TOLERANCE_MS = 30  # two ways through DDS and through Python's threads
FRAMES = 12  # in a row within the bound; a queue that grows or waits never gives one
Start = Callable[..., NodeProcess]
SCRIPT = Path(__file__).with_name('slow_node.py')
pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts the node around a pipeline of known time, as a process."""
    running: list[NodeProcess] = []

    def starter(**settings: object) -> NodeProcess:
        given = [f'-p {name.replace("__", ".")}:={value}' for name, value in settings.items()]
        words = [word for setting in given for word in setting.split(' ')]
        running.append(NodeProcess(tmp_path / 'log.txt', *words, script=SCRIPT))
        running[-1].until_logged('waiting for images')
        return running[-1]

    yield starter
    for node in running:
        node.close()


class Stream:
    """A camera that stamps each image with the time at which it is sent."""

    def __init__(self, camera: Publisher, rate_hz: float) -> None:
        self.sent = 0
        self._camera, self._period_s = camera, 1 / rate_hz
        self._message = photo_message(1, 48, 64)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> 'Stream':
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            stamp = self._message.header.stamp
            stamp.sec, stamp.nanosec = divmod(time.time_ns(), 10**9)
            self._camera.publish(self._message)
            self.sent += 1
            due += self._period_s


class Ages:
    """How old label images are when they come."""

    def __init__(self, peer: Peer) -> None:
        self.ms: list[float] = []
        peer.node.create_subscription(Image, f'{NAME}/label_image', self._receive, 5)

    def _receive(self, message: Image) -> None:
        stamp = message.header.stamp
        self.ms.append(time.time_ns() / 1e6 - stamp.sec * 1e3 - stamp.nanosec / 1e6)

    def within(self, bound_ms: float) -> bool:
        """Return whether the last so many images all were young enough."""
        return len(self.ms) >= FRAMES and max(self.ms[-FRAMES:]) <= bound_ms


def counted(diagnosis: Diagnosis, key: str) -> int:
    """Return a count from the node's diagnostics."""
    return int(diagnosis.value(f'frames_{key}') or 0)


def change_settings(peer: Peer) -> bool:
    """Set a live parameter to and fro; return True."""
    for confidence in (0.1, 0.2):
        assert peer.set('masks.confidence', confidence).successful
    return True


def test_age_stays_below_one_processing_time_and_one_camera_period(
    start: Start, peer: Peer, diagnosis: Diagnosis
) -> None:
    start(clip__batch=PROCESSING_MS, masks__image_size=448)
    ages, camera = Ages(peer), peer.camera()
    sent = 0
    until(camera.get_subscription_count, 'the node subscribes')
    for rate_hz in (30, 60, 120):
        bound_ms = PROCESSING_MS + 1000 / rate_hz + TOLERANCE_MS
        with Stream(camera, rate_hz) as stream:
            until(partial(ages.within, bound_ms), f'{rate_hz} Hz: images of <= {bound_ms:.0f} ms')
            ages.ms.clear()
            until(
                lambda: change_settings(peer) and ages.within(bound_ms),  # noqa: B023
                f'{rate_hz} Hz and changing parameters: images of <= {bound_ms:.0f} ms',
            )
            ages.ms.clear()
        sent += stream.sent

    def accounted() -> bool:
        ends = [counted(diagnosis, key) for key in ('processed', 'dropped', 'refused', 'failed')]
        return 0 < counted(diagnosis, 'received') == sum(ends)

    until(accounted, 'every image has come to an end')
    assert counted(diagnosis, 'received') <= sent
    reasons = ('replaced', 'stopped', 'old', 'idle', 'skipped')
    parts = [counted(diagnosis, f'dropped_{reason}') for reason in reasons]
    assert sum(parts) == counted(diagnosis, 'dropped') > 0
    assert counted(diagnosis, 'failed') == counted(diagnosis, 'refused') == 0


def test_slow_node_degrades_tells_the_step_and_recovers(
    start: Start, peer: Peer, diagnosis: Diagnosis
) -> None:
    start(clip__batch=150, masks__image_size=448, target_rate_hz=10.0)
    confidence = peer.collect(Image, f'{NAME}/confidence')
    with Stream(peer.camera(), 30):
        diagnosis.until_message('degraded to hold 10 Hz, step 3 of 4', 'masks.image_size 224')
        assert diagnosis.value('degradation_step') == '3'
        until(lambda: confidence[-1].data[0] == 50, 'images at half the size')
        assert peer.get('masks.image_size') == 448
        assert peer.set('clip.batch', 20).successful
        until(lambda: diagnosis.value('degradation_step') == '0', 'recovered')
        until(lambda: confidence[-1].data[0] == 100, "images at the user's size")
        assert peer.set('clip.batch', 1000).successful
        diagnosis.until_message('target_rate_hz 10 is not held', 'labels from one image in 2')
        assert peer.set('target_rate_hz', 0.0).successful
        until(lambda: diagnosis.value('degradation_step') == '0', "back to the user's settings")


def test_simulated_time_that_stops_and_jumps_back_stalls_nothing(
    start: Start, peer: Peer, diagnosis: Diagnosis
) -> None:
    start(clip__batch=1, use_sim_time='true', max_age_ms=500.0)
    clock = peer.node.create_publisher(Clock, '/clock', 10)
    camera = peer.camera()
    labels = peer.collect(Image, f'{NAME}/label_image')

    def set_clock(seconds: int) -> None:
        message = Clock()
        message.clock.sec = seconds

        def taken() -> bool:
            clock.publish(message)
            return bool(diagnosis.stamp) and diagnosis.stamp.sec == seconds

        until(taken, f'the node at {seconds} s')

    def image(seconds: int, number: int) -> Image:
        message = photo_message(1, 48, 64)
        message.header = Header(frame_id=str(number))
        message.header.stamp.sec = seconds
        return message

    def labelled(seconds: int, number: int) -> bool:
        return peer.feed(
            camera,
            image(seconds, number),
            lambda: any(m.header.frame_id == str(number) for m in labels),
        )

    set_clock(100)
    for number in range(3):  # paused: clock and stamps stand still
        assert labelled(100, number)
    old = counted(diagnosis, 'dropped_old')
    peer.feed(camera, image(99, 10), lambda: counted(diagnosis, 'dropped_old') > old)
    diagnosis.until_message('images are dropped, the last one 1.000 s old', 'use_sim_time')
    assert not any(m.header.frame_id == '10' for m in labels)
    set_clock(7)  # played back from the start again
    assert labelled(7, 20)
    assert labelled(100, 21)  # still on its way when the clock jumped
    until(lambda: 'images are dropped' not in diagnosis.status.message, 'the warning is gone')


def test_node_rests_until_somebody_subscribes(
    start: Start, peer: Peer, diagnosis: Diagnosis
) -> None:
    start(clip__batch=1, rest_without_subscribers='true')
    camera, message = peer.camera(), photo_message(1, 48, 64)
    peer.feed(camera, message, lambda: counted(diagnosis, 'dropped_idle') > 2)
    assert counted(diagnosis, 'processed') == 0
    labels = peer.collect(Image, f'{NAME}/label_image')
    peer.feed(camera, message, lambda: labels)
    assert peer.set('rest_without_subscribers', False).successful
