"""The launch files' arguments: what they start, and what they say of bad ones."""

import importlib.util
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import yaml

pytest.importorskip(
    'launch_ros', reason='launch_ros is not installed: source a ROS 2 installation'
)

from launch import LaunchContext, LaunchService
from launch.actions import DeclareLaunchArgument
from launched import launch_file

from semantic_fast_sam_ros.core.base.errors import ConfigError

FILE = Path(launch_file('semantic_fast_sam.launch.py'))
ARGUMENTS = {
    *('profile', 'image_topic', 'params_file', 'vocabulary', 'device', 'namespace'),
    *('autostart', 'respawn', 'rviz', 'log_level', 'depth_topic', 'points_topic'),
}


@pytest.fixture(scope='module')
def module() -> ModuleType:
    """Import the launch file, as launch does."""
    spec = importlib.util.spec_from_file_location('semantic_fast_sam_launch', FILE)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def context_of(module: ModuleType, **given: str) -> LaunchContext:
    """Return a context in which the arguments are declared and given."""
    context = LaunchContext()
    context.launch_configurations.update(given)
    for action in module.generate_launch_description().entities:
        if isinstance(action, DeclareLaunchArgument):
            action.visit(context)
    return context


def command_line(module: ModuleType, **given: str) -> list[str]:
    """Return the command line of the node that the arguments start."""
    context = context_of(module, **given)
    (node,) = module.nodes(context)
    node._perform_substitutions(context)
    namespace = f'__ns:={node.expanded_node_namespace}'
    context.extend_locals({'ros_specific_arguments': {'ns': namespace}})
    return [''.join(s.perform(context) for s in part) for part in node.cmd]


def parameters(command: list[str]) -> dict[str, object]:
    """Return what the parameter files on the command line amount to, later ones first."""
    values: dict[str, object] = {}
    for flag, path in pairwise(command):
        if flag == '--params-file':
            for body in yaml.safe_load(Path(path).read_text()).values():
                values.update(body['ros__parameters'])
    return values


def test_all_arguments_are_declared_and_explained(module: ModuleType) -> None:
    declared = {
        a.name: a.description
        for a in module.generate_launch_description().entities
        if isinstance(a, DeclareLaunchArgument)
    }
    assert set(declared) == ARGUMENTS
    assert all(declared.values())


def test_defaults_start_the_embedded_profile(module: ModuleType) -> None:
    command = command_line(module)
    assert parameters(command)['vocabulary'] == 'embedded'
    assert parameters(command)['autostart'] is True
    assert 'image:=image' in command


def test_a_params_file_for_another_node_is_refused(module: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text('/controller:\n  ros__parameters: {threads: 3}\n')
    with pytest.raises(ConfigError, match='sets nothing for /robot/semantic_fast_sam'):
        command_line(module, params_file=str(file), namespace='robot')


def test_topic_namespace_and_log_level_reach_the_command_line(module: ModuleType) -> None:
    command = command_line(
        module,
        image_topic='/cam/image_raw',
        depth_topic='/cam/depth/image_rect',
        namespace='robot',
        log_level='debug',
    )
    assert 'image:=/cam/image_raw' in command
    assert 'depth/image:=/cam/depth/image_rect' in command
    assert '__ns:=/robot' in command
    assert command[command.index('--log-level') + 1] == 'debug'


def test_parameter_file_goes_over_the_profile(module: ModuleType, tmp_path: Path) -> None:
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/**:\n  ros__parameters:\n    vocabulary: road, sky\n')
    command = command_line(module, params_file=str(mine), profile='cityscapes')
    assert parameters(command)['vocabulary'] == 'road, sky'
    assert parameters(command)['masks']['model'] == 'FastSAM-x.pt'


@pytest.mark.parametrize('text', ['[road, car | van]', '3', 'true', 'road, car', 'my.yaml'])
def test_vocabulary_stays_text(module: ModuleType, text: str) -> None:
    command = command_line(module, vocabulary=text)
    assert parameters(command)['vocabulary'] == text


def test_device_and_autostart_go_over_the_profile(module: ModuleType) -> None:
    command = command_line(module, device='cuda:0', autostart='False')
    assert parameters(command)['device'] == 'cuda:0'
    assert parameters(command)['autostart'] is False


def test_profile_may_be_a_file(module: ModuleType, tmp_path: Path) -> None:
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/**:\n  ros__parameters:\n    labeller: none\n')
    command = command_line(module, profile=str(mine))
    assert parameters(command)['labeller'] == 'none'


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'profile': 'embeded'}, "unknown profile 'embeded' .*did you mean 'embedded'"),
        ({'profile': '/nowhere.yaml'}, 'profile: there is no file /nowhere.yaml'),
        ({'params_file': '/nowhere.yaml'}, 'params_file: there is no file /nowhere.yaml'),
        ({'autostart': 'maybe'}, "autostart must be true or false, not 'maybe'"),
        ({'respawn': '1'}, "respawn must be true or false, not '1'"),
        ({'log_level': 'loud'}, "log_level must be one of .*info.* not 'loud'"),
    ],
)
def test_bad_argument_is_told(module: ModuleType, given: dict[str, str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        command_line(module, **given)


def test_rviz_follows_the_namespace_and_camera(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}
    monkeypatch.setattr(module, 'Node', lambda **arguments: made.update(arguments))
    module.rviz('robot', 'camera/image')
    assert dict(made['remappings']) == {
        '/semantic_fast_sam/overlay': '/robot/semantic_fast_sam/overlay',
        '/semantic_fast_sam/label_image': '/robot/semantic_fast_sam/label_image',
        '/semantic_fast_sam/confidence': '/robot/semantic_fast_sam/confidence',
        '/semantic_fast_sam/points': '/robot/semantic_fast_sam/points',
        '/image': '/robot/camera/image',
    }
    layout = Path(made['arguments'][1])
    assert layout.is_file()
    assert all(topic in layout.read_text() for topic in dict(made['remappings']))
    module.rviz('', '/cam/image_raw')
    assert dict(made['remappings'])['/semantic_fast_sam/overlay'] == '/semantic_fast_sam/overlay'
    assert dict(made['remappings'])['/image'] == '/cam/image_raw'


@pytest.mark.parametrize('chosen', ['', '/my/profile.xml'])
def test_processes_get_the_shared_memory_profile_unless_the_user_chose_one(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setenv(module.DDS_PROFILE, chosen)
    context = context_of(module)
    for action in module.generate_launch_description().entities:
        if type(action).__name__ == 'SetEnvironmentVariable':
            action.visit(context)
    found = context.environment[module.DDS_PROFILE]
    assert found == chosen if chosen else Path(found).name == 'fastdds_shared_memory.xml'
    assert chosen or Path(found).is_file()


def test_unknown_profile_ends_launch_with_an_error_code(module: ModuleType) -> None:
    service = LaunchService()
    service.context.launch_configurations['profile'] = 'embeded'
    service.include_launch_description(module.generate_launch_description())
    assert service.run() == 1
