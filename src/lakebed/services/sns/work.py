"""Carrying messages to endpoints: at least once, each subscription on its own, acting as SNS for the topic.

An endpoint that is gone or whose policy no longer lets SNS in is a client error: no retry, the message goes to the
subscription's dead-letter queue, or is dropped and counted where there is none. Anything else is tried again by AWS's
phases for its own endpoints (three at once, two after a second, ten with growing pauses, then every twenty seconds for 23
days); an HTTP endpoint by its delivery policy. A subscription that waits delays no other; on a FIFO topic it keeps its own order.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.queues import Outgoing
from lakebed.services.sns.envelope import Envelope
from lakebed.services.sns.feedback import Feedback
from lakebed.services.sns.model import FIFO_SUFFIX, Published, Subscription, Topic
from lakebed.services.sns.outside import Outside
from lakebed.services.sns.outside import pause as outside_pause
from lakebed.services.sns.publishing import DELIVERY_TASK, OUTSIDE_TASK, Publisher
from lakebed.services.sns.signer import Signer
from lakebed.services.sns.store import OUTSIDE_LANE, Due

_AT_ONCE = 64
_OUTSIDE_SEEN, _OUTSIDE_EACH = 512, 8
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
    """The task for endpoints of the house."""

    name = DELIVERY_TASK
    period = 60.0

    def __init__(self, publisher: Publisher, signer: Signer, envelope: Envelope, outside: Outside) -> None:
        self._publisher, self._signer, self._envelope, self._outside = publisher, signer, envelope, outside
        self.k, self.p = publisher.k, publisher.p
        self._feedback = Feedback(self.k, self.p)

    async def activate(self) -> float | None:
        """Deliver what is due; woken when the next is."""
        store, now = self._publisher.deliveries, self.k.clock.now()
        rows = store.due("", now, _AT_ONCE)
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
        return store.next_due("")

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
        if subscription.token != published.token:
            return True  # unsubscribed since, or a newer token is on its way
        try:
            await self._hand_over(topic, subscription, published)
        except AwsError as failure:
            wait = self._wait(topic, subscription, one.attempts + 1, published, failure)
            if wait is not None:
                with self.k.db.tx() as tx:
                    due = self.k.clock.now() + wait
                    self._publisher.deliveries.postpone(tx, one, due, in_order=topic.is_fifo)
                return False
            self._feedback.tell(topic, subscription, published, one.attempts + 1, failure)
            await self._give_up(topic, subscription, published, failure)
            return True
        self._feedback.tell(topic, subscription, published, one.attempts + 1, None)
        self.k.meters.out(topic.arn, to=subscription.endpoint)
        return True

    def _wait(
        self, topic: Topic, subscription: Subscription, failures: int, published: Published, failure: AwsError
    ) -> float | None:
        """Seconds until the next try; None where it is given up."""
        if subscription.is_outside:
            return outside_pause(topic, subscription, failures, failure)
        age = self.k.clock.now() - published.sent
        return pause(failures) if _is_transient(failure) and age < _AGE_SECONDS_MAX else None

    async def _hand_over(self, topic: Topic, subscription: Subscription, published: Published) -> None:
        if subscription.protocol == "sqs":
            message = self._message(topic, subscription, published)
            await self.p.queues.deliver(topic.principal, subscription.endpoint, [message], source_arn=topic.arn)
        elif subscription.is_outside:
            await self._outside.post(topic, subscription, published, self._message(topic, subscription, published).body)
        elif published.token:
            return  # neither functions nor streams can be handed a token
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
            return Outgoing(
                published.body(subscription.protocol), published.attributes, group, deduplication, published.trace
            )
        return Outgoing(
            self._envelope.notification(topic, subscription, published), {}, group, deduplication, published.trace
        )

    async def _give_up(self, topic: Topic, subscription: Subscription, published: Published, failure: AwsError) -> None:
        self.k.log.warning("notification undeliverable", subscription=subscription.arn, exc=failure)
        self.k.meters.error(topic.arn)
        target = subscription.dead_letters
        if not target or published.token:
            return
        message = self._message(topic, subscription, published)
        if not target.endswith(".fifo"):
            message = Outgoing(message.body, message.attributes, message.group, trace=message.trace)
        try:
            await self.p.queues.deliver(topic.principal, target, [message], source_arn=topic.arn)
        except AwsError as refused:
            self.k.log.warning("dead letter lost", subscription=subscription.arn, target=target, exc=refused)
            return
        self.k.meters.link(topic.arn, target, 1)


class OutsideDelivery(Delivery):
    """The task for HTTP and HTTPS endpoints: strangers who may be slow, so many at a time, few of them one's own."""

    name = OUTSIDE_TASK

    async def activate(self) -> float | None:
        """Deliver what is due, side by side; woken when the next is."""
        store, now = self._publisher.deliveries, self.k.clock.now()
        rows = self._turns(store.due(OUTSIDE_LANE, now, _OUTSIDE_SEEN))
        if rows:
            await self._signer.ready()
            ended = await asyncio.gather(*(self._deliver(one) for one in rows), return_exceptions=True)
            with self.k.db.tx() as tx:
                store.finish(tx, [one for one, how in zip(rows, ended, strict=True) if how is True])
                for one in (one for one, how in zip(rows, ended, strict=True) if isinstance(how, BaseException)):
                    store.postpone(tx, one, now + 20.0, in_order=False)  # something unforeseen: not in the others' way
            for bug in (how for how in ended if isinstance(how, BaseException)):
                raise bug
        return store.next_due(OUTSIDE_LANE)

    def _turns(self, due: Sequence[Due]) -> list[Due]:
        """Of what is due a few for each subscription, as many as its policy lets through now; the rest is held."""
        taken: Counter[tuple[Scope, str, str]] = Counter()
        rows: list[Due] = []
        held: list[tuple[Due, float]] = []
        for one in due:
            place = (one.scope, one.topic, one.subscription)
            if len(rows) >= _AT_ONCE or taken[place] >= _OUTSIDE_EACH:
                continue
            topic = self._publisher.topics.find(one.scope, one.topic)
            subscription = self._publisher.subscriptions.find(*place)
            now = self.k.clock.now()
            if topic is not None and subscription is not None:
                at = self._outside.turn(topic, subscription)
                if at > now:
                    held.append((one, at))
                    continue
            taken[place] += 1
            rows.append(one)
        if held:
            with self.k.db.tx() as tx:
                for one, at in held:
                    self._publisher.deliveries.hold(tx, one, at)
        return rows


def _is_transient(failure: AwsError) -> bool:
    return failure.error_code in _TRANSIENT or (failure.http_status or 400) >= 500
