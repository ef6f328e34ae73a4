"""The layout for Foxglove and Lichtblick shows what the node publishes, in kinds they can show."""

import json
from collections.abc import Iterator
from pathlib import Path

LAYOUT = Path(__file__).resolve().parents[1] / 'config' / 'foxglove_layout.json'
NODE = '/semantic_fast_sam/'
# 32SC1 cannot be shown, so packed_instances must not be among them.
SHOWABLE = {'overlay', 'overlay/compressed', 'label_image', 'confidence', 'instances'}


def _panels(place: object) -> Iterator[str]:
    if isinstance(place, str):
        yield place
    else:
        yield from _panels(place['first'])
        yield from _panels(place['second'])


def test_every_panel_has_a_place_and_every_place_a_panel():
    layout = json.loads(LAYOUT.read_text())
    placed = list(_panels(layout['layout']))
    assert len(placed) == len(set(placed))
    assert set(placed) == set(layout['configById'])


def test_image_panels_show_topics_of_the_node():
    panels = json.loads(LAYOUT.read_text())['configById']
    topics = {p['imageMode']['imageTopic'] for p in panels.values() if 'imageMode' in p}
    assert topics
    assert {topic.removeprefix(NODE) for topic in topics} <= SHOWABLE


def test_plots_read_keys_that_diagnostics_have():
    source = LAYOUT.parents[1] / 'semantic_fast_sam_ros' / 'ros' / 'diagnostics.py'
    panels = json.loads(LAYOUT.read_text())['configById']
    paths = [path['value'] for panel in panels.values() for path in panel.get('paths', [])]
    keys = {path.partition('key=="')[2].partition('"')[0] for path in paths}
    assert keys
    assert all(f"'{key}'" in source.read_text() for key in keys)
