"""Which settings which labellers heed: what is set for one that does not is refused or told."""

from collections.abc import Collection, Iterator

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.settings.config import Config, flatten, settings
from semantic_fast_sam_ros.core.settings.setting import Value

CROPS = ('clip', 'hybrid')  # look at a crop of each mask
ADAPTING = ('clip', 'clip_dense', 'hybrid')  # whose names can settle
VECTORS = (*ADAPTING, 'ssa_engine')  # have a vector of each mask in a space of texts
TEXTS = (*VECTORS, 'clipseg', 'groupvit')  # put names into sentences
OPEN = (*TEXTS, 'yoloe')
NAMING = ('closed_set', *OPEN)  # all but none
VOTING = ('closed_set', 'hybrid', 'clipseg', 'groupvit')  # pixels vote in each mask
SEGMENTERS = ('closed_set', 'hybrid', 'ssa_engine')  # run closed-set segmenters
REUSING = ('clip', 'ssa_engine')  # name each mask by itself, whatever the others are

# What asks for something that only these labellers do: refused with the others.
REQUESTS: dict[str, tuple[str, ...]] = {
    'masks.names': ('closed_set',),
    'clip.adaptation': ADAPTING,
    'clip.adaptation_file': ADAPTING,
    'temporal.reuse': REUSING,
    'tracking': NAMING,
}
# How something is done that only these do, by setting or by the section: told with the others,
# since one file of settings may serve several labellers.
DETAILS: dict[str, tuple[str, ...]] = {
    'vocabulary': NAMING,
    'vocabulary_file': NAMING,
    'groups': NAMING,
    'dense.model': VOTING,
    'dense': SEGMENTERS,
    'vote.mode': VOTING,
    'vote.fusion_weight': VOTING,
    'vote.fusion_floor': VOTING,
    'vote.every_pixel': VOTING,
    'vote.minimum_purity': NAMING,  # of some by labels that target_rate_hz carries on only
    'vote.keep_dense': (*VOTING, 'yoloe'),
    'vote.hypotheses': NAMING,  # of ssa_engine likewise
    'clip.model': ADAPTING,
    'clip.checkpoint': ADAPTING,
    'clip.templates': TEXTS,
    'clip.negatives': VECTORS,
    'clip.scales': CROPS,
    'clip.fill': CROPS,
    'clip.temperature': VECTORS,  # of ssa_engine by the scores of queries only
    'clip.minimum_confidence': OPEN,  # of some by temporal.hysteresis only
    'clip.margin_weight': ADAPTING,
    'clip.mask_score_weight': ADAPTING,
    'clip.batch': CROPS,
    'clip.ul_tta': ADAPTING,
    'query': VECTORS,
    'ssa_engine': ('ssa_engine',),
    'yoloe': ('yoloe',),
    'temporal.hysteresis': NAMING,
    'temporal': REUSING,
}
# Of masks that are a YOLOE's instances: `yoloe.*` says instead how these are found.
OF_OWN_MASKS = ('masks.image_size', 'masks.confidence', 'masks.iou', 'masks.max_masks')


def require_effect(config: Config) -> None:
    """Refuse what the labeller cannot do.

    Raises:
        ConfigError: something is asked for that only other labellers do.
    """
    for name, value, heeding in _unheeded(config, REQUESTS):
        some = 'labeller' if len(heeding) == 1 else 'labellers'
        shown = 'true' if value is True else value
        raise ConfigError(
            f'{name}: {shown} is for the {some} {listed(heeding)}, not for {config.labeller}'
        )


def without_effect(config: Config, among: Collection[str] | None = None) -> str:
    """Return what to say of settings that the labeller does not heed; '' where there is none.

    Args:
        config: all settings.
        among: names of those that count; None: all.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for name, _, heeding in _unheeded(config, DETAILS):
        if among is None or name in among:
            found.setdefault(heeding, []).append(name)
    parts = (f'{", ".join(names)} (for {listed(heeding)})' for heeding, names in found.items())
    told = '; '.join(parts)
    sentences = [f'the labeller {config.labeller} does not heed {told}'] if told else []
    replaced = [n for n in _replaced(config) if among is None or n in among]
    if replaced:
        sentences.append(
            f'{config.masks.model} is masks.model and yoloe.model: its instances are the masks, '
            f'found by yoloe.*, and {", ".join(replaced)} counts for nothing'
        )
    return '; '.join(sentences)


def _replaced(config: Config) -> list[str]:
    """Return what was set of masks that are another network's, while they are a YOLOE's."""
    if config.masks.model != config.yoloe.model:
        return []
    values = flatten(config)
    return [s.name for s in settings() if s.name in OF_OWN_MASKS and values[s.name] != s.default]


def _unheeded(
    config: Config, table: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, Value, tuple[str, ...]]]:
    """Give name and value of what was set and is not heeded, and who heeds it."""
    values = flatten(config)
    for known in settings():
        section = known.name.rpartition('.')[0]
        heeding = table.get(known.name) or table.get(section)
        if section == 'yoloe' and config.masks.model == config.yoloe.model:
            continue  # it finds the masks, whoever names them
        if heeding and config.labeller not in heeding and values[known.name] != known.default:
            yield known.name, values[known.name], heeding


def listed(names: tuple[str, ...]) -> str:
    """Return names as a sentence has them: `a, b and c`."""
    *first, last = names
    return f'{", ".join(first)} and {last}' if first else last
