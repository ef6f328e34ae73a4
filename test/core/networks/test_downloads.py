"""Files come whole by redirects and over connections that break; sizes are told before."""

import shutil
from pathlib import Path

import pytest
from public_servers import LICENCE, STORE, Servers, serve, visit

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks import downloads, weights
from semantic_fast_sam_ros.core.networks.model_files import checkpoint, transformers_model
from semantic_fast_sam_ros.core.networks.offers import Offer, is_here, offer
from semantic_fast_sam_ros.core.networks.weights import Policy

FILE, HUB = 'FastSAM-s.pt', 'somebody/model'
CONTENT, OTHER = bytes(range(256)) * 4096, b'another version ' * 70000


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """Serve a release file, and a hub model with its weights in two formats."""
    (tmp_path / FILE).write_bytes(CONTENT)
    folder = tmp_path / HUB
    folder.mkdir(parents=True)
    for name in ('config.json', 'training_args.bin', 'model.safetensors', 'pytorch_model.bin'):
        (folder / name).write_bytes(f'{name} '.encode() * 1000)
    (folder / 'tf_model.h5').write_bytes(CONTENT)
    with serve({FILE: tmp_path / FILE}, {HUB: folder}) as running:
        visit(running.address, tmp_path / 'cache', monkeypatch)
        yield running


def test_a_release_file_comes_by_way_of_a_redirect(servers: Servers) -> None:
    assert weights.checkpoint_file(FILE, Policy()).read_bytes() == CONTENT
    assert servers.sent == [(FILE, 0)]


def test_a_connection_that_breaks_is_gone_on_with(servers: Servers) -> None:
    servers.breaking[FILE] = servers.releases[FILE]
    assert weights.checkpoint_file(FILE, Policy()).read_bytes() == CONTENT
    assert servers.sent == [(FILE, 0), (FILE, len(CONTENT) // 2)]


def test_a_file_that_changed_meanwhile_comes_anew(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / 'later').mkdir()
    later = tmp_path / 'later' / FILE
    later.write_bytes(OTHER)
    servers.breaking[FILE] = later
    assert weights.checkpoint_file(FILE, Policy()).read_bytes() == OTHER
    assert servers.sent == [(FILE, 0), (FILE, 0)]


def test_what_is_not_there_is_asked_for_once(servers: Servers) -> None:
    url = f'{servers.address}{STORE}none.pt'
    with pytest.raises(ModelError, match='404'):
        downloads.remote_size(url)


def test_hub_weights_come_in_the_safe_format_only(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, 'DOWNLOAD_CHUNK_SIZE', 100)  # 10 MB, of which it keeps none
    servers.breaking['model.safetensors'] = Path()
    folder = weights.pretrained_folder(HUB, Policy())
    names = {path.name for path in folder.iterdir()}
    assert names == {'config.json', 'training_args.bin', 'model.safetensors'}
    weight = folder / 'model.safetensors'
    assert weight.read_bytes() == (servers.hub[HUB] / weight.name).read_bytes()
    half = weight.stat().st_size // 2
    assert [begin for name, begin in servers.sent if name == weight.name] == [0, half]
    assert weights.pretrained_folder(HUB, Policy(offline=True)) == folder


def test_weights_in_the_other_format_come_where_there_are_no_safe_ones(servers: Servers) -> None:
    (servers.hub[HUB] / 'model.safetensors').unlink()
    names = {path.name for path in weights.pretrained_folder(HUB, Policy()).iterdir()}
    assert names == {'config.json', 'training_args.bin', 'pytorch_model.bin'}


def test_a_server_says_how_large_and_whose_a_model_is(servers: Servers) -> None:
    file, hub = checkpoint(FILE), transformers_model(HUB)
    wanted = ('config.json', 'training_args.bin', 'model.safetensors')
    size = sum((servers.hub[HUB] / name).stat().st_size for name in wanted)
    assert offer(file) == Offer(file, len(CONTENT), 'AGPL-3.0')
    assert offer(hub) == Offer(hub, size, LICENCE)
    assert [name for name, _ in servers.sent if name == FILE] == []


def test_what_no_server_has_is_told_and_not_raised(servers: Servers) -> None:
    shutil.rmtree(servers.hub.pop(HUB))
    assert '404' in offer(transformers_model(HUB)).problem
    assert '404' in offer(checkpoint('FastSAM-x.pt')).problem
    assert offer(checkpoint('mine.pt')).problem == 'no server has it'


def test_only_what_came_is_here(servers: Servers) -> None:
    assert not is_here(checkpoint(FILE))
    weights.checkpoint_file(FILE, Policy())
    assert is_here(checkpoint(FILE))
