"""A resized image's calibration: every 3D point stays where it is in the picture."""

from dataclasses import replace

import numpy as np
import pytest

from semantic_fast_sam_ros.core.images.calibration import Calibration, read

WHOLE = Calibration(
    width=640,
    height=480,
    distortion_model='plumb_bob',
    d=(0.1, -0.2, 0.0, 0.0, 0.05),
    k=(500, 0, 320, 0, 510, 250, 0, 0, 1),
    p=(520, 0, 318, -52, 0, 530, 248, 0, 0, 0, 1, 0),
)


def project(calibration: Calibration, point: tuple[float, float, float]) -> np.ndarray:
    """Return the pixel of a point as image_geometry does it: region off P, then binning."""
    u, v, w = np.reshape(calibration.p, (3, 4)) @ [*point, 1.0]
    across, down = (max(1, n) for n in calibration.binning)
    return np.array(
        [(u / w - calibration.region[0]) / across, (v / w - calibration.region[1]) / down]
    )


def test_half_the_size_halves_k_p_and_the_baseline() -> None:
    half = WHOLE.resized((240, 320))
    assert (half.width, half.height, half.image_size) == (320, 240, (240, 320))
    assert half.k == (250, 0, 160, 0, 255, 125, 0, 0, 1)
    assert half.p == (260, 0, 159, -26, 0, 265, 124, 0, 0, 0, 1, 0)
    assert (half.d, half.r, half.distortion_model) == (WHOLE.d, WHOLE.r, WHOLE.distortion_model)
    assert (half.binning, half.region) == ((0, 0), (0, 0, 0, 0))


def test_each_axis_has_its_own_scale() -> None:
    wide = WHOLE.resized((120, 960))
    assert wide.k[:6] == (750, 0, 480, 0, 127.5, 62.5)


def test_binning_stays_and_the_sensor_is_scaled() -> None:
    binned = replace(WHOLE, binning=(2, 2))
    assert binned.image_size == (240, 320)
    small = binned.resized((120, 160))
    assert (small.width, small.height, small.binning) == (320, 240, (2, 2))
    assert small.image_size == (120, 160)
    assert small.k[:3] == (250, 0, 160)


def test_a_region_is_scaled_with_the_sensor() -> None:
    cut = replace(WHOLE, region=(100, 60, 400, 300), rectify_region=True)
    half = cut.resized((150, 200))
    assert (half.width, half.height, half.region) == (320, 240, (50, 30, 200, 150))
    assert half.rectify_region
    assert half.k == WHOLE.resized((240, 320)).k


@pytest.mark.parametrize('size', [(77, 131), (300, 200), (901, 33)])
@pytest.mark.parametrize('binning', [(0, 0), (2, 3)])
@pytest.mark.parametrize('region', [(0, 0, 0, 0), (101, 63, 366, 279)])
def test_points_stay_at_their_place_whatever_the_size(
    size: tuple[int, int], binning: tuple[int, int], region: tuple[int, int, int, int]
) -> None:
    camera = replace(WHOLE, binning=binning, region=region)
    resized = camera.resized(size)
    assert resized.image_size == size
    scale = np.divide(size, camera.image_size)[::-1]
    for point in ((0.0, 0.0, 2.0), (0.4, -0.3, 1.5), (-1.0, 0.5, 4.0)):
        np.testing.assert_allclose(project(resized, point), project(camera, point) * scale)


def test_intrinsics_are_those_of_the_image() -> None:
    assert WHOLE.intrinsics == (520, 530, 318, 248)  # of P
    cut = replace(WHOLE, binning=(2, 2), region=(100, 60, 400, 300))
    assert cut.intrinsics == (260, 265, 109, 94)
    raw = replace(WHOLE, p=(0.0,) * 12)
    assert raw.intrinsics == (500, 510, 320, 250)  # of K


def test_an_uncalibrated_camera_stays_one() -> None:
    resized = Calibration(640, 480, region=(3, 3, 100, 100)).resized((50, 50))
    assert not any(resized.k) and not any(resized.p)


def test_the_own_size_changes_nothing() -> None:
    assert WHOLE.resized((480, 640)) is WHOLE
    odd = Calibration(641, 481, binning=(2, 2))
    assert odd.resized((240, 320)) is odd


def test_a_message_is_read_whole() -> None:
    sensor_msgs = pytest.importorskip('sensor_msgs.msg', reason='run scripts/setup')
    message = sensor_msgs.CameraInfo(width=640, height=480, binning_x=2)
    message.distortion_model = 'plumb_bob'
    message.d, message.k, message.p = (
        list(WHOLE.d),
        list(map(float, WHOLE.k)),
        list(map(float, WHOLE.p)),
    )
    message.r = list(WHOLE.r)
    message.roi.x_offset, message.roi.width, message.roi.do_rectify = 7, 100, True
    expected = replace(WHOLE, binning=(2, 0), region=(7, 0, 100, 0), rectify_region=True)
    assert read(message) == expected
