"""A lock that many may hold to use something, and one alone to change it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Users together, or one changer alone; a changer that waits goes before new users."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._condition = threading.Condition()
        self._users = 0
        self._changers = 0  # that wait or work
        self._changing = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Hold the lock beside others that use."""
        with self._condition:
            self._condition.wait_for(lambda: not self._changers)
            self._users += 1
        try:
            yield
        finally:
            with self._condition:
                self._users -= 1
                self._condition.notify_all()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._condition:
            self._changers += 1
        try:
            with self._changing:
                with self._condition:
                    self._condition.wait_for(lambda: not self._users)
                yield
        finally:
            with self._condition:
                self._changers -= 1
                self._condition.notify_all()
