"""Publishers and subscribers that are there and will never hear each other: who, and why."""

from collections.abc import Iterable
from typing import Any

from rclpy.duration import Duration, Infinite
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo


def input_problem(node: Node, subscription: Subscription, cure: str = '') -> str:
    """Return why a publisher of the subscribed topic is not heard, with a cure; '' if all are."""
    topic, wanted = subscription.topic_name, type_name(subscription.msg_type)
    for publisher in node.get_publishers_info_by_topic(topic):
        if publisher.topic_type != wanted:
            return (
                f'{who(publisher)} publishes {publisher.topic_type} on {topic}, '
                f'this node takes {wanted}: {cure or "see input.transport"}'
            )
        reason = _incompatible(publisher.qos_profile, subscription.qos_profile)
        if reason:
            return (
                f'{who(publisher)} publishes {topic}, but this node asks for more than it offers '
                f'({reason}): {cure or "set input.reliability to best_effort"}'
            )
    return ''


def output_problem(node: Node, publishers: Iterable[Publisher]) -> str:
    """Return which subscriber cannot be served and why; '' if all can."""
    for publisher in publishers:
        topic, offered = publisher.topic_name, type_name(publisher.msg_type)
        for subscriber in node.get_subscriptions_info_by_topic(topic):
            reason = _incompatible(publisher.qos_profile, subscriber.qos_profile)
            if subscriber.topic_type != offered:
                return f'{who(subscriber)} expects {subscriber.topic_type} on {topic}: {offered}'
            if reason:
                return (
                    f'{who(subscriber)} asks for more than {topic} offers ({reason}): '
                    'set output.reliability to reliable, or change that subscriber'
                )
    return ''


def type_name(kind: Any) -> str:
    """Return a message class's name as the graph writes it: 'sensor_msgs/msg/Image'."""
    return f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'


def _incompatible(publisher: QoSProfile, subscription: QoSProfile) -> str:
    verdict, reason = qos_check_compatible(_comparable(publisher), _comparable(subscription))
    return reason.removeprefix('ERROR: ').strip(' ;') if verdict == QoSCompatibility.ERROR else ''


def _comparable(profile: QoSProfile) -> QoSProfile:
    """Return a profile with times that are not limited unset, whether it was asked for or seen.

    The graph tells them as infinite, which rmw takes for a demand beside one that is unset.
    """
    times = {'deadline': profile.deadline, 'lease': profile.liveliness_lease_duration}
    limited = {name: Duration() if time == Infinite else time for name, time in times.items()}
    return QoSProfile(
        depth=1,
        reliability=profile.reliability,
        durability=profile.durability,
        liveliness=profile.liveliness,
        deadline=limited['deadline'],
        liveliness_lease_duration=limited['lease'],
    )


def who(endpoint: TopicEndpointInfo) -> str:
    """Return the full name of the node that an endpoint belongs to."""
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'
