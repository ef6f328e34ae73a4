"""The settings of what is asked for in words."""

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
