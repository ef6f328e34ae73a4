"""Frames are put together by stamp; pixels and pictures come out as painted."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from semantic_fast_sam_ros.core.settings import vocabulary as vocabularies
from semantic_fast_sam_ros.core.settings import vocabulary_files
from semantic_fast_sam_ros.viewer import pictures
from semantic_fast_sam_ros.viewer.frames import KEPT, PARTS, Frame, FrameAssembler

HEIGHT, WIDTH = 4, 6


def _stamp(sec: int) -> SimpleNamespace:
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=5))


def _messages(sec: int) -> dict[str, SimpleNamespace]:
    def image(pixels: np.ndarray, encoding: str) -> SimpleNamespace:
        size = {'height': HEIGHT, 'width': WIDTH}
        return SimpleNamespace(
            header=_stamp(sec), encoding=encoding, data=pixels.tobytes(), **size
        )

    labels = np.ones((HEIGHT, WIDTH), np.uint8)
    labels[:, 4:] = 3
    labels[0, 0] = 0
    mask = np.where(labels == 3, 7, 0).astype(np.uint16)
    hypothesis = SimpleNamespace(hypothesis=SimpleNamespace(class_id='car', score=0.9))
    found = SimpleNamespace(id='7', results=[hypothesis])
    return {
        'label_image': image(labels, 'mono8'),
        'confidence': image((labels > 0).astype(np.uint8) * 51, 'mono8'),
        'instances': image(mask, 'mono16'),
        'detections': SimpleNamespace(header=_stamp(sec), detections=[found]),
        'overlay/compressed': SimpleNamespace(header=_stamp(sec), data=b'jpeg'),
    }


def _frame() -> Frame:
    assembler, frame = FrameAssembler(), None
    for part, message in _messages(1).items():
        frame = assembler.add(part, message)
    assert frame is not None
    return frame


def test_a_frame_is_complete_with_its_last_part_in_any_order():
    assembler = FrameAssembler()
    messages = _messages(12)
    for part in reversed(PARTS[1:]):
        assert assembler.add(part, messages[part]) is None
    frame = assembler.add(PARTS[0], messages[PARTS[0]])
    assert frame.stamp == '12.000000005'
    assert frame.overlay_jpeg == b'jpeg'


def test_parts_of_different_images_do_not_mix():
    assembler = FrameAssembler()
    first, second = _messages(9), _messages(10)
    assert all(assembler.add(part, first[part]) is None for part in PARTS[:-1])
    assert assembler.add(PARTS[-1], second[PARTS[-1]]) is None
    frames = [assembler.add(part, second[part]) for part in PARTS[:-1]]
    assert frames[-1].stamp.startswith('10.')
    assert assembler.add(PARTS[-1], first[PARTS[-1]]) is None, 'an older frame came back'


def _answers(sec: int) -> dict[str, SimpleNamespace]:
    heat = _messages(sec)['confidence']
    return {
        'query/detections': SimpleNamespace(header=_stamp(sec), detections=[]),
        'query/heat': heat,
    }


def test_answers_that_come_after_the_rest_belong_to_their_frame():
    assembler = FrameAssembler(searching=True)
    messages, (first, last) = _messages(3), _answers(3).items()
    assert [assembler.add(part, message) for part, message in messages.items()] == [None] * 5
    assert assembler.add(*first) is None
    frame = assembler.add(*last)
    assert frame.stamp.startswith('3.') and frame.heat.max() == 51
    assert frame.found() == {'first': [], 'count': 0, 'best': 0.2}


def test_a_frame_without_answers_comes_with_the_next():
    assembler, came = FrameAssembler(searching=True), []
    for sec in (5, 6, 7):
        frames = [assembler.add(part, message) for part, message in _messages(sec).items()]
        came += [frame for frame in frames if frame]
    assert [frame.stamp.partition('.')[0] for frame in came] == ['5', '6']
    assert came[0].found() is None


def test_incomplete_frames_do_not_pile_up():
    assembler = FrameAssembler()
    for sec in range(100):
        assembler.add('label_image', _messages(sec)['label_image'])
    assert len(assembler._parts) <= KEPT


def test_shares_are_sorted_and_sum_to_one():
    shares = _frame().shares()
    assert list(shares) == [1, 3, 0]
    assert shares[3] == pytest.approx(8 / 24)
    assert sum(shares.values()) == pytest.approx(1)


def test_a_pixel_tells_its_class_confidence_mask_and_outline():
    found = _frame().pixel(5, 1)
    assert (found['id'], found['mask'], found['confidence']) == (3, 7, 0.2)
    assert found['hypotheses'] == [['car', 0.9]]
    assert sorted(map(tuple, found['outline'][0])) == [(4, 0), (4, 3), (5, 0), (5, 3)]


def test_a_pixel_in_no_mask_has_none_and_outside_is_clamped():
    found = _frame().pixel(-3, 0)
    assert (found['x'], found['id'], found['confidence'], found['mask']) == (0, 0, 0, 0)
    assert found['outline'] == []
    assert _frame().pixel(99, 99)['x'] == WIDTH - 1


@pytest.mark.parametrize('mode', ['labels', 'confidence', 'instances'])
def test_each_picture_has_the_size_of_the_labels(mode):
    jpeg = pictures.jpeg(_frame(), mode, {1: (200, 0, 0), 3: (0, 0, 200)})
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (4, 6, 3)


def test_labels_are_drawn_in_the_colours_of_their_classes():
    drawn = pictures._labels(_frame(), {1: (200, 0, 0), 3: (0, 0, 200)})
    assert drawn[1, 1].tolist() == [200, 0, 0]
    assert drawn[1, 5].tolist() == [0, 0, 200]
    assert drawn[0, 0].tolist() == [0, 0, 0]


def test_colours_are_those_of_the_vocabulary_that_the_node_has():
    camvid = vocabulary_files.resolve('camvid')
    colours = pictures.class_colours({4: 'road', 9: 'car'}, 'camvid', '')
    assert colours == {4: camvid.find('road').colour, 9: camvid.find('car').colour}
    grouped = pictures.class_colours({1: 'ground'}, 'camvid', '{ground: [road, sidewalk]}')
    assert grouped[1] == camvid.find('road').colour


def test_a_name_that_came_while_the_node_ran_has_the_colour_of_its_id():
    colours = pictures.class_colours({1: 'road', 6: 'bus'}, 'bus, road', '')
    assert colours == {1: vocabularies.colour_of(1), 6: vocabularies.colour_of(6)}


@pytest.mark.parametrize('vocabulary', ['', '/only/on/the/robot.yaml', 'a,,b'])
def test_a_vocabulary_that_cannot_be_read_gives_colours_by_id(vocabulary):
    colours = pictures.class_colours({2: 'road'}, vocabulary, '')
    assert colours == {2: vocabularies.colour_of(2)}
