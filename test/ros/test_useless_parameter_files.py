"""A parameter file that sets nothing for the node is told: rclpy passes over it silently."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from semantic_fast_sam_ros.ros import process


@pytest.mark.parametrize(
    ('name', 'told'),
    [('/controller', True), ('/other/semantic_fast_sam', True), ('/**', False)],
)
def test_a_file_for_other_nodes_is_warned_of(name: str, told: bool, tmp_path: Path) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text(f'{name}:\n  ros__parameters: {{threads: 3}}\n')
    log = Mock()
    node = Mock(get_logger=lambda: log, get_fully_qualified_name=lambda: '/semantic_fast_sam')
    process._tell_useless_files(node, ['node', '--ros-args', '--params-file', str(file)])
    said = [call.args[0] for call in log.warning.call_args_list]
    assert len(said) == told
    assert all('sets nothing for /semantic_fast_sam' in s and f'for {name};' in s for s in said)
