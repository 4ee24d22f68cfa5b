"""FIFO queues: order within a group, one sender's message once within five minutes, a group blocked while in flight.

A duplicate (the same deduplication id within five minutes, whether or not the first was deleted since) is answered with
the first one's ids and not stored. A receive takes as many messages of a group as fit, in order; the group then hands out
nothing until each of them was deleted or is visible again, after which the order is the old one. A message received too
often goes to the end of its group in the dead-letter queue, and the next of the group follows.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-exactly-once-processing.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.ids import Ids
from lakebed.services.sqs.attributes import parameter_error
from lakebed.services.sqs.digest import md5_of_body
from lakebed.services.sqs.group_store import GroupStore, WindowStore
from lakebed.services.sqs.model import Attempt, Draft, Message, Queue, Sent, stored_of
from lakebed.services.sqs.store import MessageStore

WINDOW_SECONDS = 300.0
_DEAD_LETTERS_AT_ONCE = 1000


@dataclass(slots=True)
class Gathered:
    """What a walk over the free groups found: to hand out, to move away, past their retention."""

    taken: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)
    expired: list[Message] = field(default_factory=list)

    @property
    def groups(self) -> list[str]:
        """Every group touched."""
        return [message.extra.group for message in (*self.taken, *self.dead, *self.expired)]


class Fifo:
    """The part of the exchange that only FIFO queues need; every method works inside the caller's transaction."""

    def __init__(self, db: Database, ids: Ids, messages: MessageStore) -> None:
        self._ids, self._messages = ids, messages
        self.groups, self.windows = GroupStore(db), WindowStore(db)

    def send(self, tx: Tx, queue: Queue, drafts: Sequence[Draft], sender: str, now: float) -> tuple[list[Sent], int]:
        """Store what is no duplicate: (what each sender is told, how many are new)."""
        told, new = [], 0
        visible_at = now + int(queue.attributes["DelaySeconds"])
        self.windows.forget(tx, now - WINDOW_SECONDS)
        for draft in drafts:
            sent = self.windows.told(tx, queue, draft, now - WINDOW_SECONDS)
            if sent is None:
                message_id, new = self._ids.uuid(), new + 1
                row = (message_id, md5_of_body(draft.body), sender, now, visible_at)
                sent = Sent(message_id, self.groups.insert(tx, queue, draft, stored_of(draft), row))
                self.windows.tell(tx, queue, draft, sent, now)
            told.append(sent)
        self.groups.refresh(tx, queue, [draft.group for draft in drafts])
        return told, new

    def gather(self, tx: Tx, queue: Queue, now: float, limit: int, receives_max: int | None) -> Gathered:
        """Up to ``limit`` messages of free groups, whole groups first; nothing is changed yet."""
        found = Gathered()
        for group in self.groups.free(tx, queue, now):
            for message in self.groups.messages(tx, queue, group, now):
                if message.sent <= now - queue.retention_seconds:
                    found.expired.append(message)
                elif receives_max is not None and message.receives >= receives_max:
                    found.dead.append(message)
                else:
                    found.taken.append(message)
                if len(found.taken) == limit or len(found.dead) + len(found.expired) >= _DEAD_LETTERS_AT_ONCE:
                    return found
        return found

    def hand_out(self, tx: Tx, queue: Queue, found: Gathered, now: float, visible_at: float) -> None:
        """The gathered are received, the expired dropped; the dead are the caller's to move before this."""
        self._messages.mark_received(tx, [message.seq for message in found.taken], now, visible_at)
        self.groups.discard(tx, [message.seq for message in found.expired])
        self.groups.refresh(tx, queue, found.groups)

    def move(self, tx: Tx, messages: Sequence[Message], target: Queue, source_arn: str, now: float) -> None:
        """To another FIFO queue, in order."""
        for message in messages:
            self.groups.move(tx, message, target, source_arn, now)
        self.groups.refresh(tx, target, [message.extra.group for message in messages])

    def again(self, tx: Tx, queue: Queue, attempt: str, now: float, visible_at: float) -> list[Message]:
        """What an earlier attempt of the same name handed out, hidden anew; empty where there is nothing to repeat."""
        known = self.windows.attempt(tx, queue, attempt, now - WINDOW_SECONDS)
        messages = self.windows.untouched(tx, queue, known) if known is not None else []
        if known is not None and messages:
            self.windows.show_again(tx, known.seqs, visible_at)
            self.windows.put_attempt(tx, queue, attempt, Attempt(known.seqs, known.received, visible_at))
            self.groups.refresh(tx, queue, [message.extra.group for message in messages])
        return messages

    def remember(
        self, tx: Tx, queue: Queue, attempt: str, messages: Sequence[Message], at: tuple[float, float]
    ) -> None:
        """Keep what an attempt handed out: ``at`` is (now, visible_at)."""
        if attempt and messages:
            self.windows.put_attempt(tx, queue, attempt, Attempt([message.seq for message in messages], *at))

    def delete(self, tx: Tx, queue: Queue, handle: str, seq: int, receives: int, now: float) -> bool:
        """Remove a message in flight; False where it is gone. A receipt that ran out no longer counts here."""
        group, known = self.groups.group_of(queue, seq), self._messages.receipt(queue, seq)
        if group is None:
            return False
        if known is None or known[0] != receives or known[1] <= now:
            raise parameter_error(
                f"Value {handle[:1024]} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
            )
        deleted = self._messages.delete(tx, queue, seq, receives)
        self.groups.refresh(tx, queue, [group])
        return deleted

    def touched(self, tx: Tx, queue: Queue, seqs: Sequence[int]) -> None:
        """When messages become visible was changed."""
        groups = (self.groups.group_of(queue, seq) for seq in seqs)
        self.groups.refresh(tx, queue, [group for group in groups if group is not None])

    def expire(self, tx: Tx, queue: Queue, sent_before: float, limit: int) -> int:
        """Delete at most ``limit`` messages sent at or before a time; how many went."""
        gone = self.groups.expired(queue, sent_before, limit)
        self.groups.discard(tx, [seq for seq, _ in gone])
        self.groups.refresh(tx, queue, [group for _, group in gone])
        return len(gone)
