"""Time each stage of a frame, by image size, number of masks and CPU threads."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.benchmarking import publishing, report, scenes, stages
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.tools.pipeline_options import (
    add_pipeline_arguments,
    config_from,
    tell_unheeded,
)

SIZES = '480x360,640x480,1280x720,1920x1080'
NO_ROS = 'No ROS here: the stages serialise and publish are missing.'
MOST_MASKS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument('--sizes', default=SIZES, help=f'image sizes (default: {SIZES})')
    parser.add_argument(
        '--masks',
        default='64',
        help='masks an image, by comma; 0: as many as the profile finds (default: 64). They are '
        "the network's own, by a lower confidence where it must be",
    )
    parser.add_argument('--threads', default='', help='CPU threads, such as 1,2 (default: as set)')
    parser.add_argument('--frames', type=int, default=20, help='frames a row (default: 20)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw the stages: .svg or .png')
    parser.add_argument(
        '--peers',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='JSON of scripts in benchmarks/, to put their comparisons beside',
    )
    add_pipeline_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the tables, write what was asked for."""
    if arguments.plot:
        report.check_plot(arguments.plot)
    peers = report.read_peers(arguments.peers)
    rows, with_ros = measure(arguments)
    content = report.report(rows, peers, [] if with_ros else [NO_ROS])
    print(report.tables(content))
    if arguments.json:
        report.write_json(arguments.json, content)
    if arguments.plot:
        report.plot(content, arguments.plot)
    return 0


def measure(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows, and whether they include the stages that need ROS."""
    config = config_from(arguments)
    tell_unheeded(config)
    sizes = [scenes.parse_size(text) for text in arguments.sizes.split(',')]
    masks = numbers(arguments.masks, '--masks', 0, MOST_MASKS)
    threads = numbers(arguments.threads or str(config.threads), '--threads', 0, 1024)
    if arguments.frames < 1:
        raise ConfigError(f'--frames must be at least 1, not {arguments.frames}')
    rows = []
    with closing(publishing.output_stages(config.output)) as outputs:
        for count in threads:
            for case, pipeline in _cases(config, count, sizes, masks, arguments.profile):
                timed = stages.time_case(pipeline, case, outputs, arguments.frames)
                rows.append(stages.row(case, timed))
                print(f'\r{len(rows)} rows', end='', file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return rows, isinstance(outputs, publishing.Published)


def numbers(text: str, option: str, low: int, high: int) -> list[int]:
    """Read whole numbers by comma.

    Raises:
        ConfigError: one is none, or out of range.
    """
    words = [word.strip() for word in text.split(',')]
    if not all(word.isdecimal() and low <= int(word) <= high for word in words):
        raise ConfigError(
            f'{option} takes whole numbers in {low} ... {high} by comma, not {text!r}'
        )
    return [int(word) for word in words]


def _cases(
    config: Config, threads: int, sizes: list[tuple[int, int]], masks: list[int], profile: str
) -> Iterator[tuple[stages.Case, SemanticFastSam]]:
    """Give every case of a number of threads with a pipeline that was loaded for it."""
    import torch

    pipeline = SemanticFastSam(replace(config, threads=threads))
    own = pipeline.config
    for size in sizes:
        for count in masks:
            pipeline.update(own)
            yield stages.Case(size, count, threads or torch.get_num_threads(), profile), pipeline
