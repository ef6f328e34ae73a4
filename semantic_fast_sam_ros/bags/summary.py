"""The sidecars of a run: summary.json for programs, summary.html for people."""

import json
from pathlib import Path
from typing import Any

from semantic_fast_sam_ros.bags.outcome import Outcome
from semantic_fast_sam_ros.bags.page import page
from semantic_fast_sam_ros.bags.writer import write_whole
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

JSON, HTML = 'summary.json', 'summary.html'


def write(outcome: Outcome, run: dict[str, Any], vocabulary: Vocabulary) -> None:
    """Write both; a disk without room for them is told in the outcome."""
    content = summarise(outcome, run, vocabulary)
    try:
        write_whole(outcome.folder / JSON, json.dumps(content, indent=1))
        samples = outcome.statistics.samples.pictures
        write_whole(outcome.folder / HTML, page(content, vocabulary, samples))
    except OSError as error:
        outcome.problem = outcome.problem or f'cannot write the summary: {error}'


def is_complete(folder: Path) -> bool:
    """Say whether an earlier run labelled everything."""
    try:
        return bool(json.loads((folder / JSON).read_text(encoding='utf-8'))['complete'])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def summarise(outcome: Outcome, run: dict[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """Return everything that is known of a run."""
    statistics = outcome.statistics
    ids = vocabulary.max_id + 1
    names = ['unlabelled'] + [vocabulary.name_of(i) for i in range(1, ids)]
    now = statistics.frame_count - outcome.frames_before
    return {
        'complete': outcome.complete,
        'interrupted': outcome.interrupted,
        'problem': outcome.problem,
        'losses': [
            {'file': loss.file, 'reason': loss.reason, 'messages': loss.messages}
            for loss in outcome.losses
        ],
        'notes': outcome.notes,
        **statistics.as_dict(),
        'frames_before_resuming': outcome.frames_before,
        'seconds': round(outcome.seconds, 3),
        'frames_a_second': round(now / outcome.seconds, 3) if outcome.seconds else 0.0,
        'class_shares': {
            name: round(share, 6)
            for name, share in zip(names, statistics.class_shares(ids), strict=True)
        },
        'timeline': {
            'start_ns': statistics.timeline.start_ns,
            'bin_s': statistics.timeline.width_ns / 1e9,
            'classes': names,
            'shares': [
                [round(at, 3), *(round(share, 4) for share in shares)]
                for at, shares in statistics.timeline.shares(ids)
            ],
        },
        'run': run,
    }
