"""Measure labels, borders, masks, calibration and time on a labelled data set."""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags.outcome import INCOMPLETE_INPUT
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.base.folders import cache_folder
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.evaluation import (
    datasets,
    html,
    markdown,
    plots,
    region_run,
    region_sets,
    results,
    rows,
)
from semantic_fast_sam_ros.evaluation import run as evaluation
from semantic_fast_sam_ros.evaluation.datasets import Source
from semantic_fast_sam_ros.evaluation.inspection import Inspection, inspect
from semantic_fast_sam_ros.evaluation.samples import DataSet
from semantic_fast_sam_ros.tools.pipeline_options import add_pipeline_arguments, scored_config_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    kinds = sorted([*datasets.READERS, *region_sets.READERS])
    parser.add_argument('dataset', choices=kinds, help='layout of the folder')
    parser.add_argument('folder', type=Path, metavar='DIR', help='as its owners publish it')
    parser.add_argument('--split', default='val', help='default: val')
    parser.add_argument(
        '--rows',
        help=f'by comma, of: {", ".join([*rows.ROWS, *rows.open_rows()])} (default: dense,sfs; '
        'sfs, of which only the masks count, where regions have no names)',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')
    parser.add_argument('--markdown', type=Path, metavar='FILE', help='write the tables')
    parser.add_argument('--html', type=Path, metavar='FILE', help='write tables, plots, pictures')
    parser.add_argument('--plots', type=Path, metavar='DIR', help='write the plots as SVG files')
    parser.add_argument('--limit', type=int, default=0, help='so many images (0: all)')
    parser.add_argument('--stride', type=int, default=1, help='every so many-th image')
    parser.add_argument('--runs', type=int, default=1, help='time each stage so often')
    parser.add_argument(
        '--boundary-px',
        type=_pixels,
        default=(1, 3),
        help='distances of the boundary F-score (default: 1,3)',
    )
    parser.add_argument(
        '--sam', default='facebook/sam-vit-huge', help='SAM, SAM 2 or EdgeTAM of the row ssa'
    )
    parser.add_argument('--classes', default='', help='generic: vocabulary file in label order')
    parser.add_argument(
        '--first-label', type=int, default=0, help='generic: its first label value'
    )
    parser.add_argument(
        '--work', type=Path, help='keeps the scores of each image, to go on after an interruption'
    )
    add_pipeline_arguments(parser)


def _pixels(text: str) -> tuple[int, ...]:
    distances = tuple(int(part) for part in text.split(','))
    if min(distances) < 1:
        raise argparse.ArgumentTypeError('distances are pixels, from 1')
    return distances


def run_plan(plan: evaluation.Plan) -> None:
    """Evaluate with a progress line."""
    _show(evaluation.evaluate(plan))


def _show(progress: Iterable[tuple[int, int]]) -> None:
    for done, total in progress:
        print(f'\r{done}/{total} images', end='', file=sys.stderr, flush=True)
    print(file=sys.stderr)


def inspected(arguments: argparse.Namespace, config: Config) -> Inspection:
    """Return the data set that the options ask for, looked at, and tell what is odd about it."""
    source = Source(arguments.folder, arguments.split, arguments.classes, arguments.first_label)
    data_set = datasets.read_data_set(arguments.dataset, source)
    data_set = data_set.select(max(1, arguments.stride), max(0, arguments.limit))
    found = inspect(replace(data_set, settings=config.input))
    print(*found.told(), sep='\n', end='\n' if found.told() else '', file=sys.stderr)
    return found


def plan_of(arguments: argparse.Namespace, config: Config, data_set: DataSet) -> evaluation.Plan:
    """Return what the options ask for."""
    return evaluation.Plan(
        data_set,
        config,
        _rows(arguments, 'dense,sfs'),
        arguments.work or cache_folder() / 'evaluation',
        max(1, arguments.runs),
        arguments.boundary_px,
        arguments.sam,
    )


def _rows(arguments: argparse.Namespace, usual: str) -> list[rows.Row]:
    return rows.choose(name.strip() for name in (arguments.rows or usual).split(','))


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and write what was asked for; return the exit code."""
    if arguments.dataset in region_sets.READERS:
        return _run_regions(arguments)
    config = scored_config_from(arguments)
    found = inspected(arguments, config)
    plan = plan_of(arguments, config, found.data_set)
    run_plan(plan)
    report = results.summarise(plan)
    report |= {'refused': found.refused, 'values_without_class': found.without_class}
    text = markdown.write(report)
    print(text)
    _write(arguments, report, text)
    if arguments.html is not None:
        _write_file(arguments.html, html.write(plan, report))
    if arguments.plots is not None:
        _write_plots(arguments.plots, report)
    return INCOMPLETE_INPUT if found.refused else 0


def _run_regions(arguments: argparse.Namespace) -> int:
    if arguments.html is not None or arguments.plots is not None:
        raise ConfigError(
            f'{arguments.dataset}: regions without names have no --html and no --plots; '
            '--markdown and --json write their figures'
        )
    source = Source(arguments.folder, arguments.split)
    region_set = region_sets.read_region_set(arguments.dataset, source)
    plan = region_run.RegionPlan(
        region_set.select(max(1, arguments.stride), max(0, arguments.limit)),
        scored_config_from(arguments),
        _rows(arguments, 'sfs'),
        arguments.work or cache_folder() / 'evaluation',
        arguments.sam,
    )
    _show(region_run.evaluate(plan))
    report = region_run.summarise(plan)
    text = markdown.write_regions(report)
    print(text)
    _write(arguments, report, text)
    return 0


def _write(arguments: argparse.Namespace, report: dict[str, Any], text: str) -> None:
    if arguments.json is not None:
        _write_file(arguments.json, json.dumps(report, indent=1))
    if arguments.markdown is not None:
        _write_file(arguments.markdown, text)


def _write_file(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding='utf-8')
    print(f'wrote {path}', file=sys.stderr)


def _write_plots(folder: Path, report: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for title, svg in plots.draw(report).items():
        name = re.sub(r'[^a-z]+', '_', title.partition(':')[0].lower())
        (folder / f'{name}.svg').write_text(svg, encoding='utf-8')
