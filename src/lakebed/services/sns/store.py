"""The tables of SNS: topics, subscriptions, messages on their way, and the FIFO window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.sns.model import Published, Subscription, Topic

_encode = msgspec.msgpack.encode
_texts = msgspec.msgpack.Decoder(dict[str, str]).decode
_TOPIC = "account, region, name, attributes, tags, deleted_subscriptions"
_SUBSCRIPTION = "account, region, topic, id, owner, protocol, endpoint, attributes, token"
_FORGOTTEN_AT_ONCE = 200
OUTSIDE_LANE = "outside"


class TopicStore:
    """Rows of ``sns_topic``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Topic | None:
        """One topic."""
        row = self._db.one(
            f"SELECT {_TOPIC} FROM sns_topic WHERE account=? AND region=? AND name=?",  # noqa: S608 - constant columns
            (scope.account, scope.region, name),
        )
        return _topic(row, scope.partition) if row else None

    def after(self, scope: Scope, after: str, limit: int) -> list[Topic]:
        """Topics by name."""
        rows = self._db.all(
            f"SELECT {_TOPIC} FROM sns_topic WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",  # noqa: S608
            (scope.account, scope.region, after, limit),
        )
        return [_topic(row, scope.partition) for row in rows]

    def put(self, tx: Tx, topic: Topic) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO sns_topic VALUES (?,?,?,?,?,?)",
            (
                topic.scope.account, topic.scope.region, topic.name, _encode(topic.attributes), _encode(topic.tags),
                topic.deleted_subscriptions,
            ),
        )  # fmt: skip

    def delete(self, tx: Tx, topic: Topic) -> None:
        """Remove a topic with its subscriptions and its window; what is on its way finds no subscription and ends."""
        key = (topic.scope.account, topic.scope.region, topic.name)
        tx.execute("DELETE FROM sns_topic WHERE account=? AND region=? AND name=?", key)
        tx.execute("DELETE FROM sns_subscription WHERE account=? AND region=? AND topic=?", key)
        tx.execute("DELETE FROM sns_deduplication WHERE account=? AND region=? AND topic=?", key)


