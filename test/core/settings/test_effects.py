"""What is set for a labeller that does not heed it is refused or told, never passed over."""

import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.loading import OPEN_LABELLERS
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import from_values, settings
from semantic_fast_sam_ros.core.settings.effects import (
    DETAILS,
    OF_OWN_MASKS,
    OPEN,
    REQUESTS,
    require_effect,
    without_effect,
)
from semantic_fast_sam_ros.core.settings.profiles import load_profile, profiles

LABELLERS = {s.name: s.choices for s in settings()}['labeller']
ASKED = {  # a value that asks for something
    'masks.names': 'prior',
    'clip.adaptation': 'ul_tta',
    'clip.adaptation_file': 'names.safetensors',
    'temporal.reuse': True,
    'tracking': 'bytetrack',
}
# Sections and settings that count whoever names the masks (memory.keep_s is refused elsewhere).
FOR_ALL = {
    *('masks', 'vote.maximum_mask_share', 'input', 'output', 'cloud', 'objects', 'memory'),
    *('labeller', 'device', 'precision', 'backend', 'threads', 'offline', 'trust_model_files'),
    *('cameras', 'batch_cameras', 'max_age_ms', 'min_interval_ms', 'target_rate_hz'),
    *('rest_without_subscribers', 'autostart'),
}


@pytest.mark.parametrize('labeller', LABELLERS)
@pytest.mark.parametrize('name', REQUESTS)
def test_what_a_labeller_cannot_do_is_refused_with_those_that_can(
    name: str, labeller: str
) -> None:
    config = from_values({'labeller': labeller, name: ASKED[name]})
    if labeller in REQUESTS[name]:
        require_effect(config)
        return
    with pytest.raises(ConfigError) as refused:
        require_effect(config)
    assert f'not for {labeller}' in str(refused.value)
    assert all(word in str(refused.value) for word in (name, *REQUESTS[name]))


def test_the_pipeline_refuses_before_it_loads_anything() -> None:
    values = {'masks__model': 'missing.pt', 'clip__adaptation': 'ul_tta'}
    with pytest.raises(ConfigError, match='ul_tta is for the labellers clip, clip_dense and hyb'):
        SemanticFastSam.from_profile('embedded', **values)


@pytest.mark.parametrize('profile', profiles())
def test_shipped_profiles_set_nothing_in_vain(profile: str) -> None:
    require_effect(load_profile(profile))
    assert not without_effect(load_profile(profile))


def test_details_of_other_labellers_are_told_by_those_who_heed_them() -> None:
    values = {'clip.ul_tta.gate': 0.5, 'clip.fill': 'mean', 'query.threshold': 0.9}
    assert not without_effect(from_values({'labeller': 'clip', **values}))
    assert without_effect(from_values({'labeller': 'clip_dense', **values})) == (
        'the labeller clip_dense does not heed clip.fill (for clip and hybrid)'
    )
    told = without_effect(from_values({'labeller': 'closed_set', **values}))
    assert all(name in told for name in values)
    assert not without_effect(from_values({'labeller': 'closed_set', **values}), ['clip.batch'])


def test_the_tables_name_what_there_is() -> None:
    names = {s.name for s in settings()}
    sections = {name.rpartition('.')[0] for name in names}
    assert set(REQUESTS) <= names and set(DETAILS) <= names | sections
    assert {one for heeding in (REQUESTS | DETAILS).values() for one in heeding} <= set(LABELLERS)
    assert set(OPEN) == set(OPEN_LABELLERS)
    assert set(OF_OWN_MASKS) <= names


def test_every_setting_is_known_to_the_tables_or_counts_with_every_labeller() -> None:
    for known in settings():
        told = {known.name, known.name.rpartition('.')[0]}
        tables = sum(bool(told & set(table)) for table in (REQUESTS | DETAILS, FOR_ALL))
        assert tables == 1 or known.name in REQUESTS, known.name


@pytest.mark.parametrize(
    ('labeller', 'unheeded', 'heeded'),
    [
        ('clip', {'dense.model': 'a', 'vote.mode': 'hard', 'yoloe.iou': 0.1}, {}),
        ('yoloe', {'dense.output': 1, 'vote.fusion_weight': 1.0}, {'vote.keep_dense': False}),
        ('clipseg', {'dense.backend': 'ultralytics'}, {'dense.model': 'a', 'vote.mode': 'hard'}),
        ('ssa_engine', {'dense.model': 'a'}, {'dense.backend': 'ultralytics'}),
        ('closed_set', {'yoloe.confidence': 0.5, 'temporal.reuse_iou': 0.1}, {'groups': 'a.yaml'}),
        ('none', {'vocabulary': 'road', 'vote.hypotheses': 1}, {'vote.maximum_mask_share': 0.5}),
    ],
)
def test_networks_and_votes_that_others_have_are_told(
    labeller: str, unheeded: dict[str, object], heeded: dict[str, object]
) -> None:
    told = without_effect(from_values({'labeller': labeller, **unheeded, **heeded}))
    assert all(name in told for name in unheeded)
    assert not any(name in told for name in heeded)


@pytest.mark.parametrize('labeller', ['yoloe', 'clip'])
def test_of_masks_that_are_a_yoloes_instances_its_own_settings_count(labeller: str) -> None:
    own = {'labeller': labeller, 'masks.model': 'y.pt', 'yoloe.model': 'y.pt', 'yoloe.iou': 0.5}
    assert not without_effect(from_values({**own, 'masks.retina_masks': False}))
    told = without_effect(from_values({**own, 'masks.max_masks': 7}))
    assert told == (
        'y.pt is masks.model and yoloe.model: its instances are the masks, found by yoloe.*, and '
        'masks.max_masks counts for nothing'
    )
    apart = {**own, 'labeller': 'yoloe', 'masks.model': 'f.pt', 'masks.max_masks': 7}
    assert not without_effect(from_values(apart))
