"""Commands for people: `python -m semantic_fast_sam_ros COMMAND`, or `semantic_fast_sam COMMAND`.

A command is a module of `tools/` with a one-line docstring (its help line),
`add_arguments(parser)` and `run(arguments) -> int`. It is imported only when it is called.
"""

import argparse
import ast
import difflib
import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError

PROGRAM = 'semantic_fast_sam'
# The commands in the order of their help; `label-bag` is tools/label_bag.py.
COMMANDS = (
    'demo',
    'stream',
    'label-bag',
    'label-images',
    'record',
    'view',
    'export-nav2',
    'export-hydra',
    'evaluate',
    'sweep',
    'benchmark',
    'gpu-check',
    'export',
    'prefetch',
    'check-profiles',
    'doctor',
)
ROS_MODULES = ('rclpy', 'ament_index_python', 'launch', 'launch_ros', 'cv_bridge')


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ('-h', '--help', 'help'):
        print(overview())
        return 0 if words else 2
    words[0] = words[0].replace('_', '-')
    if words[0] not in COMMANDS:
        close = difflib.get_close_matches(words[0], COMMANDS, n=1)
        hint = f'did you mean {close[0]!r}?' if close else f'commands: {", ".join(COMMANDS)}'
        print(f'{PROGRAM}: no command {words[0]!r}; {hint}', file=sys.stderr)
        return 2
    return run_command(words[0], words[1:])


def overview() -> str:
    """Return the help text: usage and one line a command."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f'  {name:<{width}}{help_line(name)}' for name in COMMANDS]
    return '\n'.join(
        [
            f'usage: {PROGRAM} COMMAND [options]     (`{PROGRAM} COMMAND --help` explains one)',
            '',
            'Live semantic labelling of camera images. Commands:',
            *lines,
            '',
            'The node itself: `ros2 launch semantic_fast_sam_ros semantic_fast_sam.launch.py`,',
            'or without ros2 `semantic_fast_sam_node --ros-args -r image:=/camera/image_raw`.',
        ]
    )


def help_line(command: str) -> str:
    """Return the first line of a tool's docstring, without importing what the tool imports."""
    source = Path(__file__).parent / 'tools' / f'{_module(command)}.py'
    if not source.is_file():
        return '(missing from this installation)'
    text = ast.get_docstring(ast.parse(source.read_text(encoding='utf-8'))) or ''
    return text.partition('\n')[0]


def run_command(command: str, words: Sequence[str]) -> int:
    """Import a tool, read its options and run it; known errors become one sentence."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no UTF-8
        sys.stdout.reconfigure(errors='backslashreplace')
    parser = argparse.ArgumentParser(
        prog=f'{PROGRAM} {command}', description=help_line(command), allow_abbrev=False
    )
    try:
        tool = importlib.import_module(f'semantic_fast_sam_ros.tools.{_module(command)}')
        tool.add_arguments(parser)
        return int(tool.run(parser.parse_args(words)))
    except ModuleNotFoundError as error:
        print(f'{parser.prog}: {_missing(error)}', file=sys.stderr)
        return 1
    except SemanticFastSamError as error:
        print(f'{parser.prog}: {error}', file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        print(f'{parser.prog}: {error.filename}: {error.strerror}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _module(command: str) -> str:
    return command.replace('-', '_')


def _missing(error: ModuleNotFoundError) -> str:
    """Say how to bring a missing module; one of ours is a bug and goes on up."""
    name = (error.name or '').partition('.')[0]
    if not name or name == __package__:
        raise error
    if name in ROS_MODULES or name.endswith('_msgs'):
        return f'{name!r} is missing: source a ROS 2 installation, or scripts/env.sh of a checkout'
    return (
        f'the Python package that provides {name!r} is missing: run scripts/setup in a checkout, '
        'or pip install what requirements/ lists'
    )


if __name__ == '__main__':
    sys.exit(main())
