"""Compare the rate of label_bag with that of the bare pipeline, on the same frames.

The frames of a recording go through the pipeline by itself, one after the other with all threads
(decoded beforehand, nothing written), and through label_bag as a whole, by turns and in one
process, so that both meet the same machine.
The ratio is the median of the rounds' ratios.

    python benchmarks/label_bag_rate.py RECORDING [--frames 60] [--rounds 3]
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semantic_fast_sam_ros.bags.cameras import choose_cameras
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.messages import camera_message, to_rgb
from semantic_fast_sam_ros.bags.reader import BagReader
from semantic_fast_sam_ros.bags.run import label_recording
from semantic_fast_sam_ros.benchmarking import clock, machine
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.tools.pipeline_options import add_pipeline_arguments, config_from


def main() -> int:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('recording', type=Path)
    parser.add_argument('--frames', type=int, default=60)
    parser.add_argument('--rounds', type=int, default=3)
    add_pipeline_arguments(parser)
    arguments = parser.parse_args()
    config = config_from(arguments)
    pipeline = SemanticFastSam(config)
    pipeline.warm_up()
    offline = SemanticFastSam.for_throughput(config)
    offline.warm_up()
    reader = BagReader(arguments.recording)
    camera = choose_cameras(reader, [])[0]
    images, end_ns = [], 0
    for message in reader.messages(lambda topic: topic.name == camera):
        images.append(to_rgb(camera_message(message), 1 << 26))
        end_ns = message.time_ns
        if len(images) == arguments.frames:
            break
    seconds = (end_ns - reader.start_ns + 1) / 1e9
    job = Job(topics=(camera,), duration_s=seconds)
    pipeline(images[0])
    rounds = []
    for _ in range(arguments.rounds):
        bare = _bare(pipeline, images)
        whole, frames = _whole(arguments.recording, offline, config, job)
        assert frames == len(images)
        rounds.append({'bare_hz': len(images) / bare, 'label_bag_hz': frames / whole})
    bare_hz = clock.median([r['bare_hz'] for r in rounds])
    whole_hz = clock.median([r['label_bag_hz'] for r in rounds])
    found = {
        'frames': len(images),
        'image': list(images[0].shape),
        'device': str(pipeline.device),
        'torch_threads': torch.get_num_threads(),
        'images_at_once': offline.concurrent_images,
        'machine': machine.machine(),
        'commit': machine.commit(),
        'load_average': os.getloadavg()[0],
        'rounds': [{k: round(v, 3) for k, v in r.items()} for r in rounds],
        'bare_hz': round(bare_hz, 3),
        'label_bag_hz': round(whole_hz, 3),
        'ratio': round(clock.median([r['label_bag_hz'] / r['bare_hz'] for r in rounds]), 3),
    }
    print(json.dumps(found, indent=1))
    return 0


def _bare(pipeline: SemanticFastSam, images: list) -> float:
    return clock.elapsed_ms(lambda: [pipeline(image) for image in images]) / 1000


def _whole(recording: Path, pipeline: SemanticFastSam, config, job: Job) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        outcome = label_recording(
            recording,
            Path(folder) / 'out',
            config,
            job,
            lambda settings: pipeline,
            threading.Event(),
            progress=False,
        )
        return time.perf_counter() - started, outcome.statistics.frame_count


if __name__ == '__main__':
    sys.exit(main())
