"""The node's process, forked from a server that has the libraries imported: quick to start."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import ROOT, TIMEOUT_S, until

from semantic_fast_sam_ros.core.base.signals import interrupt_once

LIBRARIES = (
    'semantic_fast_sam_ros.ros.node',
    'ultralytics.nn.tasks',
    'ultralytics.utils.nms',
    'transformers.models.segformer.modeling_segformer',
    'transformers.models.segformer.image_processing_segformer',
)
BEGUN = 'the process has begun'


class ForkedNode:
    """What `ros2 run` starts, with a fault put into it where a test asks for one."""

    def __init__(
        self, log: Path, ros_arguments: Sequence[str], fault: Callable[[], None] | None = None
    ) -> None:
        """Start it.

        Args:
            log: file for its output.
            ros_arguments: what stands after --ros-args.
            fault: called in the process before the node's code; a function of a module.
        """
        self.log = log
        self.log.touch()
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload(list(LIBRARIES))
        os.environ['PYTHONPATH'] = str(ROOT)  # of the server, which lives on
        arguments = (str(log), ['semantic_fast_sam', '--ros-args', *ros_arguments], fault)
        self.process = context.Process(target=_be_the_node, args=arguments)
        self.process.start()
        self.until_logged(BEGUN)

    def until_logged(self, part: str) -> None:
        """Wait for a part of a log line."""
        until(lambda: part in self.text() or not self.process.is_alive(), part)
        assert part in self.text(), self.text()

    def text(self) -> str:
        """Return what it has logged."""
        return self.log.read_text(errors='replace')

    def end(self, number: int) -> int:
        """Send a signal; return the exit code."""
        assert self.process.pid
        os.kill(self.process.pid, number)
        self.process.join(TIMEOUT_S)
        assert self.process.exitcode is not None, f'it hangs: {self.text()}'
        return self.process.exitcode

    def close(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.join()


def _be_the_node(log: str, argv: list[str], fault: Callable[[], None] | None) -> None:
    interrupt_once()
    with open(log, 'wb', buffering=0) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout = sys.stderr = open(2, 'w', buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = argv
    print(BEGUN)
    from semantic_fast_sam_ros.ros import process

    if fault is not None:
        fault()
    process.main()
