"""What is asked for in words: heard on ~/query, encoded on a thread of its own."""

import contextlib
import traceback
from collections import deque
from collections.abc import Callable, Collection
from functools import partial

from rclpy._rclpy_pybind11 import InvalidHandle
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription
from std_msgs.msg import String

from semantic_fast_sam_ros.core.base.errors import ConfigError, SemanticFastSamError
from semantic_fast_sam_ros.core.masks.types import SegmentationResult
from semantic_fast_sam_ros.core.objects.feature_space import feature_space, lacking_vectors
from semantic_fast_sam_ros.core.objects.queries import Query, QueryEncoder, parse_query
from semantic_fast_sam_ros.core.open_vocabulary.text_classifier import (
    TEMPLATES,
    extra_negatives,
    sharpness,
)
from semantic_fast_sam_ros.core.outputs.found import Found
from semantic_fast_sam_ros.core.outputs.frame_outputs import FEATURES
from semantic_fast_sam_ros.core.pipeline import SemanticFastSam
from semantic_fast_sam_ros.core.settings.config import Config
from semantic_fast_sam_ros.ros import connections, qos
from semantic_fast_sam_ros.ros.counts import Counts
from semantic_fast_sam_ros.ros.diagnostics import STEADY
from semantic_fast_sam_ros.ros.worker import LatestFrameWorker

TOPIC, SPACE_TOPIC = '~/query', '~/features/space'
TEXT, ANEW, SPACE = 'text', 'anew', 'space'  # slots of the worker
LOOK_PERIOD_S = 0.5
LOOKS_BACK = 3  # queries that came since then are told as a hurry: 1.0 to 1.5 s
TRANSIENT_LOCAL = DurabilityPolicy.TRANSIENT_LOCAL
KEPT = 64  # texts that may be heard twice
SHOWN_CHARACTERS = 60
CURE = 'publish it as std_msgs/msg/String, reliable'


