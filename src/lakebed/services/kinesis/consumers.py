"""Registered consumers as values and rows, and the subscriptions that are open now.

https://docs.aws.amazon.com/streams/latest/dev/enhanced-consumers.html: at most 20 a stream; one subscription for each
consumer and shard, lasting five minutes; a second one within five seconds is refused, a later one ends the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from lakebed.api import kinesis as api
from lakebed.kernel.db import Database, Tx
from lakebed.services.kinesis.model import Stream

CONSUMERS_MAX = 20
SUBSCRIPTION_SECONDS, TAKEOVER_SECONDS = 300.0, 5.0


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer of a stream."""

    stream_arn: str
    name: str
    created_at: float
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: str = ""

    @property
    def arn(self) -> str:
        """The stream's ARN, the name and when it was made."""
        return f"{self.stream_arn}/consumer/{self.name}:{int(self.created_at)}"

    def describe(self) -> api.Consumer:
        """The API's shape."""
        return {
            "ConsumerName": self.name,
            "ConsumerARN": self.arn,
            "ConsumerStatus": "ACTIVE",
            "ConsumerCreationTimestamp": self.created_at,
        }


class ConsumerStore:
    """Consumers of streams."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, stream: Stream) -> list[Consumer]:
        """All of a stream, by name (at most 20)."""
        rows = self._db.all(
            "SELECT name, created_at, tags, policy FROM kinesis_consumer WHERE account=? AND region=? AND uid=? ORDER BY name",
            (stream.scope.account, stream.scope.region, stream.uid),
        )
        return [
            Consumer(stream.arn, row["name"], row["created_at"], msgspec.json.decode(row["tags"]), row["policy"])
            for row in rows
        ]

    def insert(self, tx: Tx, stream: Stream, consumer: Consumer) -> None:
        """A new consumer."""
        tx.execute(
            "INSERT INTO kinesis_consumer (account, region, uid, name, created_at, tags, policy) VALUES (?,?,?,?,?,?,?)",
            (
                stream.scope.account,
                stream.scope.region,
                stream.uid,
                consumer.name,
                consumer.created_at,
                msgspec.json.encode(dict(consumer.tags)).decode(),
                consumer.policy,
            ),
        )

    def update(self, tx: Tx, stream: Stream, consumer: Consumer) -> None:
        """Tags and policy of a consumer that exists."""
        tx.execute(
            "UPDATE kinesis_consumer SET tags=?, policy=? WHERE account=? AND region=? AND uid=? AND name=?",
            (
                msgspec.json.encode(dict(consumer.tags)).decode(),
                consumer.policy,
                stream.scope.account,
                stream.scope.region,
                stream.uid,
                consumer.name,
            ),
        )

    def delete(self, tx: Tx, stream: Stream, consumer: Consumer) -> None:
        """Remove it."""
        tx.execute(
            "DELETE FROM kinesis_consumer WHERE account=? AND region=? AND uid=? AND name=?",
            (stream.scope.account, stream.scope.region, stream.uid, consumer.name),
        )


@dataclass(eq=False, slots=True)
class Subscription:
    """An open subscription; ``changed`` is set when there may be records, or when it has ``ended``."""

    began: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def end(self) -> None:
        """Let its reader stop."""
        self.ended = True
        self.changed.set()


class Subscriptions:
    """The open subscriptions by consumer and shard. Bounded by consumers times shards."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Subscription] = {}

    def begin(self, consumer_arn: str, shard_id: str, now: float) -> Subscription:
        """Open one, ending an older one of the same consumer and shard."""
        key = (consumer_arn, shard_id)
        older = self._open.get(key)
        if older is not None and now - older.began < TAKEOVER_SECONDS:
            raise api.ResourceInUseException(
                f"Another active subscription exists for this consumer: {consumer_arn} and shard: {shard_id}."
            )
        if older is not None:
            older.end()
        made = self._open[key] = Subscription(now)
        return made

    def closed(self, consumer_arn: str, shard_id: str, subscription: Subscription) -> None:
        """Its reader is gone."""
        if self._open.get((consumer_arn, shard_id)) is subscription:
            del self._open[consumer_arn, shard_id]

    def end_all(self, consumer_arn: str) -> None:
        """A consumer was deregistered."""
        for (arn, _), subscription in self._open.items():
            if arn == consumer_arn:
                subscription.end()
