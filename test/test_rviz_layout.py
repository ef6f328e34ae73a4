"""The RViz layout names displays that RViz2 has, for topics of the type that they show."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
NODE = '/semantic_fast_sam/'
# Of rviz_default_plugins in Jazzy, with the message type of each.
DISPLAYS = {
    'rviz_default_plugins/Image': 'sensor_msgs/Image',
    'rviz_default_plugins/PointCloud2': 'sensor_msgs/PointCloud2',
}
TOOLS = {'rviz_default_plugins/MoveCamera'}
# RViz's Image display throws at 32SC1.
IMAGES = {'overlay', 'label_image', 'label_colour', 'confidence', 'instances'}
CLOUDS = {'points'}
POLICIES = {
    'Reliability Policy': {'Reliable', 'Best Effort', 'System Default'},
    'Durability Policy': {'Volatile', 'Transient Local', 'System Default'},
    'History Policy': {'Keep Last', 'Keep All', 'System Default'},
}


def _manager() -> dict:
    text = (ROOT / 'config' / 'semantic_fast_sam.rviz').read_text()
    return yaml.safe_load(text)['Visualization Manager']


def test_overlay_labels_confidence_camera_and_cloud_are_shown():
    names = [display['Name'] for display in _manager()['Displays']]
    assert sorted(names) == ['Camera', 'Cloud', 'Confidence', 'Labels', 'Overlay']


def test_displays_and_tools_are_those_of_rviz():
    manager = _manager()
    assert {display['Class'] for display in manager['Displays']} <= set(DISPLAYS)
    assert {tool['Class'] for tool in manager['Tools']} <= TOOLS


def test_topics_of_the_node_are_of_the_kind_that_the_display_shows():
    kinds = {'sensor_msgs/Image': IMAGES, 'sensor_msgs/PointCloud2': CLOUDS}
    for display in _manager()['Displays']:
        topic = display['Topic']['Value']
        if topic.startswith(NODE):
            assert topic.removeprefix(NODE) in kinds[DISPLAYS[display['Class']]]


def test_policies_are_words_that_rviz_knows_and_suit_the_node():
    for display in _manager()['Displays']:
        for policy, words in POLICIES.items():
            assert display['Topic'][policy] in words
        # Cameras are often best effort; a reliable display would never hear them.
        if not display['Topic']['Value'].startswith(NODE):
            assert display['Topic']['Reliability Policy'] == 'Best Effort'


def test_the_launch_file_moves_every_shown_topic_with_the_namespace():
    launch = (ROOT / 'launch' / 'semantic_fast_sam.launch.py').read_text()
    moved = re.search(r'^SHOWN = \((.+?)\)', launch, re.MULTILINE)[1]
    topics = {display['Topic']['Value'] for display in _manager()['Displays']}
    shown = {topic.removeprefix(NODE) for topic in topics if topic.startswith(NODE)}
    assert shown == set(re.findall(r"'(\w+)'", moved))
