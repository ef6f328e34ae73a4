"""Nothing from outside runs code, writes files or opens the machine."""

import argparse
import ast
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from tiny_clip import write_clip
from tiny_text import write_blip, write_clipseg, write_groupvit

from semantic_fast_sam_ros.core.base.errors import ConfigError, ModelError, SemanticFastSamError
from semantic_fast_sam_ros.core.base.folders import cache_folder
from semantic_fast_sam_ros.core.closed_set.dense import load_dense
from semantic_fast_sam_ros.core.masks.fastsam import load_ultralytics
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.runtime import Runtime
from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip
from semantic_fast_sam_ros.core.open_vocabulary.dense_text import load_transformers
from semantic_fast_sam_ros.core.open_vocabulary.yoloe_network import YoloeText
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.core.settings.config import from_values
from semantic_fast_sam_ros.core.settings.models import ClipSettings, DenseSettings
from semantic_fast_sam_ros.core.ssa_engine.blip import BlipCaptioner
from semantic_fast_sam_ros.tools import view

PACKAGE = Path(weights.__file__).parents[2]
CPU, FLOAT = torch.device('cpu'), torch.float32
TRUSTING = weights.Policy(offline=True, trust_model_files=True)
# Loaders of a single file.
FILES: dict[str, Callable[[Path], Any]] = {
    'masks': lambda file: load_ultralytics(file, 'segment'),
    'dense': lambda file: load_dense(DenseSettings(model=str(file)), TRUSTING, Runtime(CPU)),
    'yoloe text': lambda file: YoloeText(file, CPU),
    'clip checkpoint': lambda file: load_clip(
        ClipSettings(model='ViT-B-32', checkpoint=str(file)), TRUSTING, Runtime(CPU)
    ),
}
# Loaders of a folder, what writes a good one, and the names of weights there that are pickles.
BIN, OPEN_CLIP = 'pytorch_model.bin', 'open_clip_pytorch_model.bin'
FOLDERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any], str]] = {
    'dense': (
        lambda folder: load_dense(DenseSettings(model=str(folder)), TRUSTING, Runtime(CPU)),
        tiny.write_segformer,
        BIN,
    ),
    'clipseg': (
        lambda folder: load_transformers(folder, 'CLIPSegForImageSegmentation'),
        write_clipseg,
        BIN,
    ),
    'groupvit': (lambda folder: load_transformers(folder, 'GroupViTModel'), write_groupvit, BIN),
    'captions': (lambda folder: BlipCaptioner(folder, CPU, FLOAT), write_blip, BIN),
    'clip': (
        lambda folder: load_clip(ClipSettings(model=str(folder)), TRUSTING, Runtime(CPU)),
        write_clip,
        OPEN_CLIP,
    ),
}


@pytest.fixture(name='mark')
def _mark(tmp_path: Path) -> Iterator[Path]:
    """Give a file that code from a model would make; it must not be there after the test."""
    mark = tmp_path / 'it_ran'
    yield mark
    assert not mark.exists()


def pickled(file: Path, mark: Path, by_torch: bool) -> Path:
    """Write weights that run code where they are unpickled."""
    intruder = tiny.Intruder(mark)
    if by_torch:
        torch.save({'model': intruder, 'weight': intruder}, file)
    else:
        file.write_bytes(pickle.dumps(intruder))
    return file


def test_the_intruder_would_run(tmp_path: Path) -> None:
    mark = tmp_path / 'it_ran'
    torch.load(pickled(tmp_path / 'evil.pt', mark, by_torch=True), weights_only=False)
    assert mark.exists(), 'the files of the tests below are harmless, so that they could not fail'


@pytest.mark.parametrize('by_torch', [True, False], ids=['torch', 'pickle'])
@pytest.mark.parametrize('loader', FILES)
def test_code_in_a_file_does_not_run(
    loader: str, by_torch: bool, tmp_path: Path, mark: Path
) -> None:
    file = pickled(tmp_path / 'evil.pt', mark, by_torch)
    with pytest.raises(ModelError, match=r'evil\.pt'):
        FILES[loader](file)


@pytest.mark.parametrize('by_torch', [True, False], ids=['torch', 'pickle'])
@pytest.mark.parametrize('loader', FOLDERS)
def test_a_pickle_in_a_folder_does_not_run(
    loader: str, by_torch: bool, tmp_path: Path, mark: Path
) -> None:
    load, write, name = FOLDERS[loader]
    folder = write(tmp_path / 'model')
    load(folder)
    for file in folder.glob('*.safetensors'):
        file.unlink()
    pickled(folder / name, mark, by_torch)
    with pytest.raises(ModelError):
        load(folder)


