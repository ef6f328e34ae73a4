"""Which topics are cameras, their messages say: type, encoding, format and number, not names."""

import pytest
from mcap.writer import Writer

from semantic_fast_sam_ros.bags.cameras import choose_cameras
from semantic_fast_sam_ros.bags.job import Job
from semantic_fast_sam_ros.bags.messages import COMPRESSED, IMAGE
from semantic_fast_sam_ros.bags.reader import BagReader
from semantic_fast_sam_ros.core.base.errors import ConfigError

from .fakes import label
from .recordings import (
    PERIOD_NS,
    START_NS,
    camera,
    compressed_message,
    image_message,
    odd_message,
    picture,
    text_message,
    write_bag,
)

NODE = '/semantic_fast_sam'


def raw(time_ns):
    """Return a colour image."""
    return image_message(picture(1), time_ns)


def png(time_ns):
    """Return a compressed colour image."""
    return compressed_message(picture(1), time_ns)


def odd(kind):
    """Return what makes messages that are no pictures."""
    return lambda time_ns: odd_message(kind, time_ns)


def bag_of(folder, topics, count=3, **options):
    """Write messages of {topic: what makes one}."""
    times = [START_NS + i * PERIOD_NS for i in range(count)]
    messages = [(topic, t, make(t)) for t in times for topic, make in topics.items()]
    return write_bag(folder, messages, **options)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize(
    ('silent', 'make', 'topic'),
    [
        ('/camera/image_raw', png, '/camera/image_raw/compressed'),
        ('/camera/image_raw/compressed', raw, '/camera/image_raw'),
    ],
)
def test_a_twin_without_messages_is_no_camera(tmp_path, storage, silent, make, topic):
    kind = COMPRESSED if silent.endswith('compressed') else IMAGE
    bag = bag_of(tmp_path / 'bag', {topic: make}, storage=storage, silent=[(silent, kind)])
    outcome = label(bag, tmp_path / 'out')
    assert outcome.statistics.frames == {topic: 3} and not outcome.empty


def test_of_twins_the_raw_one_is_taken_unless_it_has_far_fewer_images(tmp_path):
    both = bag_of(tmp_path / 'both', {'/c/image': raw, '/c/image/compressed': png})
    assert choose_cameras(BagReader(both), []) == ['/c/image']
    messages = [('/c/image', START_NS, raw(START_NS))]
    messages += [('/c/image/compressed', START_NS + i, png(START_NS)) for i in range(9)]
    few = write_bag(tmp_path / 'few', messages)
    assert choose_cameras(BagReader(few), []) == ['/c/image/compressed']


@pytest.mark.parametrize(
    'kind', ['h264', 'zstd', 'depth png', 'compressedDepth', '16UC1', '32FC1']
)
@pytest.mark.parametrize('extra', ['/camera/image_raw/extra', '/stereo', '/a/confidence'])
def test_what_is_no_picture_is_no_camera_whatever_its_name(tmp_path, kind, extra):
    bag = bag_of(tmp_path / 'bag', {'/camera/image_raw': raw, extra: odd(kind)})
    outcome = label(bag, tmp_path / 'out', Job(outputs=('label_image',)))
    assert outcome.statistics.frames == {'/camera/image_raw': 3}
    assert not outcome.statistics.refused
    assert set(_topics(tmp_path / 'out')) == {f'{NODE}/label_image', f'{NODE}/label_info'}
    assert any(extra in note and 'left out' in note for note in outcome.notes)


@pytest.mark.parametrize(
    'name', ['/depth_camera/image_raw', '/depth/image', '/DEPTH', '/a/compressedDepth']
)
def test_colour_is_a_camera_whatever_its_name(tmp_path, name):
    bag = bag_of(tmp_path / 'bag', {name: raw, '/other': odd('16UC1')})
    assert label(bag, tmp_path / 'out').statistics.frames == {name: 3}


def test_first_messages_that_are_damaged_do_not_decide(tmp_path):
    messages = camera(30) + camera(30, '/second')
    for _, _, message in messages[:8]:
        message.step = 7
    bag = write_bag(tmp_path / 'bag', sorted(messages, key=lambda m: m[1]))
    outcome = label(bag, tmp_path / 'out')
    assert outcome.statistics.frames == {'/camera/image_raw': 22, '/second': 30}
    assert outcome.statistics.refused == {'/camera/image_raw': 8}


def test_images_of_which_none_can_be_read_are_counted_and_no_success(tmp_path):
    messages = camera(4)
    for _, _, message in messages:
        message.step = 7
    outcome = label(write_bag(tmp_path / 'bag', messages), tmp_path / 'out')
    assert outcome.statistics.refused == {'/camera/image_raw': 4}
    assert outcome.empty and not outcome.complete


