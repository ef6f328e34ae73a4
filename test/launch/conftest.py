"""Let the launch tests use the observer of the ROS tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'ros'))
