"""The container and workflow files, which cannot be built here, name what exists."""

import os
import re
from pathlib import Path

import yaml

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


def test_the_readme_says_that_nothing_of_it_was_built_here():
    assert 'Not built and not run' in (ROOT / 'docker' / 'README.md').read_text()
