"""Find the best settings of masks and vote on a labelled data set."""

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import torch

from semantic_fast_sam_ros.bags.outcome import INCOMPLETE_INPUT
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.evaluation import datasets, plots, sweeping
from semantic_fast_sam_ros.tools.evaluate import inspected
from semantic_fast_sam_ros.tools.pipeline_options import add_pipeline_arguments, config_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('dataset', choices=sorted(datasets.READERS), help='layout of the folder')
    parser.add_argument('folder', type=Path, metavar='DIR', help='as its owners publish it')
    parser.add_argument('--split', default='val', help='default: val')
    parser.add_argument(
        '--stride', type=int, default=2, help='every so many-th image (default: 2)'
    )
    parser.add_argument('--limit', type=int, default=0, help='so many images (0: all)')
    parser.add_argument(
        '--image-sizes', default='448', help='sizes for the mask network, by comma (default: 448)'
    )
    parser.add_argument(
        '--trials', type=int, default=60, help='so many random combinations (0: all; default: 60)'
    )
    parser.add_argument('--classes', default='', help='generic: vocabulary file in label order')
    parser.add_argument(
        '--first-label', type=int, default=0, help='generic: its first label value'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all trials')
    parser.add_argument('--svg', type=Path, metavar='FILE', help='write curves by setting')
    add_pipeline_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Sweep and print the best settings of each mode."""
    config = config_from(arguments)
    inspection = inspected(arguments, config)
    data_set = inspection.data_set
    if config.threads:
        torch.set_num_threads(config.threads)
    classes = len(data_set.vocabulary)
    records: list[dict[str, Any]] = []
    for size in map(int, arguments.image_sizes.split(',')):
        networks = sweeping.Networks(config, data_set, size)
        images = sweeping.at_half_size(list(networks.read(data_set)))
        if not records:
            chosen = [sweeping.dense_trial(config.vote)]
            records += sweeping.measure(networks, images, chosen, classes, _say)
            records[0]['settings'] = {'dense': 'no masks'}
        chosen = choose(config.vote, arguments.trials)
        found = sweeping.measure(networks, images, chosen, classes, _say)
        records += [{**r, 'settings': {'masks.image_size': size, **r['settings']}} for r in found]
    print(summary(records))
    outputs = {
        arguments.json: lambda: json.dumps(records, indent=1),
        arguments.svg: lambda: plots.curves(records),
    }
    for path, content in outputs.items():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content(), encoding='utf-8')
    return INCOMPLETE_INPUT if inspection.refused else 0


def choose(base: VoteSettings, count: int) -> list[sweeping.Trial]:
    """Return all trials, or so many drawn with a fixed seed."""
    every = list(sweeping.trials(base))
    return random.Random(0).sample(every, count) if 0 < count < len(every) else every


def summary(records: list[dict[str, Any]]) -> str:
    """Return the dense row, each mode's best, and what choosing is worth on images not seen."""
    lines = ['at half resolution:', _line('dense', records[0])]
    for mode in ('hard', 'soft', 'fusion'):
        own = [r for r in records if r['settings'].get('vote.mode') == mode]
        if own:
            lines.append(_line(mode, max(own, key=lambda r: float(r['miou']))))
            check = sweeping.cross_check(own)
            lines += [
                f'  chosen without {name}, measured on it: {100 * value:.2f} '
                f'(dense {100 * records[0]["folds"][name]:.2f})'
                for name, value in check.items()
            ]
    return '\n'.join(lines)


def _line(name: str, record: dict[str, Any]) -> str:
    settings = ' '.join(f'{k}={v}' for k, v in record['settings'].items())
    return (
        f'{name:<8}mIoU {100 * record["miou"]:.2f}  boundary F '
        f'{100 * record["boundary_f"]:.1f}  {settings}'
    )


def _say(text: str) -> None:
    print(f'\r{text:<140}', end='', file=sys.stderr, flush=True)
