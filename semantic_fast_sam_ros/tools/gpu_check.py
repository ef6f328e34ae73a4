"""Check and time everything on a GPU: one command, five minutes, no downloads, no ROS."""

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError, first_line

LIMIT_S = 270.0  # nothing is begun after it
SIZES = ((480, 640), (1080, 1920))
MASKS = (32, 256)
FRAMES = 20
TINY_SIZES, TINY_MASKS, TINY_FRAMES = ((96, 128),), (4,), 2
Row = dict[str, Any]


@dataclass
class Report:
    """What was measured, and what was not, with the reason."""

    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        '--device',
        default='cuda',
        help='cuda, cuda:1, … (default: cuda); cpu tries the command itself, at tiny sizes',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables; return 1 where there is no such device."""
    import torch

    from semantic_fast_sam_ros.benchmarking import report

    tiny = arguments.device == 'cpu'
    if not tiny and not torch.cuda.is_available():
        print('gpu_check needs CUDA, and torch finds none here: see `doctor --load`.')
        return 1
    found = Report()
    with tempfile.TemporaryDirectory() as folder:
        for name, work in _checks(arguments.device, tiny, Path(folder), time.monotonic()):
            _add(found, name, work)
    content = report.report(found.rows, []) | {'skipped': found.skipped}
    print(markdown(content))
    if arguments.json:
        report.write_json(arguments.json, content)
    return 0 if found.rows else 1


def _checks(
    device: str, tiny: bool, folder: Path, began: float
) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Give each check by its name; those that come too late only say so."""
    from semantic_fast_sam_ros.benchmarking import gpu_rows as rows

    sizes, masks = (TINY_SIZES, TINY_MASKS) if tiny else (SIZES, MASKS)
    frames = TINY_FRAMES if tiny else FRAMES
    late: dict[str, Callable[[], Row]] = {}  # compiling may take what time is left
    for number, network in enumerate(rows.TINY if tiny else rows.NETWORKS):
        place = folder / str(number)
        place.mkdir()
        config = functools.cache(functools.partial(rows.settings_of, network, place))
        checks: dict[str, Callable[[Any], Row]] = {
            f'labels, {_size(sizes[0])}': lambda c: rows.parity(c, device, sizes[0]),
            f'cameras, {_size(sizes[0])}': lambda c: rows.cameras(c, device, sizes[0], frames),
        }
        for size in sizes:
            for count in masks:
                part = functools.partial(
                    rows.frame, device=device, size=size, masks=count, frames=frames
                )
                checks[f'frame, {_size(size)}, {count} masks'] = part
        for kind, check in checks.items():
            yield f'{network.name}: {kind}', _in_time(began, check, config)
        graphs = functools.partial(rows.graphs, device=device, size=sizes[0], frames=frames)
        late[f'{network.name}: graphs'] = _in_time(began, graphs, config)
    if not tiny:
        yield from late.items()


def _in_time(
    began: float, check: Callable[[Any], Row], config: Callable[[], Any]
) -> Callable[[], Row]:
    def work() -> Row:
        if time.monotonic() - began > LIMIT_S:
            raise SemanticFastSamError(f'{LIMIT_S:.0f} s were over')
        return check(config())

    return work


def _add(found: Report, name: str, work: Callable[[], Row]) -> None:
    """Do one check; whatever it raises is a reason to skip it, and the others go on."""
    print(f'{name} …', file=sys.stderr, flush=True)
    try:
        found.rows.append({'check': name, **work()})
    except ModuleNotFoundError as error:
        found.skipped[name] = f'{error.name} is not installed'
    except Exception as error:  # a GPU's libraries raise anything
        found.skipped[name] = f'{type(error).__name__}: {first_line(error)}'


def markdown(content: Row) -> str:
    """Return the figures as tables, and what was skipped."""
    lines = [f'# gpu_check: {content["machine"]}, commit {content["commit"]}', '']
    versions = ', '.join(f'{name} {v}' for name, v in content['versions'].items())
    lines += [versions, '']
    for title, key, columns in (
        ('Pixels labelled as on the CPU in fp32, %', 'equal_percent', None),
        ('A frame', 'label_ms', FRAME_COLUMNS),
        ('One camera, four cameras; ms an image', 'one_ms', ('one_ms', 'four_ms')),
        ('CUDA graphs; ms an image', 'off_ms', ('off_ms', 'on_ms')),
    ):
        rows = [row for row in content['rows'] if key in row]
        if rows:
            lines += [f'## {title}', '', *_table(rows, key, columns), '']
    skipped = [f'- {name}: {why}' for name, why in content['skipped'].items()]
    lines += ['## Skipped', '', *(skipped or ['nothing'])]
    return '\n'.join(lines)


FRAME_COLUMNS = (
    *('masks_found', 'label_ms', 'images_a_second', 'networks_ms', 'overhead', 'peak_mb'),
    *('operations', 'waits'),
)


def _table(rows: list[Row], key: str, columns: tuple[str, ...] | None) -> Iterator[str]:
    names = columns or tuple(rows[0][key])
    yield f'| check | {" | ".join(names)} |'
    yield f'|---|{"---|" * len(names)}'
    for row in rows:
        values = row if columns else row[key]
        yield f'| {row["check"]} | {" | ".join(str(values[name]) for name in names)} |'


def _size(size: tuple[int, int]) -> str:
    return f'{size[1]}x{size[0]}'
