"""What `from semantic_fast_sam_ros import ...` promises: stable names, cheap, documented."""

import os
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import semantic_fast_sam_ros

# Importing torch takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[1]
HEAVY = ('torch', 'ultralytics', 'transformers', 'cv2', 'rclpy', 'numpy')
# Removing one of these breaks somebody's program.
PROMISED = {
    'Config',
    'ConfigError',
    'FrameError',
    'ModelError',
    'SegmentationResult',
    'SemanticClass',
    'SemanticFastSam',
    'SemanticFastSamError',
    'Vocabulary',
}


def test_the_promised_names_are_there():
    assert set(semantic_fast_sam_ros.__all__) >= PROMISED
    assert set(dir(semantic_fast_sam_ros)) >= PROMISED


def test_importing_the_package_loads_nothing_heavy():
    code = (
        'import sys, semantic_fast_sam_ros; '
        f'print([name for name in {HEAVY} if name in sys.modules])'
    )
    run = [sys.executable, '-c', code]
    assert subprocess.run(run, cwd=ROOT, capture_output=True, text=True).stdout.strip() == '[]'


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match='Segmenter'):
        _ = semantic_fast_sam_ros.Segmenter


@pytest.mark.parametrize('name', sorted(PROMISED))
def test_each_name_comes_from_core_and_its_documentation_renders(name):
    found = getattr(semantic_fast_sam_ros, name)
    assert found.__module__.startswith('semantic_fast_sam_ros.core.')
    first_line = (found.__doc__ or '').strip().partition('\n')[0]
    assert first_line.endswith('.')
    assert first_line in pydoc.plain(pydoc.render_doc(found))


@pytest.mark.slow
def test_the_example_labels_an_image_file(tmp_path):
    ultralytics = pytest.importorskip('ultralytics', reason='ultralytics is not installed')
    photo = Path(ultralytics.__file__).parent / 'assets' / 'bus.jpg'
    target = tmp_path / 'labelled.png'
    command = [sys.executable, 'examples/label_image.py', str(photo), str(target)]
    ran = subprocess.run(
        command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ' masks in ' in ran.stdout
    assert '%' in ran.stdout
    assert target.read_bytes().startswith(b'\x89PNG')


def _environment() -> dict[str, str]:
    paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}
