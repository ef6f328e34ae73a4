"""One browser's connection: pictures as fast as it draws them, answers to what it asks."""

import asyncio
import json
import struct
from collections import deque
from typing import Any

import tornado.websocket

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.viewer.frames import Frame
from semantic_fast_sam_ros.viewer.pictures import MODES
from semantic_fast_sam_ros.viewer.state import Viewer

MAX_MESSAGE_BYTES = 1 << 16


class Session(tornado.websocket.WebSocketHandler):
    """The websocket of a page. The server's `prepare` has admitted it already."""

    def initialize(self, viewer: Viewer) -> None:
        """Take the state that all sessions share."""
        self._viewer = viewer
        self.mode = MODES[0]
        self._free = True  # the browser drew what it got: it may have the next picture
        self._shown = ''
        # On the browser's screen is the last one, or the one before while that is on its way.
        self._sent: deque[Frame] = deque(maxlen=2)
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self) -> None:
        """Refuse whoever has no business here."""
        self._viewer.access.admit(self)

    def open(self, *_: str) -> None:
        """Start to watch."""
        self._viewer.join(self)

    def on_close(self) -> None:
        """Stop to watch."""
        self._viewer.leave(self)

    def tell(self, message: dict[str, Any]) -> None:
        """Send a JSON message, unless the browser is gone."""
        if self.ws_connection is not None and not self.ws_connection.is_closing():
            self.write_message(json.dumps(message))

    def offer(self) -> None:
        """Send the newest picture if the browser can take it and has not seen it."""
        frame = self._viewer.frame
        key = f'{frame.stamp} {self.mode}' if frame else ''
        if frame is None or not self._free or key == self._shown or self.ws_connection is None:
            return
        self._free, self._shown = False, key
        self._sent.append(frame)
        header = json.dumps(self._viewer.describe(frame, self.mode)).encode()
        picture = self._viewer.picture(frame, self.mode)
        self.write_message(struct.pack('>I', len(header)) + header + picture, binary=True)

    def on_message(self, message: str | bytes) -> None:
        """Do what the page asks; what takes time does not hold up the rest."""
        try:
            asked = json.loads(message)
            action = ACTIONS[asked['do']]
        except (ValueError, KeyError, TypeError):
            self.tell({'type': 'error', 'text': 'the viewer does not understand that'})
            return
        task = asyncio.ensure_future(self._run(action, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, action: Any, asked: dict[str, Any]) -> None:
        try:
            await action(self, asked)
        except SemanticFastSamError as error:
            self._answer(asked, str(error))
        except (KeyError, TypeError, ValueError) as error:
            self._answer(asked, f'malformed request: {error!r}')

    def _answer(self, asked: dict[str, Any], problem: str) -> None:
        about = {key: asked.get(key) for key in ('do', 'name', 'value')}
        self.tell({'type': 'answer', 'asked': about, 'ok': not problem, 'reason': problem})

    async def _drawn(self, asked: dict[str, Any]) -> None:
        self._free = True
        self.offer()

    async def _show(self, asked: dict[str, Any]) -> None:
        if asked['mode'] in MODES:
            self.mode = asked['mode']
            self.offer()

    async def _pixel(self, asked: dict[str, Any]) -> None:
        frame = next((sent for sent in self._sent if sent.stamp == asked['stamp']), None)
        if frame is None:
            raise SemanticFastSamError('another picture came meanwhile; click again')
        found = self._viewer.pixel(frame, int(asked['x']), int(asked['y']))
        self.tell({'type': 'pixel', **found})

    async def _set(self, asked: dict[str, Any]) -> None:
        self._answer(asked, await self._viewer.control.set(asked['name'], asked['value']))
        await self._viewer.refresh()

    async def _find(self, asked: dict[str, Any]) -> None:
        self._viewer.find(str(asked['value']))
        self._answer(asked, '')

    async def _restart_with(self, asked: dict[str, Any]) -> None:
        control = self._viewer.control
        self._answer(asked, await control.restart_with(asked['name'], asked['value']))
        await self._viewer.refresh()

    async def _transition(self, asked: dict[str, Any]) -> None:
        control, name = self._viewer.control, asked['name']
        problem = await (control.start() if name == 'start' else control.change(name))
        self._answer(asked, problem)
        await self._viewer.refresh()


ACTIONS = {
    'drawn': Session._drawn,
    'show': Session._show,
    'pixel': Session._pixel,
    'set': Session._set,
    'find': Session._find,
    'restart_with': Session._restart_with,
    'transition': Session._transition,
}
