"""Folders and videos are labelled frame by frame into files that hold the pipeline's labels."""

import json
import os
import shutil
import struct
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from semantic_fast_sam_ros.bags import page
from semantic_fast_sam_ros.bags.images import DEFAULT_KINDS, KINDS, label_pictures
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.images.files import read_image
from semantic_fast_sam_ros.core.images.labels import read_labels
from semantic_fast_sam_ros.tools.label_bag import report

from .fakes import Brightness, settings
from .recordings import START_NS, picture

RUN = {'input': 'pictures', 'models': {}, 'settings': {}}


def _label(source, folder, kinds=DEFAULT_KINDS, pipeline=None, stop=None, **options):
    return label_pictures(
        source,
        folder,
        settings(folder.parent),
        kinds,
        lambda config: pipeline or Brightness(),
        stop or threading.Event(),
        RUN,
        progress=False,
        **options,
    )


@pytest.fixture
def pictures(tmp_path):
    """Return a folder with images in two folders."""
    for index in range(6):
        path = tmp_path / 'pictures' / ('a' if index < 3 else 'b') / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture(index)[..., ::-1])
    return tmp_path / 'pictures'


def test_folder_is_labelled_with_its_structure(pictures, tmp_path):
    outcome = _label(pictures, tmp_path / 'out', KINDS)
    assert outcome.complete and outcome.statistics.frames == {'a': 3, 'b': 3}
    pipeline = Brightness()
    for index in range(6):
        name = f'{"a" if index < 3 else "b"}/{index}'
        result = pipeline(picture(index))
        for kind, expected in (
            ('labels', result.label_map),
            ('confidence', result.confidence),
            ('instances', result.instances),
        ):
            found = read_labels(tmp_path / 'out' / kind / f'{name}.png')
            assert found.dtype == expected.dtype and np.array_equal(found, expected)
        colour = read_image(tmp_path / 'out' / 'colour' / f'{name}.png')
        assert np.array_equal(colour, result.vocabulary.palette()[result.label_map])
        assert read_image(tmp_path / 'out' / 'overlay' / f'{name}.jpg').shape == (36, 48, 3)
        content = json.loads((tmp_path / 'out' / 'json' / f'{name}.json').read_text())
        assert content['size'] == [48, 36]
        assert abs(sum(c['share'] for c in content['classes']) - 1) < 1e-4
        assert [n['name'] for n in content['masks'][0]['names']] == ['dark', 'grey']


def test_video_frames_are_numbered_files(tmp_path):
    path = tmp_path / 'drive.avi'
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (48, 36))
    if not video.isOpened():
        pytest.skip('this OpenCV writes no MJPG video')
    for index in range(7):
        video.write(picture(index)[..., ::-1].copy())
    video.release()
    outcome = _label(path, tmp_path / 'out', every=3)
    assert sorted(p.stem for p in (tmp_path / 'out' / 'labels').rglob('*.png')) == [
        '000000',
        '000003',
        '000006',
    ]
    assert outcome.losses == []


def test_damaged_images_are_told_each_and_the_rest_labelled(pictures, tmp_path, capsys):
    for name, data in (('0.png', b'broken'), ('1.png', b'')):
        (pictures / 'a' / name).write_bytes(data)
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.frame_count == 4
    assert '0.png is not a readable image' in outcome.statistics.refusals['a']
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith('left out: ') and '0.png is not a readable image' in first
    assert '1.png is not a readable image: empty data' in second


def test_interrupted_run_resumes_with_the_missing_frames(pictures, tmp_path):
    stop = threading.Event()
    _label(
        pictures, tmp_path / 'out', pipeline=Brightness(lambda n: n == 2 and stop.set()), stop=stop
    )
    pipeline = Brightness()
    outcome = _label(pictures, tmp_path / 'out', pipeline=pipeline, resume=True)
    assert outcome.complete and pipeline.count == 4
    assert len(list((tmp_path / 'out' / 'labels').rglob('*.png'))) == 6


def test_nothing_to_label_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match='no images or videos'):
        _label(tmp_path, tmp_path / 'out')
    with pytest.raises(ConfigError, match='unknown output'):
        _label(tmp_path, tmp_path / 'out', ('label',))


def test_the_page_claims_no_time_of_photos(pictures, tmp_path):
    _label(pictures, tmp_path / 'out')
    html = (tmp_path / 'out' / 'summary.html').read_text()
    assert '<h2>Classes</h2>' in html
    assert '1970' not in html and 'one bar' not in html


@pytest.mark.parametrize(
    ('time_ns', 'text'),
    [(0, ''), (1_500_000_000, '1.5 s'), (START_NS, '2023-11-14T22:13:20.000+00:00')],
)
def test_a_sample_has_the_time_that_its_source_has(time_ns, text):
    assert page._when(time_ns) == text


