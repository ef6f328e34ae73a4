"""`stream` keeps a recording's own timing, or the rate that is asked for."""

import argparse

import numpy as np
import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.tools import stream
from semantic_fast_sam_ros.tools.sources import Frame, open_source

from .recordings import PERIOD_NS, START_NS, camera_bag, picture

IMAGE = np.zeros((4, 6, 3), np.uint8)


@pytest.fixture
def clock(monkeypatch):
    """Replace the time by one that only sleeping moves; return its readings."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

    made = Clock()
    monkeypatch.setattr(stream, 'time', made)
    return made


def _moments(clock, times_ns, rate, tick=None):
    rate_hz, factor = stream.parse_rate(rate)
    frames = iter([Frame(IMAGE, time_ns=time_ns) for time_ns in times_ns])
    return [round(clock.now - 100, 6) for _ in stream.paced(frames, rate_hz, factor, tick)]


def test_recorded_timing_and_its_factor(clock):
    times = [0, 100_000_000, 150_000_000, 400_000_000]
    assert _moments(clock, times, '') == [0, 0.1, 0.15, 0.4]


def test_half_speed_takes_twice_as_long(clock):
    assert _moments(clock, [0, 100_000_000, 150_000_000], '0.5x') == [0, 0.2, 0.3]


def test_a_plain_number_is_images_a_second(clock):
    assert _moments(clock, [0, 1, 2], '4') == [0, 0.25, 0.5]


def test_sources_without_times_come_at_ten_a_second(clock):
    assert _moments(clock, [None, None, None], '') == [0, 0.1, 0.2]


def test_a_loop_begins_again_at_once(clock):
    assert _moments(clock, [0, 100_000_000, 0, 100_000_000], '') == [0, 0.1, 0.1, 0.2]


def test_clock_runs_from_frame_to_frame(clock):
    ticks = []
    _moments(clock, [5_000_000_000, 5_100_000_000], '', ticks.append)
    assert ticks[0] == 5_000_000_000 and ticks[-1] == 5_100_000_000
    assert ticks == sorted(ticks) and len(ticks) > 5


def test_a_clock_that_is_set_while_recording_is_not_waited_for(clock, capsys):
    times = [0, 100_000_000, START_NS, START_NS + 100_000_000]
    ticks = []
    assert _moments(clock, times, '', ticks.append) == [0, 0.1, 10.1, 10.2]
    assert 'later' in capsys.readouterr().err
    assert {t for t in ticks if 100_000_000 < t < START_NS} == set(), 'the clock jumps with it'
    assert ticks[-1] == times[-1]


def test_long_pauses_that_are_asked_for_are_kept(clock, capsys):
    assert _moments(clock, [0, 1, 2], '0.05') == [0, 20, 40]
    assert _moments(clock, [0, 9 * 10**9], '0.1x') == [40, 130]
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('text', ['0', '-1', 'fast', 'x', '-2x', 'nan', 'inf'])
def test_nonsense_is_refused(text):
    with pytest.raises(ConfigError, match='--rate'):
        stream.parse_rate(text)


def test_frames_of_a_recording_carry_its_times(tmp_path):
    frames = list(open_source(str(camera_bag(tmp_path / 'bag', 3))))
    assert [f.stamp_ns for f in frames] == [START_NS + i * PERIOD_NS for i in range(3)]
    assert frames[1].time_ns == START_NS + PERIOD_NS + 1_000_000
    assert frames[0].frame_id == 'camera'
    assert np.array_equal(frames[2].image, picture(2))


def test_earlier_options_still_parse():
    parser = argparse.ArgumentParser()
    stream.add_arguments(parser)
    words = ['--loop', '--wait', '--topic', 'a', '--rate', '15.0', '--count-file', 'c', 'source']
    assert parser.parse_args(words).rate == '15.0'
