"""What the viewer asks of the node, and when."""

import asyncio
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='rclpy is missing: run scripts/setup')

from semantic_fast_sam_ros.viewer.state import Viewer
from semantic_fast_sam_ros.viewer.watcher import NodeAbsentError

ANSWER = [{'name': 'vocabulary', 'value': 'camvid'}]


def test_a_node_that_loads_its_models_is_asked_again_until_it_answers() -> None:
    asked = []

    async def parameters() -> list[dict[str, Any]]:
        asked.append('parameters')
        if len(asked) < 3:
            raise NodeAbsentError('no answer within 10 s')
        return ANSWER

    async def state() -> str:
        return 'active'

    async def follow() -> list[dict[str, Any]]:
        viewer = Viewer('/nobody', '')
        try:
            viewer.control.parameters, viewer.control.state = parameters, state
            for count in range(5):
                news = {'state': 'active', 'frames_received': str(count)}
                viewer._take_status({'present': True, 'values': news})
                if viewer._refreshing is not None:
                    await viewer._refreshing
            return viewer._parameters
        finally:
            viewer.close()

    assert asyncio.run(follow()) == ANSWER
    assert len(asked) == 3, 'once it answered it is left alone'
