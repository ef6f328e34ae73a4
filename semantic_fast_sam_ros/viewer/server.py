"""The viewer's server: three static files and a websocket."""

from pathlib import Path

import tornado.httpserver
import tornado.netutil
import tornado.web

from semantic_fast_sam_ros.viewer.session import MAX_MESSAGE_BYTES, Session
from semantic_fast_sam_ros.viewer.state import Viewer

STATIC = Path(__file__).parent / 'static'
FILES = {'': 'index.html', 'viewer.js': 'viewer.js', 'viewer.css': 'viewer.css'}
KINDS = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css'}
POLICY = (
    "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'"
)


def listen(viewer: Viewer, address: str, port: int) -> tuple[tornado.httpserver.HTTPServer, int]:
    """Serve a viewer on an address; return the server and its port, chosen freely for port 0."""
    application = tornado.web.Application(
        [
            (r'/live', Session, {'viewer': viewer}),
            (r'/(|viewer\.js|viewer\.css)', PageFile, {'viewer': viewer}),
        ],
        websocket_max_message_size=MAX_MESSAGE_BYTES,
        websocket_ping_interval=10,
    )
    sockets = tornado.netutil.bind_sockets(port, address)
    server = tornado.httpserver.HTTPServer(application)
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])


class PageFile(tornado.web.RequestHandler):
    """The page, its script and its style."""

    def initialize(self, viewer: Viewer) -> None:
        """Take the access rule."""
        self._viewer = viewer

    def prepare(self) -> None:
        """Refuse whoever has no business here; forbid the page everything from elsewhere."""
        self._viewer.access.admit(self)
        self.set_header('Content-Security-Policy', POLICY)
        self.set_header('X-Content-Type-Options', 'nosniff')
        self.set_header('Referrer-Policy', 'no-referrer')
        self.set_header('Cache-Control', 'no-store')

    def get(self, name: str) -> None:
        """Send a file; a token in the address is taken out of it."""
        if self.get_query_argument('token', ''):
            self.redirect('/')
            return
        file = STATIC / FILES[name]
        self.set_header('Content-Type', f'{KINDS[file.suffix]}; charset=utf-8')
        self.finish(file.read_bytes())
