"""Publishing: a message and a row for each subscription that wants it, in one transaction.

What Publish confirmed is on its way to everyone whose filter let it pass, and survives a kill; ``work`` carries it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from lakebed.api import sns as api
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.sns import filters
from lakebed.services.sns.model import Draft, Published, Subscription, Topic, topic_place
from lakebed.services.sns.sealing import Sealing
from lakebed.services.sns.store import DeliveryStore, SubscriptionStore, TopicStore

DELIVERY_TASK, OUTSIDE_TASK = "sns:delivery", "sns:outside"
WINDOW_SECONDS = 300.0
SUBSCRIPTIONS_MAX = 10_000
_WAITING_MAX = 2_000_000
_TOPICS_KNOWN_MAX = 1_000
_TOKEN_SECONDS = 2 * 86_400  # https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
_SUBSCRIBED, UNSUBSCRIBED = "SubscriptionConfirmation", "UnsubscribeConfirmation"
_CONFIRM = {
    _SUBSCRIBED: "You have chosen to subscribe to the topic {}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message.",
    UNSUBSCRIBED: "You have chosen to deactivate a subscription to the topic {}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message.",
}
_filter = lru_cache(maxsize=4096)(filters.parse)


class Publisher:
    """All topics of the house."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k, self.p = k, p
        self.topics, self.subscriptions = TopicStore(k.db), SubscriptionStore(k.db)
        self.deliveries = DeliveryStore(k.db)
        self.sealing = Sealing(k, p)
        self._known: dict[tuple[Scope, str], list[Subscription]] = {}

    def authorised(self, principal: Principal, action: str, arn: str, source_arn: str | None = None) -> Topic:
        """The topic, once ``principal`` may do ``sns:<action>`` there by its own or the topic's policy."""
        scope, name = topic_place(arn)
        topic, conditions = self.topics.find(scope, name), {}
        if source_arn:
            conditions = {"aws:SourceArn": source_arn, "aws:SourceAccount": principal.account}
        self.p.identity.authorise(
            principal,
            f"sns:{action}",
            arn,
            conditions=conditions,
            resource_policy=topic.policy if topic else None,
            resource_account=topic.scope.account if topic else None,
        )
        if topic is None:
            raise api.NotFoundException("Topic does not exist")
        return topic

    def publish(self, topic: Topic, drafts: Sequence[Draft], principal: Principal) -> list[Published]:
        """Durable when this returns."""
        if self.deliveries.waiting_at_most() > _WAITING_MAX:
            raise AwsError("ThrottlingException", "Too many notifications wait for their endpoints.", status=429)
        subscriptions, now = self._confirmed(topic), self.k.clock.now()
        with self.k.db.tx() as tx:
            published = [self._publish(tx, topic, draft, subscriptions, (now, principal)) for draft in drafts]
            tx.after_commit(self._poke)
        self.k.meters.into(topic.arn, len(drafts), sum(draft.size for draft in drafts))
        return published

    def _publish(
        self, tx: Tx, topic: Topic, draft: Draft, subscriptions: Sequence[Subscription], by: tuple[float, Principal]
    ) -> Published:
        now, principal = by
        published = Published(
            self.k.ids.uuid(),
            draft.bodies,
            now,
            draft.subject,
            draft.attributes,
            draft.group,
            draft.deduplication,
            trace=draft.trace,
        )
        if topic.is_fifo:
            within = draft.group if topic.attributes.get("FifoThroughputScope") == "MessageGroup" else ""
            before = self.deliveries.told(tx, topic, within, draft.deduplication, now - WINDOW_SECONDS)
            if before is not None:
                self.k.meters.drop(topic.arn)
                return msgspec.structs.replace(published, message_id=before[0], sequence=before[1])
            published = msgspec.structs.replace(published, sequence=self.deliveries.next_sequence())
            self.deliveries.forget(tx, now - WINDOW_SECONDS)
            self.deliveries.tell(tx, topic, within, published)
        wanting = [one for one in subscriptions if wants(one, published)]
        if topic.is_fifo or wanting:
            self.deliveries.add(tx, topic, published, self.sealing.row(principal, topic, published), wanting)
        self.k.meters.drop(topic.arn, len(subscriptions) - len(wanting))
        return published

    def token(self) -> str:
        """A token to confirm with; it tells when it was made."""
        return f"{int(self.k.clock.now()):010x}{self.k.ids.token(64).lower()}"

    def is_stale(self, token: str) -> bool:
        """Whether a token's two days are over."""
        try:
            return int(token[:10], 16) + _TOKEN_SECONDS < self.k.clock.now()
        except ValueError:
            return True  # of a time when tokens told nothing: subscribing again sends another

    def confirm_by_message(self, tx: Tx, topic: Topic, subscription: Subscription, kind: str = _SUBSCRIBED) -> None:
        """Send the endpoint its token: to begin with, or to begin again with after it was unsubscribed."""
        text = _CONFIRM[kind].format(topic.arn)
        now = self.k.clock.now()
        published = Published(self.k.ids.uuid(), {"default": text}, now, token=subscription.token, kind=kind)
        self.deliveries.add(tx, topic, published, self.sealing.row(None, topic, published), [subscription])
        tx.after_commit(self._poke)

    def _poke(self) -> None:
        self.k.tasks.poke(DELIVERY_TASK)
        self.k.tasks.poke(OUTSIDE_TASK)

    def forget(self, scope: Scope, topic: str) -> None:
        """A topic's subscriptions changed."""
        self._known.pop((scope, topic), None)

    def _confirmed(self, topic: Topic) -> list[Subscription]:
        key = (topic.scope, topic.name)
        if (known := self._known.get(key)) is None:
            everyone = self.subscriptions.of_topic(topic, "", SUBSCRIPTIONS_MAX)
            known = self._known[key] = [one for one in everyone if not one.token]
            if len(self._known) > _TOPICS_KNOWN_MAX:
                self._known.pop(next(iter(self._known)))
        return known


def wants(subscription: Subscription, published: Published) -> bool:
    """Whether the subscription's filter lets a message pass."""
    text = subscription.attributes.get("FilterPolicy")
    if not text:
        return True
    of_body = subscription.attributes.get("FilterPolicyScope") == "MessageBody"
    passes = _filter(text, of_body=of_body)
    if passes is None:
        return True
    if not of_body:
        return passes(filters.values_of(published.attributes))
    body = filters.body_of(published.body(subscription.protocol))
    return body is not None and passes(body)
