"""End rclpy, whoever else ends it at the same moment."""

import contextlib

import rclpy
from rclpy.context import Context


def shut_down(context: Context | None = None) -> None:
    """Shut a context down, by default the process's; no error if it is down already.

    rclpy asks whether it is, and then shuts it down: in between, the thread of its signal handlers
    may have done so.
    """
    with contextlib.suppress(RuntimeError):
        rclpy.try_shutdown(context=context)
