"""Texts that were encoded before are there at the next start, and only those."""

from pathlib import Path

import pytest
import torch

from semantic_fast_sam_ros.core.open_vocabulary import known_texts
from semantic_fast_sam_ros.core.open_vocabulary.known_texts import Encoded, KnownTexts

FACTS = {'size': 64, 'scale': 12.5}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give weights, and a cache of their own."""
    monkeypatch.setenv('SEMANTIC_FAST_SAM_CACHE', str(tmp_path / 'cache'))
    source = tmp_path / 'clip'
    source.mkdir()
    (source / 'weights').write_bytes(b'1')
    return source


def encoded(*rows: int) -> Encoded:
    row = torch.tensor(rows)
    return Encoded(row[:, None].expand(-1, 4).contiguous(), row[:, None] + torch.zeros(1, 3))


def test_texts_and_facts_come_back_in_any_order(source: Path) -> None:
    KnownTexts(source).keep(['car', 'road'], encoded(1, 2), FACTS)
    KnownTexts(source).keep(['tree'], encoded(3), FACTS)
    again = KnownTexts(source)
    found = again.find(['tree', 'car', 'tree'])
    assert found is not None and again.facts == FACTS
    assert found.vectors[:, 0].tolist() == found.tokens[:, 0].tolist() == [3, 1, 3]
    assert found.vectors.dtype == torch.float32
    assert again.find(['tree', 'zebra']) is None


def test_other_weights_know_nothing(source: Path) -> None:
    KnownTexts(source).keep(['car'], encoded(1), FACTS)
    (source / 'weights').write_bytes(b'2')
    assert KnownTexts(source).find(['car']) is None and not KnownTexts(source).facts


@pytest.mark.parametrize('content', [b'', b'nothing', None])
def test_damaged_file_is_told_and_written_anew(
    source: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    KnownTexts(source).keep(['car'], encoded(1), FACTS)
    file = next((source.parent / 'cache').rglob('*.safetensors'))
    file.write_bytes(file.read_bytes()[:-9] if content is None else content)
    damaged = KnownTexts(source)
    assert damaged.find(['car']) is None and 'encoded anew' in caplog.text
    damaged.keep(['car'], encoded(1), FACTS)
    assert KnownTexts(source).find(['car']) is not None


def test_oldest_of_too_many_are_forgotten(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_texts, 'MOST_TEXTS', 3)
    known = KnownTexts(source)
    known.keep(['a', 'b', 'c'], encoded(1, 2, 3), FACTS)
    known.keep(['a', 'd'], encoded(4, 5), FACTS)
    assert known.find(['b']) is None
    found = known.find(['a', 'c', 'd'])
    assert found is not None and found.vectors[:, 0].tolist() == [4, 3, 5]


def test_cache_that_cannot_be_written_costs_time_only(
    source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (source.parent / 'cache').write_text('a file where the folder should be')
    known = KnownTexts(source)
    known.keep(['car'], encoded(1), FACTS)
    assert known.find(['car']) is not None and 'next start' in caplog.text
