"""A file over HTTP: whole or not at all, gone on with where the connection broke."""

import contextlib
import http.client
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from semantic_fast_sam_ros.core.base.errors import ModelError
from semantic_fast_sam_ros.core.networks.checksums import pin

TIMEOUT_S = 10.0
TRIES = 5
BLOCK = 1 << 18
PARTIAL_CONTENT = 206


def download(url: str, target: Path) -> Path:
    """Download a file with a progress line, pin its checksum, and return it.

    Raises:
        ModelError: the network, the server or the disk refused; nothing partial stays behind.
    """
    partial = target.with_suffix('.part')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open('wb') as file:
            _Transfer(url, file, target.name).bring()
        print(file=sys.stderr)
        pin(target, partial)
        partial.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise ModelError(f'cannot download {url} to {target}: {error}') from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return target


def remote_size(url: str) -> int:
    """Return how many bytes a file has; 0 where its server does not say.

    Raises:
        ModelError: the network or the server refused.
    """
    import requests  # as urllib, redirected, would ask for the file itself

    as_it_is = {'Accept-Encoding': 'identity'}
    try:
        response = requests.head(url, headers=as_it_is, allow_redirects=True, timeout=TIMEOUT_S)
        response.raise_for_status()
    except OSError as error:
        raise ModelError(f'no answer for {url}: {error}') from error
    return int(response.headers.get('Content-Length') or 0)


class _Transfer:
    """A file that comes in one go, or in several."""

    def __init__(self, url: str, file: BinaryIO, name: str) -> None:
        self.url, self.file, self.name = url, file, name
        self.version = ''  # the server's ETag of what is in the file so far

    def bring(self) -> None:
        """Write the file; after a break go on, as long as each go brings something."""
        for last in (*(False,) * (TRIES - 1), True):
            before = self.file.tell()
            try:
                return self._go()
            except urllib.error.HTTPError:
                raise
            except (OSError, http.client.HTTPException):
                if last or self.file.tell() <= before:
                    raise

    def _go(self) -> None:
        begun = self.file.tell() if self.version else 0
        # A server that has another file by now, or cannot go on, sends all of it.
        headers = {'Range': f'bytes={begun}-', 'If-Range': self.version} if begun else {}
        request = urllib.request.Request(self.url, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            if response.status != PARTIAL_CONTENT:
                begun = 0
            self.file.seek(begun)
            self.file.truncate()
            self.version = response.headers.get('ETag') or ''
            length = int(response.headers.get('Content-Length') or 0)
            size = begun + length if length else 0
            while block := response.read(BLOCK):
                self.file.write(block)
                told = _progress(self.file.tell(), size)
                print(f'\r{self.name}: {told}', end='', file=sys.stderr)
        if size and self.file.tell() != size:
            raise OSError(f'got {self.file.tell()} of {size} bytes')


def _progress(done: int, size: int) -> str:
    megabytes = f'{done / 1e6:.1f} MB'
    return f'{100 * done / size:3.0f} % of {size / 1e6:.1f} MB' if size else megabytes
