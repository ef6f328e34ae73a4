"""Every labeller that takes names as text, on tiny checkpoints, through the real node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Diagnosis, Peer, active_node, until

pytest.importorskip('open_clip', reason='open_clip_torch is not installed: run scripts/setup')
pytest.importorskip('textblob', reason='textblob is not installed: run scripts/setup')

from tiny import write_segformer, write_yoloe, write_yoloe_text
from tiny_clip import write_clip
from tiny_text import write_blip, write_clipseg, write_groupvit
from vision_msgs.msg import LabelInfo
from watcher import Watcher, ids_of

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings('ignore:.*torch.jit:FutureWarning'),
]
# The tiny captions never say `van`: ssa_engine may find a removed name again in the image.
NAMES = 'road, van | vehicle, dog'


def _clip(folder: Path) -> dict[str, object]:
    return {'clip__model': str(write_clip(folder / 'clip'))}


def _clipseg(folder: Path) -> dict[str, object]:
    return {'dense__model': str(write_clipseg(folder / 'clipseg'))}


def _groupvit(folder: Path) -> dict[str, object]:
    return {'dense__model': str(write_groupvit(folder / 'groupvit'))}


def _hybrid(folder: Path) -> dict[str, object]:
    return {**_clip(folder), 'dense__model': str(write_segformer(folder / 'dense'))}


def _yoloe(folder: Path) -> dict[str, object]:
    model = str(write_yoloe(folder / 'yoloe.pt'))
    text = str(write_yoloe_text(folder / 'text.ts'))
    both = {'yoloe__model': model, 'yoloe__text_model': text, 'masks__model': model}
    return {**both, 'yoloe__image_size': 160, 'trust_model_files': True}


def _ssa_engine(folder: Path) -> dict[str, object]:
    stages = {
        'coco_model': write_segformer(folder / 'coco', ('person', 'bicycle', 'bus')),
        'ade20k_model': write_segformer(folder / 'ade20k', ('wall', 'building', 'sky')),
        'caption_model': write_blip(folder / 'blip'),
        'clip_model': write_clip(folder / 'clip'),
        'clipseg_model': write_clipseg(folder / 'clipseg'),
    }
    return {f'ssa_engine__{stage}': str(model) for stage, model in stages.items()}


MODELS: dict[str, Callable[[Path], dict[str, object]]] = {
    'clip': _clip,
    'clip_dense': _clip,
    'clipseg': _clipseg,
    'groupvit': _groupvit,
    'hybrid': _hybrid,
    'yoloe': _yoloe,
    'ssa_engine': _ssa_engine,
}


@pytest.mark.parametrize('labeller', sorted(MODELS))
def test_images_are_labelled_and_names_change(labeller: str, peer: Peer, tmp_path: Path) -> None:
    settings: dict[str, Any] = {'vocabulary': NAMES, 'masks__confidence': 0.02}
    settings |= MODELS[labeller](tmp_path)
    with active_node(labeller=labeller, **settings) as running:
        watcher = Watcher(peer)
        until(lambda: ids_of(watcher.shoot()), f'{labeller} labels something')
        assert {1: 'road', 2: 'van', 3: 'dog'}.items() <= watcher.names().items()
        _no_image_before_its_names(watcher)
        answer = peer.set('vocabulary', 'dog, lamp, tree, pole')
        assert answer.successful, answer.reason
        until(lambda: watcher.shoot() and 'lamp' in watcher.names().values(), 'the new names')
        until(lambda: ids_of(watcher.shoot()), f'{labeller} labels something by new names')
        assert watcher.names()[3] == 'dog' and 'van' not in watcher.names().values()
        _no_image_before_its_names(watcher)
        assert not running.node.failed


def test_ssa_engine_tells_that_ids_have_run_out(
    peer: Peer, diagnosis: Diagnosis, tmp_path: Path
) -> None:
    names = ', '.join(f'thing {i}' for i in range(255))
    settings = {'vocabulary': names, 'masks__confidence': 0.02, **_ssa_engine(tmp_path)}
    with active_node(labeller='ssa_engine', **settings):
        watcher = Watcher(peer)
        until(lambda: ids_of(watcher.shoot()), 'known names are given')
        diagnosis.until_message('no id is left')
        assert len(watcher.names()) == 255


def _no_image_before_its_names(watcher: Watcher) -> None:
    """Check that each label image came after a label info with all of its ids."""
    known: set[int] = set()
    for message in watcher.arrived:
        if isinstance(message, LabelInfo):
            known |= {c.class_id for c in message.class_map}
        else:
            assert ids_of(message) <= known
