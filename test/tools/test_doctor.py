"""Doctor tells what is there, and fails only for what is essential."""

import argparse

import pytest

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.base.folders import resource_folder
from semantic_fast_sam_ros.tools import doctor, libraries
from semantic_fast_sam_ros.tools.findings import Finding


def _run(monkeypatch, *parts: Finding, json: bool = False) -> int:
    monkeypatch.setattr(doctor, 'examine', lambda load: iter(parts))
    return doctor.run(argparse.Namespace(json=json, node=None, load=False))


def test_note_does_not_fail(monkeypatch, capsys):
    assert _run(monkeypatch, Finding('note', 'DDS profile', 'not set')) == 0
    assert 'ready to run' in capsys.readouterr().out


def test_missing_essential_fails(monkeypatch, capsys):
    assert _run(monkeypatch, Finding('MISSING', 'torch', 'not installed')) == 1
    assert 'torch' in capsys.readouterr().out


def test_part_that_raises_is_reported_and_the_others_go_on(monkeypatch):
    def broken(load):
        raise OSError('libGL.so.1 is missing')

    monkeypatch.setattr(libraries, 'look_at_torch', broken)
    monkeypatch.setattr(libraries, 'look_at_others', lambda load: [])
    for name in ('_ros', '_messages', '_models'):
        monkeypatch.setattr(doctor, name, lambda: [])
    findings = list(doctor.examine())
    assert ('MISSING', 'libGL') in {
        (finding.verdict, finding.text.removeprefix('OSError: ')[:5]) for finding in findings
    }
    assert any(finding.subject == 'python' for finding in findings)


@pytest.mark.parametrize('value', ['', '/no/such/profile.xml'])
def test_missing_dds_profile_is_noticed_with_the_line_to_type(monkeypatch, value):
    monkeypatch.setenv(doctor.PROFILE_VARIABLE, value)
    finding = next(iter(doctor._transport()))
    assert finding.verdict == 'note'
    assert f'export {doctor.PROFILE_VARIABLE}=' in finding.text


def test_dds_profile_without_a_large_segment_is_noticed(monkeypatch, tmp_path):
    profile = tmp_path / 'small.xml'
    profile.write_text('<dds><segment_size>524288</segment_size></dds>')
    monkeypatch.setenv(doctor.PROFILE_VARIABLE, str(profile))
    assert next(iter(doctor._transport())).verdict == 'note'


def test_shipped_dds_profile_is_accepted(monkeypatch):
    profile = resource_folder('config') / doctor.SHARED_MEMORY_PROFILE
    monkeypatch.setenv(doctor.PROFILE_VARIABLE, str(profile))
    assert next(iter(doctor._transport())) == Finding('ok', 'DDS profile', str(profile))


def test_absent_model_of_the_default_profile_is_essential_and_others_are_not(monkeypatch):
    def absent(name, policy, marker=''):
        raise ModelError(f'model {name!r} is not here (looked in x): bring it')

    monkeypatch.setattr(doctor.weights, 'checkpoint_file', absent)
    monkeypatch.setattr(doctor.weights, 'pretrained_folder', absent)
    findings = [f for f in doctor._models() if 'profiles:' in f.text]
    assert {finding.verdict for finding in findings} == {'MISSING', 'note'}
    for finding in findings:
        profiles = finding.text.rpartition('profiles: ')[2].strip(')').split(', ')
        assert (finding.verdict == 'MISSING') == (doctor.DEFAULT_PROFILE in profiles)
        ships = any(profile.startswith('embedded') for profile in profiles)
        assert ('prefetch' in finding.text) == (not ships)


def test_absent_module_is_told_from_one_that_breaks(monkeypatch):
    def broken(module):
        raise ImportError('numpy.core.multiarray failed to import')

    assert libraries.import_problem('no_such_module_at_all') == 'not installed'
    monkeypatch.setattr(libraries.importlib, 'import_module', broken)
    assert libraries.import_problem('cv_bridge').startswith('ImportError: numpy.core')


def test_without_load_a_library_only_has_to_be_installed(monkeypatch):
    monkeypatch.setattr(libraries, 'import_problem', lambda module: f'{module} is broken')
    texts = {load: {f.subject: f.text for f in libraries.look_at_others(load)} for load in (0, 1)}
    assert 'is broken' not in texts[0]['ultralytics'] and 'is broken' in texts[0]['OpenCV']
    assert 'ultralytics is broken' in texts[1]['ultralytics']


@pytest.mark.parametrize(
    ('gpus', 'version', 'verdict', 'text'),
    [
        (0, '2.9', 'ok', 'CPUs'),
        (2, '2.9', 'ok', '2 NVIDIA'),
        (2, '2.9+cpu', 'note', 'for CPUs only'),
    ],
)
def test_gpu_that_torch_cannot_use_is_noticed(monkeypatch, tmp_path, gpus, version, verdict, text):
    for number in range(gpus):
        (tmp_path / str(number)).mkdir()
    monkeypatch.setattr(libraries, 'NVIDIA_GPUS', tmp_path)
    monkeypatch.setattr(libraries, 'version', lambda distribution: version)
    finding = list(libraries.look_at_torch(load=False))[-1]
    assert (finding.subject, finding.verdict) == ('device', verdict) and text in finding.text
