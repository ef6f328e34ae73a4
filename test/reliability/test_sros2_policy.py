"""The example policy for SROS2 allows what the node does, and nothing else."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

from harness import NAME, Peer, RunningNode, until

from semantic_fast_sam_ros.core.base.folders import resource_folder

SPACE = '/policy'
Starter = Callable[..., RunningNode]
POLICY = resource_folder('config') / 'sros2' / 'semantic_fast_sam.policy.xml'
# Allowed and not always subscribed to: other settings, or only while somebody wants the output.
SOMETIMES = {'/image/compressed', '/clock', '/parameter_events', '/camera_info', '/depth/image'}
# Made where foxglove_msgs is installed, or objects are remembered; by Iron and later.
MAYBE_PUBLISHED = {f'{NAME}/annotations', f'{NAME}/query/remembered'}
NEWER = {f'{NAME}/get_type_description'}


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


def short(found: list[tuple[str, list[str]]]) -> set[str]:
    """Return names as they are without the namespace."""
    return {name.removeprefix(SPACE) for name, _ in found}


def test_policy_allows_what_a_node_with_every_output_does(start: Starter, peer: Peer) -> None:
    # A namespace of its own: the graph may still tell of a node of the test before.
    start(
        '-r',
        f'__ns:={SPACE}',
        output__packed_instances=True,
        output__size='camera_info',
        cloud__enabled=True,
        objects__boxes_3d=True,
    )
    peer.wait_active(f'{SPACE}{NAME}')
    graph, node = peer.node, (NAME.strip('/'), SPACE)

    def seen() -> tuple[set[str], set[str], set[str]]:
        return (
            short(graph.get_publisher_names_and_types_by_node(*node)),
            short(graph.get_subscriber_names_and_types_by_node(*node)),
            short(graph.get_service_names_and_types_by_node(*node)),
        )

    until(lambda: '/image' in seen()[1] and f'{NAME}/points' in seen()[0], 'the whole graph')
    published, subscribed, served = seen()
    assert published <= allowed('topic', 'publish') <= published | MAYBE_PUBLISHED
    assert subscribed <= allowed('topic', 'subscribe') <= subscribed | SOMETIMES
    assert served <= allowed('service', 'reply') <= served | NEWER
