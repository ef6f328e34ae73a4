"""Images of several cameras share a pass of the networks, and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from harness import NAME, Diagnosis, Peer, RunningNode, active_node, header, photo_message, until
from sensor_msgs.msg import Image

from semantic_fast_sam_ros.core.base.errors import FrameError
from semantic_fast_sam_ros.core.network_outputs import NetworkOutputs
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.ros.camera import Frame
from semantic_fast_sam_ros.ros.counts import Fate
from semantic_fast_sam_ros.ros.failures import FATAL_FAILURES
from semantic_fast_sam_ros.ros.frames import FrameProcessor
from semantic_fast_sam_ros.ros.statistics import FrameStatistics

EXHAUSTED = torch.OutOfMemoryError('CUDA out of memory')


class Pipeline:
    """Stands in for the pipeline: notes how it is called."""

    def __init__(self) -> None:
        self.config = Config()
        self.takes_batches, self.device = True, torch.device('cuda')
        self.looks: list[int] = []
        self.outputs: list[object] = []
        self.error: Exception | None = None

    def run_networks(
        self, images: Sequence[np.ndarray], carried: Sequence[bool]
    ) -> list[NetworkOutputs]:
        self.looks.append(len(images))
        if self.error:
            raise self.error
        return [NetworkOutputs(Mock(), Mock(), None, {'mask_network': 5.0}) for _ in images]

    def __call__(
        self, image: np.ndarray, earlier: object = None, outputs: NetworkOutputs | None = None
    ) -> Mock:
        self.outputs.append(outputs)
        labels = np.zeros(image.shape[:2], np.uint8)
        return Mock(label_map=labels, stage_ms=outputs.total_ms({'vote': 1.0}) if outputs else {})


def camera(name: str, subscribed: bool = True) -> Mock:
    made = Mock()
    made.name = name
    made.outputs.subscribed, made.geometry.size.return_value = subscribed, None
    made.labels_to_carry.return_value, made.statistics = None, FrameStatistics()
    made.tracked.side_effect = lambda result, header: result
    return made


def frame(name: str, message: Image | None = None, **more: bool) -> Frame:
    return Frame(camera(name, **more), message or photo_message())


def bad_message() -> Image:
    return Image(header=header(), encoding='32FC3', height=2, width=2)


@pytest.fixture
def frames() -> FrameProcessor:
    """Give what labels frames, with a pipeline that stands in."""
    node = Mock()
    node.get_clock().now().nanoseconds = 0
    processor = FrameProcessor(node, Config, FrameStatistics(), Mock())
    processor.pipeline = Pipeline()
    return processor


def test_images_share_a_pass_and_each_is_published_by_its_camera(frames: FrameProcessor) -> None:
    given = [frame('front', photo_message(1)), frame('left', photo_message(2, 60, 100))]
    assert frames.process_all(given) == [Fate.PROCESSED] * 2
    assert frames.pipeline.looks == [2]
    assert all(frames.pipeline.outputs)
    for each in given:
        image, _, _, told, *_ = each.camera.outputs.publish.call_args.args
        assert told == each.message.header
        assert image.shape[:2] == (each.message.height, each.message.width)
        stages = each.camera.statistics.percentiles_ms()
        assert stages['mask_network'] == (5.0, 5.0)
        assert stages['frame'][0] >= stages['decode'][0]
        assert stages['wait'] <= stages['age']


def test_bad_image_costs_the_others_nothing(frames: FrameProcessor) -> None:
    given = [frame('front', bad_message()), frame('left'), frame('back')]
    refused, *others = frames.process_all(given)
    assert isinstance(refused, FrameError)
    assert others == [Fate.PROCESSED] * 2
    assert frames.pipeline.looks == [2]


def test_image_that_is_left_alone_is_labelled_as_ever(frames: FrameProcessor) -> None:
    given = [frame('front', bad_message()), frame('left'), frame('back', subscribed=False)]
    refused, processed, idle = frames.process_all(given)
    assert isinstance(refused, FrameError)
    assert (processed, idle) == (Fate.PROCESSED, Fate.IDLE)
    assert (frames.pipeline.looks, frames.pipeline.outputs) == ([], [None])


def test_failed_pass_falls_on_all_images_in_it_and_on_no_other(frames: FrameProcessor) -> None:
    frames.pipeline.error = ZeroDivisionError('the pass')
    given = [frame('front'), frame('idle', subscribed=False), frame('left'), frame('bad')]
    given[3] = frame('bad', bad_message())
    front, idle, left, bad = frames.process_all(given)
    assert front is left is frames.pipeline.error
    assert idle is Fate.IDLE and isinstance(bad, FrameError)
    assert not given[0].camera.outputs.publish.called


def test_failure_after_the_pass_is_one_images_own(frames: FrameProcessor) -> None:
    given = [frame('front'), frame('left')]
    given[0].camera.outputs.publish.side_effect = ValueError('front')
    failed, processed = frames.process_all(given)
    assert str(failed) == 'front'
    assert processed is Fate.PROCESSED


def test_fifty_images_that_fail_in_passes_end_the_process(frames: FrameProcessor) -> None:
    frames.pipeline.error = ZeroDivisionError('the pass')
    passes = 0
    while not frames._give_up.called:
        for error in frames.process_all([frame('front'), frame('left')]):
            frames.failed(error)
        passes += 1
    assert passes == FATAL_FAILURES / 2


@pytest.mark.parametrize(
    ('wanted', 'device', 'takes', 'together'),
    [
        ('auto', 'cuda', True, True),
        ('auto', 'cpu', True, False),
        ('always', 'cpu', True, True),
        ('always', 'cuda', False, False),
        ('never', 'cuda', True, False),
    ],
)
def test_setting_device_and_networks_decide_whether_images_go_together(
    frames: FrameProcessor, wanted: str, device: str, takes: bool, together: bool
) -> None:
    frames._config = lambda: replace(Config(), batch_cameras=wanted)
    frames.pipeline.device, frames.pipeline.takes_batches = torch.device(device), takes
    assert frames.together is together


def test_images_go_one_by_one_for_a_while_when_memory_ran_out(frames: FrameProcessor) -> None:
    assert frames.together
    frames.failed(EXHAUSTED)
    assert not frames.together


def test_a_pass_that_runs_out_of_memory_costs_one_step_however_many_are_in_it(
    frames: FrameProcessor,
) -> None:
    frames.pipeline.error, frames.pipeline.update = EXHAUSTED, Mock()
    for step in (1, 2):
        for error in frames.process_all([frame(name) for name in ('front', 'left', 'back')]):
            frames.failed(error)
        assert frames.budget.step == step


def test_words_of_the_setting_are_no_yaml_booleans() -> None:
    for word in ('auto', 'always', 'never'):  # on and off would be
        assert from_values({'batch_cameras': word}).batch_cameras == word


@pytest.fixture(scope='module')
def running() -> Iterator[RunningNode]:
    """Give a node of two cameras and a dead one, whose networks take batches."""
    with active_node(
        cameras='front, left, dead', batch_cameras='always', backend='torch', precision='fp32'
    ) as running:
        yield running


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that fills with how many images were in each pass."""
    noted: list[int] = []
    look: Callable[..., list[NetworkOutputs]] = SemanticFastSam.run_networks

    def noting(
        pipeline: SemanticFastSam, images: list, carried: Sequence[bool]
    ) -> list[NetworkOutputs]:
        noted.append(len(images))
        return look(pipeline, images, carried)

    monkeypatch.setattr(SemanticFastSam, 'run_networks', noting)
    return noted


