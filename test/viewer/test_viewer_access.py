"""Who may use the viewer: this machine, or whoever has the token."""

import asyncio

import pytest

pytest.importorskip('tornado', reason='tornado is missing: run scripts/setup')

import tornado.httpserver
import tornado.netutil
import tornado.web
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from semantic_fast_sam_ros.tools.view import url
from semantic_fast_sam_ros.viewer.access import COOKIE, Access, is_loopback


class _Page(tornado.web.RequestHandler):
    def initialize(self, access: Access) -> None:
        self.access = access

    def prepare(self) -> None:
        self.access.admit(self)

    def get(self) -> None:
        self.finish('page')


def _get(token: str, path: str = '/', **headers: str) -> HTTPResponse:
    async def ask() -> HTTPResponse:
        application = tornado.web.Application([(r'/', _Page, {'access': Access(token)})])
        sockets = tornado.netutil.bind_sockets(0, '127.0.0.1')
        server = tornado.httpserver.HTTPServer(application)
        server.add_sockets(sockets)
        place = f'http://127.0.0.1:{sockets[0].getsockname()[1]}{path}'
        answer = await AsyncHTTPClient().fetch(place, headers=headers, raise_error=False)
        server.stop()
        return answer

    return asyncio.run(ask())


def test_without_a_token_this_machine_is_admitted():
    assert _get('').code == 200


def test_without_a_token_a_foreign_name_for_this_machine_is_refused():
    assert _get('', Host='evil.example:80').code == 403
    assert _get('', Host='localhost.evil.example').code == 403


def test_with_a_token_nobody_is_admitted_without_it():
    assert _get('secret').code == 403
    assert _get('secret', '/?token=wrong').code == 403
    assert _get('secret', Cookie=f'{COOKIE}=wrong').code == 403


def test_the_right_token_is_remembered_where_scripts_cannot_read_it():
    answer = _get('secret', '/?token=secret', Host='robot.local')
    assert answer.code == 200
    cookie = answer.headers['Set-Cookie']
    assert cookie.startswith(f'{COOKIE}=secret')
    assert 'HttpOnly' in cookie
    assert 'SameSite=Strict' in cookie
    assert _get('secret', Cookie=f'{COOKIE}=secret').code == 200


@pytest.mark.parametrize(
    ('address', 'expected'),
    [
        ('127.0.0.1', True),
        ('127.3.2.1', True),
        ('::1', True),
        ('localhost', True),
        ('0.0.0.0', False),
        ('::', False),
        ('', False),
        ('192.168.1.5', False),
        ('robot.local', False),
    ],
)
def test_only_loopback_goes_without_a_token(address, expected):
    assert is_loopback(address) == expected


def test_the_printed_address_can_be_typed_into_a_browser():
    assert url('127.0.0.1', 8765, '') == 'http://127.0.0.1:8765/'
    assert url('::1', 80, '') == 'http://[::1]:80/'
    assert '0.0.0.0' not in url('0.0.0.0', 8765, 'abc')
    assert url('192.168.1.5', 1, 'abc') == 'http://192.168.1.5:1/?token=abc'
