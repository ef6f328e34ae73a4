"""The example policy for SROS2 allows what the node does, and nothing else."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

from harness import NAME, Peer, RunningNode, until

from semantic_fast_sam_ros.core.resources import resource_folder

Starter = Callable[..., RunningNode]
POLICY = resource_folder('config') / 'sros2' / 'semantic_fast_sam.policy.xml'
# Allowed and not always subscribed to: other settings, or only while somebody wants the output.
SOMETIMES = {'/image/compressed', '/clock', '/parameter_events', '/camera_info', '/depth/image'}
# Made where foxglove_msgs is installed; by Iron and later.
MAYBE_PUBLISHED, NEWER = {f'{NAME}/annotations'}, {f'{NAME}/get_type_description'}


def allowed(kind: str, permission: str) -> set[str]:
    """Return full names that the policy allows, such as the topics with `publish`."""
    (profile,) = ElementTree.parse(POLICY).getroot().iter('profile')
    assert (profile.get('ns'), '/' + (profile.get('node') or '')) == ('/', NAME)
    names = {
        entry.text or ''
        for group in profile.iter(f'{kind}s')
        if group.get(permission) == 'ALLOW'
        for entry in group.iter(kind)
    }
    return {f'{NAME}/{n[1:]}' if n.startswith('~') else f'/{n}' for n in names}


def test_policy_allows_what_a_node_with_every_output_does(start: Starter, peer: Peer) -> None:
    start(output__packed_instances=True, output__size='camera_info', cloud__enabled=True)
    peer.wait_active()
    graph = peer.node
    name, space = NAME.strip('/'), '/'

    def seen() -> tuple[set[str], set[str], set[str]]:
        return (
            {topic for topic, _ in graph.get_publisher_names_and_types_by_node(name, space)},
            {topic for topic, _ in graph.get_subscriber_names_and_types_by_node(name, space)},
            {topic for topic, _ in graph.get_service_names_and_types_by_node(name, space)},
        )

    until(lambda: '/image' in seen()[1] and f'{NAME}/points' in seen()[0], 'the whole graph')
    published, subscribed, served = seen()
    assert published <= allowed('topic', 'publish') <= published | MAYBE_PUBLISHED
    assert subscribed <= allowed('topic', 'subscribe') <= subscribed | SOMETIMES
    assert served <= allowed('service', 'reply') <= served | NEWER
