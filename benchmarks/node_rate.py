"""Compare our node with another on the same stream: output rate and age at arrival, by turns.

    python benchmarks/node_rate.py --rate 30 --size 640x480 --json FILE --peer COMMAND ...

The peer's command must have it subscribe to /benchmark/image and publish messages with the
header of their image. Ours runs with the same mask network alone (`labeller: none`) at the
network size that is asked for, and with the profile embedded as it ships.
"""

import argparse
import importlib
from pathlib import Path
from typing import Any

import live

from semantic_fast_sam_ros.benchmarking import report, scenes
from semantic_fast_sam_ros.benchmarking.clock import median


def contestants(given: argparse.Namespace) -> dict[str, live.Node]:
    """Return the nodes by name."""
    settings: dict[str, object] = dict(text.split('=', 1) for text in given.set)
    masks_only = {'labeller': 'none', 'masks.image_size': given.image_size}
    found = {
        'ours, masks alone': live.ours(settings | masks_only, 'instances'),
        'ours, profile embedded': live.ours(settings),
    }
    if given.peer:
        module, _, name = given.peer_type.rpartition('.')
        kind = getattr(importlib.import_module(module), name)
        found = {'peer': live.Node(tuple(given.peer), given.peer_topic, kind), **found}
    return found


def summary(runs: list[live.Watched]) -> dict[str, Any]:
    """Return medians over the runs of one contestant."""
    return {
        'rate_hz': round(median([run.rate_hz for run in runs]), 2),
        'age_ms': round(median([age for run in runs for age in run.ages_ms]), 1),
        'cpu_percent': round(median([run.cpu_percent for run in runs]), 0),
        'runs': [[round(run.rate_hz, 2), round(median(run.ages_ms), 1)] for run in runs],
    }


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='640x480')
    parser.add_argument('--rate', type=float, default=30.0)
    parser.add_argument('--seconds', type=float, default=15.0, help='a run (default: 15)')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--image-size', type=int, default=640, help='longer side of the network')
    parser.add_argument(
        '--set', action='append', default=[], metavar='NAME=VALUE', help='a setting of our nodes'
    )
    parser.add_argument('--peer-topic', default='/detections')
    parser.add_argument('--peer-type', default='yolo_msgs.msg.DetectionArray')
    parser.add_argument('--json', type=Path)
    parser.add_argument('--peer', nargs=argparse.REMAINDER, default=[], help='its command, last')
    given = parser.parse_args()
    nodes, size = contestants(given), scenes.parse_size(given.size)
    runs: dict[str, list[live.Watched]] = {name: [] for name in nodes}
    for _ in range(given.rounds):
        for name, node in nodes.items():
            runs[name].append(live.watch(node, size, given.rate, given.seconds))
    facts = {'size': given.size, 'stream_hz': given.rate}
    rows = [{'node': name, **facts, **summary(seen)} for name, seen in runs.items()]
    print('| node | frames a second | median age ms | CPU % |\n|---|---|---|---|')
    for r in rows:
        print(f'| {r["node"]} | {r["rate_hz"]} | {r["age_ms"]} | {r["cpu_percent"]:.0f} |')
    if given.json:
        report.write_json(given.json, report.report(rows, []))


if __name__ == '__main__':
    main()
