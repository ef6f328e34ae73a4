"""When a message was taken, whichever library read it."""

from typing import Any


def stamp_ns(header: Any) -> int:
    """Return a header's stamp in nanoseconds.

    Not as rclpy's Time, which takes none before 1970: a driver may send one.
    """
    return int(header.stamp.sec * 10**9 + header.stamp.nanosec)
