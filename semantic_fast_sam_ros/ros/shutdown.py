"""End rclpy, whoever else ends it at the same moment, and spin until somebody does."""

import contextlib

import rclpy
from rclpy.context import Context
from rclpy.executors import Executor, ExternalShutdownException


def shut_down(context: Context | None = None) -> None:
    """Shut a context down, by default the process's; no error if it is down already.

    rclpy asks whether it is, and then shuts it down: in between, the thread of its signal handlers
    may have done so.
    """
    with contextlib.suppress(RuntimeError):
        rclpy.try_shutdown(context=context)


def spin(executor: Executor) -> None:
    """Run callbacks until the executor or its context is shut down.

    A callback that is under way when the context goes, such as a timer that publishes, fails at
    it; that is part of the end.
    """
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception:
        if executor.context.ok():
            raise
