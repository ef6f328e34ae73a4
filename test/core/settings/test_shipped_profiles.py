"""What the shipped profiles follow: the evidence on the vote, or the paper, and say which."""

import dataclasses

import pytest

from semantic_fast_sam_ros.core.settings import profiles
from semantic_fast_sam_ros.core.settings.models import VoteSettings
from semantic_fast_sam_ros.evaluation.rows import PUBLISHED

AS_PUBLISHED = ('ade20k_published', 'cityscapes_published')


def _elsewhere(name: str) -> bool:
    """Say whether a profile takes a network of others to scenes that it did not learn."""
    return name.startswith(('ade20k', 'cityscapes'))


@pytest.mark.parametrize('name', sorted(set(profiles.profiles()) - set(AS_PUBLISHED)))
def test_a_profile_votes_as_the_evidence_says(name: str) -> None:
    expected = VoteSettings(fusion_weight=1.5) if _elsewhere(name) else VoteSettings()
    assert profiles.load_profile(name).vote == expected


@pytest.mark.parametrize('name', AS_PUBLISHED)
def test_the_published_system_differs_in_its_vote_only(name: str) -> None:
    published = profiles.load_profile(name)
    assert published.vote == dataclasses.replace(VoteSettings(), **PUBLISHED)
    plain = profiles.load_profile(name.removesuffix('_published'))
    assert dataclasses.replace(published, vote=plain.vote) == plain


def test_yolo26_runs_at_the_size_that_its_figures_are_of() -> None:
    users = {n: profiles.load_profile(n).dense for n in profiles.profiles()}
    sizes = {n: d.image_size for n, d in users.items() if d.model == 'yolo26n-sem.pt'}
    assert sizes == {'cityscapes_fast': 1024, 'hybrid': 1024}
