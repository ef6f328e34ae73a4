"""Measure what ROS adds to a frame: from the stamp to an outside subscriber, less the pipeline.

    python benchmarks/ros_layer.py --json ros_layer.json

A camera process sends stamped photos so slowly that none waits for another, the node labels them,
a subscriber in a third process notes how old each label image is on arrival. The pipeline's time
is what the node tells in its diagnostics: the frame less decoding and publishing. The difference
of the medians is the ROS layer: two ways through the middleware, decoding, building the message.
"""

import argparse
from pathlib import Path
from typing import Any

import live

from semantic_fast_sam_ros.benchmarking import report, scenes
from semantic_fast_sam_ros.benchmarking.clock import median, p95
from semantic_fast_sam_ros.tools.benchmark import SIZES

QUICK = {'masks.image_size': 64, 'labeller': 'none'}


def measure(size: str, rate_hz: float, seconds: float, settings: dict[str, Any]) -> dict[str, Any]:
    """Return latency, the pipeline's part and the rest at a size."""
    seen = live.watch(live.ours(settings), scenes.parse_size(size), rate_hz, seconds)
    stages = {
        name: float(seen.diagnostics[f'{name}_ms_p50']) for name in ('decode', 'publish', 'frame')
    }
    pipeline = stages['frame'] - stages['decode'] - stages['publish']
    return {
        'size': size,
        'frames': len(seen.ages_ms),
        'latency_ms': round(median(seen.ages_ms), 2),
        'latency_p95_ms': round(p95(seen.ages_ms), 2),
        'pipeline_ms': round(pipeline, 2),
        'ros_ms': round(median(seen.ages_ms) - pipeline, 2),
        'decode_ms': stages['decode'],
        'publish_ms': stages['publish'],
        'rate_hz': round(seen.rate_hz, 2),
        'cpu_percent': round(seen.cpu_percent, 1),
    }


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sizes', default=SIZES)
    parser.add_argument('--rate', type=float, default=1.5, help='images a second (default: 1.5)')
    parser.add_argument('--seconds', type=float, default=20.0, help='a size (default: 20)')
    parser.add_argument('--quick', action='store_true', help='tiny networks: ROS is all there is')
    parser.add_argument('--json', type=Path)
    given = parser.parse_args()
    settings = QUICK if given.quick else {}
    rows = [
        measure(size.strip(), given.rate, given.seconds, settings)
        for size in given.sizes.split(',')
    ]
    content = report.report(rows, [])
    print('| size | latency ms | pipeline ms | ROS ms | CPU % |\n|---|---|---|---|---|')
    for r in rows:
        print(
            f'| {r["size"]} | {r["latency_ms"]:.1f} | {r["pipeline_ms"]:.1f} | {r["ros_ms"]:.1f} '
            f'| {r["cpu_percent"]:.0f} |'
        )
    if given.json:
        report.write_json(given.json, content)


if __name__ == '__main__':
    main()
