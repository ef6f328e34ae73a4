"""GitHub's release pages and the model hub on loopback: files come from elsewhere, as there."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from semantic_fast_sam_ros.core.networks import weights

weights.silence_libraries()  # before the hub's client is imported
COMMIT = 'c' * 40
RELEASES = '/ultralytics/assets/releases/download/v8.4.0/'
STORE = '/store/'  # stands for the hosts that both send their visitors to
WEIGHTS = ('.safetensors', '.bin', '.pt', '.ts')
LICENCE = 'apache-2.0'


@dataclass
class Servers:
    """What is served, and what was asked for."""

    releases: dict[str, Path]  # by name
    hub: dict[str, Path]  # folders by name
    # Files that once come by halves, by name, and what is served from then on.
    breaking: dict[str, Path] = field(default_factory=dict)
    sent: list[tuple[str, int]] = field(default_factory=list)  # name of a file, from which byte
    address: str = ''

    @property
    def store(self) -> dict[str, Path]:
        """The files with bytes worth a host of their own, by their paths there."""
        found = dict(self.releases)
        for name, folder in self.hub.items():
            found |= {f'{name}/{f.name}': f for f in folder.iterdir() if f.suffix in WEIGHTS}
        return found


class _Handler(http.server.BaseHTTPRequestHandler):
    servers: Servers

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(STORE):
            return self._send(self.servers.store.get(path.removeprefix(STORE)))
        if path.startswith(RELEASES):
            name = path.removeprefix(RELEASES)
            return self._redirect(name) if name in self.servers.releases else self._absent()
        return self._hub(path.strip('/'))

    do_HEAD = do_GET  # noqa: N815

    def _hub(self, path: str) -> None:
        for name, folder in self.servers.hub.items():
            if path in (f'api/models/{name}', f'api/models/{name}/revision/main'):
                files = [{'rfilename': f.name, 'size': f.stat().st_size} for f in folder.iterdir()]
                about = {'id': name, 'sha': COMMIT, 'tags': [f'license:{LICENCE}']}
                return self._say(json.dumps(about | {'siblings': files}))
            if path == f'api/models/{name}/tree/{COMMIT}':
                return self._say(json.dumps([_entry(f) for f in folder.iterdir()]))
            file = folder / path.rpartition('/')[2]
            if path.startswith(f'{name}/resolve/') and file.is_file():
                large = file.suffix in WEIGHTS
                return self._redirect(f'{name}/{file.name}', file) if large else self._send(file)
        return self._absent()

    def _redirect(self, name: str, linked: Path | None = None) -> None:
        self.send_response(302)
        self.send_header('Location', f'{self.servers.address}{STORE}{name}?signature=s')
        self.send_header('Content-Length', '0')
        if linked:
            self.send_header('X-Repo-Commit', COMMIT)
            self.send_header('X-Linked-Size', str(linked.stat().st_size))
            self.send_header('X-Linked-ETag', f'"{_digest(linked)}"')
        self.end_headers()

    def _send(self, file: Path | None) -> None:
        """Send a file from the byte that is asked for; once by halves where that is due."""
        if file is None:
            return self._absent()
        content, etag = file.read_bytes(), f'"{_digest(file)}"'
        asked, condition = self.headers.get('Range', ''), self.headers.get('If-Range', etag)
        begin = int(asked.removeprefix('bytes=').partition('-')[0] or 0) if asked else 0
        if condition != etag:
            begin = 0
        self.send_response(206 if begin else 200)
        self.send_header('Content-Length', str(len(content) - begin))
        if begin:
            self.send_header('Content-Range', f'bytes {begin}-{len(content) - 1}/{len(content)}')
        self.send_header('ETag', etag)
        self.send_header('X-Repo-Commit', COMMIT)
        self.end_headers()
        if self.command == 'HEAD':
            return None
        self.servers.sent.append((file.name, begin))
        if file.name in self.servers.breaking:
            self.wfile.write(content[begin : begin + (len(content) - begin) // 2])
            later = self.servers.breaking.pop(file.name)
            if file.name in self.servers.releases:
                self.servers.releases[file.name] = later
            self.close_connection = True
            return None
        self.wfile.write(content[begin:])
        return None

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header('Content-Length', str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode() if self.command == 'GET' else b'')

    def _absent(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _entry(file: Path) -> dict[str, object]:
    size = file.stat().st_size
    return {'type': 'file', 'path': file.name, 'size': size, 'oid': _digest(file)}


@contextmanager
def serve(
    releases: dict[str, Path] | None = None, hub: dict[str, Path] | None = None
) -> Iterator[Servers]:
    """Serve files under the names of releases, and folders under those of hub models."""
    servers = Servers(releases or {}, hub or {})
    handler = type('Handler', (_Handler,), {'servers': servers})
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        servers.address = f'http://127.0.0.1:{server.server_port}'
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield servers
        server.shutdown()


def visit(address: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process, with an empty cache, meet an address where GitHub and the hub would be."""
    from huggingface_hub import constants

    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(cache))
    monkeypatch.setenv('HF_HUB_CACHE', str(cache / 'hub'))  # for processes that tests start
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(cache / 'hub'))
    monkeypatch.setattr(constants, 'ENDPOINT', address)
    pages = f'{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}'
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', pages)
    for name, url in weights.KNOWN.items():
        monkeypatch.setitem(weights.KNOWN, name, url.replace('https://github.com', address))
