"""What the launch tests share: the installed launch files, and a reason to skip."""

import tempfile
from pathlib import Path

import pytest

PACKAGE = 'semantic_fast_sam_ros'
# The shipped models, small enough for a busy machine.
QUICK = """/**:
  ros__parameters:
    masks: {image_size: 160}
    dense: {image_size: 120}
    threads: 1
    offline: true
"""


def launch_file(name: str) -> str:
    """Return a launch file as `ros2 launch` finds it; skip the module if it finds none."""
    packages = pytest.importorskip('ament_index_python.packages', reason='no ament index')
    try:
        share = packages.get_package_share_directory(PACKAGE)
    except packages.PackageNotFoundError:
        pytest.skip(
            f'ament finds no package {PACKAGE}: run scripts/setup', allow_module_level=True
        )
    return str(Path(share) / 'launch' / name)


def parameter_file(body: str = QUICK) -> str:
    """Write a ROS parameter file; return its path."""
    with tempfile.NamedTemporaryFile('w', suffix='.yaml', delete=False) as file:
        file.write(body)
    return file.name
