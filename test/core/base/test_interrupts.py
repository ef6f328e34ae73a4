"""What launch starts ends before launch loses patience: Python takes nothing apart."""

import subprocess
import sys

import pytest

LATE = "import atexit, sys; atexit.register(print, 'taken apart'); "


def ended(code: str) -> tuple[int, str]:
    """Run code in a process; return its exit code, and what it said."""
    command = [sys.executable, '-c', LATE + code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    return result.returncode, result.stdout + result.stderr


def test_a_process_ends_at_once_with_its_code_and_all_that_it_said() -> None:
    code = 'from semantic_fast_sam_ros.core.base.signals import end_process; '
    code += "print('out'); print('err', file=sys.stderr); end_process(3)"
    assert ended(code) == (3, 'out\nerr\n')


@pytest.mark.parametrize(
    ('program', 'tool', 'words'),
    [('image_stream', 'stream', ['--rate', '0']), ('view', 'view', ['--port', '70000'])],
)
def test_the_executables_of_ros_end_so(program: str, tool: str, words: list[str]) -> None:
    pytest.importorskip('rclpy', reason='rclpy is missing: source a ROS 2')
    code = f'from semantic_fast_sam_ros.tools.{tool} import main_ros; '
    code += f'sys.argv = {[program, *words]}; main_ros()'
    status, said = ended(code)
    assert status == 2
    assert said.startswith(f'{program}: ')
    assert 'taken apart' not in said


def test_an_interrupt_that_falls_into_a_finaliser_is_not_lost() -> None:
    code = (
        'import os, signal, time\n'
        'from semantic_fast_sam_ros.core.base.signals import interrupt_once\n'
        'class Interrupted:\n'
        '    def __del__(self):\n'
        '        os.kill(os.getpid(), signal.SIGINT)\n'
        '        time.sleep(0.01)\n'
        'interrupt_once()\n'
        'try:\n'
        '    Interrupted()\n'
        '    time.sleep(60)\n'
        'except KeyboardInterrupt:\n'
        "    print('interrupted')\n"
    )
    ran = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ran.stdout, ran.stderr) == ('interrupted\n', '')
