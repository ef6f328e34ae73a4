"""16-bit images keep their picture in 8 bits, whatever part of the 16 a camera uses."""

import re

import numpy as np
import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.images.tone import ToneMapper
from semantic_fast_sam_ros.core.settings.config import from_values

LEVELS = np.arange(256, dtype=np.uint16).reshape(8, 32).repeat(4, 0)  # each grey level once a row


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
@pytest.mark.parametrize('mode', ['auto', 'bits'])
def test_the_bits_that_a_camera_uses_are_seen_exactly(bits: int, mode: str) -> None:
    tone = ToneMapper(mode if mode == 'auto' else f'bits:{bits}')
    np.testing.assert_array_equal(tone(LEVELS << (bits - 8)), LEVELS)
    assert tone.warning == ''


def test_a_narrow_range_is_spread_as_thermal_cameras_need_it() -> None:
    for mode in ('auto', 'window'):
        found = ToneMapper(mode)(LEVELS * 8 + 7000)
        assert np.abs(found.astype(int) - LEVELS).max() <= 2, mode


def test_pixels_without_a_measurement_do_not_widen_the_window() -> None:
    values = LEVELS * 8 + 7000
    values[:6], values[-6:] = 0, 65535
    found = ToneMapper()(values)
    measured = LEVELS[6:-6].astype(float)
    expected = 255 * (measured - measured.min()) / np.ptp(measured)
    assert np.abs(found[6:-6] - expected).max() <= 2
    assert found[0].max() == 0 and found[-1].min() == 255


def test_a_few_hot_pixels_change_nothing() -> None:
    values = np.tile(LEVELS << 2, (4, 4))
    values[5, 7] = 65535
    assert np.array_equal(np.delete(ToneMapper()(values)[5], 7), np.delete(values[5] >> 2, 7))


def test_noise_is_not_spread_beyond_a_grey_level_a_value() -> None:
    noise = np.random.default_rng(0).integers(500, 510, (24, 32)).astype(np.uint16)
    found = ToneMapper()(noise)
    assert int(found.max()) - int(found.min()) <= 10


def test_dark_frames_of_a_camera_do_not_flicker() -> None:
    tone = ToneMapper()
    bright, dark = LEVELS << 4, LEVELS << 2  # 12 bits, and a scene that would do with 10
    for values in (bright, dark, bright, dark):
        found = tone(values)
        np.testing.assert_array_equal(found, values >> 4)


def test_a_window_follows_slowly() -> None:
    tone = ToneMapper('window')
    tone(LEVELS * 8 + 7000)
    moved = tone(LEVELS * 8 + 8000).astype(int) - LEVELS  # by 125 grey levels
    assert 60 < np.median(moved[moved < 255 - LEVELS]) < 125
    for _ in range(60):
        found = tone(LEVELS * 8 + 8000)
    assert np.abs(found.astype(int) - LEVELS).max() <= 3


def test_another_mode_takes_hold_at_once() -> None:
    tone = ToneMapper()
    tone(LEVELS << 2)
    tone.mode = 'full'
    np.testing.assert_array_equal(tone(LEVELS << 2), LEVELS >> 6)


@pytest.mark.parametrize(
    ('mode', 'values', 'told'),
    [
        ('full', LEVELS << 2, r'0 to 3 of 255.*values are 0 to 10.. of 65535.*auto would'),
        ('full', LEVELS * 8 + 7000, r'27 to 35 of 255.*input.mono16 is full'),
        ('bits:10', LEVELS * 8 + 7000, r'255 to 255 of 255'),
        ('auto', LEVELS // 60, r'nearly of one grey'),
    ],
)
def test_a_picture_without_contrast_is_told(mode: str, values: np.ndarray, told: str) -> None:
    tone = ToneMapper(mode)
    tone(values)
    assert re.search(told, tone.warning), tone.warning
    tone(LEVELS << 8)
    assert mode == 'bits:10' or tone.warning == ''


def test_all_channels_have_one_scale() -> None:
    colour = np.dstack([LEVELS, LEVELS // 2, LEVELS // 4]) << 2
    np.testing.assert_array_equal(ToneMapper()(colour), colour >> 2)


@pytest.mark.parametrize('wrong', ['bits', 'bits:', 'bits:7', 'bits:17', 'bits:x', '12', 'Auto'])
def test_a_wrong_setting_is_told_with_what_is_right(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r'auto, full, window or bits:N with N from 8 to 16'):
        from_values({'input.mono16': wrong})