class SubscriptionStore:
    """Rows of ``sns_subscription``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, topic: str, subscription_id: str) -> Subscription | None:
        """One subscription."""
        row = self._db.one(
            f"SELECT {_SUBSCRIPTION} FROM sns_subscription WHERE account=? AND region=? AND topic=? AND id=?",  # noqa: S608
            (scope.account, scope.region, topic, subscription_id),
        )
        return _subscription(row, scope.partition) if row else None

    def of_endpoint(self, topic: Topic, protocol: str, endpoint: str) -> Subscription | None:
        """The subscription of an endpoint."""
        row = self._db.one(
            f"SELECT {_SUBSCRIPTION} FROM sns_subscription "  # noqa: S608
            "WHERE account=? AND region=? AND topic=? AND protocol=? AND endpoint=?",
            (topic.scope.account, topic.scope.region, topic.name, protocol, endpoint),
        )
        return _subscription(row, topic.scope.partition) if row else None

    def of_token(self, token: str) -> Subscription | None:
        """The unconfirmed subscription a token was made for."""
        row = self._db.one(f"SELECT {_SUBSCRIPTION} FROM sns_subscription WHERE token=? AND token!=''", (token,))  # noqa: S608
        return _subscription(row, "aws") if row else None

    def after(self, scope: Scope, after: tuple[str, str], limit: int) -> list[Subscription]:
        """Subscriptions of a place by (topic, id)."""
        rows = self._db.all(
            f"SELECT {_SUBSCRIPTION} FROM sns_subscription "  # noqa: S608
            "WHERE account=? AND region=? AND (topic, id)>(?,?) ORDER BY topic, id LIMIT ?",
            (scope.account, scope.region, *after, limit),
        )
        return [_subscription(row, scope.partition) for row in rows]

    def of_topic(self, topic: Topic, after: str, limit: int) -> list[Subscription]:
        """Subscriptions of a topic by id."""
        rows = self._db.all(
            f"SELECT {_SUBSCRIPTION} FROM sns_subscription "  # noqa: S608
            "WHERE account=? AND region=? AND topic=? AND id>? ORDER BY id LIMIT ?",
            (topic.scope.account, topic.scope.region, topic.name, after, limit),
        )
        return [_subscription(row, topic.scope.partition) for row in rows]

    def counts(self, topic: Topic) -> tuple[int, int]:
        """(confirmed, pending)."""
        row = self._db.one(
            "SELECT count(*) AS n, coalesce(sum(token!=''), 0) AS pending FROM sns_subscription "
            "WHERE account=? AND region=? AND topic=?",
            (topic.scope.account, topic.scope.region, topic.name),
        )
        assert row is not None, "an aggregate has one row"
        return int(row["n"]) - int(row["pending"]), int(row["pending"])

    def put(self, tx: Tx, subscription: Subscription) -> None:
        """Insert or replace."""
        tx.execute(
            f"INSERT OR REPLACE INTO sns_subscription ({_SUBSCRIPTION}) VALUES (?,?,?,?,?,?,?,?,?)",  # noqa: S608
            (
                subscription.scope.account, subscription.scope.region, subscription.topic, subscription.id,
                subscription.owner, subscription.protocol, subscription.endpoint, _encode(subscription.attributes),
                subscription.token,
            ),
        )  # fmt: skip

    def delete(self, tx: Tx, subscription: Subscription) -> None:
        """Remove one."""
        tx.execute(
            "DELETE FROM sns_subscription WHERE account=? AND region=? AND topic=? AND id=?",
            (subscription.scope.account, subscription.scope.region, subscription.topic, subscription.id),
        )


class Due(msgspec.Struct, frozen=True):
    """A message on its way to one subscription."""

    id: int
    scope: Scope
    topic: str
    subscription: str
    message: int
    attempts: int


class DeliveryStore:
    """Rows of ``sns_message``, ``sns_delivery`` and ``sns_deduplication``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, tx: Tx, topic: Topic, published: Published, body: bytes, to: Iterable[Subscription]) -> None:
        """A message, once, as ``body``, and a row for each subscription. FIFO: behind what waits for it already."""
        place = (topic.scope.account, topic.scope.region)
        message = tx.execute("INSERT INTO sns_message (account, region, body) VALUES (?,?,?)", (*place, body)).lastrowid
        rows = []
        for one in to:
            due = published.sent
            if topic.is_fifo:
                last = tx.one(
                    "SELECT due FROM sns_delivery WHERE account=? AND region=? AND topic=? AND subscription=? "
                    "ORDER BY id DESC LIMIT 1",
                    (*place, topic.name, one.id),
                )
                due = max(due, last["due"]) if last else due
            rows.append((*place, topic.name, one.id, message, due, OUTSIDE_LANE if one.is_outside else ""))
        tx.executemany(
            "INSERT INTO sns_delivery (account, region, topic, subscription, message, due, lane) VALUES (?,?,?,?,?,?,?)",
            rows,
        )

    def next_sequence(self) -> int:
        """A number above that of every message so far."""
        row = self._db.one("SELECT seq FROM sqlite_sequence WHERE name='sns_message'")
        return int(row["seq"]) + 1 if row else 1

    def due(self, lane: str, now: float, limit: int) -> list[Due]:
        """What of a lane may be tried now, longest due first."""
        rows = self._db.all(
            "SELECT id, account, region, topic, subscription, message, attempts FROM sns_delivery "
            "WHERE lane=? AND due<=? ORDER BY due, id LIMIT ?",
            (lane, now, limit),
        )
        return [
            Due(
                row["id"], Scope(row["account"], row["region"]), row["topic"], row["subscription"], row["message"],
                row["attempts"],
            )
            for row in rows
        ]  # fmt: skip

    def next_due(self, lane: str) -> float | None:
        """When something of a lane is to be tried next."""
        row = self._db.one("SELECT min(due) AS at FROM sns_delivery WHERE lane=?", (lane,))
        return row["at"] if row else None

    def waiting_at_most(self) -> int:
        """An upper bound of the rows that wait, cheap at any number."""
        row = self._db.one("SELECT (SELECT max(id) FROM sns_delivery) - (SELECT min(id) FROM sns_delivery) + 1 AS n")
        return int(row["n"] or 0) if row else 0

    def body(self, message: int) -> bytes | None:
        """A message as it was added."""
        row = self._db.one("SELECT body FROM sns_message WHERE id=?", (message,))
        return bytes(row["body"]) if row else None

    def finish(self, tx: Tx, done: Sequence[Due]) -> None:
        """They arrived or were given up; messages on their way to nobody go with them."""
        tx.executemany("DELETE FROM sns_delivery WHERE id=?", [(one.id,) for one in done])
        tx.executemany(
            "DELETE FROM sns_message WHERE id=?1 AND NOT EXISTS (SELECT 1 FROM sns_delivery WHERE message=?1)",
            [(message,) for message in {one.message for one in done}],
        )

    def hold(self, tx: Tx, one: Due, due: float) -> None:
        """Not yet its turn: that is no failure."""
        tx.execute("UPDATE sns_delivery SET due=? WHERE id=?", (due, one.id))

    def postpone(self, tx: Tx, one: Due, due: float, *, in_order: bool) -> None:
        """Try again later, and with ``in_order`` everything behind it of the same subscription."""
        tx.execute("UPDATE sns_delivery SET due=?, attempts=attempts+1 WHERE id=?", (due, one.id))
        if in_order:
            tx.execute(
                "UPDATE sns_delivery SET due=? WHERE account=? AND region=? AND topic=? AND subscription=? AND due<?",
                (due, one.scope.account, one.scope.region, one.topic, one.subscription, due),
            )

    def told(self, tx: Tx, topic: Topic, within: str, deduplication: str, since: float) -> tuple[str, int] | None:
        """(message id, sequence) of the first of its kind sent after ``since``."""
        row = tx.one(
            "SELECT message_id, sequence FROM sns_deduplication "
            "WHERE account=? AND region=? AND topic=? AND within=? AND deduplication=? AND sent>?",
            (topic.scope.account, topic.scope.region, topic.name, within, deduplication, since),
        )
        return (row["message_id"], row["sequence"]) if row else None

    def tell(self, tx: Tx, topic: Topic, within: str, published: Published) -> None:
        """Open the window of a FIFO message, and drop windows that closed, a bounded number at a time."""
        tx.execute(
            "INSERT OR REPLACE INTO sns_deduplication VALUES (?,?,?,?,?,?,?,?)",
            (
                topic.scope.account, topic.scope.region, topic.name, within, published.deduplication,
                published.message_id, published.sequence, published.sent,
            ),
        )  # fmt: skip

    def forget(self, tx: Tx, before: float) -> None:
        """Drop windows that closed, a bounded number at a time."""
        key = "account, region, topic, within, deduplication"
        tx.execute(
            f"DELETE FROM sns_deduplication WHERE ({key}) IN "  # noqa: S608 - constant columns
            f"(SELECT {key} FROM sns_deduplication WHERE sent<=? LIMIT ?)",
            (before, _FORGOTTEN_AT_ONCE),
        )


def _topic(row: Any, partition: str) -> Topic:
    return Topic(
        Scope(row["account"], row["region"], partition), row["name"], _texts(row["attributes"]), _texts(row["tags"]),
        row["deleted_subscriptions"],
    )  # fmt: skip


def _subscription(row: Any, partition: str) -> Subscription:
    return Subscription(
        Scope(row["account"], row["region"], partition), row["topic"], row["id"], row["owner"], row["protocol"],
        row["endpoint"], _texts(row["attributes"]), row["token"],
    )  # fmt: skip
