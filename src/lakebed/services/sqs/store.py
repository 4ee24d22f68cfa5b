"""The tables of SQS: queues, and messages ordered by when they become receivable.

Receiving walks the index (queue, visible_at), so it costs the same for ten messages and for ten million. A message is
delayed while it was never received and ``visible_at`` lies ahead, in flight while it was received and it lies ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.sqs.model import Message, Move, Queue, Stored

_encode = msgspec.msgpack.encode
_QUEUE = "account, region, name, id, attributes, tags, created, modified, purged"
MESSAGE_COLUMNS = "seq, message_id, body, md5, extra, sender, sent, receives, first_received"


class QueueStore:
    """Rows of ``sqs_queue``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Queue | None:
        """One queue."""
        row = self._db.one(
            f"SELECT {_QUEUE} FROM sqs_queue WHERE account=? AND region=? AND name=?",  # noqa: S608 - constant columns
            (scope.account, scope.region, name),
        )
        return _queue(row, scope.partition) if row else None

    def after(self, scope: Scope, prefix: str, after: str, limit: int) -> list[Queue]:
        """Queues by name behind ``after`` whose names start with ``prefix``."""
        rows = self._db.all(
            f"SELECT {_QUEUE} FROM sqs_queue WHERE account=? AND region=? AND name>? AND name>=? AND name<? "  # noqa: S608
            "ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, prefix, prefix + "\U0010ffff", limit),
        )
        return [_queue(row, scope.partition) for row in rows]

    def all_queues(self) -> list[Queue]:
        """Every queue of the house, for tasks."""
        return [_queue(row, "aws") for row in self._db.all(f"SELECT {_QUEUE} FROM sqs_queue")]  # noqa: S608

    def put(self, tx: Tx, queue: Queue) -> None:
        """Insert or replace."""
        scope = queue.scope
        tx.execute(
            "INSERT OR REPLACE INTO sqs_queue VALUES (?,?,?,?,?,?,?,?,?)",
            (
                scope.account, scope.region, queue.name, queue.id, _encode(queue.attributes), _encode(queue.tags),
                queue.created, queue.modified, queue.purged,
            ),
        )  # fmt: skip

    def new_id(self, tx: Tx) -> int:
        """A queue id that was never used."""
        row = tx.one("UPDATE sqs_sequence SET next_id = next_id + 1 RETURNING next_id - 1 AS id")
        assert row is not None, "sqs_sequence has one row"
        return int(row["id"])

    def delete(self, tx: Tx, queue: Queue) -> None:
        """Remove a queue; its messages are discarded by a task."""
        scope = queue.scope
        tx.execute(
            "DELETE FROM sqs_queue WHERE account=? AND region=? AND name=?", (scope.account, scope.region, queue.name)
        )
        tx.execute("DELETE FROM sqs_move WHERE source=?", (queue.arn,))
        self.discard_messages(tx, queue)

    def discard_messages(self, tx: Tx, queue: Queue) -> None:
        """Give the messages of a queue id up."""
        tx.execute("INSERT INTO sqs_discarded VALUES (?,?,?)", (queue.scope.account, queue.scope.region, queue.id))

    def discarded(self) -> int | None:
        """A queue id whose messages are to be discarded."""
        row = self._db.one("SELECT queue_id FROM sqs_discarded LIMIT 1")
        return int(row["queue_id"]) if row else None

    def forget_discarded(self, tx: Tx, queue_id: int) -> None:
        """All of them are gone."""
        tx.execute("DELETE FROM sqs_discarded WHERE queue_id=?", (queue_id,))


