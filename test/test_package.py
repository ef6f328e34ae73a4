"""The package shell: what rosdep, colcon, `ros2 run` and pip read."""

import ast
import runpy
import xml.etree.ElementTree as ElementTree
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import setuptools

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'semantic_fast_sam_ros'
OPTIONAL = {'foxglove_msgs'}  # outlines for Foxglove are offered where it is installed


@pytest.fixture(name='arguments', scope='module')
def _arguments() -> dict[str, Any]:
    """Return the keyword arguments that setup.py gives to setup()."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(setuptools, 'setup', lambda **keywords: given.update(keywords))
        runpy.run_path(str(ROOT / 'setup.py'))
    return given


def _manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def _installed(arguments: dict[str, Any]) -> set[str]:
    return {
        f'{folder}/{Path(file).name}'
        for folder, files in arguments['data_files']
        for file in files
    }


def test_manifest_is_format_3_and_built_by_ament_python():
    manifest = _manifest()
    assert manifest.get('format') == '3'
    assert manifest.findtext('export/build_type') == 'ament_python'


def test_manifest_and_setup_agree(arguments):
    manifest = _manifest()
    for key in ('name', 'version', 'license'):
        assert manifest.findtext(key) == arguments[key], key


def test_every_imported_ros_package_is_a_dependency():
    depends = {element.text for element in _manifest() if element.tag.endswith('depend')}
    ros = ('rclpy', 'launch', 'launch_ros', 'ament_index_python', 'cv_bridge')
    sources = [*(ROOT / PACKAGE).rglob('*.py'), *(ROOT / 'launch').rglob('*.py')]
    imported = {name for source in sources for name in _imports(source)}
    needed = {name for name in imported if name in ros or name.endswith(('_msgs', '_interfaces'))}
    assert needed, 'no ROS import was found at all'
    assert needed - OPTIONAL <= depends


def test_interface_definitions_are_hidden_from_ros_tools():
    assert (ROOT / 'interfaces' / 'COLCON_IGNORE').is_file()
    assert (ROOT / 'interfaces' / 'AMENT_IGNORE').is_file()


def test_ament_finds_the_package(arguments):
    files = _installed(arguments)
    assert f'share/ament_index/resource_index/packages/{PACKAGE}' in files
    assert f'share/{PACKAGE}/package.xml' in files


def test_every_resource_is_installed_but_training_code_is_not(arguments):
    files = _installed(arguments)
    for top in ('launch', 'config', 'models'):
        for path in (ROOT / top).rglob('*'):
            relative = path.relative_to(ROOT)
            if path.is_file() and '__pycache__' not in relative.parts:
                shipped = 'training' not in relative.parts
                assert (f'share/{PACKAGE}/{relative}' in files) == shipped, relative


def test_every_subpackage_is_installed(arguments):
    folders = {path.parent for path in (ROOT / PACKAGE).rglob('*.py')}
    names = {'.'.join(folder.relative_to(ROOT).parts) for folder in folders}
    assert names == set(arguments['packages'])


def test_every_entry_point_exists(arguments):
    for entry in arguments['entry_points']['console_scripts']:
        module, _, function = entry.partition(' = ')[2].partition(':')
        tree = ast.parse((ROOT / f'{module.replace(".", "/")}.py').read_text())
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert function in names, entry


def test_ros2_run_uses_the_python_of_the_active_environment():
    settings = ConfigParser()
    settings.read(ROOT / 'setup.cfg')
    assert settings['build_scripts']['executable'] == '/usr/bin/env python3'
    assert settings['install']['install_scripts'] == f'$base/lib/{PACKAGE}'


def test_licence_is_apache_2():
    text = (ROOT / 'LICENSE').read_text()
    assert 'Apache License' in text
    assert 'Version 2.0, January 2004' in text


def _imports(source: Path) -> set[str]:
    """Return the top-level names that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition('.')[0])
    return found
