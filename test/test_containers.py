"""The container and workflow files, which cannot be built here, name what exists."""

import argparse
import os
import re
from pathlib import Path

import yaml

from semantic_fast_sam_ros.core.settings.profiles import profiles
from semantic_fast_sam_ros.tools import check_profiles

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / 'docker' / 'Dockerfile').read_text()


def test_the_image_is_made_by_the_tested_script():
    assert 'RUN scripts/setup' in DOCKERFILE
    assert os.access(ROOT / 'scripts' / 'setup', os.X_OK)


def test_what_the_image_starts_exists():
    entry = re.search(r'ENTRYPOINT \["(.+)"\]', DOCKERFILE)[1]
    assert os.access(ROOT / entry, os.X_OK)
    command = yaml.safe_load(re.search(r'^CMD (.+)$', DOCKERFILE, re.MULTILINE)[1])
    assert f'{command[0]} =' in (ROOT / 'setup.py').read_text()
    assert (ROOT / command[-1]).is_file()


def test_the_environment_stays_out_of_the_image():
    ignored = (ROOT / '.dockerignore').read_text().split()
    assert {'.git', '.venv'} <= set(ignored)


def test_the_workflow_runs_what_ci_runs():
    workflow = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ci.yml').read_text())
    steps = [step.get('run') for step in workflow['jobs']['test']['steps']]
    assert [step for step in steps if step] == ['.ci/run']
    assert os.access(ROOT / '.ci' / 'run', os.X_OK)


def test_the_weekly_workflow_tries_each_shipped_profile_once():
    workflow = yaml.safe_load((ROOT / '.github' / 'workflows' / 'profiles.yml').read_text())
    job = workflow['jobs']['check']
    tried = [name for line in job['strategy']['matrix']['profiles'] for name in line.split()]
    assert sorted(tried) == sorted(profiles())
    (words,) = [step['run'] for step in job['steps'] if 'semantic_fast_sam' in step.get('run', '')]
    options = re.findall(r'--[a-z]+', words)
    parser = argparse.ArgumentParser()
    check_profiles.add_arguments(parser)
    assert set(options) <= parser._option_string_actions.keys()
    assert 'scripts/setup' in [step.get('run') for step in job['steps']]


def test_the_readme_says_that_nothing_of_it_was_built_here():
    assert 'Not built and not run' in (ROOT / 'docker' / 'README.md').read_text()
