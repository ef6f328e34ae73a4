"""Who may use the viewer: this machine, or whoever has the token."""

import hmac
import ipaddress

import tornado.web

COOKIE = 'semantic_fast_sam_token'
LOCAL_NAMES = ('localhost', '127.0.0.1', '::1')


class Access:
    """Admits requests; every handler's `prepare` asks it."""

    def __init__(self, token: str) -> None:
        """Ask for a token, or with an empty one for a request made to this machine's own name."""
        self._token = token

    def admit(self, handler: tornado.web.RequestHandler) -> None:
        """Let a request pass, or end it with 403.

        Raises:
            HTTPError: it has no token, or names another host: a foreign page could otherwise
                reach the viewer under a name that resolves to this machine.
        """
        if not self._token:
            host = handler.request.host_name.strip('[]')
            if host not in LOCAL_NAMES:
                raise tornado.web.HTTPError(403, reason='This viewer serves its own machine only')
            return
        given = handler.get_query_argument('token', '') or handler.get_cookie(COOKIE, '') or ''
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            raise tornado.web.HTTPError(403, reason='The token is missing or wrong')
        handler.set_cookie(COOKIE, given, httponly=True, samesite='Strict')


def is_loopback(address: str) -> bool:
    """Tell whether an address to listen on is this machine's alone."""
    if address == 'localhost':
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