@pytest.mark.parametrize(
    ('loader', 'config'),
    [
        *((name, 'config.json') for name in FOLDERS if name != 'clip'),
        *((name, 'tokenizer_config.json') for name in ('clipseg', 'groupvit', 'captions')),
    ],
)
def test_code_beside_the_weights_does_not_run_nor_ask(
    loader: str,
    config: str,
    tmp_path: Path,
    mark: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*_: object) -> str:
        raise AssertionError('asked on the terminal whether to run the code')

    monkeypatch.setattr('builtins.input', asked)
    load, write, _ = FOLDERS[loader]
    folder = write(tmp_path / 'model')
    (folder / 'own.py').write_text(f'open({str(mark)!r}, "w").close()')
    own = {'AutoConfig': 'own.Own', 'AutoModel': 'own.Own', 'AutoTokenizer': ['own.Own', None]}
    tiny.change_json(folder / config, auto_map=own)
    try:
        load(folder)
    except SemanticFastSamError as error:
        assert 'terminal' not in str(error)


@pytest.mark.parametrize('read', [vocabulary_files.load, vocabulary_files.read_groups])
def test_code_in_yaml_does_not_run(read: Callable[[Any], Any], tmp_path: Path, mark: Path) -> None:
    file = tmp_path / 'evil.yaml'
    file.write_text(f'road: !!python/object/apply:builtins.open [{str(mark)!r}, "w"]\n')
    with pytest.raises(ConfigError, match='YAML'):
        read(file if read is vocabulary_files.load else str(file))


def test_a_yaml_file_that_grows_without_end_is_refused_in_time(tmp_path: Path) -> None:
    lines = ['a0: &a0 [road, road, road, road, road, road, road, road, road]']
    lines += [f'a{n}: &a{n} [{", ".join(9 * [f"*a{n - 1}"])}]' for n in range(1, 12)]
    file = tmp_path / 'bomb.yaml'
    file.write_text('\n'.join([*lines, 'classes: *a11']))
    for read in (vocabulary_files.load, lambda path: vocabulary_files.read_groups(str(path))):
        with pytest.raises(ConfigError):
            read(file)


def test_nothing_in_the_package_loads_without_restriction() -> None:
    forbidden = {
        ('yaml', 'load'),
        ('yaml', 'unsafe_load'),
        ('yaml', 'full_load'),
        ('torch', 'load'),
        ('pickle', 'load'),
        ('pickle', 'loads'),
        ('os', 'system'),
    }
    for source in PACKAGE.rglob('*.py'):
        for node in ast.walk(ast.parse(source.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in forbidden, f'{source}:{node.lineno}'


WRITTEN: list[str] = []
WRITING = set('wax+')


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == 'open' and isinstance(arguments[0], str | bytes | Path):
        mode = arguments[1]
        if isinstance(mode, str) and WRITING.intersection(mode):
            WRITTEN.append(str(arguments[0]))
    elif event in ('os.mkdir', 'os.rename', 'os.remove', 'os.rmdir', 'os.truncate'):
        WRITTEN.append(str(arguments[0]))


PATHS = (
    'masks.model',
    'dense.model',
    'clip.model',
    'clip.checkpoint',
    'vocabulary',
    'vocabulary_file',
    'groups',
)


@pytest.mark.parametrize('name', PATHS)
@pytest.mark.parametrize('kind', ['file', 'absent', 'above'])
def test_a_file_setting_only_reads(
    name: str, kind: str, tmp_path: Path, tiny_models: dict[str, object]
) -> None:
    here = tmp_path / 'here'
    here.mkdir()
    (here / 'file').write_bytes(b'\0 not what is wanted')
    value = {'file': here / 'file', 'absent': here / 'no' / 'x.pt', 'above': f'{here}/../x.yaml'}
    if not WRITTEN:
        sys.addaudithook(_audit)
    labeller = 'clip' if name.startswith('clip') else 'closed_set'
    values = {**tiny_models, 'offline': True, 'labeller': labeller, 'vocabulary': 'road'}
    WRITTEN[:] = ['(the hook is set)']
    with pytest.raises(SemanticFastSamError):
        SemanticFastSam(from_values(values | {name: str(value[kind])}))
    cache = str(cache_folder())
    assert [path for path in WRITTEN[1:] if not path.startswith(cache)] == []
    assert {path.name for path in here.iterdir()} == {'file'}
    assert {path.name for path in tmp_path.iterdir()} == {'here'}


def test_the_web_page_is_for_this_machine_unless_asked() -> None:
    parser = argparse.ArgumentParser()
    view.add_arguments(parser)
    assert parser.parse_args([]).address == '127.0.0.1'
