"""Every chosen frame is labelled exactly once, as the pipeline says, under the node's names."""

import itertools
import json
import threading

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader

from semantic_fast_sam_ros.bags.job import OF_LABELS, Job
from semantic_fast_sam_ros.core.base.errors import ConfigError
from semantic_fast_sam_ros.core.outputs.frame_outputs import frame_contents

from .fakes import NAMES, Brightness, Finder, label, settings
from .recordings import (
    PERIOD_NS,
    START_NS,
    camera,
    camera_bag,
    compressed_message,
    image_message,
    odd_message,
    picture,
    text_message,
    write_bag,
)

NODE = '/semantic_fast_sam'


def read(folder):
    """Return {topic: [(record time, message)]} by the rosbags library, in order of time."""
    found = {}
    with AnyReader([folder]) as reader:
        for connection, time_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((time_ns, message))
    return found


def label_maps(folder, topic=f'{NODE}/label_image'):
    """Return the label images of a topic as (record time, (H, W) array)."""
    return [
        (time_ns, m.data.reshape(m.height, m.width)) for time_ns, m in read(folder).get(topic, [])
    ]


def payloads(folder):
    """Return topic, record time and bytes of every message."""
    with AnyReader([folder]) as reader:
        return [(c.topic, time_ns, bytes(data)) for c, time_ns, data in reader.messages()]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_every_frame_has_the_labels_of_the_pipeline(tmp_path, storage):
    count = 40
    outcome = label(
        camera_bag(tmp_path / 'bag', count),
        tmp_path / 'out',
        Job(storage=storage, outputs=OF_LABELS),
    )
    assert outcome.complete and outcome.statistics.frame_count == count
    found = read(tmp_path / 'out')
    assert set(found) == {f'{NODE}/{name}' for name in (*OF_LABELS, 'label_info')}
    assert len(found[f'{NODE}/label_info']) == 1
    pipeline, output = Brightness(), settings(tmp_path).output
    for index in range(count):
        image = picture(index)
        result = pipeline(image)
        expected = dict(frame_contents(image, result, output, OF_LABELS))
        taken = START_NS + index * PERIOD_NS
        for name in ('label_image', 'confidence', 'instances', 'overlay'):
            time_ns, message = found[f'{NODE}/{name}'][index]
            pixels, encoding = expected[name].pixels, expected[name].encoding
            assert time_ns == taken + 1_000_000
            assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == taken
            assert message.header.frame_id == 'camera'
            assert (message.height, message.width, message.encoding) == (36, 48, encoding)
            assert message.step == pixels.nbytes // 36
            assert message.data.tobytes() == pixels.tobytes()
        jpeg = found[f'{NODE}/overlay/compressed'][index][1]
        assert jpeg.data.tobytes() == expected['overlay/compressed'].data.tobytes()
        detections = found[f'{NODE}/detections'][index][1].detections
        assert [d.id for d in detections] == ['1', '2']
        assert [r.hypothesis.class_id for r in detections[0].results] == ['dark', 'grey']
        assert [r.hypothesis.class_id for r in detections[1].results] == ['bright']
        assert (detections[1].bbox.center.position.x, detections[1].bbox.size_y) == (36.0, 36.0)


def test_label_info_stands_before_the_first_label_image(tmp_path):
    label(camera_bag(tmp_path / 'bag', 3), tmp_path / 'out')
    topics = [topic for topic, _, _ in payloads(tmp_path / 'out')]
    assert topics[0] == f'{NODE}/label_info'
    info = read(tmp_path / 'out')[f'{NODE}/label_info'][0][1]
    assert [(c.class_id, c.class_name) for c in info.class_map] == list(enumerate(NAMES, 1))


def test_names_found_while_labelling_are_announced_and_survive_resuming(tmp_path):
    bag, stop = camera_bag(tmp_path / 'bag', 20), threading.Event()

    def hear(count):
        if count == 5:
            stop.set()

    label(bag, tmp_path / 'out', config=settings(tmp_path), pipeline=Finder(hear), stop=stop)
    before = read(tmp_path / 'out')[f'{NODE}/label_info'][-1][1].class_map
    assert 3 < len(before) < 12
    label(bag, tmp_path / 'out', config=settings(tmp_path), pipeline=Finder(), resume=True)
    found = read(tmp_path / 'out')
    infos = [m.class_map for _, m in found[f'{NODE}/label_info']]
    names = [{c.class_id: c.class_name for c in classes} for classes in infos]
    assert all(a.items() < b.items() for a, b in itertools.pairwise(names))
    assert names[-1] == {**dict(enumerate(NAMES, 1)), **{i: f'thing {i}' for i in range(4, 13)}}
    assert len(found[f'{NODE}/label_image']) == 20


def test_two_runs_write_the_same_bytes(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 60)
    for name in ('a', 'b'):
        label(bag, tmp_path / name / 'out', config=settings(tmp_path))
    a, b = (tmp_path / name / 'out' / 'out_0.mcap' for name in ('a', 'b'))
    assert a.read_bytes() == b.read_bytes()


def test_qos_is_that_of_the_node(tmp_path):
    label(camera_bag(tmp_path / 'bag', 1), tmp_path / 'out')
    content = yaml.safe_load((tmp_path / 'out' / 'metadata.yaml').read_text())
    topics = content['rosbag2_bagfile_information']['topics_with_message_count']
    qos = {
        t['topic_metadata']['name'].rsplit('/', 1)[1]: yaml.safe_load(
            t['topic_metadata']['offered_qos_profiles']
        )[0]
        for t in topics
    }
    reliable, transient_local, volatile = 1, 1, 2
    assert qos['label_info']['durability'] == transient_local
    assert qos['label_info']['depth'] == 1
    assert qos['label_image']['durability'] == volatile
    assert qos['label_image']['reliability'] == reliable
    assert qos['label_image']['depth'] == 2


