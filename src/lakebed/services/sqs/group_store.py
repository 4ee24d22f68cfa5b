"""The tables of FIFO queues: groups and when each is free, what was sent lately, what a receive attempt handed out.

A group is *free* when its first message may be received and none of its messages is in flight. ``free_at`` is kept with
every change of the group's messages, so that receiving walks an index and does not grow with what waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.services.sqs.model import Attempt, Draft, Message, Queue, Sent, Stored
from lakebed.services.sqs.store import MESSAGE_COLUMNS, message_of

_encode = msgspec.msgpack.encode
_decode_seqs = msgspec.msgpack.Decoder(list[int]).decode
_FORGOTTEN_AT_ONCE = 200


class GroupStore:
    """Rows of ``sqs_group``, and messages by group."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def free_at(self, queue: Queue) -> float | None:
        """When the next group is or was free; None for an empty queue."""
        row = self._db.one("SELECT min(free_at) AS at FROM sqs_group WHERE queue_id=?", (queue.id,))
        return row["at"] if row else None

    def free_after(self, queue: Queue, after: float) -> float | None:
        """The least ``free_at`` beyond ``after``."""
        row = self._db.one("SELECT min(free_at) AS at FROM sqs_group WHERE queue_id=? AND free_at>?", (queue.id, after))
        return row["at"] if row else None

    def free(self, tx: Tx, queue: Queue, now: float) -> Iterator[str]:
        """Free groups, longest free first. Change none of them while iterating."""
        for row in tx.execute(
            "SELECT message_group FROM sqs_group WHERE queue_id=? AND free_at<=? ORDER BY free_at, message_group",
            (queue.id, now),
        ):
            yield row["message_group"]

    def messages(self, tx: Tx, queue: Queue, group: str, now: float) -> Iterator[Message]:
        """A group's messages in their order, up to the first that may not be received yet."""
        for row in tx.execute(
            f"SELECT {MESSAGE_COLUMNS}, visible_at FROM sqs_message WHERE queue_id=? AND message_group=? ORDER BY seq",  # noqa: S608 - constant columns
            (queue.id, group),
        ):
            if row["visible_at"] > now:
                return
            yield message_of(row)

    def refresh(self, tx: Tx, queue: Queue, groups: Iterable[str]) -> float:
        """Keep ``free_at`` of changed groups, drop empty ones; the least of them."""
        soonest = float("inf")
        for group in dict.fromkeys(groups):
            head = tx.one(
                "SELECT visible_at FROM sqs_message WHERE queue_id=? AND message_group=? ORDER BY seq LIMIT 1",
                (queue.id, group),
            )
            if head is None:
                tx.execute("DELETE FROM sqs_group WHERE queue_id=? AND message_group=?", (queue.id, group))
                continue
            received = tx.one(
                "SELECT max(visible_at) AS at FROM sqs_message WHERE queue_id=? AND message_group=? AND receives>0",
                (queue.id, group),
            )
            free_at = max(head["visible_at"], received["at"] if received and received["at"] is not None else 0.0)
            soonest = min(soonest, free_at)
            tx.execute(
                "INSERT OR REPLACE INTO sqs_group VALUES (?,?,?,?,?)",
                (queue.scope.account, queue.scope.region, queue.id, group, free_at),
            )
        return soonest

    def group_of(self, queue: Queue, seq: int) -> str | None:
        """The group of a message; None where it is gone."""
        row = self._db.one("SELECT message_group FROM sqs_message WHERE seq=? AND queue_id=?", (seq, queue.id))
        return row["message_group"] if row else None

    def insert(
        self, tx: Tx, queue: Queue, draft: Draft, stored: Stored, row: tuple[str, str, str, float, float]
    ) -> int:
        """Add one message (message id, md5, sender, sent, visible_at); its sequence number."""
        message_id, md5, sender, sent, visible_at = row
        done = tx.execute(
            "INSERT INTO sqs_message (account, region, queue_id, message_id, body, md5, extra, sender, sent, visible_at, "
            "message_group) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (
                queue.scope.account, queue.scope.region, queue.id, message_id, draft.stored or draft.body, md5,
                _encode(stored), sender, sent, visible_at, draft.group,
            ),
        )  # fmt: skip
        assert done.lastrowid is not None, "an INSERT has a row id"
        return done.lastrowid

    def move(self, tx: Tx, message: Message, target: Queue, source_arn: str, now: float) -> None:
        """To the end of its group in another queue, as if sent there now: FIFO queues count retention anew."""
        stored = msgspec.structs.replace(message.extra, dead_letter_source=source_arn)
        row = (message.message_id, message.md5, message.sender, now, now)
        self.insert(tx, target, Draft(message.body, group=message.extra.group), stored, row)
        tx.execute("DELETE FROM sqs_message WHERE seq=?", (message.seq,))

    def discard(self, tx: Tx, seqs: Sequence[int]) -> None:
        """Messages whose retention is over."""
        tx.executemany("DELETE FROM sqs_message WHERE seq=?", [(seq,) for seq in seqs])

    def expired(self, queue: Queue, sent_before: float, limit: int) -> list[tuple[int, str]]:
        """(sequence number, group) of messages sent at or before a time, at most ``limit``."""
        rows = self._db.all(
            "SELECT seq, message_group FROM sqs_message WHERE queue_id=? AND sent<=? ORDER BY sent LIMIT ?",
            (queue.id, sent_before, limit),
        )
        return [(row["seq"], row["message_group"]) for row in rows]

    def forget_queue(self, tx: Tx, queue_id: int, limit: int) -> bool:
        """Remove up to ``limit`` rows of each kind of a discarded queue id; whether any may be left."""
        left = False
        for table, key in (
            ("sqs_group", "message_group"), ("sqs_deduplication", "within, deduplication"), ("sqs_attempt", "attempt"),
        ):  # fmt: skip
            done = tx.execute(
                f"DELETE FROM {table} WHERE queue_id=? AND ({key}) IN "  # noqa: S608 - constant names
                f"(SELECT {key} FROM {table} WHERE queue_id=? LIMIT ?)",
                (queue_id, queue_id, limit),
            )
            left = left or done.rowcount == limit
        return left


