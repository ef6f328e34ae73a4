"""Time the start: imports, models, warm-up, first image; and what stays in memory.

Each round is a process of its own: once with an empty cache, then with what that left behind
(medians). `node` is the time from the node's process to the first label at a subscriber of another
process, beside a camera of a third.

    python benchmarks/start_up.py [--profiles embedded,embedded_open] [--rounds 5]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import live

from semantic_fast_sam_ros.benchmarking import machine

SIZE, RATE_HZ = (480, 640), 30.0
COLUMNS = ('import_s', 'load_s', 'warm_up_s', 'first_image_s', 'resident_mb', 'node_s', 'node_mb')
PIPELINE = """
import json, sys, time
start = time.perf_counter()
marks = {}
def mark(name):
    global start
    now = time.perf_counter()
    marks[name], start = round(now - start, 3), now
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
mark('import_s')
pipeline = SemanticFastSam.from_profile(sys.argv[1], device='cpu')
mark('load_s')
pipeline.warm_up()
mark('warm_up_s')
import importlib.util, pathlib
from semantic_fast_sam_ros.core.images.files import read_image
folder = pathlib.Path(importlib.util.find_spec('ultralytics').origin).parent  # not imported
photo = read_image(folder / 'assets' / 'bus.jpg')[:480, :640].copy()
start = time.perf_counter()
pipeline(photo)
mark('first_image_s')
import psutil
marks['resident_mb'] = round(psutil.Process().memory_info().rss / 1e6)
print(json.dumps(marks))
"""


def main() -> int:
    """Measure and print a table for each profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--profiles', default='embedded,embedded_open')
    parser.add_argument('--rounds', type=int, default=5)
    arguments = parser.parse_args()
    print(f'{machine.machine()}, commit {machine.commit()}')
    print(f'| profile | cache | {" | ".join(COLUMNS)} |')
    print('|---' * (len(COLUMNS) + 2) + '|')
    for profile in arguments.profiles.split(','):
        with tempfile.TemporaryDirectory() as cache:
            os.environ['SEMANTIC_FAST_SAM_CACHE'] = cache
            print(_row(profile, 'empty', [_pipeline(profile)]))
            warm = [_pipeline(profile) | _node(profile) for _ in range(arguments.rounds)]
            print(_row(profile, 'kept', warm))
        with tempfile.TemporaryDirectory() as cache:
            os.environ['SEMANTIC_FAST_SAM_CACHE'] = cache
            print(_row(profile, 'empty', [_node(profile)]))
    return 0


def _pipeline(profile: str) -> dict[str, float]:
    command = [sys.executable, '-c', PIPELINE, profile]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _node(profile: str) -> dict[str, float]:
    seconds, resident = live.start(live.ours({}, profile=profile), SIZE, RATE_HZ)
    return {'node_s': round(seconds, 2), 'node_mb': round(resident / 1e6)}


def _row(profile: str, cache: str, rounds: list[dict[str, float]]) -> str:
    figures = [
        f'{median(r[name] for r in rounds):g}' if name in rounds[0] else '' for name in COLUMNS
    ]
    return f'| {profile} | {cache} | {" | ".join(figures)} |'


if __name__ == '__main__':
    sys.exit(main())
