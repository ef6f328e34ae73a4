"""Who may import whom: the floors of the house, and no module that needs itself."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'semantic_fast_sam_ros'
# core/ runs anywhere torch runs.
ROS = ('rclpy', 'cv_bridge', 'ament_index_python', 'launch', 'launch_ros', 'image_transport')
# From the ground up: a floor imports itself and those that it stands on.
FLOORS = {
    'core.base': (),
    'core.settings': ('core.base',),
    'core.images': ('core.base', 'core.settings'),
    'core.networks': ('core.base', 'core.settings'),
    'core.masks': ('core.networks',),
    'core.closed_set': ('core.masks',),
    'core.open_vocabulary': ('core.closed_set',),
    'core.ssa_engine': ('core.open_vocabulary',),
    'core.video': ('core.open_vocabulary',),
    'core.outputs': ('core.masks', 'core.images'),
    'core.objects': ('core.outputs', 'core.open_vocabulary'),
    'core': ('core.ssa_engine', 'core.video', 'core.images'),
    'bags': ('core', 'core.objects'),
    'ros': ('core', 'core.objects'),
    'benchmarking': ('ros',),
    'evaluation': ('benchmarking',),
    'viewer': ('ros', 'bags'),
    'tools': ('viewer', 'evaluation'),
}


def _sources() -> dict[str, Path]:
    """Return the files of the package by the names of their modules."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob('*.py')):
        name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        found[name.removesuffix('.__init__')] = path
    return found


def _imports(source: Path) -> set[str]:
    """Return every name that a file imports, anywhere in it, with the module it comes from."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{source}: relative import'
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    return found


SOURCES = _sources()
NEEDS = {
    name: {
        wanted if wanted in SOURCES else wanted.rpartition('.')[0]
        for wanted in _imports(path)
        if wanted.startswith(f'{PACKAGE}.')
    }
    for name, path in SOURCES.items()
}


def _floor(module: str) -> str:
    """Return the floor that a module is on: its package, or `core` for those right in it."""
    parts = module.removeprefix(f'{PACKAGE}.').split('.')
    inner = parts[0] == 'core' and (len(parts) > 2 or f'core.{parts[-1]}' in FLOORS)
    return '.'.join(parts[:2]) if inner else parts[0]


def _below(floor: str) -> set[str]:
    """Return what a floor may import: itself, and all that it stands on."""
    return {floor}.union(*(_below(lower) for lower in FLOORS[floor]))


def test_every_package_stands_on_a_floor() -> None:
    packages = {_floor(name) for name in SOURCES if name.count('.') > 0}
    assert packages - {'__main__'} == set(FLOORS)


@pytest.mark.parametrize('floor', FLOORS)
def test_a_package_imports_only_what_it_stands_on(floor: str) -> None:
    allowed = _below(floor)
    for name in (module for module in SOURCES if _floor(module) == floor):
        wrong = sorted(n for n in NEEDS[name] if n != PACKAGE and _floor(n) not in allowed)
        assert not wrong, f'{name} imports {wrong}'


def test_no_module_needs_itself() -> None:
    try:
        list(TopologicalSorter(NEEDS).static_order())
    except CycleError as error:
        raise AssertionError(f'a cycle of imports: {" -> ".join(error.args[1])}') from None


def test_core_imports_no_ros() -> None:
    for name in (module for module in SOURCES if module.startswith(f'{PACKAGE}.core')):
        tops = {wanted.partition('.')[0] for wanted in _imports(SOURCES[name])}
        wrong = {top for top in tops if top in ROS or top.endswith(('_msgs', '_interfaces'))}
        assert not wrong, f'{name} imports {sorted(wrong)}'
