"""The process of the node: help, signals, parameter files, exit code."""

import os
import sys
import textwrap
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from semantic_fast_sam_ros.core.base.signals import end_process, ignore_interrupts, interrupt_once
from semantic_fast_sam_ros.ros.arguments import own_words

if TYPE_CHECKING:
    from semantic_fast_sam_ros.ros.node import SemanticFastSamNode

# An image that is in work for longer, such as on a device that hangs, does not hold up the end.
END_S = 5.0
PROGRAM = 'semantic_fast_sam_node'
HELP = """\
usage: {program} --ros-args [--params-file FILE] [-p NAME:=VALUE] [-r FROM:=TO]

The lifecycle node that labels camera images: FastSAM masks, named, as ROS 2 topics. It takes ROS
arguments only; all settings are parameters. On a camera, with a profile:

  {program} --ros-args --params-file {config}/embedded.yaml \\
      -r image:=/camera/image_raw

Profiles are the parameter files in {config}:
{profiles}
A file of your own may follow as a second --params-file. The same with fewer words:
  ros2 launch semantic_fast_sam_ros semantic_fast_sam.launch.py image_topic:=/camera/image_raw
All parameters: docs/parameters.md, or `ros2 param describe` while the node runs. The documentation
begins at docs/index.md; `semantic_fast_sam --help` lists the commands."""


def main() -> NoReturn:
    """Be the process of the node."""
    interrupt_once()
    try:
        code = answer(own_words(sys.argv[1:]))
        code = run() if code is None else code
    except KeyboardInterrupt:  # while libraries were imported
        code = 0
    end_process(code)


def answer(words: Sequence[str]) -> int | None:
    """Print what words that are not ROS's ask for; return the exit code, None to run the node."""
    if not words:
        return None
    if '-h' in words or '--help' in words:
        print(help_text())
        return 0
    print(
        f'{PROGRAM}: {words[0]!r} is not known here: parameters and remappings follow after '
        f'--ros-args (`{PROGRAM} --help`)',
        file=sys.stderr,
    )
    return 2


def help_text() -> str:
    """Return what the node is and how it is started."""
    from semantic_fast_sam_ros.core.base.folders import resource_folder
    from semantic_fast_sam_ros.core.settings.profiles import profiles

    names = textwrap.fill(', '.join(profiles()), 98, initial_indent='  ', subsequent_indent='  ')
    return HELP.format(program=PROGRAM, config=resource_folder('config'), profiles=names)


def run() -> int:
    """Run the node until SIGINT, SIGTERM or a fatal error; return the exit code."""
    # Imported here: torch takes seconds, in which an interrupt is to be a clean end already.
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from semantic_fast_sam_ros.ros.node import NODE_NAME, SemanticFastSamNode
    from semantic_fast_sam_ros.ros.shutdown import shut_down, spin

    try:
        rclpy.init()
    except RuntimeError as error:  # a malformed parameter file, an unknown log level
        print(f'{NODE_NAME}: {error}', file=sys.stderr)
        return 2
    node: SemanticFastSamNode | None = None
    try:
        node = SemanticFastSamNode()
        _tell_useless_files(node, sys.argv)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spin(executor)
    except KeyboardInterrupt:
        pass
    except Exception:
        if rclpy.ok():
            raise  # otherwise a signal came while something was being made
    finally:
        ignore_interrupts()
        if node is not None:
            _end_by_force(1 if node.failed else 0)
            node.close()
            node.destroy_node()
        shut_down()
    return 1 if node is not None and node.failed else 0


def _tell_useless_files(node: 'SemanticFastSamNode', words: list[str]) -> None:
    """Warn of parameter files that hold nothing for the node: rclpy passes over them silently."""
    from semantic_fast_sam_ros.core.base.errors import ConfigError
    from semantic_fast_sam_ros.core.settings.profiles import read_parameter_file

    for word, file in pairwise(words):
        if word == '--params-file':
            try:
                read_parameter_file(Path(file), node.get_fully_qualified_name())
            except ConfigError as error:
                node.get_logger().warning(str(error))


def _end_by_force(code: int) -> None:
    """End the process after some seconds, unless it has ended by then."""
    timer = threading.Timer(END_S, os._exit, [code])
    timer.daemon = True
    timer.start()


if __name__ == '__main__':
    main()
