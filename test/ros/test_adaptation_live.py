"""Names that settle while the node runs: told, kept, forgotten, and begun again by a service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import NAME, Diagnosis, Peer, RunningNode, active_node, photo_message, until
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from tiny_clip import write_clip
from watcher import Watcher

RESET = f'{NAME}/reset_adaptation'
FRESH = 'nothing learned yet'


@pytest.fixture(scope='module')
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the node keeps its names."""
    return tmp_path_factory.mktemp('kept') / 'names.safetensors'


@pytest.fixture(scope='module')
def running(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Iterator[RunningNode]:
    """Give the node with a tiny CLIP whose names settle, active, for the module."""
    model = write_clip(tmp_path_factory.mktemp('models') / 'clip')
    with active_node(**adapting(model), clip__adaptation_file=str(kept)) as running:
        yield running


def adapting(model: Path) -> dict[str, object]:
    """Return settings by which names settle with every mask."""
    return {
        'labeller': 'clip',
        'clip__model': str(model),
        'clip__adaptation': 'ul_tta',
        'clip__ul_tta__gate': 0.0,
        'vocabulary': 'road, car | vehicle, tree',
        'masks__confidence': 0.02,
    }


def learned(diagnosis: Diagnosis, watcher: Watcher) -> str:
    """Send images until the diagnostics tell what was learned of them; return that."""

    def told() -> str:
        watcher.shoot()
        text = diagnosis.value('adaptation')
        return text if text not in ('', FRESH) else ''

    return str(until(told, 'something is learned'))


def test_what_was_learned_is_told_and_begins_again_by_the_service(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    text = learned(diagnosis, Watcher(peer))
    assert 'masks' in text and 'deg' in text and ('road' in text or 'car' in text)
    answer = peer.call(Trigger, RESET, Trigger.Request())
    assert answer.success and 'begin at their texts again' in answer.message
    until(lambda: diagnosis.value('adaptation') == FRESH, 'nothing is known')


def test_deactivation_keeps_what_was_learned_and_writes_it(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis, kept: Path
) -> None:
    learned(diagnosis, Watcher(peer))
    (camera,) = running.node._cameras
    state = camera.adaptation.state
    assert peer.change(Transition.TRANSITION_DEACTIVATE)
    assert kept.is_file() and camera.adaptation.state is not None
    assert peer.change(Transition.TRANSITION_ACTIVATE)
    now = running.node._cameras[0].adaptation.state
    assert state is not None and now is not None
    assert int(now.taken.sum()) >= int(state.taken.sum()) > 0


def test_cleanup_forgets_what_no_file_keeps(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis, kept: Path
) -> None:
    learned(diagnosis, Watcher(peer))
    assert peer.change(Transition.TRANSITION_DEACTIVATE)
    assert peer.change(Transition.TRANSITION_CLEANUP)
    answer = peer.call(Trigger, RESET, Trigger.Request())
    assert not answer.success and 'not configured' in answer.message
    assert peer.change(Transition.TRANSITION_CONFIGURE)
    assert running.node._cameras[0].adaptation.state is not None  # of the file
    assert peer.change(Transition.TRANSITION_CLEANUP)
    kept.unlink()
    assert peer.change(Transition.TRANSITION_CONFIGURE)
    assert running.node._cameras[0].adaptation.state is None
    assert peer.change(Transition.TRANSITION_ACTIVATE)


def test_a_file_of_something_else_fails_configure_with_the_reason(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis, kept: Path
) -> None:
    assert peer.change(Transition.TRANSITION_DEACTIVATE)
    assert peer.change(Transition.TRANSITION_CLEANUP)
    kept.write_bytes(b'not names')
    client_said = peer.change(Transition.TRANSITION_CONFIGURE)
    diagnosis.until_message('names.safetensors cannot be read')
    assert not client_said and kept.read_bytes() == b'not names'
    kept.unlink()
    assert peer.change(Transition.TRANSITION_CONFIGURE)
    assert peer.change(Transition.TRANSITION_ACTIVATE)


def test_switched_off_nothing_is_told_and_the_service_says_why(
    running: RunningNode, peer: Peer, diagnosis: Diagnosis
) -> None:
    assert peer.set('clip.adaptation', 'off').successful
    Watcher(peer).shoot()
    until(lambda: not diagnosis.value('adaptation'), 'no line of adaptation')
    answer = peer.call(Trigger, RESET, Trigger.Request())
    assert not answer.success and 'clip.adaptation is off' in answer.message
    assert peer.set('clip.adaptation', 'ul_tta').successful


@pytest.mark.parametrize('shared', [False, True], ids=['apart', 'together'])
def test_cameras_learn(shared: bool, peer: Peer, tmp_path: Path) -> None:
    settings = adapting(write_clip(tmp_path / 'clip')) | {'clip__ul_tta__shared': shared}
    with active_node('-r', '__node:=two', **settings, cameras='front, left') as two:
        labels = peer.collect(Image, '/two/front/label_image')
        peer.feed(peer.camera('/front/image'), photo_message(), lambda: labels)
        told = {c.name: c.facts['adaptation'] for c in two.node._named_cameras()}
    assert 'masks' in told['front']
    assert told['left'] == (told['front'] if shared else FRESH)


def test_an_unknown_method_is_refused(running: RunningNode, peer: Peer) -> None:
    answer = peer.set('clip.adaptation', 'tent')
    assert not answer.successful and 'off, ul_tta' in answer.reason
