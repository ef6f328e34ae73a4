"""The settings of what is asked for in words, and of what is remembered for it."""

from dataclasses import dataclass

from semantic_fast_sam_ros.core.settings.setting import setting


@dataclass(frozen=True)
class QuerySettings:
    """Masks that are found by words on ~/query."""

    threshold: float = setting(
        0.5,
        'a mask is an answer from this score on: how likely it shows the words and none of the '
        "vocabulary's names or `query.negatives`",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    negatives: str = setting(
        'object, thing, stuff, texture',
        'what else a mask may show, as a list `wall, floor | ground`, beside the names of the '
        'vocabulary and clip.negatives; counts from the next query on',
        live=True,
    )


@dataclass(frozen=True)
class MemorySettings:
    """Objects that a query finds though they are out of sight."""

    keep_s: float = setting(
        0.0,
        'tracks are remembered for so long after they were seen last, for ~/query/remembered; '
        'images are looked at without subscribers, too. 0: none is. Needs `tracking`, and a '
        'labeller with vectors: clip, clip_dense, hybrid or ssa_engine',
        minimum=0.0,
        maximum=86_400.0,
    )
