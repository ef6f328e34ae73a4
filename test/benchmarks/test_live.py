"""A camera, the node and a subscriber in three processes: what the subscriber saw."""

import live
import pytest
import ros_layer

from semantic_fast_sam_ros.core.base.errors import SemanticFastSamError

QUICK = {'masks.image_size': 64, 'labeller': 'none', 'threads': 1, 'offline': True}


@pytest.mark.timeout(300)
def test_the_ros_layer_is_what_the_pipeline_does_not_take(monkeypatch):
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    row = ros_layer.measure('96x64', 5.0, 2.0, QUICK)
    assert row['frames'] > 1
    assert row['latency_ms'] > row['pipeline_ms'] > 0
    assert row['ros_ms'] == pytest.approx(row['latency_ms'] - row['pipeline_ms'], abs=0.1)


def test_a_node_that_ends_is_told():
    node = live.ours({'masks.model': 'absent.pt', 'autostart': False})
    with pytest.raises(SemanticFastSamError, match='ended'):
        live.watch(live.Node(('false',), node.topic, node.kind), (64, 96), 1.0, 1.0)