class Queries:
    """What is looked for now; images and services never wait for it."""

    def __init__(
        self, node: LifecycleNode, pipeline: SemanticFastSam, config: Callable[[], Config]
    ) -> None:
        """Listen.

        Args:
            node: that owns the topics.
            pipeline: whose labeller encodes.
            config: gives the settings as they stand.

        Raises:
            ConfigError: query.negatives is no list of names.
        """
        self._node, self._pipeline, self._config = node, pipeline, config
        self.current: Query | None = None
        self._problem, self._outdated, self._told_space = '', '', False
        # Each is counted by one thread only: `+=` of two threads can lose one.
        self._refused_unread = self._refused_encoding = 0
        self._counts_before = deque([Counts()], maxlen=LOOKS_BACK)
        self._heard: deque[str] = deque(maxlen=KEPT)
        self._encode = self._encoder()
        self._jobs = LatestFrameWorker[Callable[[], None]](lambda job: job(), self._failed)
        self._jobs.start()
        silent = PublisherEventCallbacks(use_default_callbacks=False)
        self._space = node.create_publisher(
            String, SPACE_TOPIC, qos.latched_qos(), event_callbacks=silent
        )
        self._subscription = self._subscribe(self._hear_new, qos.output_qos('reliable', 10))
        self._topic = self._subscription.topic_name
        self._latched: Subscription | None = None
        self._timer = node.create_timer(LOOK_PERIOD_S, self._look, clock=STEADY)

    def _encoder(self) -> QueryEncoder | None:
        encoder, config = self._pipeline.encoder, self._config()
        extra_negatives(self._pipeline.vocabulary, config.query.negatives, 'query.negatives')
        if encoder is None:
            return None
        return QueryEncoder(encoder.model, TEMPLATES[config.clip.templates])

    def _subscribe(self, hear: Callable[[String], None], profile: QoSProfile) -> Subscription:
        silent = SubscriptionEventCallbacks(use_default_callbacks=False)
        return self._node.create_subscription(String, TOPIC, hear, profile, event_callbacks=silent)

    def _look(self) -> None:
        self._counts_before.append(self._jobs.counts_of(TEXT))
        self._look_for_latching()

    def _look_for_latching(self) -> None:
        """Hear what senders that latch said before, by a subscription that only they match."""
        offers = self._node.get_publishers_info_by_topic(self._topic)
        latching = any(o.qos_profile.durability == TRANSIENT_LOCAL for o in offers)
        if latching and self._latched is None:
            self._latched = self._subscribe(self._hear_latched, qos.latched_qos())
        elif not latching and self._latched is not None:
            self._node.destroy_subscription(self._latched)
            self._latched = None

    def close(self) -> None:
        """Stop listening, forget what was asked."""
        self._node.destroy_timer(self._timer)
        for subscription in (self._subscription, self._latched):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
        self._jobs.stop()
        self._node.destroy_publisher(self._space)
        self.current = None

    # What images need

    def fills(self, topic: str) -> bool:
        """Say whether there is something to publish on a topic that is made of vectors."""
        return self._encode is not None and (topic == FEATURES or self.current is not None)

    def found(self, result: SegmentationResult) -> Found | None:
        """Return what the query says of an image; None without one, or without vectors."""
        query = self.current
        if query is None or result.features is None:
            return None
        return Found(query.names, query.scores(result.features), self._config().query.threshold)

    def tell_space(self) -> None:
        """Tell which space the vectors are of, once."""
        if not self._told_space:
            self._told_space = True
            self._jobs.submit(self._publish_space, SPACE)

    # What is heard

    def refresh(self) -> None:
        """Encode what is looked for anew, beside other names in the vocabulary."""
        self._jobs.submit(self._renew, ANEW)

    def _hear_latched(self, message: String) -> None:
        if message.data in self._heard:  # from a sender that is heard both ways
            self._heard.remove(message.data)
        else:
            self._take(message.data)

    def _hear_new(self, message: String) -> None:
        self._heard.append(message.data)
        self._take(message.data)

    def _take(self, text: str) -> None:
        try:
            asked = parse_query(text)
            if asked is not None and self._encode is None:
                raise ConfigError(self.lacking)
        except ConfigError as error:
            self._refused_unread += 1
            self._problem = _refusal(error)
            return
        self._jobs.submit(partial(self._set, text), TEXT)

    def _set(self, text: str) -> None:
        """Look for a text from the next image on. Runs on the worker's thread."""
        try:
            self.current = self._encoded(text)
        except SemanticFastSamError as error:
            self._refused_encoding += 1
            self._problem = _refusal(error)
        else:
            self._problem = self._outdated = ''

    def _renew(self) -> None:
        """Encode what is looked for anew. Runs on the worker's thread, as `_set`.

        What was refused meanwhile is not looked for, and what waits to be encoded comes of itself.
        """
        if self.current is None:
            return
        try:
            self.current = self._encoded(self.current.text)
        except SemanticFastSamError as error:
            self._outdated = f'the query still counts beside the names of before: {error}'
        else:
            self._outdated = ''

    def _encoded(self, text: str) -> Query | None:
        """Return a text as a query beside the names of now; None for an empty one.

        Raises:
            ConfigError: as `QueryEncoder.encode`.
        """
        config, encoder = self._config(), self._pipeline.encoder
        if self._encode is None or encoder is None:
            return None
        negatives = {
            'clip.negatives': config.clip.negatives,
            'query.negatives': config.query.negatives,
        }
        scale = sharpness(config.clip, encoder.model.scale)
        return self._encode.encode(text, self._pipeline.vocabulary, negatives, scale)

    def _publish_space(self) -> None:
        encoder = self._pipeline.encoder
        assert encoder is not None
        told = feature_space(self._config(), encoder.model)
        self._space.publish(String(data=told))

    # What is wrong

    def problem(self) -> str:
        """Return what is wrong with the last queries; '' if all is well."""
        counts, before = self._jobs.counts_of(TEXT), self._counts_before[0]
        passed_over = counts.replaced - before.replaced
        hurry = ''
        if passed_over:
            hurry = (
                f'{passed_over} of {counts.received - before.received} queries were passed over '
                'for newer ones: they come faster than they are encoded'
            )
        mismatch = ''
        with contextlib.suppress(InvalidHandle):  # a transition in another thread removes it
            mismatch = connections.input_problem(self._node, self._subscription, CURE)
        return mismatch or self._problem or self._outdated or hurry

    def lack(self, topics: Collection[str]) -> str:
        """Return why topics that somebody takes stay silent; '' if they do not."""
        if self._encode is not None or not topics:
            return ''
        return f'nothing comes on {", ".join(topics)}: {self.lacking}'

    @property
    def facts(self) -> dict[str, str]:
        """What is looked for, and what became of the queries so far."""
        counts, unread = self._jobs.counts_of(TEXT), self._refused_unread
        return {
            'query': _short(self.current.text) if self.current else '',
            'queries_received': str(counts.received + unread),
            'queries_passed_over': str(counts.replaced),
            'queries_refused': str(unread + self._refused_encoding),
        }

    @property
    def lacking(self) -> str:
        """What to say where the labeller has no vectors."""
        return lacking_vectors(self._config().labeller)

    def _failed(self, error: Exception) -> None:
        self._problem = f'query failed: {type(error).__name__}: {error}'
        self._node.get_logger().error(''.join(traceback.format_exception(error)))


def _refusal(error: SemanticFastSamError) -> str:
    return f'query refused: {error}'


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f'{text[:SHOWN_CHARACTERS]} ...'
