"""What all browsers see of one node: its newest picture, names, state and settings."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from semantic_fast_sam_ros.core.objects.queries import parse_query
from semantic_fast_sam_ros.viewer import pictures
from semantic_fast_sam_ros.viewer.access import Access
from semantic_fast_sam_ros.viewer.control import Control
from semantic_fast_sam_ros.viewer.frames import Frame
from semantic_fast_sam_ros.viewer.watcher import NodeAbsentError, Watcher


class Browser(Protocol):
    """One browser that looks."""

    def tell(self, message: dict[str, Any]) -> None:
        """Send a JSON message."""
        ...

    def offer(self) -> None:
        """Send the newest picture if it has not seen it."""
        ...


class Viewer:
    """What all browsers see of one node. Lives on the event loop's thread."""

    def __init__(self, node: str, token: str) -> None:
        """Start to serve a node, without watching it yet.

        Args:
            node: fully qualified; empty: the first that publishes labels.
            token: needed to look; empty: for this machine only.
        """
        self._loop = asyncio.get_running_loop()
        self.access = Access(token)
        self.frame: Frame | None = None
        self._encoded: dict[str, bytes] = {}  # pictures of the newest frame by mode
        self._names: dict[int, str] = {}
        self._sought = ''
        self._colours: dict[int, pictures.Colour] = {}
        self._status: dict[str, Any] = {'type': 'status'}
        self._parameters: list[dict[str, Any]] = []
        self._sessions: set[Browser] = set()
        self._refreshing: asyncio.Future[None] | None = None
        self._watcher = Watcher(
            node,
            self._from_ros(self._take_frame),
            self._from_ros(self._take_names),
            self._from_ros(self._take_status),
        )
        self.control = Control(self._watcher)

    @property
    def watched(self) -> bool:
        """Whether any browser looks."""
        return bool(self._sessions)

    def close(self) -> None:
        """Stop ROS."""
        self._watcher.close()

    def join(self, session: Browser) -> None:
        """Add a browser; with the first one the watching starts."""
        self._sessions.add(session)
        if len(self._sessions) == 1:
            self._watcher.watch(True)
        session.tell(self._status)
        session.tell({'type': 'parameters', 'list': self._parameters})
        session.tell({'type': 'sought', 'text': self._sought})
        session.offer()
        self._refresh_soon()

    def leave(self, session: Browser) -> None:
        """Remove a browser; with the last one the watching ends."""
        self._sessions.discard(session)
        if not self._sessions:
            if self._sought:
                self.find('')
            self._watcher.watch(False)
            self.frame = None
            self._status = {'type': 'status'}

    def find(self, text: str) -> None:
        """Let the node look for words, and show all browsers what it finds; '': for nothing.

        Raises:
            ConfigError: they are none that can be looked for.
        """
        self._sought = text.strip() if parse_query(text) else ''
        self._watcher.search(self._sought)
        self._tell({'type': 'sought', 'text': self._sought})

    async def refresh(self) -> None:
        """Ask the node for its parameters and state anew, and tell all browsers."""
        with contextlib.suppress(NodeAbsentError):
            self._parameters = await self.control.parameters()
            self._recolour()
            self._tell({'type': 'parameters', 'list': self._parameters})
            self._take_status({'state': await self.control.state()})

    def picture(self, frame: Frame, mode: str) -> bytes:
        """Return the newest frame's JPEG, encoded once for all browsers."""
        if mode not in self._encoded:
            self._encoded[mode] = pictures.jpeg(frame, mode, self._colours)
        return self._encoded[mode]

    def describe(self, frame: Frame, mode: str) -> dict[str, Any]:
        """Return what goes with a picture: its size, stamp and the legend."""
        height, width = frame.labels.shape
        legend = [
            {
                'id': class_id,
                'name': self._names.get(class_id, 'unlabelled' if class_id == 0 else '?'),
                'colour': self._colours.get(class_id, (0, 0, 0)),
                'share': round(share, 4),
            }
            for class_id, share in frame.shares().items()
        ]
        size = {'width': width, 'height': height}
        told = {'stamp': frame.stamp, 'mode': mode, 'legend': legend, **size}
        return {**told, 'found': frame.found()}

    def pixel(self, frame: Frame, x: int, y: int) -> dict[str, Any]:
        """Return what is known of a pixel of a frame."""
        found = frame.pixel(x, y)
        return {**found, 'name': self._names.get(found['id'], 'unlabelled')}

    def _from_ros(self, function: Callable[[Any], None]) -> Callable[[Any], None]:
        def pass_on(value: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the viewer ends
                self._loop.call_soon_threadsafe(function, value)

        return pass_on

    def _take_frame(self, frame: Frame) -> None:
        if not self.watched:
            return
        self.frame = frame
        self._encoded.clear()
        for session in self._sessions:
            session.offer()

    def _take_names(self, names: dict[int, str]) -> None:
        self._names = names
        self._recolour()

    def _take_status(self, news: dict[str, Any]) -> None:
        """Pass news of the node on; when it comes back or changes state, ask it for the rest."""
        before = dict(self._status)
        if 'values' in news:
            news = {**news, 'state': news['values'].get('state', '')}
        self._status.update(news)
        if self._status == before:
            return
        if news.get('present') is False:
            self._status.update(state='', values={}, message='', level=0)
        self._tell(self._status)
        came = news.get('present', False) and not before.get('present', False)
        moved = self._status.get('state') != before.get('state')
        # A node that loads its models answers nothing: it is asked until it does.
        if came or moved or not self._parameters:
            self._refresh_soon()

    def _recolour(self) -> None:
        values = {p['name']: p['value'] for p in self._parameters}
        vocabulary = values.get('vocabulary_file') or values.get('vocabulary', '')
        self._colours = pictures.class_colours(
            self._names, str(vocabulary), str(values.get('groups', ''))
        )
        self._encoded.clear()

    def _tell(self, message: dict[str, Any]) -> None:
        for session in self._sessions:
            session.tell(message)

    def _refresh_soon(self) -> None:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(self.refresh())
