"""Measure how label_bag's rate grows with the number of Ray actors on this machine.

A job is cut into equal parts, several for each actor. The rate is that of the parts after each
actor's first: Ray's start, the loading of models and the joining of the parts stand beside it.

    python benchmarks/label_bag_actors.py RECORDING [--actors 1 2] [--frames 60] [--threads 1]
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semantic_fast_sam_ros.bags.cluster import DONE, label_on_cluster
from semantic_fast_sam_ros.bags.cluster_plan import PARTS, Pool
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.core.settings.profiles import load_profile

PARTS_COUNT = 10
LOOK_PERIOD_S = 0.02


def main() -> int:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recording', type=Path, help='of one camera, in one file, at an even rate')
    parser.add_argument('--hz', type=float, default=10.0, help='of the recording')
    parser.add_argument('--actors', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--frames', type=int, default=60, help=f'a multiple of {PARTS_COUNT}')
    parser.add_argument('--threads', type=int, default=1, help='of each actor')
    parser.add_argument('--profile', default='embedded')
    arguments = parser.parse_args()
    about = {
        'machine': f'{platform.machine()}, {os.cpu_count()} CPUs',
        'load_average': os.getloadavg()[0],
        'threads_an_actor': arguments.threads,
        'frames': arguments.frames,
        'jobs': [_measure(arguments, actors) for actors in arguments.actors],
    }
    print(json.dumps(about, indent=1))
    return 0


def _measure(arguments: argparse.Namespace, actors: int) -> dict[str, float]:
    config = load_profile(arguments.profile, {'threads': arguments.threads})
    seconds = arguments.frames / arguments.hz
    pool = Pool(workers=actors, cpus=1, slice_s=seconds / PARTS_COUNT)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / 'out'
        ended, finished = threading.Event(), []
        watch = threading.Thread(target=_watch, args=(out / PARTS, ended, finished))
        watch.start()
        started = time.perf_counter()
        try:
            outcome = label_on_cluster(
                [(arguments.recording, out)],
                config,
                Job(duration_s=seconds),
                pool,
                threading.Event(),
                progress=False,
            )[0]
        finally:
            ended.set()
            watch.join()
        whole = time.perf_counter() - started
    assert outcome.statistics.frame_count == arguments.frames, outcome.statistics.frame_count
    assert len(finished) == PARTS_COUNT, 'the parts were gone before they were seen'
    later = (PARTS_COUNT - actors) * arguments.frames / PARTS_COUNT
    labelling = finished[-1] - finished[actors - 1]
    return {
        'actors': actors,
        'frames_a_second': round(later / labelling, 2),
        'whole_job_s': round(whole, 1),
        'join_s': round(started + whole - finished[-1], 1),
    }


def _watch(parts: Path, ended: threading.Event, finished: list[float]) -> None:
    """Note when each part is finished."""
    while not ended.wait(LOOK_PERIOD_S):
        there = len(list(parts.glob(f'??????_*/{DONE}')))
        finished += [time.perf_counter()] * (there - len(finished))


if __name__ == '__main__':
    sys.exit(main())
