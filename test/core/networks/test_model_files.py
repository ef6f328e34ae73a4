"""One lookup says for a configuration which files its models are, whoever asks."""

import re
from pathlib import Path

import pytest

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.loading import model_checksums
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.model_files import (
    HUBS,
    Model,
    dense_model,
    hub_of,
    models_of,
    named,
)
from semantic_fast_sam_ros.core.networks.weights import Policy
from semantic_fast_sam_ros.core.settings import config, profiles
from semantic_fast_sam_ros.core.settings.models import DenseSettings

OFFLINE = weights.Policy(offline=True)


def _models(**values: object) -> list[Model]:
    return models_of(config.from_values({k.replace('__', '.'): v for k, v in values.items()}))


@pytest.mark.parametrize('profile', ['embedded', 'embedded_open'])
def test_models_that_ship_are_found_and_have_checksums(profile: str) -> None:
    settings = profiles.load_profile(profile, {'offline': True})
    places = {model.name: model.find(OFFLINE) for model in models_of(settings)}
    assert all(place.parent == weights.models_folder() for place in places.values())
    found = model_checksums(settings)
    assert places.keys() < found.keys()
    assert sum(name.endswith('.int8.xml') for name in found) == len(places)
    assert all(len(digest) == 64 for digest in found.values())


def test_a_preset_names_the_models_of_stages_that_name_none() -> None:
    light = [model.name for model in _models(labeller='ssa_engine')]
    full = _models(labeller='ssa_engine', ssa_engine__preset='full', ssa_engine__clip_model='mine')
    assert len(light) == len(full) == 6
    assert 'Salesforce/blip-image-captioning-base' in light
    assert Model('shi-labs/oneformer_coco_swin_large', 'transformers') in full
    assert full[4] == Model('mine', 'open_clip')


def test_one_network_for_masks_and_names_is_listed_once() -> None:
    found = models_of(profiles.load_profile('yoloe'))
    assert [model.name for model in found] == ['yoloe-26s-seg.pt', 'mobileclip2_b.ts']
    assert {model.kind for model in found} == {'checkpoint'}


def test_the_library_that_runs_a_segmenter_decides_what_its_name_means() -> None:
    by_name = {'x.pt': 'checkpoint', 'x': 'transformers'}
    for name, kind in by_name.items():
        assert _models(dense__model=name)[1].kind == kind
    assert _models(dense__model='x', dense__backend='ultralytics')[1].kind == 'checkpoint'


def test_a_clip_file_is_meant_instead_of_its_architecture(tmp_path: Path) -> None:
    file = tmp_path / 'clip.safetensors'
    (model,) = _models(labeller='clip', clip__model='MobileCLIP2-S0', clip__checkpoint=str(file))[
        1:
    ]
    told = f'no file {file}: a file of weights for clip.checkpoint is named by its path'
    with pytest.raises(ModelError, match=re.escape(told)):
        model.find(OFFLINE)
    file.write_bytes(b'')
    assert model.find(OFFLINE) == file


def test_a_network_that_is_not_there_is_told_with_the_folder_that_was_looked_in() -> None:
    told = f'no file no.onnx in {Path.cwd()}: a network that was exported is named by its path'
    with pytest.raises(ModelError, match=re.escape(told)):
        _models(dense__model='no.onnx')[1].find(OFFLINE)


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('FastSAM-s.pt', 'checkpoint'),
        ('mobileclip2_b.ts', 'checkpoint'),
        ('clip_lite0', 'open_clip'),
        ('MobileCLIP2-S0/dfndr2b', 'open_clip'),
        ('CIDAS/clipseg-rd64-refined', 'transformers'),
    ],
)
def test_a_name_alone_says_what_to_prefetch(name: str, kind: str) -> None:
    if name.startswith('Mobile'):
        pytest.importorskip('open_clip', reason='open_clip_torch is not installed')
    assert named(name) == Model(name, kind)


def test_hubs_of_the_profiles_are_where_open_clip_has_them() -> None:
    pytest.importorskip('open_clip', reason='open_clip_torch is not installed')
    assert {name: hub_of(name) for name in HUBS} == HUBS


def a_model(place: Path) -> Model:
    """The model that `dense.model` names with a place."""
    return dense_model(DenseSettings(model=str(place)))


def test_a_folder_with_several_exported_networks_asks_for_one(tmp_path: Path) -> None:
    for name in ('a.onnx', 'b.tflite'):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r'2 exported networks \(a\.onnx, b\.tflite\): name one'):
        a_model(tmp_path).find(Policy())
    (tmp_path / 'model.safetensors').touch()  # exports beside the model itself
    assert a_model(tmp_path).kind == 'transformers'


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf'in {tmp_path}\): the folder has no config\.json'):
        a_model(tmp_path).find(Policy(offline=True))


@pytest.mark.parametrize('name', ['net.onnx', 'net.pt', 'folder/model.safetensors'])
@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('version https://git-lfs.github.com/spec/v1\noid sha256:0', 'a pointer of Git LFS'),
        ('<!DOCTYPE html><html>Sign in</html>', 'a page of the web'),
    ],
)
def test_what_never_came_is_told(name: str, content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    (file.parent / 'config.json').write_text('{}')
    place = file.parent if file.suffix == '.safetensors' else file
    with pytest.raises(ModelError, match=rf'{file.name} is no model: it is {said}'):
        a_model(place).find(Policy(offline=True, trust_model_files=True))
