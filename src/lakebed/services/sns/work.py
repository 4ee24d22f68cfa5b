"""Carrying messages to endpoints: at least once, each subscription on its own, acting as SNS for the topic.

An endpoint that is gone or whose policy no longer lets SNS in is a client error: no retry, the message goes to the
subscription's dead-letter queue, or is dropped and counted where there is none. Anything else is tried again by AWS's
phases for its own endpoints (three at once, two after a second, ten with growing pauses, then every twenty seconds for 23
days). A subscription that waits delays no other; on a FIFO topic it keeps its own order.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
"""

from __future__ import annotations

from lakebed.kernel.errors import AwsError
from lakebed.ports.queues import Outgoing
from lakebed.services.sns.envelope import Envelope
from lakebed.services.sns.feedback import Feedback
from lakebed.services.sns.model import FIFO_SUFFIX, Published, Subscription, Topic
from lakebed.services.sns.publishing import DELIVERY_TASK, Publisher
from lakebed.services.sns.signer import Signer
from lakebed.services.sns.store import Due

_AT_ONCE = 64
_TRANSIENT = (
    "LimitExceededException", "OverLimit", "RequestThrottled", "ServiceUnavailableException", "Throttling",
    "ThrottlingException", "TooManyRequestsException",
)  # fmt: skip
_AGE_SECONDS_MAX = 23 * 86_400.0
_ATTEMPTS_MAX = int(_AGE_SECONDS_MAX / 20.0)


def pause(attempts: int) -> float:
    """Seconds until the next try after so many failures."""
    if attempts <= 3:
        return 0.0
    if attempts <= 5:
        return 1.0
    return min(2.0 ** (attempts - 5), 20.0)


class Delivery:
    """The task."""

    name = DELIVERY_TASK
    period = 60.0

    def __init__(self, publisher: Publisher, signer: Signer, envelope: Envelope) -> None:
        self._publisher, self._signer, self._envelope = publisher, signer, envelope
        self.k, self.p = publisher.k, publisher.p
        self._feedback = Feedback(self.k, self.p)

    async def activate(self) -> float | None:
        """Deliver what is due; woken when the next is."""
        store, now = self._publisher.deliveries, self.k.clock.now()
        rows = store.due(now, _AT_ONCE)
        if rows:
            await self._signer.ready()
        done: list[Due] = []
        held: set[tuple[str, str]] = set()  # FIFO: what follows a postponed message of the same subscription waits too
        current: Due | None = None
        try:
            for current in rows:
                if (current.topic, current.subscription) in held:
                    pass
                elif await self._deliver(current):
                    done.append(current)
                elif current.topic.endswith(FIFO_SUFFIX):
                    held.add((current.topic, current.subscription))
                current = None
        finally:
            with self.k.db.tx() as tx:
                store.finish(tx, done)
                if current is not None:  # something unforeseen: not in the others' way
                    store.postpone(tx, current, now + 20.0, in_order=current.topic.endswith(FIFO_SUFFIX))
        return store.next_due()

    async def _deliver(self, one: Due) -> bool:
        """True once there is nothing more to do; else it was postponed."""
        topic = self._publisher.topics.find(one.scope, one.topic)
        subscription = self._publisher.subscriptions.find(one.scope, one.topic, one.subscription)
        body = self._publisher.deliveries.body(one.message)
        if topic is None or subscription is None or body is None:
            return True
        try:
            published = self._publisher.sealing.message(topic, body)
        except AwsError as failure:  # its key does not work now
            self.k.log.warning("notification sealed", subscription=subscription.arn, exc=failure)
            with self.k.db.tx() as tx:
                self._publisher.deliveries.postpone(tx, one, self.k.clock.now() + 20.0, in_order=topic.is_fifo)
            return one.attempts > _ATTEMPTS_MAX
        try:
            await self._hand_over(topic, subscription, published)
        except AwsError as failure:
            age = self.k.clock.now() - published.sent
            if _is_transient(failure) and age < _AGE_SECONDS_MAX:
                with self.k.db.tx() as tx:
                    due = self.k.clock.now() + pause(one.attempts + 1)
                    self._publisher.deliveries.postpone(tx, one, due, in_order=topic.is_fifo)
                return False
            self._feedback.tell(topic, subscription, published, one.attempts + 1, failure)
            await self._give_up(topic, subscription, published, failure)
            return True
        self._feedback.tell(topic, subscription, published, one.attempts + 1, None)
        self.k.meters.out(topic.arn, to=subscription.endpoint)
        return True

    async def _hand_over(self, topic: Topic, subscription: Subscription, published: Published) -> None:
        if subscription.protocol == "sqs":
            message = self._message(topic, subscription, published)
            await self.p.queues.deliver(topic.principal, subscription.endpoint, [message], source_arn=topic.arn)
        elif published.token:
            return  # only queues can be handed a token
        elif subscription.protocol == "lambda":
            event = self._envelope.event(topic, subscription, published)
            await self.p.functions.invoke_later(topic.principal, subscription.endpoint, event, source_arn=topic.arn)
        else:
            role = subscription.attributes["SubscriptionRoleArn"]
            session = self.p.identity.service_session(role, "sns.amazonaws.com", session_name="sns")
            text = self._message(topic, subscription, published).body
            await self.p.delivery.put(session, subscription.endpoint, [f"{text}\n".encode("utf-8", "replace")])

    def _message(self, topic: Topic, subscription: Subscription, published: Published) -> Outgoing:
        """As a queue takes it: the envelope, or raw with the attributes of the message."""
        if published.token:
            return Outgoing(self._envelope.confirmation(topic, published))
        group, deduplication = published.group, published.deduplication
        if not subscription.endpoint.endswith(".fifo"):
            deduplication = ""
        if subscription.is_raw:
            return Outgoing(published.body(subscription.protocol), published.attributes, group, deduplication)
        return Outgoing(self._envelope.notification(topic, subscription, published), {}, group, deduplication)

    async def _give_up(self, topic: Topic, subscription: Subscription, published: Published, failure: AwsError) -> None:
        self.k.log.warning("notification undeliverable", subscription=subscription.arn, exc=failure)
        self.k.meters.error(topic.arn)
        target = subscription.dead_letters
        if not target or published.token:
            return
        message = self._message(topic, subscription, published)
        if not target.endswith(".fifo"):
            message = Outgoing(message.body, message.attributes, message.group)
        try:
            await self.p.queues.deliver(topic.principal, target, [message], source_arn=topic.arn)
        except AwsError as refused:
            self.k.log.warning("dead letter lost", subscription=subscription.arn, target=target, exc=refused)
            return
        self.k.meters.link(topic.arn, target, 1)


def _is_transient(failure: AwsError) -> bool:
    return failure.error_code in _TRANSIENT or (failure.http_status or 400) >= 500
