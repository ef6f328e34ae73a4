"""The words of a command line that are not ROS's, without rclpy: help must not wait for it."""

from collections.abc import Iterator, Sequence

BEGIN, END = '--ros-args', '--'


def own_words(words: Sequence[str]) -> list[str]:
    """Return the words that do not stand between `--ros-args` and `--`, or the end.

    Args:
        words: without the program.
    """
    return list(_outside(words))


def _outside(words: Sequence[str]) -> Iterator[str]:
    inside = False
    for word in words:
        if word == BEGIN:
            inside = True
        elif inside:
            inside = word != END
        else:
            yield word
