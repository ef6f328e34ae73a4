"""Let the tests import the scripts of benchmarks/ by their names."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))