def test_what_is_left_beside_images_is_passed_over(pictures, tmp_path):
    for name in ('._0.png', '.DS_Store', '__MACOSX/0.png', '.ipynb_checkpoints/0.png'):
        (pictures / name).parent.mkdir(exist_ok=True)
        (pictures / name).write_bytes(b'no image')
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.frames == {'a': 3, 'b': 3} and not outcome.statistics.refused


@pytest.mark.parametrize(
    'name', [b'caf\xe9.png', 'neu\nzeile 🚗.png'.encode(), b'x' * 250 + b'.png']
)
def test_any_name_that_a_file_may_have_is_labelled(pictures, tmp_path, name, capsys):
    copy = os.path.join(os.fsencode(pictures), name)
    try:
        shutil.copy(pictures / 'a' / '1.png', copy)
    except OSError:
        pytest.skip('this file system refuses such a name')
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.frame_count == 7 and outcome.complete
    assert (tmp_path / 'out' / 'summary.html').is_file()
    assert report(pictures, outcome) == 0


def test_a_name_too_long_for_its_outputs_costs_no_other_image(pictures, tmp_path):
    shutil.copy(pictures / 'a' / '1.png', pictures / f'{"x" * 251}.png')
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.frames == {'a': 3, 'b': 3} and not outcome.problem
    assert 'too long' in outcome.statistics.refusals['.']


def test_a_video_of_no_bytes_is_told(pictures, tmp_path, capsys):
    (pictures / 'drive.mp4').touch()
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.frame_count == 6 and report(pictures, outcome) == 3
    assert 'not read: drive.mp4: no video that can be read\n' in capsys.readouterr().err


def test_a_video_that_is_cut_off_says_how_many_frames_there_are(pictures, tmp_path, capsys):
    film = pictures / 'cut.avi'
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*'MJPG'), 10, (48, 36))
    for index in range(6):
        writer.write(picture(index))
    writer.release()
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    outcome = _label(pictures, tmp_path / 'out')
    found = outcome.statistics.frames['cut']
    assert 0 < found < 6 and report(pictures, outcome) == 3
    told = f'not read: cut.avi: the video ends after {found} of 6 frames\n'
    assert told in capsys.readouterr().err


def test_its_own_outputs_are_no_input(pictures):
    for _ in range(2):
        assert _label(pictures, pictures / 'out').statistics.frame_count == 6


@pytest.mark.parametrize(
    ('first', 'second'),
    [('a.jpg', 'a.png'), ('a.mp4', 'a/000000.jpg'), ('a.mp4', 'a.avi'), ('x/1.png', 'x/1.PNG')],
)
def test_outputs_that_would_overwrite_each_other_are_refused_first(first, second, tmp_path):
    for name in (first, second):
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'in' / name).touch()
    with pytest.raises(ConfigError, match=r'would both be .*rename') as told:
        _label(tmp_path / 'in', tmp_path / 'out')
    assert Path(first).name in str(told.value) and Path(second).name in str(told.value)
    assert not (tmp_path / 'out').exists()


def test_a_huge_header_costs_no_other_image(pictures, tmp_path):
    header = b'IHDR' + struct.pack('>IIBBBBB', 40_000, 40_000, 8, 2, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n\0\0\0\x0d' + header + struct.pack('>I', zlib.crc32(header))
    (pictures / 'a' / '1.png').write_bytes(data + b'\0\0\0\0IEND\xaeB`\x82')
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.frames == {'a': 2, 'b': 3}
    assert '40000x40000 exceeds input.maximum_pixels' in outcome.statistics.refusals['a']


def test_half_a_jpeg_is_refused_and_the_exit_code_says_so(pictures, tmp_path, capsys):
    whole = cv2.imencode('.jpg', picture(9))[1].tobytes()
    (pictures / 'b' / 'half.jpg').write_bytes(whole[: len(whole) // 2])
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.frames == {'a': 3, 'b': 3}
    assert report(pictures, outcome) == 3
    assert (
        'half.jpg is not a readable image: JPEG is damaged or cut off' in capsys.readouterr().err
    )


def test_frames_are_labelled_in_natural_order(tmp_path):
    (tmp_path / 'in').mkdir()
    for index in (1, 2, 10, 11):
        cv2.imwrite(str(tmp_path / 'in' / f'frame_{index}.png'), np.full((8, 9, 3), index))
    seen = []
    bright = Brightness()

    def pipeline(image):
        seen.append(int(image[0, 0, 0]))
        return bright(image)

    pipeline.vocabulary = bright.vocabulary
    _label(tmp_path / 'in', tmp_path / 'out', pipeline=pipeline)
    assert seen == [1, 2, 10, 11]


def test_a_16_bit_image_without_contrast_is_told(pictures, tmp_path, capsys):
    cv2.imwrite(str(pictures / 'a' / 'dark.png'), np.full((8, 9), 700, np.uint16))
    outcome = _label(pictures, tmp_path / 'out')
    assert outcome.statistics.warned == {'a': 1}
    assert report(pictures, outcome) == 0
    assert '1 images of a: 16-bit images are nearly of one grey' in capsys.readouterr().err
