"""Queries that are refused while they are encoded, vocabularies that change, and what is told."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

pytest.importorskip('rclpy', reason='rclpy is not installed: run scripts/setup')

from harness import until
from std_msgs.msg import String
from torch import Tensor

from semantic_fast_sam_ros.core.settings.config import Config, from_values
from semantic_fast_sam_ros.core.settings.vocabulary_files import parse_list
from semantic_fast_sam_ros.ros import connections
from semantic_fast_sam_ros.ros.queries import LOOKS_BACK, TEXT, Queries

pytestmark = pytest.mark.quick

BAD_NEGATIVES = 'stuff,,thing'


class Letters:
    """Encodes texts as how often letters occur in them."""

    scale = 20.0

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Return (T, 26) unit vectors."""
        counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(counts, dtype=torch.float32), dim=1)


class Rig:
    """The queries of a node that is none, with settings and names that can change."""

    def __init__(self) -> None:
        self.config: Config = from_values({'labeller': 'clip'})
        self.pipeline = SimpleNamespace(
            encoder=SimpleNamespace(model=Letters()), vocabulary=parse_list('road, car')
        )
        node = Mock(get_publishers_info_by_topic=lambda _: [])
        self.queries = Queries(node, self.pipeline, lambda: self.config)

    def ask(self, *texts: str) -> None:
        """Let texts be heard, and wait until the last one is dealt with."""
        for text in texts:
            self.queries._hear_new(String(data=text))
        self.settle()

    def settle(self) -> None:
        jobs = self.queries._jobs
        until(lambda: jobs.counts.received == jobs.counts.ended, 'all that was asked')

    def negatives(self, names: str) -> None:
        self.config = replace(self.config, query=replace(self.config.query, negatives=names))

    @property
    def facts(self) -> list[str]:
        return list(self.queries.facts.values())


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Give queries whose senders are all heard."""
    monkeypatch.setattr(connections, 'input_problem', lambda *_: '')
    rig = Rig()
    yield rig
    rig.queries.close()


def test_new_names_renew_what_is_looked_for_not_what_was_refused(rig: Rig) -> None:
    rig.ask('dog')
    rig.negatives(BAD_NEGATIVES)
    rig.ask('cat')
    assert 'query refused: query.negatives' in rig.queries.problem()
    rig.negatives('')
    rig.pipeline.vocabulary = parse_list('road, car, tree')
    rig.queries.refresh()
    rig.settle()
    assert rig.queries.current.text == 'dog'
    assert len(rig.queries.current.others) == 3
    assert rig.facts == ['dog', '2', '0', '1']  # shown, received, passed over, refused
    assert 'query refused' in rig.queries.problem()


def test_a_query_that_cannot_be_renewed_stands_and_is_told_until_it_can(rig: Rig) -> None:
    rig.ask('dog')
    rig.negatives(BAD_NEGATIVES)
    rig.queries.refresh()
    rig.settle()
    assert rig.queries.current.text == 'dog'
    assert 'beside the names of before: query.negatives' in rig.queries.problem()
    rig.negatives('')
    rig.queries.refresh()
    rig.settle()
    assert not rig.queries.problem()
    assert rig.facts == ['dog', '1', '0', '0']


def test_each_query_is_counted_once_wherever_it_is_refused(rig: Rig) -> None:
    rig.ask('dog')
    rig.ask('mug,,')
    rig.negatives(BAD_NEGATIVES)
    rig.ask('cat')
    assert rig.facts == ['dog', '3', '0', '2']


def test_looking_at_the_problem_does_not_end_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = rig.queries._jobs
    before = jobs.counts_of(TEXT)
    hurried = replace(before, received=9, processed=2, replaced=7)
    monkeypatch.setattr(jobs, 'counts_of', lambda _: hurried)
    assert rig.queries.problem() == rig.queries.problem() != ''
    assert '7 of 9 queries were passed over' in rig.queries.problem()
    for _ in range(LOOKS_BACK):
        assert rig.queries.problem()
        rig.queries._look()
    assert not rig.queries.problem()
