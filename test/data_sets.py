"""Where tests find public data sets: the one place that knows."""

import os
from pathlib import Path

import pytest

# A folder that holds each data set as its owners publish it, by default beside the checkout.
FOLDER = Path(
    os.environ.get('SEMANTIC_FAST_SAM_DATA', Path(__file__).resolve().parents[2] / 'shared')
)


def data_set(name: str) -> Path:
    """Return the folder of a data set, such as `camvid`; skip the test if it is not there."""
    if not (FOLDER / name).is_dir():
        pytest.skip(f'no {name} in {FOLDER}: set SEMANTIC_FAST_SAM_DATA to the folder that has it')
    return FOLDER / name
