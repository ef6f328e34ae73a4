"""Watch a running node in a browser: labels, figures, parameters, start and stop."""

import argparse
import asyncio
import secrets
import signal
import socket
import sys
from typing import NoReturn

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError
from semantic_fast_sam_ros.core.base.folders import use_shared_memory
from semantic_fast_sam_ros.core.base.signals import end_process
from semantic_fast_sam_ros.ros.arguments import own_words

PORT = 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        '--node', default='', help='node to watch (default: the first that publishes labels)'
    )
    parser.add_argument('--port', type=int, default=PORT, help=f'default: {PORT}; 0: a free one')
    parser.add_argument(
        '--address',
        default='127.0.0.1',
        help='address to serve on (default: 127.0.0.1); with any other a token is needed',
    )
    parser.add_argument(
        '--token', default='', help='token for browsers elsewhere (default: a new one, printed)'
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    if not 0 <= arguments.port <= 65535:
        raise SemanticFastSamError(f'--port must lie in 0 ... 65535, not {arguments.port}')
    use_shared_memory()
    asyncio.run(_serve(arguments))
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    from semantic_fast_sam_ros.viewer.access import is_loopback
    from semantic_fast_sam_ros.viewer.server import listen
    from semantic_fast_sam_ros.viewer.state import Viewer

    token = arguments.token
    if not token and not is_loopback(arguments.address):
        token = secrets.token_urlsafe(18)
    name = f'/{arguments.node.strip("/")}' if arguments.node else ''
    viewer = Viewer(name, token)
    try:
        try:
            server, port = listen(viewer, arguments.address, arguments.port)
        except (OSError, socket.gaierror) as error:
            raise SemanticFastSamError(
                f'cannot serve on {arguments.address} port {arguments.port}: {error.strerror}; '
                'choose another with --port'
            ) from error
        print(f'Viewer: {url(arguments.address, port, token)}   (Ctrl-C ends it)', flush=True)
        await _until_stopped()
        server.stop()
    finally:
        viewer.close()


def url(address: str, port: int, token: str) -> str:
    """Return what to type into a browser; for 'all addresses' with this machine's name."""
    host = socket.gethostname() if address in ('0.0.0.0', '::', '') else address
    host = f'[{host}]' if ':' in host else host
    return f'http://{host}:{port}/' + (f'?token={token}' if token else '')


async def _until_stopped() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def main_ros() -> NoReturn:
    """Run as a ROS executable: `ros2 run semantic_fast_sam_ros view`."""
    parser = argparse.ArgumentParser(prog='view', description=__doc__)
    add_arguments(parser)
    try:
        code = run(parser.parse_args(own_words(sys.argv[1:])))
    except SemanticFastSamError as error:
        print(f'view: {error}', file=sys.stderr)
        code = 2
    end_process(code)


if __name__ == '__main__':
    main_ros()
