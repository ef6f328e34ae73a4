"""What a demo has to itself while others run on the machine: a namespace and a folder."""

import errno
import fcntl
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError

FOLDER = Path('demo_output')
MOST = 100  # demos that are counted; a machine is out of breath long before


@contextmanager
def own_namespace(taken: Callable[[str], bool]) -> Iterator[str]:
    """Keep a namespace for the time of a block: '' or, beside other demos, '/demo_2', ...

    A name in Linux's abstract socket namespace stands for each: every user's demos see it, where
    they can hear each other, and it goes with the process however that ends.

    Args:
        taken: says whether somebody else, such as a node that is no demo's, is in a namespace.

    Raises:
        SemanticFastSamError: none is free.
    """
    domain = os.environ.get('ROS_DOMAIN_ID') or '0'
    for number in range(1, MOST + 1):
        namespace = '' if number == 1 else f'/demo_{number}'
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as mark:
            try:
                mark.bind(f'\0semantic_fast_sam_demo.{domain}.{number}')
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            if taken(namespace):
                continue
            yield namespace
            return
    raise SemanticFastSamError(f'{MOST} demos run in ROS_DOMAIN_ID {domain}: end some')


@contextmanager
def own_folder(wanted: Path | None) -> Iterator[Path]:
    """Keep a folder for the time of a block; it is made where it is missing.

    Args:
        wanted: by the user; None: demo_output, or demo_output_2, ... beside other demos.

    Raises:
        SemanticFastSamError: another demo writes into the folder that is wanted.
    """
    for number in itertools.count(1):
        folder = wanted or FOLDER.with_name(FOLDER.name + (f'_{number}' if number > 1 else ''))
        folder.mkdir(parents=True, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(opened)
            if wanted is None:
                continue
            raise SemanticFastSamError(
                f'another demo writes into {wanted}: name another folder with --output'
            ) from error
        try:
            yield folder
        finally:
            os.close(opened)
        return
