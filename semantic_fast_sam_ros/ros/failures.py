"""Failures since the last image that was labelled: from when on the process had better end."""

import threading

# So many unexpected errors in a row are no accident: the process ends, for launch to respawn it.
FATAL_FAILURES = 50
# What has a known cause may pass by itself: another process gives its memory back, the next scene
# is one that the network has numbers for. For so long nobody is served better by a restart.
KNOWN_LAST_S = 60.0


class Failures:
    """Counts them; for several threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew: an image was labelled."""
        with self._lock:
            self._count = self._unexpected = 0
            self._since_s: float | None = None

    def add(self, known: bool, now_s: float) -> str:
        """Take a failure into account; return why to give up, '' to go on.

        Args:
            known: its cause is: memory that ran out, a network that answered with no numbers.
            now_s: by a clock that never jumps.
        """
        with self._lock:
            self._since_s = now_s if self._since_s is None else self._since_s
            self._count += 1
            self._unexpected += not known
            if self._unexpected >= FATAL_FAILURES:
                return f'{self._count} images failed in a row'
            lasted_s = now_s - self._since_s
            if self._count >= FATAL_FAILURES and lasted_s >= KNOWN_LAST_S:
                return f'{self._count} images failed in a row, over {lasted_s:.0f} s'
            return ''
