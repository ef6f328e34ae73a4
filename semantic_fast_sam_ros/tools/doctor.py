"""Show what is installed and what is missing, or what is wrong with a running node."""

import argparse
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.base.folders import PACKAGE, cache_folder, resource_folder
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.model_files import Model, models_of
from semantic_fast_sam_ros.core.settings import profiles
from semantic_fast_sam_ros.tools import libraries
from semantic_fast_sam_ros.tools.findings import Finding, Verdict, report

DEFAULT_PROFILE = 'embedded'
PROFILE_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
SHARED_MEMORY_PROFILE = 'fastdds_shared_memory.xml'
SHARED_MEMORY = Path('/dev/shm')
# A 1920x1080 rgb8 image has 6.2 MB; the segment should hold several.
SMALLEST_SEGMENT = 16 << 20
# Type hashes of the released vision_msgs: another hash means that no other node will understand.
TYPE_HASHES = {
    'Detection2DArray': 'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    'Detection3DArray': 'RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018',
    'LabelInfo': 'RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        '--node',
        metavar='NAME',
        nargs='?',
        const='/semantic_fast_sam',
        help='ask a running node instead, such as /semantic_fast_sam (default)',
    )
    parser.add_argument(
        '--load',
        action='store_true',
        help='import all libraries, too, and ask torch for the device: many seconds',
    )
    parser.add_argument('--json', action='store_true', help='print the findings as JSON')


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return 1 when something essential is missing or wrong."""
    if arguments.node:
        from semantic_fast_sam_ros.tools import node_doctor

        found = node_doctor.examine(arguments.node)
        return report(found, arguments.json, 'nothing wrong is seen', '{} thing(s) wrong')
    found = examine(arguments.load)
    return report(found, arguments.json, 'ready to run', '{} essential thing(s) missing')


def examine(load: bool = False) -> Iterator[Finding]:
    """Look at everything, part by part; one that fails says so and the rest go on.

    Args:
        load: whether to import what takes seconds; otherwise it is enough that it is installed.
    """
    weights.silence_libraries()
    parts: dict[str, Callable[[], Iterable[Finding]]] = {
        'python': _python,
        'ros': _ros,
        'messages': _messages,
        'transport': _transport,
        'torch': partial(libraries.look_at_torch, load),
        'libraries': partial(libraries.look_at_others, load),
        'models': _models,
    }
    for name, part in parts.items():
        try:
            yield from part()
        except Exception as error:  # a broken installation raises anything; the report goes on
            yield Finding('MISSING', name, f'{type(error).__name__}: {error}')


def _python() -> Iterator[Finding]:
    supported = sys.version_info >= (3, 10)
    yield Finding(
        'ok' if supported else 'MISSING',
        'python',
        f'{platform.python_version()} {sys.executable}' + ('' if supported else ', too old'),
    )
    manifest = (resource_folder('config').parent / 'package.xml').read_text(encoding='utf-8')
    version = re.search('<version>(.*?)</version>', manifest)
    place = Path(__file__).resolve().parents[1]
    yield Finding('ok', PACKAGE, f'{version[1] if version else "of unknown version"} {place}')


def _ros() -> Iterator[Finding]:
    if not libraries.importable('rclpy'):
        advice = 'source a ROS 2 installation, or scripts/env.sh of a checkout'
        yield Finding('MISSING', 'ROS 2', f'no rclpy: {advice}')
        return
    from rclpy.utilities import get_rmw_implementation_identifier

    distribution = os.environ.get('ROS_DISTRO') or 'unnamed distribution'
    middleware = get_rmw_implementation_identifier()
    yield Finding(
        'ok', 'ROS 2', f'{distribution}, rclpy {libraries.version("rclpy")}, {middleware}'
    )


def _messages() -> Iterator[Finding]:
    for name in ('sensor_msgs', 'diagnostic_msgs', 'lifecycle_msgs'):
        if not libraries.importable(f'{name}.msg'):
            yield Finding('MISSING', name, 'cannot be imported')
    if not libraries.importable('vision_msgs.msg'):
        yield Finding('MISSING', 'vision_msgs', 'cannot be imported: apt or scripts/setup has it')
        return
    for name, expected in TYPE_HASHES.items():
        found = type_hash(name)
        subject = f'vision_msgs/{name}'
        if found is None:
            yield Finding('note', subject, 'this ROS has no type hashes')
        elif found == expected:
            yield Finding('ok', subject, f'type hash as released ({found[:19]}...)')
        else:
            yield Finding('MISSING', subject, f'type hash {found} differs from the released one')


def type_hash(message: str) -> str | None:
    """Return the type hash of an installed vision_msgs message; None where ROS has none."""
    import vision_msgs

    assert vision_msgs.__file__
    prefix = next(p for p in Path(vision_msgs.__file__).parents if (p / 'share').is_dir())
    description = prefix / 'share' / 'vision_msgs' / 'msg' / f'{message}.json'
    if not description.is_file():
        return None
    hashes = json.loads(description.read_text(encoding='utf-8'))['type_hashes']
    name = f'vision_msgs/msg/{message}'
    return next(str(entry['hash_string']) for entry in hashes if entry['type_name'] == name)


def _transport() -> Iterator[Finding]:
    shipped = resource_folder('config') / SHARED_MEMORY_PROFILE
    advice = f'most images get lost; export {PROFILE_VARIABLE}={shipped}'
    chosen = os.environ.get(PROFILE_VARIABLE, '')
    if not chosen:
        yield Finding('note', 'DDS profile', f'not set: {advice}')
    elif not Path(chosen).is_file():
        yield Finding('note', 'DDS profile', f'{chosen} does not exist: {advice}')
    elif segment_size(Path(chosen)) < SMALLEST_SEGMENT:
        yield Finding('note', 'DDS profile', f'{chosen}: no large shared-memory segment: {advice}')
    else:
        yield Finding('ok', 'DDS profile', chosen)
    if SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(SHARED_MEMORY).free
        few = free < 2 * segment_size(shipped)
        hint = ', too little for two processes (docker run --shm-size=512m)' if few else ''
        yield Finding('note' if few else 'ok', 'shared memory', f'{free >> 20} MiB free{hint}')


def segment_size(profile: Path) -> int:
    """Return the largest shared-memory segment that a Fast DDS profile asks for, bytes."""
    sizes = re.findall(r'<segment_size>\s*(\d+)\s*</segment_size>', profile.read_text())
    return max(map(int, sizes), default=0)


def _models() -> Iterator[Finding]:
    yield Finding('ok', 'models folder', str(weights.models_folder()))
    yield Finding('ok', 'cache', str(cache_folder()))
    users: dict[Model, list[str]] = {}
    for profile in profiles.profiles():
        for model in models_of(profiles.load_profile(profile)):
            users.setdefault(model, []).append(profile)
    for model, names in users.items():
        place, reason = _find_model(model)
        if place:
            yield Finding('ok', model.name, f'{place} (profiles: {", ".join(names)})')
        else:
            verdict: Verdict = 'MISSING' if DEFAULT_PROFILE in names else 'note'
            yield Finding(verdict, model.name, f'{reason} (profiles: {", ".join(names)})')


def _find_model(model: Model) -> tuple[str, str]:
    """Return (where a model is, '') or ('', what is wrong), without asking any network."""
    policy = weights.Policy(offline=True, trust_model_files=True)  # nothing is loaded here
    try:
        return str(model.find(policy)), ''
    except ModuleNotFoundError:
        pass  # told where the libraries are looked at
    except SemanticFastSamError as error:
        if 'is not here' not in str(error):
            return '', str(error)
    if model.name in weights.KNOWN or '/' in model.name:
        return '', f'absent; `{weights.PREFETCH} {model.name}` brings it'
    return '', 'absent, although it ships in models/: the checkout or installation is incomplete'
