"""Ctrl-C under `ros2 launch` comes twice, from the terminal and from launch: the first counts."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM)
AGAIN_S = 0.01


def interrupt_once() -> None:
    """Raise KeyboardInterrupt at the first SIGINT or SIGTERM only: the end is not interrupted.

    To be called by the main thread before `rclpy.init`, which hands signals on.
    """
    for number in ENDING:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _interrupt_again


def ignore_interrupts() -> None:
    """Let SIGINT and SIGTERM do nothing from here on."""
    for number in ENDING:
        signal.signal(number, _nothing)


def end_process(code: int) -> NoReturn:
    """End at once: Python would take torch apart piece by piece, longer than launch waits."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    ignore_interrupts()
    raise KeyboardInterrupt


def _interrupt_again(lost: Any) -> None:
    """Let an interrupt come again that fell into a `__del__`, where Python only reports it."""
    if lost.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(lost)
        return
    interrupt_once()
    again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True
    again.start()


def _nothing(number: int, frame: FrameType | None) -> None:
    """Not SIG_IGN: Python would report a signal that was on its way as lost."""