def cut_off(time_ns):
    """Return a JPEG that ends too early."""
    message = compressed_message(picture(1), time_ns, '.jpg')
    message.data = message.data[: len(message.data) // 2]
    return message


def short(time_ns):
    """Return a raw image whose rows are shorter than its pixels."""
    message = raw(time_ns)
    message.step = 7
    return message


def nothing(time_ns):
    """Return a compressed image without a byte."""
    message = compressed_message(picture(1), time_ns)
    message.data = message.data[:0]
    return message


@pytest.mark.parametrize('make', [cut_off, nothing])
def test_a_camera_of_which_every_image_is_damaged_is_counted_beside_a_good_one(tmp_path, make):
    bag = bag_of(tmp_path / 'bag', {'/front': raw, '/a_rear/compressed': make})
    assert choose_cameras(BagReader(bag), []) == ['/front', '/a_rear/compressed']
    outcome = label(bag, tmp_path / 'out')
    assert outcome.statistics.frames == {'/front': 3}
    assert outcome.statistics.refused == {'/a_rear/compressed': 3}


@pytest.mark.parametrize('topics', [('/c', '/c/compressed'), ('/c/compressed', '/c')])
def test_the_damaged_twin_of_a_camera_is_left_out(tmp_path, topics):
    good = png if topics[0].endswith('compressed') else raw
    bad = cut_off if good is raw else short
    bag = bag_of(tmp_path / 'bag', {topics[0]: good, topics[1]: bad})
    outcome = label(bag, tmp_path / 'out')
    assert outcome.statistics.frames == {topics[0]: 3} and not outcome.statistics.refused
    assert any(note.startswith(f'{topics[1]} is left out') for note in outcome.notes)


def test_outputs_under_another_name_are_known_by_their_label_info(tmp_path):
    bag = bag_of(tmp_path / 'bag', {'/camera/image_raw': raw})
    label(bag, tmp_path / 'first', Job(copy=('*',), node='/labels'))
    outcome = label(tmp_path / 'first', tmp_path / 'second')
    assert outcome.statistics.frames == {'/camera/image_raw': 3}


def test_the_heat_of_a_query_is_no_camera(tmp_path):
    bag = bag_of(tmp_path / 'bag', {'/camera/image_raw': raw, f'{NODE}/query/heat': raw})
    assert choose_cameras(BagReader(bag), []) == ['/camera/image_raw']


def test_without_a_camera_it_is_said_what_there_is(tmp_path):
    depth = bag_of(tmp_path / 'depth', {'/stereo/depth': odd('16UC1')})
    with pytest.raises(ConfigError, match='/stereo/depth: 16UC1 is depth'):
        choose_cameras(BagReader(depth), [])
    text = bag_of(tmp_path / 'text', {'/chat': lambda t: text_message('x')})
    with pytest.raises(ConfigError, match='image topics: none'):
        choose_cameras(BagReader(text), [])
    silent = bag_of(
        tmp_path / 'silent', {'/chat': lambda t: text_message('x')}, silent=[('/c', IMAGE)]
    )
    with pytest.raises(ConfigError, match='/c: no messages'):
        choose_cameras(BagReader(silent), [])


@pytest.mark.parametrize(
    ('encoding', 'schema', 'kind', 'told'),
    [
        ('protobuf', 'protobuf', 'foxglove.CompressedImage', 'mcap-protobuf-support'),
        ('json', 'jsonschema', 'foxglove.CompressedImage', 'mcap-ros2-support'),
        ('ros1', 'ros1msg', 'sensor_msgs/Image', 'rosbags-convert'),
        ('cdr', 'ros2msg', 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket', 'image_transport'),
        ('cdr', 'ros2msg', 'foxglove_msgs/msg/CompressedVideo', 'CompressedVideo'),
    ],
)
def test_messages_of_other_kinds_are_said_by_name(tmp_path, encoding, schema, kind, told):
    path = tmp_path / 'a.mcap'
    with path.open('wb') as stream:
        writer = Writer(stream)
        writer.start('')
        number = writer.register_schema(kind, schema, b'\x0a\xff\xfe binary')
        channel = writer.register_channel('/camera', encoding, number)
        writer.add_message(channel, START_NS, b'\x0a\x01', START_NS)
        writer.finish()
    with pytest.raises(ConfigError, match=told) as raised:
        choose_cameras(BagReader(path), [])
    assert kind in str(raised.value)


def _topics(folder):
    return [topic.name for topic in BagReader(folder).topics]
