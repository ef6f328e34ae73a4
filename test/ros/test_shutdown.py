"""Shutting down ends a context, whoever else ends it at the same moment."""

import rclpy
from rclpy.context import Context

from semantic_fast_sam_ros.ros.shutdown import shut_down


class Late(Context):
    """A context that is always taken to be up, as between rclpy's question and its act."""

    def try_shutdown(self) -> None:
        self.shutdown()


def test_a_context_is_shut_down_once_and_again_without_an_error() -> None:
    context = Late()
    context.init(args=[])
    shut_down(context)
    assert not context.ok()
    shut_down(context)


def test_the_default_context_can_be_used_again() -> None:
    for _ in range(2):
        rclpy.init(args=[])
        shut_down()
        assert not rclpy.ok()
