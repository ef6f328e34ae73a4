"""The rows of the ablation: where masks come from, and how they get their names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from semantic_fast_sam_ros.core.base.errors import ConfigError, suggestion
from semantic_fast_sam_ros.core.loading import OPEN_LABELLERS
from semantic_fast_sam_ros.core.settings.effects import ADAPTING, REUSING
from semantic_fast_sam_ros.core.settings.temporal import TemporalSettings
from semantic_fast_sam_ros.core.settings.vocabulary import Vocabulary

SYNONYMS = '_synonyms'
REUSED = '_reused'
ADAPTED = '_adapted'
HYSTERESIS = 0.8  # of the row that shows its cost, unless the settings have their own


@dataclass(frozen=True)
class Row:
    """One way to label images."""

    name: str
    about: str
    masks: str  # '' = none; fastsam, sam, true, or a key of sources.SUPERPIXELS
    labels: str = 'vote'  # vote of the dense branch; truth; or a labeller of the pipeline
    vote: Mapping[str, object] = field(default_factory=dict)  # changes to the profile's settings
    minimum_share: float = 0.0  # truth: a mask whose true majority is smaller does not paint
    true_rest: bool = False  # truth: pixels that no mask paints get the true label
    synonyms: bool = False  # a labeller is asked with the data set's synonyms, too
    # Changes to the settings temporal.*; without any, every image is labelled by itself.
    temporal: Mapping[str, object] = field(default_factory=dict)
    adapted: bool = False  # names settle, by the figures clip.ul_tta.*, over all images in order

    @property
    def looks_back(self) -> bool:
        """Whether labels depend on the images before."""
        return self.adapted or bool(self.temporal)


PUBLISHED = {'mode': 'hard', 'minimum_purity': 0.0}
PLAIN = (
    Row('dense', 'semantic branch alone', ''),
    Row('sfs', "FastSAM masks + the profile's vote (the shipped default)", 'fastsam'),
    Row(
        'sfs_published', 'FastSAM masks + hard vote, every mask paints', 'fastsam', vote=PUBLISHED
    ),
    Row(
        'sfs_hard',
        'FastSAM masks + hard vote, masks of clear purity paint',
        'fastsam',
        vote={'mode': 'hard'},
    ),
    Row(
        'sfs_soft',
        'FastSAM masks + soft vote, masks of clear purity paint',
        'fastsam',
        vote={'mode': 'soft'},
    ),
    Row('sfs_fusion', 'FastSAM masks + fusion', 'fastsam', vote={'mode': 'fusion'}),
    Row(
        'sfs_hysteresis',
        "FastSAM masks + the profile's vote, labels held against flicker (temporal.hysteresis)",
        'fastsam',
        temporal={'hysteresis': HYSTERESIS},
    ),
    Row('ssa', "SAM masks + the profile's vote", 'sam'),
    Row('superpixels', "SLIC superpixels + the profile's vote", 'superpixels'),
    Row('felzenszwalb', "Felzenszwalb superpixels + the profile's vote", 'felzenszwalb'),
    Row(
        'true_masks',
        'true regions + soft vote: the ceiling of the labels',
        'true',
        vote={'mode': 'soft', 'minimum_purity': 0.0},
    ),
    Row(
        'true_labels',
        'FastSAM masks + their true majority: the ceiling of the masks',
        'fastsam',
        'truth',
    ),
    Row(
        'true_labels_pure',
        'the same, only masks at least 90 % of one class',
        'fastsam',
        'truth',
        minimum_share=0.9,
    ),
    Row(
        'true_labels_true_rest',
        'FastSAM masks + their true majority, true labels elsewhere',
        'fastsam',
        'truth',
        true_rest=True,
    ),
    Row(
        'true_labels_pure_true_rest',
        'the same, only masks at least 95 % of one class (vote.minimum_purity)',
        'fastsam',
        'truth',
        minimum_share=0.95,
        true_rest=True,
    ),
)
ROWS = {row.name: row for row in PLAIN}


def open_rows() -> dict[str, Row]:
    """Return the rows of each open-vocabulary labeller of the pipeline."""
    asked = ((name, synonyms) for name in OPEN_LABELLERS for synonyms in (False, True))
    rows = [
        Row(
            f'{name}{SYNONYMS if synonyms else ""}',
            f'FastSAM masks + {name}, asked with the class names{" and synonyms" * synonyms}',
            'fastsam',
            name,
            synonyms=synonyms,
        )
        for name, synonyms in asked
    ]
    adapted = (
        replace(
            row,
            name=f'{row.name}{ADAPTED}',
            about=f'{row.about}; names settle into the images (clip.adaptation: ul_tta)',
            adapted=True,
        )
        for row in rows
        if row.labels in ADAPTING
    )
    lasting = (
        Row(
            f'{name}{REUSED}',
            f'the same as {name}, but names last while masks do (temporal.reuse)',
            'fastsam',
            name,
            temporal={'reuse': True},
        )
        for name in REUSING
    )
    return {row.name: row for row in (*rows, *lasting, *adapted)}


def temporal_settings(row: Row, settings: TemporalSettings) -> TemporalSettings:
    """Return what a row takes over from the image before: what it shows, at the user's figures."""
    changes: dict[str, Any] = {'reuse': False, 'hysteresis': 0.0, **row.temporal}
    if changes['hysteresis'] and settings.hysteresis:
        changes['hysteresis'] = settings.hysteresis
    return replace(settings, **changes)


def choose(names: Iterable[str]) -> list[Row]:
    """Return the rows of these names, in their order.

    Raises:
        ConfigError: there is no such row; the message lists them.
    """
    known = ROWS | open_rows()
    chosen = []
    for name in dict.fromkeys(names):
        if name not in known:
            raise ConfigError(f'no row {name!r}{suggestion(name, known)}')
        chosen.append(known[name])
    return chosen


def question(vocabulary: Vocabulary, synonyms: bool) -> str:
    """Return a vocabulary setting that asks for a data set's classes."""
    return ', '.join(' | '.join(c.names if synonyms else (c.name,)) for c in vocabulary.classes)


def labeller_config(row: Row, vocabulary: Vocabulary) -> dict[str, object]:
    """Return the settings that a row with a labeller of its own changes."""
    return {
        'labeller': row.labels,
        'vocabulary': question(vocabulary, row.synonyms),
        'groups': '',
    }