def test_chosen_outputs_only(tmp_path):
    label(camera_bag(tmp_path / 'bag', 2), tmp_path / 'out', Job(outputs=('label_image',)))
    assert set(read(tmp_path / 'out')) == {f'{NODE}/label_image', f'{NODE}/label_info'}
    with pytest.raises(ConfigError, match='unknown output'):
        Job(outputs=('labels',))


def test_every_start_and_duration_choose_frames(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 30)

    def chosen(**options):
        folder = tmp_path / '_'.join(map(str, options.values()))
        label(bag, folder, Job(outputs=('label_image',), **options))
        times = [time for time, _ in label_maps(folder)]
        return [(time - START_NS) // PERIOD_NS for time in times]

    assert chosen(every=4) == list(range(0, 30, 4))
    assert chosen(start_s=1.0) == list(range(10, 30))
    assert chosen(start_s=1.0, duration_s=0.5) == list(range(10, 15))
    assert chosen(start_s=1.0, duration_s=1.0, every=3) == [10, 13, 16, 19]


def test_several_cameras_raw_and_compressed(tmp_path):
    messages = camera(5, '/front/image_raw')
    for i in range(5):
        time_ns = START_NS + i * PERIOD_NS + 10
        messages.append(
            ('/rear/compressed', time_ns, compressed_message(picture(50 + i), time_ns))
        )
        messages.append(
            ('/front/image_raw/compressed', time_ns, compressed_message(picture(i), 1))
        )
        messages.append(('/depth/image', time_ns, odd_message('16UC1', time_ns)))
    bag = write_bag(tmp_path / 'bag', sorted(messages, key=lambda m: m[1]))
    outcome = label(bag, tmp_path / 'out', Job(outputs=('label_image',)))
    assert outcome.statistics.frames == {'/front/image_raw': 5, '/rear/compressed': 5}
    maps = label_maps(tmp_path / 'out', f'/rear{NODE}/label_image')
    for i, (_, labels) in enumerate(maps):
        assert np.array_equal(labels, picture(50 + i)[..., 0] // 86 + 1)
    label(bag, tmp_path / 'one', Job(topics=('/front/image_raw/c*',)))
    assert len(label_maps(tmp_path / 'one')) == 5, 'one camera has the names of the live node'
    with pytest.raises(ConfigError, match='no image topic /left'):
        label(bag, tmp_path / 'none', Job(topics=('/left',)))


def test_labels_of_an_earlier_run_are_not_labelled_again(tmp_path):
    bag = camera_bag(tmp_path / 'bag', 4)
    label(bag, tmp_path / 'first', Job(copy=('*',)))
    label(tmp_path / 'first', tmp_path / 'second', Job(copy=('*',)))
    assert payloads(tmp_path / 'first') == payloads(tmp_path / 'second')


def test_other_topics_are_copied_on_request(tmp_path):
    texts = [(f'/{t}', START_NS + i, text_message(str(i))) for i in range(9) for t in 'ab']
    bag = write_bag(tmp_path / 'bag', texts + camera(3), storage='sqlite3')
    label(bag, tmp_path / 'out', Job(copy=('/a', '/camera/*')))
    found = read(tmp_path / 'out')
    assert [m.data for _, m in found['/a']] == [str(i) for i in range(9)]
    assert '/b' not in found and len(found['/camera/image_raw']) == 3
    before = [p for p in payloads(bag) if p[0] != '/b']
    assert [p for p in payloads(tmp_path / 'out') if not p[0].startswith(NODE)] == before


def test_damaged_images_are_counted_and_the_others_labelled(tmp_path):
    messages = camera(6)
    messages[2][2].encoding = '32FC1'
    messages[4][2].step = 7
    outcome = label(write_bag(tmp_path / 'bag', messages), tmp_path / 'out')
    assert outcome.statistics.frame_count == 4
    assert outcome.statistics.refused == {'/camera/image_raw': 2}
    assert '32FC1' in outcome.statistics.refusals['/camera/image_raw']
    assert json.loads((tmp_path / 'out' / 'summary.json').read_text())['frames'] == 4


def test_output_size_applies(tmp_path):
    config = settings(tmp_path, output__size='20x10')
    label(camera_bag(tmp_path / 'bag', 2), tmp_path / 'out', config=config)
    assert label_maps(tmp_path / 'out')[0][1].shape == (10, 20)


def test_summary_counts_and_shows_what_was_labelled(tmp_path):
    dark = np.zeros((36, 48, 3), np.uint8)
    bright = np.full((36, 48, 3), 250, np.uint8)
    frames = [
        (
            '/image',
            START_NS + i * PERIOD_NS,
            image_message(bright if i % 4 == 0 else dark, START_NS),
        )
        for i in range(2000)
    ]
    outcome = label(
        write_bag(tmp_path / 'bag', frames), tmp_path / 'out', Job(outputs=('label_image',))
    )
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['complete'] and summary['frames'] == 2000
    assert summary['class_shares'] == {'unlabelled': 0, 'dark': 0.75, 'grey': 0, 'bright': 0.25}
    assert 100 < len(summary['timeline']['shares']) <= 300, 'bounded, whatever the length'
    assert all(abs(sum(row[1:]) - 1) < 1e-3 for row in summary['timeline']['shares'])
    assert 6 <= len(outcome.statistics.samples.pictures) <= 12
    assert summary['run']['models'] and summary['run']['settings']['labeller'] == 'none'
    page = (tmp_path / 'out' / 'summary.html').read_text()
    assert page.count('data:image/jpeg;base64,') == len(outcome.statistics.samples.pictures)
    assert 'dark 75.0 %' in page and '<svg' in page
