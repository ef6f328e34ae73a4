"""What a process has had of memory is its own, not its parent's."""

import os
import subprocess
import sys

from semantic_fast_sam_ros.core.networks.memory import peak_bytes, process_bytes

HELD = 1 << 30  # more than torch takes
SAY = 'from semantic_fast_sam_ros.core.networks.memory import peak_bytes; print(peak_bytes())'


def test_what_is_given_back_stays_the_peak() -> None:
    before = process_bytes()
    held = bytearray(os.urandom(1 << 20) * 64)
    del held
    assert peak_bytes() >= before + (60 << 20)


def test_a_process_does_not_count_what_its_parent_holds() -> None:
    held = b'x' * HELD
    said = subprocess.run([sys.executable, '-c', SAY], capture_output=True, text=True, check=True)
    assert len(held) == HELD  # still there
    assert 0 < int(said.stdout) < HELD < peak_bytes()
