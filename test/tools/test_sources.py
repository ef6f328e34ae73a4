"""Where the demo's and the stream's images come from, and what is said of one that is none."""

import itertools
import subprocess
import sys

import cv2
import numpy as np
import PIL.Image
import pytest

from semantic_fast_sam_ros.core.base.errors import ConfigError, FrameError
from semantic_fast_sam_ros.tools import sources

SIZE = (30, 40)


def _picture(value):
    return np.full((*SIZE, 3), value, np.uint8)


def _red(folder, name):
    cv2.imwrite(str(folder / name), np.full((*SIZE, 3), (0, 0, 200), np.uint8))


def test_a_folder_gives_its_images_in_the_order_of_their_names_as_rgb(tmp_path):
    for name in ('b.png', 'a.png', 'notes.txt'):
        _red(tmp_path, name) if name.endswith('png') else (tmp_path / name).touch()
    frames = list(sources.open_source(str(tmp_path)))
    assert [frame.image.shape for frame in frames] == [(*SIZE, 3)] * 2
    assert frames[0].image[0, 0].tolist() == [200, 0, 0]


def test_a_video_gives_its_frames(tmp_path):
    file = str(tmp_path / 'drive.avi')
    writer = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*'MJPG'), 10, SIZE[::-1])
    if not writer.isOpened():
        pytest.skip('this OpenCV writes no MJPG video')
    for value in (10, 90, 170):
        writer.write(_picture(value))
    writer.release()
    means = [frame.image.mean() for frame in sources.open_source(file)]
    assert means == pytest.approx([10, 90, 170], abs=4)


@pytest.mark.parametrize('ending', ['.ts', '.MTS', '.3gp'])
def test_a_video_of_any_usual_name_is_played_beside_images(tmp_path, ending):
    file = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'MJPG'), 10, SIZE[::-1])
    if not writer.isOpened():
        pytest.skip('this OpenCV writes no MJPG video')
    writer.write(_picture(10))
    writer.release()
    file.rename(file.with_suffix(ending))
    _red(tmp_path, 'a.png')
    assert len(list(sources.open_source(str(tmp_path)))) == 2


def test_a_16_bit_image_without_contrast_is_told_and_not_the_one_behind_it(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), np.full(SIZE, 5000, np.uint16))
    _red(tmp_path, '2.png')
    losses, told = [], []
    assert len(list(sources.open_source(str(tmp_path), '', losses.append, told.append))) == 2
    assert losses == []
    (line,) = told
    assert '1.png: 16-bit images are nearly of one grey' in line


def test_the_virtual_camera_moves():
    first, second = itertools.islice(sources.open_source(''), 2)
    assert first.image.shape == (480, 640, 3)
    assert (first.image != second.image).any()


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        (
            'nowhere.mp4',
            'no image source .*nowhere.mp4: give a folder, video, webcam',
        ),
        ('empty', 'holds no images'),
        ('text.mp4', 'cannot be opened as a video'),
    ],
)
def test_what_is_no_source_is_told(tmp_path, name, message):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(ConfigError, match=message):
        next(sources.open_source(str(tmp_path / name)))


def test_an_absent_webcam_is_told_with_what_to_look_at():
    with pytest.raises(ConfigError, match=r'/dev/video99 cannot be opened.*group video'):
        sources.open_source('/dev/video99')


def test_a_damaged_image_is_told(tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG')
    with pytest.raises(FrameError, match=r'broken\.png is not a readable image'):
        next(sources.open_source(str(tmp_path)))


def test_the_street_photo_is_found_without_torch():
    code = (
        'import sys; from semantic_fast_sam_ros.tools.sources import street_photo; '
        'street_photo(); print({"torch", "ultralytics"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'set()\n'


def test_a_folder_is_played_in_natural_order_without_what_is_left_beside(tmp_path):
    for index in (10, 9, 1):
        cv2.imwrite(str(tmp_path / f'frame_{index}.png'), _picture(index))
    (tmp_path / '._frame_1.png').write_bytes(b'left by macOS')
    means = [frame.image.mean() for frame in sources.open_source(str(tmp_path))]
    assert means == [1, 9, 10]


def test_one_unreadable_file_is_told_and_the_others_are_played(tmp_path):
    for index in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), _picture(index))
    (tmp_path / '2.png').write_bytes(b'broken')
    told = []
    frames = list(sources.open_source(str(tmp_path), hear=told.append))
    assert [frame.image.mean() for frame in frames] == [1, 3]
    assert len(told) == 1 and '2.png is not a readable image' in told[0]


def test_a_photo_is_played_as_stored(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(_picture(9)).save(tmp_path / 'turned.jpg', exif=exif)
    assert next(sources.open_source(str(tmp_path / 'turned.jpg'))).image.shape == (*SIZE, 3)
