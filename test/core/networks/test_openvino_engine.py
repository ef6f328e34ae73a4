"""OpenVINO runs converted networks as torch does, and keeps to itself."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from doubled import Doubled, needs, on

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks.batching import class_names
from semantic_fast_sam_ros.core.networks.conversions import int8_file
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.openvino_engine import export_int8
from semantic_fast_sam_ros.core.networks.recording import Recorder, recording

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_conversion_of_an_earlier_version_asks_torch_for_the_classes(source: Path) -> None:
    needs('openvino')
    module = Doubled().requires_grad_(False)
    module.class_names = ('road',)
    load_network(lambda: module, source, on('openvino'))
    for note in (source.parent / 'cache' / 'engines').glob('*.json'):
        note.unlink()
    assert load_network(lambda: module, source, on('openvino')).class_names == ('road',)


@pytest.mark.parametrize('damage', ['absent', 'cut off', 'a file in place of the folder'])
def test_what_openvino_compiled_is_kept_and_made_anew_where_it_cannot_be_used(
    damage: str, source: Path
) -> None:
    needs('openvino')
    module = Doubled().requires_grad_(False)
    load_network(lambda: module, source, on('openvino'))
    folder = source.parent / 'cache' / 'engines' / 'compiled'
    (blob,) = folder.glob('*.blob')
    if damage == 'cut off':
        blob.write_bytes(blob.read_bytes()[:100])
    else:
        blob.unlink()
    if damage.startswith('a file'):
        folder.rmdir()
        folder.write_bytes(b'')
    network, batch = (
        load_network(lambda: module, source, on('openvino')),
        torch.rand(1, 3, 8, 8),
    )
    torch.testing.assert_close(network(batch)[0], module(batch)[0], rtol=1e-4, atol=1e-5)


def test_openvino_sends_no_telemetry() -> None:
    needs('openvino')
    code = (
        'from semantic_fast_sam_ros.core.networks.openvino_engine import openvino; openvino();'
        'from openvino.tools.ovc import telemetry_utils, convert_impl;'
        'print(telemetry_utils.tm.__name__, convert_impl.tm.__name__)'
    )
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ['openvino.tools.ovc.telemetry_stub'] * 2


LET_GO_ON_ANOTHER_THREAD = """
import signal, sys, threading
from pathlib import Path
import torch
from semantic_fast_sam_ros.core.networks.engines import load_network
from semantic_fast_sam_ros.core.networks.runtime import Runtime

runtime = Runtime(torch.device('cpu'), backend='openvino')
networks = [load_network(lambda: torch.nn.Conv2d(3, 2, 3), Path(sys.argv[1]), runtime)]
thread = threading.Thread(target=networks.clear)
thread.start()
thread.join()
signal.signal(signal.SIGALRM, lambda *_: print('alive'))
signal.raise_signal(signal.SIGALRM)
"""


def test_a_signal_is_survived_after_a_network_went_on_another_thread(source: Path) -> None:
    needs('openvino')
    command = [sys.executable, '-c', LET_GO_ON_ANOTHER_THREAD, str(source)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ['alive']


def test_making_an_8_bit_form_without_nncf_names_the_package(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda _: None)
    with pytest.raises(ModelError, match='pip install nncf'):
        export_int8(Recorder(Doubled(), source))


def test_a_recorded_network_still_tells_its_classes(source: Path) -> None:
    module = Doubled()
    module.class_names = ('road', 'sky')
    with recording():
        assert class_names(load_network(lambda: module, source, on('torch'))) == ('road', 'sky')


def test_an_8_bit_form_is_made_of_recorded_batches_and_then_taken(source: Path) -> None:
    needs('openvino')
    needs('nncf')
    module = Doubled().requires_grad_(False)
    with recording() as networks:
        network = load_network(lambda: module, source, on('torch'))
    for _ in range(3):
        network(torch.rand(1, 3, 16, 24))
    file = export_int8(networks[0])
    assert int8_file(source) == file
    batch = torch.rand(1, 3, 16, 24)
    found = load_network(lambda: module, source, on('auto', 'auto'))(batch)[0]
    torch.testing.assert_close(found, module(batch)[0], rtol=0.1, atol=0.05)
    source.write_bytes(b'other weights')
    assert int8_file(source) is None
