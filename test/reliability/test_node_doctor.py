"""`doctor --node` says what is wrong with a real node, in words."""

from collections.abc import Callable

import pytest
from harness import BEST_EFFORT, NAME, Peer, RunningNode, photo_message, until
from sensor_msgs.msg import CompressedImage, Image

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.tools import judgement, node_doctor

Starter = Callable[..., RunningNode]


def wrong(name: str = NAME) -> str:
    """Return what the doctor finds wrong."""
    return '\n'.join(f.text for f in node_doctor.examine(name) if f.verdict == 'WRONG')


def test_healthy_node_is_found_healthy(
    start: Starter, peer: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    running = start()
    labels = peer.collect(Image, f'{NAME}/label_image')
    camera = peer.camera()
    peer.feed(camera, photo_message(), lambda: labels)
    timer = peer.node.create_timer(0.1, lambda: camera.publish(photo_message_now(peer)))
    until(lambda: running.node._statistics.rate_hz() > 2, 'steady frames')
    code = main(['doctor', '--node'])
    timer.cancel()
    text = capsys.readouterr().out
    assert 'published by /observer' in text
    assert 'labels' in text
    assert (code, 'nothing wrong is seen' in text) == (0, True), text


def photo_message_now(peer: Peer) -> Image:
    message = photo_message()
    message.header.stamp = peer.node.get_clock().now().to_msg()
    return message


def test_node_that_does_not_run_is_told_with_the_ones_that_do(
    start: Starter, capsys: pytest.CaptureFixture[str]
) -> None:
    start(autostart=False)
    assert main(['doctor', '--node', '/semantic_fast_sum']) == 1
    assert 'did you mean /semantic_fast_sam?' in capsys.readouterr().out
    assert 'not running in domain' in wrong('/nobody')


@pytest.mark.parametrize('count', [1, 2])
def test_a_second_node_of_the_same_name_is_told(
    start: Starter, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    start(autostart=False)
    monkeypatch.setattr(node_doctor.NodeDoctor, '_names', lambda _: [NAME] * count)
    texts = [finding.text for finding in node_doctor.examine(NAME)]
    assert any(text.startswith('2 are seen under') for text in texts) == (count == 2)


def test_inactive_node_is_told_with_the_command(start: Starter) -> None:
    running = start(autostart=False)
    assert f'unconfigured: ros2 lifecycle set {NAME} configure' in wrong()
    running.node.trigger_configure()
    assert f'inactive: ros2 lifecycle set {NAME} activate' in wrong()


def test_setup_that_failed_is_told_with_its_reason(start: Starter) -> None:
    start(masks__model='/missing/model.pt')
    assert 'cannot configure: no model file /missing/model.pt' in wrong()


def test_missing_publisher_is_told_with_the_topics_that_carry_images(
    start: Starter, peer: Peer
) -> None:
    running = start()
    peer.wait_active()
    assert 'no publisher; no camera runs' in wrong()
    peer.camera('/front/image_raw')
    text = wrong()
    assert 'images are on /front/image_raw: remap' in text
    assert 'none arrive' in text
    assert running.context.ok()


def test_mismatched_quality_of_service_is_told(start: Starter, peer: Peer) -> None:
    start(input__reliability='reliable')
    peer.wait_active()
    peer.camera(profile=BEST_EFFORT)
    until(lambda: 'set input.reliability to best_effort' in wrong(), 'the advice')


def test_mismatched_type_is_told(start: Starter, peer: Peer) -> None:
    start()
    peer.wait_active()
    peer.camera('/image', CompressedImage)
    until(lambda: 'this node takes sensor_msgs/msg/Image' in wrong(), 'the advice')


def test_simulated_time_without_a_clock_is_told(start: Starter, peer: Peer) -> None:
    start(use_sim_time=True)
    peer.wait_active()
    assert 'nobody publishes /clock' in wrong()


def test_unlabelled_images_are_told(start: Starter, peer: Peer) -> None:
    running = start(labeller='none')
    camera = peer.camera()
    timer = peer.node.create_timer(0.1, lambda: camera.publish(photo_message_now(peer)))
    until(lambda: running.node._statistics.rate_hz() > 2, 'steady frames')
    text = wrong()
    timer.cancel()
    assert '100 % of the pixels are unlabelled' in text


VALUES = {
    'rate_hz': '0.4',
    'age_ms_p50': '2600',
    'frame_ms_p50': '2500',
    'masks_ms_p50': '2000',
    'labels_ms_p50': '450',
    'wait_ms_p50': '2100',  # for others: no stage to make quicker
}


def test_slow_node_is_told_with_its_slowest_stage() -> None:
    (finding,) = judgement.judge_frames(VALUES, 30.0)
    assert finding.verdict == 'WRONG'
    assert '0.4 of 30.0 images' in finding.text
    assert 'most of it masks (2000 ms)' in finding.text


def test_old_labels_of_a_quick_node_are_told_as_a_clock_that_differs() -> None:
    quick = VALUES | {'rate_hz': '20', 'frame_ms_p50': '40', 'age_ms_p50': '90000'}
    (finding,) = judgement.judge_frames(quick, 30.0)
    assert 'clocks of camera and node differ' in finding.text


@pytest.mark.parametrize(
    ('middleware', 'profile', 'told'),
    [('rmw_fastrtps_cpp', '', 1), ('rmw_fastrtps_cpp', '/p.xml', 0), ('rmw_zenoh_cpp', '', 0)],
)
def test_missing_dds_profile_of_the_node_is_told(middleware: str, profile: str, told: int) -> None:
    found = list(judgement.judge_transport({'middleware': middleware, 'dds_profile': profile}))
    assert len(found) == told


def test_refused_images_are_told_with_the_reason_and_not_as_slowness() -> None:
    values = {'rate_hz': '0', 'last_error': "FrameError: encoding '32FC3' is not supported"}
    (finding,) = judgement.judge_frames(values, 30.0, refused_hz=29.5)
    assert finding.verdict == 'WRONG'
    assert "29.5 of 30.0 images a second are refused: FrameError: encoding '32F" in finding.text


def test_node_that_rests_is_not_taken_for_a_slow_one() -> None:
    (finding,) = judgement.judge_frames({'rate_hz': '0'}, 30.0, idle_hz=30.0)
    assert finding.verdict == 'note'
    assert 'nobody subscribes to an output' in finding.text