class MessageStore:
    """Rows of ``sqs_message``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(self, tx: Tx, queue: Queue, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add messages: (message id, body, md5, Stored, sender, sent, visible_at)."""
        place = (queue.scope.account, queue.scope.region, queue.id)
        tx.executemany(
            "INSERT INTO sqs_message (account, region, queue_id, message_id, body, md5, extra, sender, sent, visible_at) "
            "VALUES (?,?,?,?,?,?,?,?,?,?)",
            [(*place, *row[:3], _encode(row[3]), *row[4:]) for row in rows],
        )

    def receivable(self, tx: Tx, queue: Queue, now: float) -> Iterator[Message]:
        """Messages that may be received, longest waiting first; stop iterating when there are enough."""
        rows = tx.execute(
            f"SELECT {MESSAGE_COLUMNS} FROM sqs_message WHERE queue_id=? AND visible_at<=? AND sent>? "  # noqa: S608
            "ORDER BY visible_at, seq",
            (queue.id, now, now - queue.retention_seconds),
        )
        for row in rows:
            yield message_of(row)

    def mark_received(self, tx: Tx, seqs: Sequence[int], now: float, visible_at: float) -> None:
        """They were handed out."""
        tx.executemany(
            "UPDATE sqs_message SET receives=receives+1, first_received=coalesce(first_received,?), received=?, "
            "visible_at=? WHERE seq=?",
            [(now, now, visible_at, seq) for seq in seqs],
        )

    def move(self, tx: Tx, messages: Sequence[Message], target: Queue, source_arn: str, now: float) -> None:
        """Dead letters: to the target queue, as new there but with their old time of sending."""
        tx.executemany(
            "UPDATE sqs_message SET account=?, region=?, queue_id=?, visible_at=?, receives=0, first_received=NULL, "
            "received=NULL, extra=? WHERE seq=?",
            [
                (
                    target.scope.account, target.scope.region, target.id, now,
                    _encode(msgspec.structs.replace(message.extra, dead_letter_source=source_arn)), message.seq,
                )
                for message in messages
            ],
        )  # fmt: skip

    def delete(self, tx: Tx, queue: Queue, seq: int, receives: int) -> bool:
        """Remove a message by its latest receipt; False where it is gone or was received again."""
        done = tx.execute(
            "DELETE FROM sqs_message WHERE seq=? AND queue_id=? AND receives=?", (seq, queue.id, receives)
        )
        return done.rowcount > 0

    def receipt(self, queue: Queue, seq: int) -> tuple[int, float, float] | None:
        """(receives, visible_at, received) of a message that was received; None where it is gone."""
        row = self._db.one(
            "SELECT receives, visible_at, received FROM sqs_message WHERE seq=? AND queue_id=? AND receives>0",
            (seq, queue.id),
        )
        return (int(row["receives"]), float(row["visible_at"]), float(row["received"])) if row else None

    def set_visible(self, tx: Tx, seq: int, visible_at: float) -> None:
        """When a message may be received again."""
        tx.execute("UPDATE sqs_message SET visible_at=? WHERE seq=?", (visible_at, seq))

    def counts(self, queue: Queue, now: float) -> tuple[int, int, int]:
        """(receivable, in flight, delayed)."""
        row = self._db.one(
            "SELECT (SELECT count(*) FROM sqs_message WHERE queue_id=:queue AND visible_at<=:now) AS ready, "
            "(SELECT count(*) FROM sqs_message WHERE queue_id=:queue AND visible_at>:now) AS hidden",
            {"now": now, "queue": queue.id},
        )
        assert row is not None, "an aggregate has one row"
        flying = self.in_flight(queue, now)
        return int(row["ready"]), flying, int(row["hidden"]) - flying

    def in_flight(self, queue: Queue, now: float) -> int:
        """Messages handed out and neither deleted nor visible again."""
        row = self._db.one(
            "SELECT count(*) AS n FROM sqs_message WHERE queue_id=? AND visible_at>? AND receives>0", (queue.id, now)
        )
        return int(row["n"]) if row else 0

    def total(self, queue: Queue) -> int:
        """All messages of a queue."""
        row = self._db.one("SELECT count(*) AS n FROM sqs_message WHERE queue_id=?", (queue.id,))
        return int(row["n"]) if row else 0

    def next_visible_at(self, queue: Queue, after: float = float("-inf")) -> float | None:
        """The least ``visible_at`` beyond ``after``."""
        row = self._db.one(
            "SELECT min(visible_at) AS at FROM sqs_message WHERE queue_id=? AND visible_at>?", (queue.id, after)
        )
        return row["at"] if row else None

    def oldest(self, queue: Queue) -> float | None:
        """When the oldest message was sent."""
        row = self._db.one("SELECT min(sent) AS at FROM sqs_message WHERE queue_id=?", (queue.id,))
        return row["at"] if row else None

    def oldest_messages(self, queue: Queue, now: float, limit: int) -> list[tuple[Message, float]]:
        """The first of what was sent and is not too old, with when each is visible."""
        rows = self._db.all(
            f"SELECT {MESSAGE_COLUMNS}, visible_at FROM sqs_message WHERE queue_id=? AND sent>? "  # noqa: S608
            "ORDER BY sent, seq LIMIT ?",
            (queue.id, now - queue.retention_seconds, limit),
        )
        return [(message_of(row), float(row["visible_at"])) for row in rows]

    def expire(self, tx: Tx, queue_id: int, sent_before: float, limit: int) -> int:
        """Delete at most ``limit`` messages sent at or before a time; how many went."""
        done = tx.execute(
            "DELETE FROM sqs_message WHERE seq IN "
            "(SELECT seq FROM sqs_message WHERE queue_id=? AND sent<=? ORDER BY sent LIMIT ?)",
            (queue_id, sent_before, limit),
        )
        return int(done.rowcount)


