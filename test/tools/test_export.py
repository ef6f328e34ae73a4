"""`export` converts what a profile loads, compares labels and says where the files are."""

import importlib.util

import pytest

from semantic_fast_sam_ros.__main__ import main

pytestmark = pytest.mark.timeout(300)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('profile', 'beside_masks'),
    [('embedded', 'dense_lite0'), ('embedded_open', 'clip_lite0')],
)
def test_shipped_networks_are_converted_and_label_alike(
    profile, beside_masks, tmp_path, monkeypatch, capsys
):
    if importlib.util.find_spec('openvino') is None:
        pytest.skip('openvino is not installed')
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    assert (
        main(
            ['export', '--profile', profile, '--device', 'cpu', '--output', str(tmp_path / 'out')]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert 'labels equal on' in said and 'openvino: ' in said and 'torch: ' in said
    stems = {file.name.partition('-')[0] for file in (tmp_path / 'out').glob('*.xml')}
    assert stems == {'fastsam_n', beside_masks}
    assert {f.suffix for f in (tmp_path / 'out').iterdir()} == {'.xml', '.bin', '.json'}


def test_a_folder_without_images_is_named(tmp_path, capsys):
    assert main(['export', '--images', str(tmp_path)]) == 1
    assert f'{tmp_path} holds no images' in capsys.readouterr().err


def test_what_another_tool_exported_is_not_converted(tmp_path, capsys):
    file = tmp_path / 'net.onnx'
    file.touch()
    assert main(['export', '--set', f'dense.model={file}']) == 1
    assert 'net.onnx was exported by another tool' in capsys.readouterr().err