class WindowStore:
    """Rows of ``sqs_deduplication`` and ``sqs_attempt``: the two five-minute windows."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def told(self, tx: Tx, queue: Queue, draft: Draft, since: float) -> Sent | None:
        """What the first sender was told where this is a duplicate of a message sent after ``since``."""
        row = tx.one(
            "SELECT message_id, seq FROM sqs_deduplication WHERE queue_id=? AND within=? AND deduplication=? AND sent>?",
            (queue.id, _within(queue, draft), draft.deduplication, since),
        )
        return Sent(row["message_id"], row["seq"]) if row else None

    def tell(self, tx: Tx, queue: Queue, draft: Draft, sent: Sent, now: float) -> None:
        """Remember what a sender is told."""
        tx.execute(
            "INSERT OR REPLACE INTO sqs_deduplication VALUES (?,?,?,?,?,?,?,?)",
            (
                queue.scope.account, queue.scope.region, queue.id, _within(queue, draft), draft.deduplication,
                sent.message_id, sent.seq, now,
            ),
        )  # fmt: skip

    def attempt(self, tx: Tx, queue: Queue, attempt: str, since: float) -> Attempt | None:
        """What an attempt after ``since`` handed out."""
        row = tx.one(
            "SELECT seqs, received, visible_at FROM sqs_attempt WHERE queue_id=? AND attempt=? AND received>?",
            (queue.id, attempt, since),
        )
        return Attempt(_decode_seqs(row["seqs"]), row["received"], row["visible_at"]) if row else None

    def put_attempt(self, tx: Tx, queue: Queue, name: str, attempt: Attempt) -> None:
        """Remember what an attempt handed out."""
        tx.execute(
            "INSERT OR REPLACE INTO sqs_attempt VALUES (?,?,?,?,?,?,?)",
            (
                queue.scope.account, queue.scope.region, queue.id, name, _encode(attempt.seqs), attempt.received,
                attempt.visible_at,
            ),
        )  # fmt: skip

    def untouched(self, tx: Tx, queue: Queue, attempt: Attempt) -> list[Message]:
        """The messages of an attempt as they were handed out; empty once one of them was deleted or changed since."""
        found = []
        for seq in attempt.seqs:
            row = tx.one(
                f"SELECT {MESSAGE_COLUMNS} FROM sqs_message WHERE seq=? AND queue_id=? AND visible_at=? AND received>=?",  # noqa: S608
                (seq, queue.id, attempt.visible_at, attempt.received),
            )
            if row is None:
                return []
            found.append(message_of(row))
        return found

    def show_again(self, tx: Tx, seqs: Sequence[int], visible_at: float) -> None:
        """An attempt was repeated: its messages stay hidden anew."""
        tx.executemany("UPDATE sqs_message SET visible_at=? WHERE seq=?", [(visible_at, seq) for seq in seqs])

    def forget(self, tx: Tx, before: float) -> bool:
        """Drop what is older than the window, a bounded number at a time; whether there may be more."""
        gone = 0
        for table, key, at in (
            ("sqs_deduplication", "queue_id, within, deduplication", "sent"),
            ("sqs_attempt", "queue_id, attempt", "received"),
        ):
            done = tx.execute(
                f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {at}<=? LIMIT ?)",  # noqa: S608
                (before, _FORGOTTEN_AT_ONCE),
            )
            gone = max(gone, int(done.rowcount))
        return gone == _FORGOTTEN_AT_ONCE


def _within(queue: Queue, draft: Draft) -> str:
    return draft.group if queue.attributes.get("DeduplicationScope") == "messageGroup" else ""
