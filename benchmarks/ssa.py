"""Compare a whole closed-set frame with Semantic-Segment-Anything's, in time and in memory.

    python benchmarks/ssa.py --sam vit-b --rounds 3 --json ssa.json

SSA is transformers' SamModel with its mask-generation pipeline (32x32 points) and the published
vote in a loop with run-length codes; ours is the pipeline with FastSAM-s or FastSAM-x. Both use
the dense model that ships. SAM and FastSAM have random weights: time does not depend on them, but
what is found does, so `--masks` masks are made to go into both votes. Each way has a process of
its own, and they take turns. SAM's masks fall to its own filters with such weights, so the time
of coding them is missing, in its favour.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import afternoon
import published
import torch
from contender import Build, Contender

from semantic_fast_sam_ros.benchmarking import report, scenes, shapes
from semantic_fast_sam_ros.benchmarking.clock import median
from semantic_fast_sam_ros.benchmarking.stages import limit_masks
from semantic_fast_sam_ros.core.networks.weights import Policy, pretrained_folder
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.profiles import load_profile

POINTS_A_SIDE, POINTS_A_BATCH = 32, 64
IMAGE_SIZE = 1024  # what both networks are given


def build_ssa(
    shape: str, size: tuple[int, int], masks: int, threads: int, points: int
) -> Callable[[], dict[str, float]]:
    """Return SSA's labelling of a photo."""
    from transformers import pipeline

    torch.set_num_threads(threads)
    config = load_profile('embedded')
    model, processor = shapes.sam(shape)
    generator: Any = pipeline('mask-generation', model=model, image_processor=processor)
    folder = pretrained_folder(config.dense.model, Policy(offline=True))
    dense = afternoon.DenseModel(folder, config.dense.image_size)
    image = scenes.photos(size)[0]
    votes = blobs(masks, size)

    @torch.inference_mode()
    def label() -> dict[str, float]:
        from PIL import Image

        found = generator(
            Image.fromarray(image), points_per_batch=POINTS_A_BATCH, points_per_crop=points
        )
        published.vote(votes, dense(image))
        return {'masks': masks, 'sam_masks': len(found['masks'])}

    return label


def build_ours(
    scale: str, size: tuple[int, int], masks: int, threads: int, image_size: int
) -> Callable[[], dict[str, float]]:
    """Return our labelling of a photo."""
    image = scenes.photos(size)[0]
    with tempfile.TemporaryDirectory() as folder:
        model = shapes.write_fastsam(Path(folder) / f'fastsam_{scale}.pt', scale)
        values = {'masks.model': str(model), 'masks.image_size': image_size, 'threads': threads}
        values |= {'masks.confidence': 0.9, 'masks.iou': 0.9, 'trust_model_files': True}
        pipeline = SemanticFastSam(load_profile('embedded', values))
    limit_masks(pipeline, masks, [image])

    def label() -> dict[str, float]:
        result = pipeline(image)
        return {'masks': len(result.mask_ids), **result.stage_ms}

    label()
    return label


def blobs(count: int, size: tuple[int, int]) -> torch.Tensor:
    """Return elliptic masks of many sizes, (count, height, width) bool."""
    generator = torch.Generator().manual_seed(0)
    height, width = size
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    drawn = torch.rand((count, 4), generator=generator).tolist()
    return torch.stack(
        [
            ((rows - y * height) / (h * 0.3 * height + 4)) ** 2
            + ((columns - x * width) / (w * 0.3 * width + 4)) ** 2
            < 1
            for x, y, w, h in drawn
        ]
    )


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--sam', default='vit-b', choices=sorted(shapes.SAM_SHAPES))
    parser.add_argument('--ours', default='s,x', help='scales of FastSAM (default: s,x)')
    parser.add_argument('--size', default='640x480')
    parser.add_argument('--masks', type=int, default=100)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--points', type=int, default=POINTS_A_SIDE, help='a side (default: 32)')
    parser.add_argument('--image-size', type=int, default=IMAGE_SIZE, help='of FastSAM')
    parser.add_argument('--json', type=Path)
    given = parser.parse_args()
    size = scenes.parse_size(given.size)
    common = (size, given.masks, given.threads)
    scales = given.ours.split(',')
    builds = {s: partial(build_ours, s, *common, given.image_size) for s in scales}
    builds['ssa'] = partial(build_ssa, given.sam, *common, given.points)
    answers = by_turns(builds, given.rounds)
    content = report.report([], [_peer(name, given, answers) for name in answers if name != 'ssa'])
    print(report.tables(content))
    if given.json:
        report.write_json(given.json, content)


def by_turns(builds: dict[str, Build], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run contenders round after round; return what each answered."""
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
    with ExitStack() as stack:
        contenders = {
            n: stack.enter_context(closing(Contender(build))) for n, build in builds.items()
        }
        for contender in contenders.values():  # one that still builds would slow the others
            contender.wait()
        for _ in range(rounds):
            for name, contender in contenders.items():
                answers[name].append(contender.run())
                print(name, answers[name][-1], file=sys.stderr, flush=True)
    return answers


def _peer(scale: str, given: argparse.Namespace, answers: dict[str, Any]) -> dict[str, Any]:
    theirs, ours = answers['ssa'], answers[scale]
    memory = {name: max(a['peak_gb'] for a in answers[name]) for name in ('ssa', scale)}
    return report.peer(
        f'SSA, SAM {given.sam}, {given.points}x{given.points} points',
        f'SFS, FastSAM-{scale}',
        median([a['ms'] for a in theirs]),
        median([a['ms'] for a in ours]),
        size=given.size,
        masks=ours[-1]['facts']['masks'],
        rounds=given.rounds,
        threads=given.threads,
        weights='random, but for the dense model',
        peer_peak_gb=round(memory['ssa'], 2),
        ours_peak_gb=round(memory[scale], 2),
        memory_ratio=round(memory['ssa'] / memory[scale], 2),
    )


if __name__ == '__main__':
    main()
