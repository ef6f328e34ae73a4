"""Conversions are found by the weights that they were made of."""

from pathlib import Path

from semantic_fast_sam_ros.core.networks.conversions import engine_file


def test_other_weights_are_converted_anew(source: Path) -> None:
    before = engine_file(source, 'xml')
    source.write_bytes(b'other weights')
    assert engine_file(source, 'xml') != before
