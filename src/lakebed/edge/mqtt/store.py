"""The broker's tables: persistent sessions, their subscriptions and queues, and retained messages. The only SQL of the door.

Queue rows of one socket read are written by one transaction (``commit``); rows of acknowledged messages are deleted with
the next one, because delivering again after a crash is what QoS 1 allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from lakebed.edge.mqtt.tree import Options
from lakebed.kernel.db import Database
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import NO_PROPERTIES, MessageProperties, RetainedMessage

_MOST_DELETES_WAITING = 500
_PLAIN = b""
_to_properties = msgspec.msgpack.Decoder(MessageProperties).decode
_to_identifiers = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


class Queued(NamedTuple):
    """A QoS 1 message on its way to a session. ``sequence`` counts within the session and gives the packet identifier."""

    sequence: int
    topic: str
    payload: bytes
    retain: bool
    received_at: float
    properties: MessageProperties = NO_PROPERTIES
    identifiers: tuple[int, ...] = ()


class StoredSession(NamedTuple):
    """A persistent session as it lies on disk."""

    scope: Scope
    client_id: str
    expiry_seconds: int
    disconnected_at: float | None
    first_sequence: int
    last_sequence: int
    queued: int
    queued_bytes: int


class SessionStore:
    """Rows of sessions and retained messages."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._inserts: list[tuple[object, ...]] = []
        self._deletes: list[tuple[object, ...]] = []

    def sessions(self) -> Iterator[StoredSession]:
        """Every persistent session (at boot)."""
        for row in self._db.all(
            """SELECT s.*, coalesce(min(q.sequence), 0) AS first, coalesce(max(q.sequence), 0) AS last,
                      count(q.sequence) AS queued, coalesce(sum(length(q.payload)), 0) AS size
               FROM mqtt_session s LEFT JOIN mqtt_queued q USING (account, region, client_id)
               GROUP BY s.account, s.region, s.client_id"""
        ):
            yield StoredSession(
                Scope(row["account"], row["region"]),
                row["client_id"],
                row["expiry_seconds"],
                row["disconnected_at"],
                row["first"],
                row["last"],
                row["queued"],
                row["size"],
            )

    def subscriptions(self, scope: Scope, client_id: str) -> dict[str, Options]:
        """A session's subscriptions."""
        rows = self._db.all(
            "SELECT * FROM mqtt_subscription WHERE account=? AND region=? AND client_id=?",
            (scope.account, scope.region, client_id),
        )
        return {
            row["topic_filter"]: Options(
                row["qos"], bool(row["no_local"]), bool(row["retain_as_published"]), row["identifier"]
            )
            for row in rows
        }

    def save_session(self, scope: Scope, client_id: str, expiry_seconds: int, disconnected_at: float | None) -> None:
        """Insert or update a session."""
        with self._db.tx() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO mqtt_session VALUES (?,?,?,?,?)",
                (scope.account, scope.region, client_id, expiry_seconds, disconnected_at),
            )

    def delete_session(self, scope: Scope, client_id: str) -> None:
        """Forget a session, its subscriptions and its queue."""
        self.commit()
        with self._db.tx() as tx:
            for table in ("mqtt_session", "mqtt_subscription", "mqtt_queued"):
                tx.execute(
                    f"DELETE FROM {table} WHERE account=? AND region=? AND client_id=?",  # noqa: S608 - three constants
                    (scope.account, scope.region, client_id),
                )

    def subscribe(self, scope: Scope, client_id: str, subscriptions: Sequence[tuple[str, Options]]) -> None:
        """Record subscriptions."""
        with self._db.tx() as tx:
            tx.executemany(
                "INSERT OR REPLACE INTO mqtt_subscription VALUES (?,?,?,?,?,?,?,?)",
                [(scope.account, scope.region, client_id, name, *map(int, options)) for name, options in subscriptions],
            )

    def unsubscribe(self, scope: Scope, client_id: str, topic_filters: Sequence[str]) -> None:
        """Drop subscriptions."""
        with self._db.tx() as tx:
            tx.executemany(
                "DELETE FROM mqtt_subscription WHERE account=? AND region=? AND client_id=? AND topic_filter=?",
                [(scope.account, scope.region, client_id, name) for name in topic_filters],
            )

    def enqueue(self, scope: Scope, client_id: str, message: Queued) -> None:
        """Note a message for the next ``commit``."""
        self._inserts.append(
            (
                scope.account,
                scope.region,
                client_id,
                message.sequence,
                message.topic,
                message.payload,
                int(message.retain),
                message.received_at,
                _PLAIN if message.properties is NO_PROPERTIES else _encode(message.properties),
                _encode(message.identifiers) if message.identifiers else _PLAIN,
            )
        )

    def acknowledged(self, scope: Scope, client_id: str, sequence: int) -> None:
        """Note that a message needs not be kept any more."""
        self._deletes.append((scope.account, scope.region, client_id, sequence))
        if len(self._deletes) >= _MOST_DELETES_WAITING:
            self.commit()

    def commit(self) -> None:
        """Make everything noted durable. Cheap when there is nothing."""
        if not self._inserts and not self._deletes:
            return
        with self._db.tx() as tx:
            tx.executemany("INSERT OR REPLACE INTO mqtt_queued VALUES (?,?,?,?,?,?,?,?,?,?)", self._inserts)
            tx.executemany(
                "DELETE FROM mqtt_queued WHERE account=? AND region=? AND client_id=? AND sequence=?", self._deletes
            )
        self._inserts.clear()
        self._deletes.clear()

    def forget_uncommitted(self) -> None:
        """After a failed ``commit``: what it held was promised to nobody."""
        self._inserts.clear()

    def queue(self, scope: Scope, client_id: str) -> list[Queued]:
        """A session's undelivered messages in order; bounded by ``limits.QUEUED_MAX``."""
        self.commit()
        rows = self._db.all(
            "SELECT * FROM mqtt_queued WHERE account=? AND region=? AND client_id=? ORDER BY sequence",
            (scope.account, scope.region, client_id),
        )
        return [
            Queued(
                row["sequence"],
                row["topic"],
                row["payload"],
                bool(row["retain"]),
                row["received_at"],
                _to_properties(row["properties"]) if row["properties"] else NO_PROPERTIES,
                _to_identifiers(row["identifiers"]) if row["identifiers"] else (),
            )
            for row in rows
        ]

    def retain(self, scope: Scope, message: RetainedMessage, most: int) -> bool:
        """Keep a topic's message, or drop it where the payload is empty; False where ``most`` topics retain already."""
        key = (scope.account, scope.region, message.topic)
        with self._db.tx() as tx:
            if not message.payload:
                tx.execute("DELETE FROM mqtt_retained WHERE account=? AND region=? AND topic=?", key)
                return True
            known = tx.one("SELECT 1 FROM mqtt_retained WHERE account=? AND region=? AND topic=?", key)
            if known is None:
                row = tx.one("SELECT count(*) AS n FROM mqtt_retained WHERE account=? AND region=?", key[:2])
                if row is not None and row["n"] >= most:
                    return False
            properties = _PLAIN if message.properties is NO_PROPERTIES else _encode(message.properties)
            tx.execute(
                "INSERT OR REPLACE INTO mqtt_retained VALUES (?,?,?,?,?,?,?)",
                (*key, message.payload, message.qos, message.stored_at, properties),
            )
        return True

    def retained(self, scope: Scope, topic: str) -> RetainedMessage | None:
        """What a topic retains."""
        found = self.retained_after(scope, topic, 1, inclusive=True)
        return found[0] if found and found[0].topic == topic else None

    def retained_after(self, scope: Scope, after: str, limit: int, *, inclusive: bool = False) -> list[RetainedMessage]:
        """Retained messages in topic order behind ``after``."""
        rows = self._db.all(
            f"SELECT * FROM mqtt_retained WHERE account=? AND region=? AND topic {'>=' if inclusive else '>'} ?"  # noqa: S608 - two constants
            " ORDER BY topic LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [
            RetainedMessage(
                row["topic"],
                row["payload"],
                row["qos"],
                row["stored_at"],
                _to_properties(row["properties"]) if row["properties"] else NO_PROPERTIES,
            )
            for row in rows
        ]
