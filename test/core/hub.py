"""A model hub on loopback: what the hub's client asks for, answered from a folder."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

COMMIT = 'c' * 40


class _Hub(http.server.BaseHTTPRequestHandler):
    models: ClassVar[dict[str, Path]]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip('/')
        for name, folder in self.models.items():
            if path in (f'api/models/{name}', f'api/models/{name}/revision/main'):
                files = [{'rfilename': f.name} for f in folder.iterdir()]
                return self._answer(json.dumps({'id': name, 'sha': COMMIT, 'siblings': files}))
            if path == f'api/models/{name}/tree/{COMMIT}':
                return self._answer(json.dumps([_entry(f) for f in folder.iterdir()]))
            file = folder / path.rpartition('/')[2]
            if path.startswith(f'{name}/resolve/') and file.is_file():
                return self._answer(file.read_bytes(), _digest(file))
        self.send_error(404)
        return None

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, body: str | bytes, etag: str = '') -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.send_header('X-Repo-Commit', COMMIT)
        if etag:
            self.send_header('ETag', f'"{etag}"')
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


def _entry(file: Path) -> dict[str, object]:
    size = file.stat().st_size
    return {'type': 'file', 'path': file.name, 'size': size, 'oid': _digest(file)}


@contextmanager
def serve(models: dict[str, Path]) -> Iterator[str]:
    """Serve folders under hub names; gives the address."""
    handler = type('Hub', (_Hub,), {'models': models})
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()
