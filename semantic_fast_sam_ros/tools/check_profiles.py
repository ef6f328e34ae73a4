"""Try profiles with their real models: bring these, label three photos, tell what failed."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from semantic_fast_sam_ros.bags.outcome import INCOMPLETE_INPUT
from semantic_fast_sam_ros.benchmarking import report
from semantic_fast_sam_ros.core.networks import weights
from semantic_fast_sam_ros.core.networks.model_files import Model, models_of
from semantic_fast_sam_ros.core.networks.offers import Offer, is_here, offer
from semantic_fast_sam_ros.core.settings import profiles
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.evaluation import html, markdown
from semantic_fast_sam_ros.tools.pipeline_options import add_setting_arguments, settings_from
from semantic_fast_sam_ros.tools.profile_trial import Trial, try_profile

TOP_CLASSES = 8
LEAST = 0.005  # of the pixels: what would be told as 0 %
PICTURE_HEIGHT = 640  # pixels
HEAD = [
    'profile',
    'loaded in s',
    's an image',
    'MB at most',
    'masks, each photo',
    'classes found, % of pixels',
]
INTRODUCTION = """
Each profile loaded its models and labelled the same three photos, in a process of its own, whose
most memory is told. A class has one colour on the pictures of a profile, and its name on it; what
has no label looks as in the photo.
"""
WORDS = (len(HEAD) - 1,)  # columns that are no figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        'names', nargs='*', help='shipped profiles or parameter files (default: all that ship)'
    )
    parser.add_argument('--yes', action='store_true', help='download what is told, without asking')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')
    parser.add_argument('--html', type=Path, metavar='FILE', help='write a page with the pictures')
    add_setting_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Try the profiles and print a table; return 0, 3 where some failed, 1 where all did."""
    weights.silence_libraries()
    values = settings_from(arguments)
    names = list(dict.fromkeys(arguments.names)) or list(profiles.profiles())
    configs = {name: profiles.load_profile(name, values) for name in names}
    offers = _tell(configs)
    to_bring = any(not each.problem for each in offers)
    if to_bring and not arguments.yes and not _agreed():
        print('nothing was downloaded; --yes agrees beforehand', file=sys.stderr)
        return 2
    trials: list[Trial] = []
    _write(arguments, configs, trials, offers)  # a place that takes no file is better known now
    for name, config in configs.items():
        print(f'{name} …', file=sys.stderr, flush=True)
        trials.append(try_profile(name, config))
        _write(arguments, configs, trials, offers)  # what is done stays, whatever comes
    print(_tables(trials))
    failed = sum(bool(trial.problem) for trial in trials)
    return 0 if not failed else 1 if failed == len(trials) else INCOMPLETE_INPUT


def _tell(configs: dict[str, Config]) -> list[Offer]:
    """Print what is not here, how large it is and whose licence it has; return that."""
    users: dict[Model, list[str]] = {}
    for name, config in configs.items():
        for model in models_of(config) if not config.offline else []:
            users.setdefault(model, []).append(name)
    offers = [offer(model) for model in users if not is_here(model)]
    if offers:
        lines = [
            [each.model.name, _megabytes(each), each.licence, ', '.join(users[each.model])]
            for each in offers
        ]
        print('To be downloaded:\n')
        print(markdown.pipes((['model', 'MB', 'licence', 'profiles'], lines)))
        print(f'\n{sum(each.size for each in offers) / 1e6:.0f} MB in all', flush=True)
    return offers


def _megabytes(found: Offer) -> str:
    return f'{found.size / 1e6:.1f}' if found.size else f'unknown {found.problem}'.strip()


def _agreed() -> bool:
    return sys.stdin.isatty() and input('Download? [y/N] ').strip().lower().startswith('y')


def _tables(trials: Iterable[Trial]) -> str:
    """Return the figures as Markdown, and why what failed did."""
    trials = list(trials)
    good = [trial for trial in trials if not trial.problem]
    parts = [markdown.pipes((HEAD, [_line(trial) for trial in good]))] if good else []
    parts += [f'{t.profile} failed: {t.problem}' for t in trials if t.problem]
    return '\n\n'.join(parts)


def _line(trial: Trial) -> list[str]:
    shares = [f'{n} {100 * share:.0f}' for n, share in trial.classes.items() if share >= LEAST]
    more = len(trial.classes) - len(shares[:TOP_CLASSES])
    return [
        trial.profile,
        f'{trial.loaded_s:.1f}',
        f'{trial.image_s:.2f}',
        f'{trial.memory_mb:.0f}',
        ', '.join(map(str, trial.masks)),
        ', '.join(shares[:TOP_CLASSES]) + (f', {more} more' if more > 0 else ''),
    ]


def _write(
    arguments: argparse.Namespace,
    configs: Mapping[str, Config],
    trials: Sequence[Trial],
    offers: list[Offer],
) -> None:
    content = report.report([trial.figures() for trial in trials], []) | {
        'models': [vars(each) | {'model': each.model.name} for each in offers]
    }
    if arguments.json:
        report.write_json(arguments.json, content)
    if arguments.html:
        report.write_text(arguments.html, _page(configs, trials, content))


def _page(
    configs: Mapping[str, Config], trials: Sequence[Trial], content: Mapping[str, Any]
) -> str:
    day = datetime.now(timezone.utc).date()
    commit = f', commit {content["commit"]}' if content['commit'] else ''
    where = f'{day}, {content["machine"]}{commit}'
    sections = ['<h1>Profiles, tried with their models</h1>', f'<p>{INTRODUCTION}</p>']
    sections.append(f'<p>{escape(where)}</p>')
    sections += [
        f'<p><b>{escape(trial.profile)} failed:</b> {escape(trial.problem)}</p>'
        for trial in trials
        if trial.problem
    ]
    good = [trial for trial in trials if not trial.problem]
    if good:
        sections.append(html.table((HEAD, [_line(trial) for trial in good]), WORDS))
    for trial in good:
        pictures = ''.join(html.picture(_small(image)) for image in trial.overlays)
        models = ', '.join(model.name for model in models_of(configs[trial.profile]))
        sections.append(f'<h2>{escape(trial.profile)}</h2><p>{escape(models)}</p>')
        sections.append(f'<figure><div class="row">{pictures}</div></figure>')
    return html.page('Profiles, tried', sections)


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) that is no higher than the page shows it on fine screens."""
    gain = min(1.0, PICTURE_HEIGHT / len(image))
    found = cv2.resize(image, None, fx=gain, fy=gain, interpolation=cv2.INTER_AREA)
    return found.astype(np.uint8, copy=False)