class MoveStore:
    """Rows of ``sqs_move``."""

    _COLUMNS = "source, id, handle, destination, rate, status, failure, to_move, moved, started"

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(self, tx: Tx, queue: Queue, move: Move) -> None:
        """A new task; of a source's older ones nine stay."""
        scope = queue.scope
        tx.execute(
            "INSERT INTO sqs_move (account, region, source, handle, destination, rate, status, to_move, started) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            (
                scope.account, scope.region, move.source, move.handle, move.destination, move.rate, move.status,
                move.to_move, move.started,
            ),
        )  # fmt: skip
        tx.execute(
            "DELETE FROM sqs_move WHERE source=? AND id NOT IN "
            "(SELECT id FROM sqs_move WHERE source=? ORDER BY id DESC LIMIT 10)",
            (move.source, move.source),
        )

    def latest(self, source: str, limit: int) -> list[Move]:
        """Tasks of a source, the last first."""
        rows = self._db.all(
            f"SELECT {self._COLUMNS} FROM sqs_move WHERE source=? ORDER BY id DESC LIMIT ?",  # noqa: S608
            (source, limit),
        )
        return [Move(*row) for row in rows]

    def find(self, handle: str) -> Move | None:
        """A task by its handle."""
        row = self._db.one(f"SELECT {self._COLUMNS} FROM sqs_move WHERE handle=?", (handle,))  # noqa: S608
        return Move(*row) if row else None

    def all_running(self) -> list[Move]:
        """Tasks to carry on, for the mover."""
        return [Move(*row) for row in self._db.all(f"SELECT {self._COLUMNS} FROM sqs_move WHERE status='RUNNING'")]  # noqa: S608

    def put(self, tx: Tx, move: Move) -> None:
        """How far it is."""
        tx.execute(
            "UPDATE sqs_move SET status=?, failure=?, moved=? WHERE id=?",
            (move.status, move.failure, move.moved, move.id),
        )


def _queue(row: Any, partition: str) -> Queue:
    return Queue(
        Scope(row["account"], row["region"], partition),
        row["id"],
        row["name"],
        msgspec.msgpack.decode(row["attributes"], type=dict[str, str]),
        msgspec.msgpack.decode(row["tags"], type=dict[str, str]),
        row["created"],
        row["modified"],
        row["purged"],
    )


def message_of(row: Any) -> Message:
    """A message from its row."""
    return Message(
        row["seq"], row["message_id"], row["body"], row["md5"], msgspec.msgpack.decode(row["extra"], type=Stored),
        row["sender"], row["sent"], row["receives"], row["first_received"] or 0.0,
    )  # fmt: skip
