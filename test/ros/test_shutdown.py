"""Shutting down ends a context, whoever else ends it at the same moment, and what spins in it."""

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from semantic_fast_sam_ros.ros.shutdown import shut_down, spin

pytestmark = pytest.mark.quick


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


@pytest.mark.parametrize('goes', [True, False], ids=['context goes', 'context stays'])
def test_a_callback_may_fail_only_at_a_context_that_goes(goes: bool) -> None:
    context = Context()
    rclpy.init(context=context, args=[])
    node = Node('failing', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def fail() -> None:
        if goes:
            context.shutdown()
        raise ZeroDivisionError

    node.create_timer(0.001, fail)
    if goes:
        spin(executor)
    else:
        with pytest.raises(ZeroDivisionError):
            spin(executor)
    node.destroy_node()
    context.try_shutdown()
