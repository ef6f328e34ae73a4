"""Set-up, its failures, and the lifecycle as a manager drives it over services."""

import gc
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import PIL.Image
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from harness import (
    ANSWER_S,
    BEST_EFFORT,
    LATCHED,
    NAME,
    RELIABLE,
    Diagnosis,
    Peer,
    RunningNode,
    header,
    photo_message,
    street,
    until,
)
from lifecycle_msgs.msg import State, Transition
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import LabelInfo

from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.ros import node as node_module

Starter = Callable[..., RunningNode]
UNCONFIGURED, INACTIVE = State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE
ACTIVE, FINALIZED = State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_FINALIZED


@pytest.fixture
def start() -> Iterator[Starter]:
    """Give a function that starts a node; end it after the test."""
    started: list[RunningNode] = []

    def starter(*arguments: str, **settings: object) -> RunningNode:
        started.append(RunningNode(*arguments, **settings))
        return started[-1]

    yield starter
    for running in started:
        running.close()


def test_a_node_that_is_closed_leaves_the_graph_at_once(peer: Peer) -> None:
    running, name = RunningNode('-r', '__node:=leaving', autostart=False), 'leaving'
    until(lambda: name in peer.node.get_node_names(), 'the node in the graph')
    gc.disable()  # what only it takes away stays for as long as nobody runs it
    try:
        running.close()
        until(lambda: name not in peer.node.get_node_names(), 'the graph without it', ANSWER_S)
    finally:
        gc.enable()


def test_manager_walks_the_node_through_its_life(
    start: Starter, peer: Peer, diagnosis: Diagnosis
) -> None:
    running = start(autostart=False)
    camera = peer.camera()
    labels = peer.collect(Image, f'{NAME}/label_image')
    assert peer.state() == UNCONFIGURED
    assert peer.change(Transition.TRANSITION_CONFIGURE)
    assert peer.state() == INACTIVE
    assert camera.get_subscription_count() == 0
    for _ in range(2):
        assert peer.change(Transition.TRANSITION_ACTIVATE)
        labels.clear()
        peer.feed(camera, photo_message(1), lambda: labels)
        assert peer.change(Transition.TRANSITION_DEACTIVATE)
        until(lambda: camera.get_subscription_count() == 0, 'the subscription is gone')
        assert running.node._worker._thread is None
    assert peer.change(Transition.TRANSITION_CLEANUP)
    assert peer.state() == UNCONFIGURED
    assert running.pipeline is None
    until(
        lambda: not peer.node.get_publishers_info_by_topic(f'{NAME}/label_image'),
        'the publishers are gone',
    )
    assert peer.change(Transition.TRANSITION_CONFIGURE)
    assert peer.change(Transition.TRANSITION_ACTIVATE)
    labels.clear()
    peer.feed(camera, photo_message(2), lambda: labels)
    until(lambda: diagnosis.value('state') == 'active', 'state in the diagnostics')
    assert peer.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert peer.state() == FINALIZED
    assert running.pipeline is None


def test_label_info_is_there_before_any_image(start: Starter, peer: Peer) -> None:
    start()
    inbox = peer.collect(LabelInfo, f'{NAME}/label_info', LATCHED)
    until(lambda: inbox, 'label info')
    ids = [c.class_id for c in inbox[0].class_map]
    assert ids == list(range(1, 1 + len(vocabulary_files.resolve('embedded'))))


def test_missing_model_fails_configure_and_can_be_put_right(
    start: Starter,
    peer: Peer,
    diagnosis: Diagnosis,
    capfd: pytest.CaptureFixture[str],
) -> None:
    running = start(masks__model='missing.pt')
    status = diagnosis.until_message('cannot configure', 'missing.pt')
    assert status.level == DiagnosticStatus.ERROR
    assert peer.state() == UNCONFIGURED
    error = capfd.readouterr().err
    assert 'cannot configure' in error and 'missing.pt' in error
    assert not peer.change(Transition.TRANSITION_CONFIGURE)
    assert peer.set('masks.model', 'fastsam_n.pt').successful
    assert peer.change(Transition.TRANSITION_CONFIGURE)
    assert peer.change(Transition.TRANSITION_ACTIVATE)
    until(lambda: diagnosis.value('state') == 'active', 'active')
    assert 'cannot configure' not in diagnosis.status.message
    assert running.pipeline is not None


@pytest.mark.parametrize(
    ('settings', 'parts'),
    [
        ({'masks__confidence': 2.0}, ['masks.confidence', '0 ... 1']),
        ({'masks__confidense': 0.5}, ['masks.confidense', "did you mean 'masks.confidence'"]),
        ({'vocabulary': 'missing.yaml'}, ['missing.yaml']),
        ({'vocabulary': 'unicorn, dragon'}, ['unicorn', "none of the model's classes"]),
        ({'groups': '{drivable: [roud]}'}, ['roud', "did you mean 'road'"]),
        ({'groups': '{drivable: ['}, ['groups', 'not valid YAML']),
        ({'device': 'cuda:7'}, ['cuda:7', 'auto, cpu']),
        ({'dense__model': 'missing/folder'}, ['missing/folder']),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, dict) else '',
)
def test_setup_error_is_told_and_leaves_the_node_alive(
    start: Starter,
    peer: Peer,
    diagnosis: Diagnosis,
    settings: dict[str, object],
    parts: list[str],
) -> None:
    start(**settings)
    status = diagnosis.until_message('cannot configure', *parts)
    assert status.level == DiagnosticStatus.ERROR
    assert peer.state() == UNCONFIGURED