def test_two_cameras_that_send_are_labelled_in_passes_and_the_dead_one_is_not_waited_for(
    running: RunningNode, peer: Peer, looks: list[int]
) -> None:
    cameras = {name: peer.camera(f'/{name}/image') for name in ('front', 'left')}
    labels = {name: peer.collect(Image, f'{NAME}/{name}/label_image') for name in cameras}
    sent = {'front': photo_message(1, 90, 120), 'left': photo_message(2, 60, 100)}

    def answered() -> bool:
        for name, message in sent.items():
            cameras[name].publish(message)
        return len(looks) >= 3 and all(labels.values())

    until(answered, 'passes of two images, and labels of both')
    assert set(looks) == {2}
    for name, inbox in labels.items():
        assert all(m.header == sent[name].header for m in inbox)
        assert all((m.height, m.width) == (sent[name].height, sent[name].width) for m in inbox)


def test_camera_that_sends_rubbish_costs_the_other_nothing(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    cameras = {name: peer.camera(f'/{name}/image') for name in ('front', 'left')}
    labels = peer.collect(Image, f'{NAME}/left/label_image')
    worker, before = running.node._worker, running.node._worker.counts_of('left')

    def answered() -> bool:
        cameras['front'].publish(bad_message())
        cameras['left'].publish(photo_message(2, 60, 100))
        return worker.counts_of('front').refused > 5 and len(labels) > 5

    until(answered, 'refusals of one camera, labels of the other')
    until(lambda: worker.counts.received == worker.counts.ended, 'every image accounted for')
    after = worker.counts_of('left')
    assert (after.refused, after.failed) == (before.refused, before.failed) == (0, 0)
    diagnosis.until_message('images refused')
