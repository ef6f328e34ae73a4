"""The benchmark: what it writes, that the masks are the network's own, and wrong options."""

import json

import pytest
import tiny

from semantic_fast_sam_ros.__main__ import main
from semantic_fast_sam_ros.core.images.files import read_image

pytestmark = pytest.mark.slow

SIZE = ('--sizes', '96x64', '--frames', '2', '--threads', '1')


@pytest.fixture(name='models', scope='module')
def _models(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    masks = tiny.write_fastsam(folder / 'masks.pt')
    dense = tiny.write_segformer(folder / 'dense')
    values = {
        'masks.model': masks,
        'masks.image_size': 64,
        'masks.confidence': 1,
        'dense.model': dense,
        'vocabulary': "''",
        'trust_model_files': 'true',
        'vote.maximum_mask_share': 1,
    }
    return [word for name, value in values.items() for word in ('--set', f'{name}={value}')]


def test_json_has_machine_commit_rows_and_peers(models, tmp_path):
    file, plot = tmp_path / 'out' / 'benchmark.json', tmp_path / 'plot.png'
    options = ('--masks', '1,6', '--json', str(file), '--plot', str(plot))
    assert main(['benchmark', *SIZE, *options, *models]) == 0
    report = json.loads(file.read_text())
    assert {'machine', 'commit', 'rows', 'peers'} <= set(report)
    assert [(row['size'], row['masks'], row['threads']) for row in report['rows']] == [
        ('96x64', 1, 1),
        ('96x64', 6, 1),
    ]
    for row in report['rows']:
        assert row['profile'] == 'embedded'
        assert {'decode', 'mask_network', 'dense_network', 'rasterise', 'render'} <= set(
            row['stage_ms']
        )
        assert set(row['stage_ms']) == set(row['stage_p95_ms']) == set(row['stage_share'])
        assert sum(row['stage_share'].values()) == pytest.approx(1, abs=0.01)
        assert row['overhead'] > 1
        assert row['overhead_published'] > row['overhead']
        assert row['frame_ms'] >= row['label_ms'] >= row['networks_ms'] > 0
    assert read_image(plot).shape[2] == 3


def test_a_lower_confidence_gives_more_masks_and_is_told(models, tmp_path):
    file = tmp_path / 'benchmark.json'
    command = ['benchmark', *SIZE, '--masks', '0,20', '--json', str(file)]
    assert main([*command, *models]) == 0
    as_set, more = json.loads(file.read_text())['rows']
    assert as_set['confidence'] == 1
    assert more['confidence'] < 1
    assert as_set['masks_found'] < more['masks_found'] <= 20


def test_without_ros_the_stages_of_messages_are_said_to_be_missing(
    models, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(__import__('sys').modules, 'rclpy', None)
    file = tmp_path / 'benchmark.json'
    assert main(['benchmark', *SIZE, '--masks', '2', '--json', str(file), *models]) == 0
    report = json.loads(file.read_text())
    stages = set(report['rows'][0]['stage_ms'])
    assert 'render' in stages
    assert not {'serialise', 'publish'} & stages
    assert 'serialise and publish are missing' in capsys.readouterr().out


def test_peers_of_another_report_are_taken_over_with_where_they_ran(models, tmp_path):
    other, file = tmp_path / 'peers.json', tmp_path / 'benchmark.json'
    peer = {'peer': 'theirs', 'ours': 'ours', 'peer_ms': 6.0, 'ours_ms': 2.0, 'ratio': 3.0}
    other.write_text(json.dumps({'machine': 'm', 'commit': 'c', 'rows': [], 'peers': [peer]}))
    options = ['--masks', '2', '--json', str(file), '--peers', str(other)]
    assert main(['benchmark', *SIZE, *options, *models]) == 0
    assert json.loads(file.read_text())['peers'] == [{**peer, 'machine': 'm', 'commit': 'c'}]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--sizes', '640'], '640x480'),
        (['--sizes', '0x480'], '640x480'),
        (['--masks', 'many'], '--masks'),
        (['--masks', '1001'], '1000'),
        (['--threads', '-1'], '--threads'),
        (['--frames', '0'], '--frames'),
        (['--plot', 'plot.gif'], '.svg'),
        (['--peers', 'absent.json'], 'absent.json'),
    ],
)
def test_wrong_options_are_named(options, words, capsys):
    assert main(['benchmark', *(f'{options[0]}={options[1]}',)]) == 1
    assert words in capsys.readouterr().err