def test_corrupt_model_is_told(
    start: Starter, peer: Peer, diagnosis: Diagnosis, tmp_path: Path
) -> None:
    broken = tmp_path / 'broken.pt'
    broken.write_bytes(b'no checkpoint at all')
    start(masks__model=str(broken), trust_model_files=True)
    diagnosis.until_message('cannot configure', 'broken.pt')
    assert peer.state() == UNCONFIGURED


def test_unexpected_error_in_setup_is_told_with_its_kind(
    start: Starter,
    peer: Peer,
    diagnosis: Diagnosis,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError('injected')

    with monkeypatch.context() as patch:
        patch.setattr(node_module, 'SemanticFastSam', broken)
        start()
        diagnosis.until_message('cannot configure: ZeroDivisionError: injected')
    assert 'Traceback' in capfd.readouterr().err
    assert peer.change(Transition.TRANSITION_CONFIGURE)


@pytest.mark.parametrize('remapped', [False, True])
def test_compressed_transport_listens_beside_the_remapped_topic(
    start: Starter, peer: Peer, remapped: bool
) -> None:
    arguments = ('-r', 'image:=/cam/image_raw') if remapped else ()
    start(*arguments, input__transport='compressed')
    topic = '/cam/image_raw/compressed' if remapped else '/image/compressed'
    labels = peer.collect(Image, f'{NAME}/label_image')
    buffer = io.BytesIO()
    PIL.Image.fromarray(street(90, 130)).save(buffer, 'JPEG')
    sent = CompressedImage(header=header(3), format='jpeg', data=buffer.getvalue())
    camera = peer.camera(topic, CompressedImage)
    peer.feed(camera, sent, lambda: labels)
    assert labels[0].header == sent.header
    assert (labels[0].height, labels[0].width) == (90, 130)
    broken = CompressedImage(header=header(4), format='jpeg', data=buffer.getvalue()[:-300])
    diagnosis = Diagnosis(peer)
    peer.feed(camera, broken, lambda: 'cut off' in diagnosis.value('last_error'))


def test_no_image_is_told_with_the_topic_and_its_publishers(
    start: Starter, peer: Peer, diagnosis: Diagnosis
) -> None:
    start(input__timeout_s=0.3)
    diagnosis.until_message('no image on /image for', '(0 publishers there)')
    camera = peer.camera()
    peer.collect(Image, f'{NAME}/label_image')
    status = diagnosis.until_message('no image on /image for', '(1 publisher there)')
    assert status.level == DiagnosticStatus.WARN
    peer.feed(camera, photo_message(), lambda: diagnosis.status.level == DiagnosticStatus.OK)
    assert diagnosis.value('mask_model') == 'fastsam_n.pt'
    assert diagnosis.value('device') == 'cpu'
    until(lambda: diagnosis.value('mask_network_ms_p50'), 'times of the stages')
    assert float(diagnosis.value('mask_network_ms_p50')) > 0
    assert float(diagnosis.value('frame_ms_p95')) > 0
    assert diagnosis.value('age_ms')


def test_unheard_publisher_is_named_until_it_leaves(start: Starter, diagnosis: Diagnosis) -> None:
    start(input__reliability='reliable', input__timeout_s=3600.0)
    camera = Peer('shy_camera')
    camera.camera(profile=BEST_EFFORT)
    diagnosis.until_message('/shy_camera', 'set input.reliability to best_effort')
    camera.close()
    until(lambda: diagnosis.status.level == DiagnosticStatus.OK, 'the warning is gone')


def test_publisher_of_another_type_is_named(start: Starter, diagnosis: Diagnosis) -> None:
    start()
    camera = Peer('jpeg_camera')
    camera.camera('/image', CompressedImage)
    diagnosis.until_message('/jpeg_camera', 'sensor_msgs/msg/CompressedImage', 'input.transport')
    camera.close()


def test_subscriber_that_asks_for_too_much_is_named_until_it_leaves(
    start: Starter, diagnosis: Diagnosis
) -> None:
    start(output__reliability='best_effort', input__timeout_s=3600.0)
    viewer = Peer('viewer')
    viewer.collect(Image, f'{NAME}/overlay', RELIABLE)
    diagnosis.until_message('/viewer', f'{NAME}/overlay', 'set output.reliability to reliable')
    viewer.close()
    until(lambda: diagnosis.status.level == DiagnosticStatus.OK, 'the warning is gone')
    latched = Peer('latched_viewer')
    latched.collect(
        Image, f'{NAME}/overlay', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    )
    diagnosis.until_message('/latched_viewer')
    latched.close()


def test_node_starts_under_simulated_time_that_stands_still(start: Starter, peer: Peer) -> None:
    start(use_sim_time=True)
    peer.wait_active()


def test_unsafe_checkpoint_from_anywhere_is_refused(
    start: Starter, diagnosis: Diagnosis, tmp_path: Path
) -> None:
    foreign = tmp_path / 'foreign.pt'
    foreign.write_bytes(b'x')
    start(masks__model=str(foreign))
    diagnosis.until_message('cannot configure', 'trust_model_files')
