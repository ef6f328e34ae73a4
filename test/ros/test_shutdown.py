"""A context that somebody else shuts down at the same moment is no error."""

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
