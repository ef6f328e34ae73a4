"""Compare our labelling with the published flow and with what a user would write, by turns.

    python benchmarks/peers.py --rounds 10 --json peers.json

On the same photos, models, masks and machine, in one run:

- vote: the vote and the painting alone, ours against the loop over run-length codes, on the same
  masks and dense map; with votes of every pixel the labels are equal. The loop's masks are cut out
  beforehand, ours are not;
- closed: a whole closed-set frame, as it ships and by the same torch networks, against the
  published flow, which calls ultralytics' FastSAM; its network is built once here, as published
  for every image: `rebuilt_ms` more;
- afternoon: the same call, and the vote as a loop in numpy without run-length codes;
- open: names for masks by CLIP, text encoded once and crops in one batch, against crops one by one
  with the text encoded for each.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import afternoon
import numpy as np
import published
import torch

from semantic_fast_sam_ros.benchmarking import report, scenes
from semantic_fast_sam_ros.benchmarking.clock import by_turns, elapsed_ms, median
from semantic_fast_sam_ros.benchmarking.stages import limit_masks
from semantic_fast_sam_ros.core.closed_set.labeller import ClosedSetLabeller
from semantic_fast_sam_ros.core.loading import policy_of
from semantic_fast_sam_ros.core.masks.painting import rasterise
from semantic_fast_sam_ros.core.networks.model_files import clip_model, dense_model, mask_model
from semantic_fast_sam_ros.core.networks.runtime import Runtime, choose_runtime
from semantic_fast_sam_ros.core.open_vocabulary.clip import ClipLabeller
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.core.settings.profiles import load_profile
from semantic_fast_sam_ros.core.settings.vocabulary import from_names

NAMES = 40
SLOW_ROUNDS = 3
SHIPS, SAME = 'whole frame as it ships', 'whole frame, same torch networks'
NAMES_SHIP, NAMES_SAME = 'names by CLIP as it ships', 'names by CLIP, same torch network'
# As published: every mask votes and paints.
PUBLISHED_VOTE = {
    'vote.mode': 'hard',
    'vote.minimum_purity': 0.0,
    'vote.maximum_mask_share': 1.0,
}
Comparison = dict[str, Any]


class Bench:
    """The pipeline, its parts, and one photo with as many masks as are wanted."""

    def __init__(self, size: tuple[int, int], masks: int, config: Config) -> None:
        """Load the models."""
        self.image = scenes.photos(size)[0]
        self.pixels = torch.from_numpy(self.image).permute(2, 0, 1)
        self.pipeline = SemanticFastSam(config)
        limit_masks(self.pipeline, masks, [self.image])
        self.config = self.pipeline.config
        self.masks = self.pipeline._generator.generate(self.pixels)
        policy = policy_of(config)
        self.checkpoint = mask_model(config.masks).find(policy)
        self.dense_folder = dense_model(config.dense).find(policy)


def compare_votes(bench: Bench, rounds: int) -> list[Comparison]:
    """Time vote and painting alone, by votes on the dense grid (as shipped) and of every pixel."""
    from semantic_fast_sam_ros.core.masks.painting import largest_first

    labeller = bench.pipeline._labeller
    assert isinstance(labeller, ClosedSetLabeller)
    dense = labeller.segmenter.segment(bench.pixels)
    size = (bench.image.shape[0], bench.image.shape[1])
    proposals = largest_first(bench.masks, 1.0)

    def ours(every_pixel: bool) -> torch.Tensor:
        labeller.settings = replace(labeller.settings, every_pixel=every_pixel)
        return rasterise(proposals.shapes, labeller.vote(dense, proposals))[0]

    def theirs() -> np.ndarray:
        labels = dense.probabilities(size).argmax(0).numpy()
        return published.vote(bench.masks.masks, labels)

    names = {'vote and rasterise, as shipped': False, 'vote and rasterise, every pixel': True}
    actions = {name: partial(ours, every) for name, every in names.items()}
    times = by_turns({'theirs': theirs, **actions}, rounds)
    found = [
        report.peer(
            'vote in a loop over run-length codes',
            name,
            median(times['theirs']),
            median(times[name]),
            equal_pixels=float((action().numpy() == theirs() + 1).mean()),
        )
        for name, action in actions.items()
    ]
    labeller.settings = bench.config.vote
    return found


def compare_closed(bench: Bench, rounds: int) -> list[Comparison]:
    """Time a whole closed-set frame."""
    segment = afternoon.FastSamCall(bench.checkpoint, bench.config.masks)
    dense = afternoon.DenseModel(bench.dense_folder, bench.config.dense.image_size)

    def as_published() -> np.ndarray:
        return published.vote(segment(bench.image), dense(bench.image))

    def in_an_afternoon() -> np.ndarray:
        return afternoon.vote(segment(bench.image).numpy(), dense(bench.image))

    plain = SemanticFastSam(replace(bench.config, backend='torch', precision='fp32'))
    actions = {
        'published': as_published,
        'afternoon': in_an_afternoon,
        SHIPS: lambda: bench.pipeline(bench.image),
        SAME: lambda: plain(bench.image),
    }
    threads = torch.get_num_threads()
    facts = {
        'equal_pixels': float((as_published() + 1 == plain(bench.image).label_map).mean()),
        'peer_masks': len(segment(bench.image)),
    }
    torch.set_num_threads(threads)  # ultralytics' call took one of two away
    rebuilt = elapsed_ms(lambda: afternoon.FastSamCall(bench.checkpoint, bench.config.masks))
    times = by_turns(actions, rounds)
    facts['rebuilt_ms'] = round(rebuilt, 1)
    peers = {
        'published': 'published flow, closed set',
        'afternoon': 'ultralytics call and numpy vote',
    }
    return [
        report.peer(peers[name], ours, median(times[name]), median(times[ours]), **facts)
        for name in peers
        for ours in (SHIPS, SAME)
    ]


def compare_open(bench: Bench, rounds: int) -> list[Comparison]:
    """Time the naming of the masks by CLIP, by the small model that ships."""
    from semantic_fast_sam_ros.core.open_vocabulary.clip_model import load_clip

    config = load_profile('embedded_open', {'clip.fill': 'mean', 'offline': True, 'device': 'cpu'})
    policy = policy_of(config)
    vocabulary = from_names([f'thing number {i}' for i in range(NAMES)])
    runtimes = {NAMES_SHIP: choose_runtime(config), NAMES_SAME: Runtime(torch.device('cpu'))}
    ours = {
        name: ClipLabeller(load_clip(config.clip, policy, runtime), vocabulary, config)
        for name, runtime in runtimes.items()
    }
    folder = clip_model(config.clip).find(policy)
    slow = published.OneByOne(folder, True, ('{}',))
    slow.use(vocabulary)
    actions = {
        'theirs': lambda: slow.label(bench.pixels, bench.masks),
        **{name: partial(_name, labeller, bench) for name, labeller in ours.items()},
    }
    times = by_turns(actions, min(rounds, SLOW_ROUNDS))
    networks = median([elapsed_ms(lambda: bench.pipeline._generator.generate(bench.pixels))])
    theirs = median(times['theirs'])
    facts = {'names': NAMES, 'model': config.clip.model}
    names = 'published flow, names by CLIP'
    return [
        *(report.peer(names, o, theirs, median(times[o]), **facts) for o in ours),
        report.peer(
            'published flow, open vocabulary, with the masks',
            SHIPS,
            theirs + networks,
            median(times[NAMES_SHIP]) + networks,
            **facts,
        ),
    ]


def _name(labeller: ClipLabeller, bench: Bench) -> None:
    rasterise(bench.masks.shapes, labeller.label(bench.pixels, bench.masks))


@torch.inference_mode()
def measure(size: str, masks: int, rounds: int, config: Config) -> list[Comparison]:
    """Return all comparisons."""
    bench = Bench(scenes.parse_size(size), masks, config)
    found = [
        *compare_votes(bench, rounds),
        *compare_closed(bench, rounds),
        *compare_open(bench, rounds),
    ]
    facts = {'size': size, 'masks': len(bench.masks), 'threads': torch.get_num_threads()}
    return [{**facts, **entry} for entry in found]


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='640x480')
    parser.add_argument('--masks', type=int, default=64)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, default=0, help='0: as torch decides')
    parser.add_argument('--json', type=Path)
    given = parser.parse_args()
    config = load_profile('embedded', {**PUBLISHED_VOTE, 'vocabulary': ''})
    config = replace(config, threads=given.threads, offline=True)
    content = report.report([], measure(given.size, given.masks, given.rounds, config))
    print(report.tables(content))
    if given.json:
        report.write_json(given.json, content)


if __name__ == '__main__':
    main()
