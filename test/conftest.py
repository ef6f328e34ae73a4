"""Let all tests import the checkout and `tiny`, and keep them out of the user's cache."""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# Before any test imports a library that reads these; processes that tests start inherit them.
CACHE = tempfile.TemporaryDirectory(prefix='semantic_fast_sam_test_')
os.environ['SEMANTIC_FAST_SAM_CACHE'] = CACHE.name
for name in ('HF_HOME', 'YOLO_CONFIG_DIR', 'MPLCONFIGDIR'):
    os.environ.pop(name, None)


def pytest_sessionfinish() -> None:
    """Remove the cache."""
    CACHE.cleanup()
