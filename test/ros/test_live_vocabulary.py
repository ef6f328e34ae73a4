"""New names while the node runs: answered, announced first, never under another name's id."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Peer, RunningNode, active_node, until

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')

from tiny_clip import write_clip
from vision_msgs.msg import LabelInfo
from watcher import Watcher, ids_of

FIRST = 'road, car | vehicle, tree'


@pytest.fixture(scope='module')
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Give the node with a tiny CLIP model, active, for the module."""
    model = write_clip(tmp_path_factory.mktemp('models') / 'clip')
    with active_node(
        labeller='clip', clip__model=str(model), vocabulary=FIRST, masks__confidence=0.02
    ) as running:
        yield running


def test_names_change_within_two_images_and_are_announced_before(
    running: RunningNode, peer: Peer
) -> None:
    watcher = Watcher(peer)
    assert peer.set('vocabulary', FIRST).successful
    assert until(lambda: ids_of(watcher.shoot()), 'the first names label something') <= {1, 2, 3}
    before = len(watcher.images)
    answer = peer.set('vocabulary', 'dog, car, lamp')
    assert answer.successful, answer.reason
    watcher.shoot()
    watcher.shoot()
    after = watcher.images[before:]
    assert ids_of(after[-1]) <= {2, 4, 5} and ids_of(after[-1])
    changed = next(m for m in after if ids_of(m) & {4, 5} or ids_of(m) <= {2})
    assert after.index(changed) <= 1
    assert watcher.names() == {4: 'dog', 2: 'car', 5: 'lamp'}
    info = [m for m in watcher.arrived if isinstance(m, LabelInfo)][-1]
    assert watcher.arrived.index(info) < watcher.arrived.index(changed)


def test_returning_name_gets_its_own_id_back(running: RunningNode, peer: Peer) -> None:
    watcher = Watcher(peer)
    for names in ('cat', 'tree, cat', FIRST):
        assert peer.set('vocabulary', names).successful
        watcher.shoot()
    until(lambda: watcher.shoot() and watcher.names() == {1: 'road', 2: 'car', 3: 'tree'}, 'ids')


@pytest.mark.parametrize(
    ('names', 'reason'),
    [
        ('road,,car', 'entry 2 .* has an empty name'),
        ('road, Road', 'twice'),
        ('', 'needs names'),
        (', '.join(f'thing {i}' for i in range(300)), 'mono8'),
    ],
    ids=['empty name', 'duplicate', 'nothing', 'too many'],
)
def test_bad_names_are_refused_with_the_reason(
    running: RunningNode, peer: Peer, names: str, reason: str
) -> None:
    answer = peer.set('vocabulary', names)
    assert not answer.successful
    assert answer.reason and re.search(reason, answer.reason), answer.reason


def test_yaml_file_of_names_is_read_and_goes_before_the_list(
    running: RunningNode, peer: Peer, tmp_path: Path
) -> None:
    file = tmp_path / 'names.yaml'
    file.write_text('classes:\n- {name: bus, prompts: [coach]}\n- {name: wall, negative: true}\n')
    missing = peer.set('vocabulary_file', str(tmp_path / 'no.yaml'))
    assert not missing.successful and 'cannot read' in missing.reason
    watcher = Watcher(peer)
    assert peer.set('vocabulary_file', str(file)).successful
    until(lambda: watcher.shoot() and 'bus' in watcher.names().values(), 'names of the file')
    assert 'wall' not in watcher.names().values()
    answer = peer.set('vocabulary', 'road')
    assert not answer.successful and 'vocabulary_file' in answer.reason
    assert peer.set('vocabulary_file', '').successful


def test_list_of_names_is_taken_as_yaml_writes_it(running: RunningNode, peer: Peer) -> None:
    watcher = Watcher(peer)
    answer = peer.set('vocabulary', ['road', 'car | vehicle'])
    assert answer.successful, answer.reason
    until(lambda: watcher.shoot() and watcher.names() == {1: 'road', 2: 'car'}, 'the list')


def test_images_go_on_while_names_are_encoded(
    running: RunningNode, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher(peer)
    labeller = running.pipeline._labeller
    prepare, gate = labeller.prepare, threading.Event()

    def slow(vocabulary: Any) -> Any:
        gate.wait(60)
        return prepare(vocabulary)

    monkeypatch.setattr(labeller, 'prepare', slow)
    names = {1: 'road', 2: 'car'}
    assert peer.set('vocabulary', 'road, car').successful
    gate.set()
    until(lambda: watcher.shoot() and watcher.names() == names, 'known names')
    gate.clear()
    assert peer.set('vocabulary', 'zebra').successful  # answered before it is encoded
    for _ in range(3):
        watcher.shoot()
    assert watcher.names() == names
    gate.set()
    until(lambda: watcher.shoot() and 'zebra' in watcher.names().values(), 'the new name')
