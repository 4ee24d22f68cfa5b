"""What happens to messages: sending, receiving with redrive, deleting, hiding. The API and the port both come here.

Receiving is at-least-once: a message is handed out, hidden for the visibility timeout, and handed out again unless the
latest receipt deleted it. A message that was received ``maxReceiveCount`` times goes to the dead-letter queue at the next
attempt to receive it. What FIFO queues do differently is ``fifo``.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lakebed.api import sqs as api
from lakebed.kernel.arn import parse
from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.sqs import model
from lakebed.services.sqs.arrivals import Arrivals
from lakebed.services.sqs.attributes import parameter_error
from lakebed.services.sqs.digest import md5_of_body
from lakebed.services.sqs.fifo import Fifo
from lakebed.services.sqs.model import Draft, Message, Queue, Sent
from lakebed.services.sqs.sealing import Sealing
from lakebed.services.sqs.store import MessageStore, MoveStore, QueueStore

_DEAD_LETTERS_AT_ONCE = 1000


class Exchange:
    """All queues of the house."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k, self.p = k, p
        self.queues = QueueStore(k.db)
        self.messages = MessageStore(k.db)
        self.moves = MoveStore(k.db)
        self.fifo = Fifo(k.db, k.ids, self.messages)
        self.arrivals = Arrivals(k.clock, k.tasks)
        self.sealing = Sealing(k, p)
        self._in_flight: dict[int, int] = {}
        self._totals: dict[int, int] = {}

    def find(self, arn: str) -> Queue | None:
        """The queue an ARN names."""
        parsed = parse(arn)
        if parsed is None or parsed.service != "sqs":
            return None
        return self.queues.find(Scope(parsed.account, parsed.region, parsed.partition), parsed.resource)

    def require(self, arn: str) -> Queue:
        """The queue an ARN names; QueueDoesNotExist."""
        queue = self.find(arn)
        if queue is None:
            raise api.QueueDoesNotExist("The specified queue does not exist.")
        return queue

    def authorised(self, principal: Principal, action: str, arn: str, source_arn: str | None = None) -> Queue:
        """The queue, once ``principal`` may do ``action`` there by its own or the queue's policy."""
        queue, conditions = self.find(arn), {}
        if source_arn:
            conditions = {"aws:SourceArn": source_arn, "aws:SourceAccount": principal.account}
        self.p.identity.authorise(
            principal,
            action,
            arn,
            conditions=conditions,
            resource_policy=queue.policy if queue else None,
            resource_account=queue.scope.account if queue else None,
        )
        return queue if queue is not None else self.require(arn)

    def check_sizes(self, queue: Queue, drafts: Sequence[Draft]) -> None:
        """Each message within the queue's limit."""
        limit = int(queue.attributes["MaximumMessageSize"])
        if any(model.size_of(draft) > limit for draft in drafts):
            raise parameter_error(
                f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )

    def send(self, queue: Queue, drafts: Sequence[Draft], principal: Principal) -> list[Sent]:
        """Store messages, durable when this returns; what their senders are told."""
        drafts, sender = self.sealing.seal(principal, queue, drafts), principal.user_id
        if queue.is_fifo:
            return self._send_in_order(queue, drafts, sender)
        now, rows, default_delay = self.k.clock.now(), [], int(queue.attributes["DelaySeconds"])
        soonest = float("inf")
        for draft in drafts:
            visible_at = now + (default_delay if draft.delay is None else draft.delay)
            soonest = min(soonest, visible_at)
            stored = model.stored_of(draft)
            rows.append(
                (
                    self.k.ids.uuid(),
                    draft.stored or draft.body,
                    md5_of_body(draft.body),
                    stored,
                    sender,
                    now,
                    visible_at,
                )
            )
        with self.k.db.tx() as tx:
            self.messages.insert(tx, queue, rows)
        self.k.meters.into(queue.arn, len(drafts), sum(map(model.size_of, drafts)))
        self.count(queue, len(drafts))
        if soonest <= now:
            self.arrivals.announce(queue.arn)
        else:
            self.arrivals.expect(queue.arn, soonest)
        return [Sent(row[0]) for row in rows]

    def _send_in_order(self, queue: Queue, drafts: Sequence[Draft], sender: str) -> list[Sent]:
        with self.k.db.tx() as tx:
            told, new = self.fifo.send(tx, queue, drafts, sender, self.k.clock.now())
        self.k.meters.into(queue.arn, len(drafts), sum(map(model.size_of, drafts)))
        self.k.meters.drop(queue.arn, len(drafts) - new)
        self.count(queue, new)
        self._tell(queue)
        return told

    def take(
        self, principal: Principal, queue: Queue, limit: int, visibility_seconds: float, attempt: str = ""
    ) -> list[Message]:
        """Receive up to ``limit`` messages and hide them; OverLimit when too many are in flight. On a FIFO queue an
        ``attempt`` repeated within five minutes receives the same again."""
        now = self.k.clock.now()
        if queue.is_fifo and attempt:
            with self.k.db.tx() as tx:
                if repeated := self.fifo.again(tx, queue, attempt, now, now + visibility_seconds):
                    return self.sealing.open(principal, queue, repeated)
        limit = min(limit, self._room(queue, now))
        if queue.is_fifo:
            return self._take_in_order(principal, queue, limit, now, (visibility_seconds, attempt))
        redrive = queue.redrive
        target = self.find(redrive[0]) if redrive else None
        taken: list[Message] = []
        dead: list[Message] = []
        soonest = self.messages.next_visible_at(queue)
        if soonest is None or soonest > now:
            return taken
        with self.k.db.tx() as tx:
            for message in self.messages.receivable(tx, queue, now):
                is_dead = redrive is not None and target is not None and message.receives >= redrive[1]
                (dead if is_dead else taken).append(message)
                if len(taken) == limit or len(dead) == _DEAD_LETTERS_AT_ONCE:
                    break
            self.messages.mark_received(tx, [message.seq for message in taken], now, now + visibility_seconds)
            opened = self.sealing.open(principal, queue, taken)  # refused: nothing was received
            if dead and target is not None:
                self.messages.move(tx, dead, target, queue.arn, now)
        if dead and target is not None:
            self._moved(queue, target, len(dead))
        if taken:
            self._in_flight[queue.id] = self._in_flight.get(queue.id, 0) + len(taken)
            self.arrivals.expect(queue.arn, now + visibility_seconds)
        return [_received(message, now) for message in opened]

    def _take_in_order(
        self, principal: Principal, queue: Queue, limit: int, now: float, how: tuple[float, str]
    ) -> list[Message]:
        redrive, (visibility_seconds, attempt) = queue.redrive, how
        target = self.find(redrive[0]) if redrive else None
        receives_max = redrive[1] if redrive and target is not None else None
        soonest = self.fifo.groups.free_at(queue)
        if soonest is None or soonest > now:
            return []
        with self.k.db.tx() as tx:
            found = self.fifo.gather(tx, queue, now, limit, receives_max)
            if target is not None:
                self.fifo.move(tx, found.dead, target, queue.arn, now)
            self.fifo.hand_out(tx, queue, found, now, now + visibility_seconds)
            received = [_received(message, now) for message in self.sealing.open(principal, queue, found.taken)]
            self.fifo.remember(tx, queue, attempt, received, (now, now + visibility_seconds))
        if found.dead and target is not None:
            self._moved(queue, target, len(found.dead))
        if found.expired:
            self.k.meters.drop(queue.arn, len(found.expired))
            self.count(queue, -len(found.expired))
        if found.taken:
            self._in_flight[queue.id] = self._in_flight.get(queue.id, 0) + len(found.taken)
            self.arrivals.expect(queue.arn, now + visibility_seconds)
        return received

    def delete(self, queue: Queue, handle: str) -> None:
        """Delete by the latest receipt; an older one, or one of a message that is gone, succeeds without effect. On a
        FIFO queue a receipt that ran out or was replaced is an error."""
        seq, receives, _ = model.read_receipt(queue, handle)
        with self.k.db.tx() as tx:
            if queue.is_fifo:
                deleted = self.fifo.delete(tx, queue, handle, seq, receives, self.k.clock.now())
            else:
                deleted = self.messages.delete(tx, queue, seq, receives)
        if deleted:
            if queue.is_fifo:
                self._tell(queue)
            self._in_flight[queue.id] = max(self._in_flight.get(queue.id, 0) - 1, 0)
            self.count(queue, -1)
            self.k.meters.out(queue.arn)

    def hide(self, queue: Queue, handle: str, seconds: float) -> None:
        """Change when a message in flight becomes visible again."""
        now = self.k.clock.now()
        if not 0 <= seconds <= model.VISIBILITY_MAX:
            raise parameter_error(
                f"Value {seconds:g} for parameter VisibilityTimeout is invalid. "
                "Reason: VisibilityTimeout must be an integer between 0 and 43200."
            )
        seq, receives, _ = model.read_receipt(queue, handle)
        known = self.messages.receipt(queue, seq)
        if known is None or known[0] != receives:
            raise parameter_error(
                f"Value {handle[:1024]} for parameter ReceiptHandle is invalid. "
                "Reason: Message does not exist or is not available for visibility timeout change."
            )
        if known[1] <= now:
            raise api.MessageNotInflight("The specified message isn't in flight.")
        if now + seconds - known[2] > model.VISIBILITY_MAX:
            raise parameter_error("Total VisibilityTimeout for the message is beyond the limit [43200 seconds]")
        self.show(queue, [seq], now + seconds)

    def show(self, queue: Queue, seqs: Sequence[int], visible_at: float) -> None:
        """Messages become visible at ``visible_at``."""
        with self.k.db.tx() as tx:
            for seq in seqs:
                self.messages.set_visible(tx, seq, visible_at)
            if queue.is_fifo:
                self.fifo.touched(tx, queue, seqs)
        if queue.is_fifo:
            self._tell(queue)
        elif visible_at <= self.k.clock.now():
            self.arrivals.announce(queue.arn)
        else:
            self.arrivals.expect(queue.arn, visible_at)

    def redrive(self, queue: Queue, destination: str | None, limit: int) -> tuple[int, str]:
        """Move up to ``limit`` dead letters to ``destination``, or each to where it came from: (how many, what failed)."""
        now, failure = self.k.clock.now(), ""
        by_target: dict[str, list[Message]] = {}
        with self.k.db.tx() as tx:
            for message in self._letters(tx, queue, now, limit):
                target_arn = destination or message.extra.dead_letter_source
                if not target_arn or self.find(target_arn) is None:
                    failure = (
                        "CouldNotDetermineMessageSource"
                        if not target_arn
                        else "AWS.SimpleQueueService.NonExistentQueue"
                    )
                    break
                by_target.setdefault(target_arn, []).append(message)
                limit -= 1
                if limit == 0:
                    break
            for target_arn, messages in by_target.items():
                if queue.is_fifo:
                    self.fifo.move(tx, messages, self.require(target_arn), "", now)
                    self.fifo.groups.refresh(tx, queue, [message.extra.group for message in messages])
                else:
                    self.messages.move(tx, messages, self.require(target_arn), "", now)
        for target_arn, messages in by_target.items():
            self._moved(queue, self.require(target_arn), len(messages))
        return sum(map(len, by_target.values())), failure

    def next_at(self, queue: Queue, after: float = float("-inf")) -> float | None:
        """When a message may next be received, beyond ``after``."""
        return (
            self.fifo.groups.free_after(queue, after) if queue.is_fifo else self.messages.next_visible_at(queue, after)
        )

    def forget(self, queue: Queue) -> None:
        """A queue id went (purge, deletion, expiry): count anew."""
        self._in_flight.pop(queue.id, None)
        self._totals.pop(queue.id, None)

    def count(self, queue: Queue, change: int) -> None:
        """Tell the meters how many wait and for how long: counted once, then followed."""
        known = self._totals.get(queue.id)
        total = self._totals[queue.id] = self.messages.total(queue) if known is None else known + change
        oldest = self.messages.oldest(queue)
        age = self.k.clock.now() - oldest if oldest is not None else 0.0
        self.k.meters.lag(queue.arn, seconds=age, waiting=total)

    def _room(self, queue: Queue, now: float) -> int:
        """How many more may be in flight; counted only when the estimate, which never falls short, is at the limit."""
        known = self._in_flight.get(queue.id)
        if known is None or known >= queue.in_flight_max:
            known = self._in_flight[queue.id] = self.messages.in_flight(queue, now)
        if known >= queue.in_flight_max:
            raise api.OverLimit(f"Too many messages in flight: the limit is {queue.in_flight_max}.")
        return queue.in_flight_max - known

    def _letters(self, tx: Tx, queue: Queue, now: float, limit: int) -> Iterable[Message]:
        if queue.is_fifo:
            return self.fifo.gather(tx, queue, now, limit, None).taken
        return self.messages.receivable(tx, queue, now)

    def _tell(self, queue: Queue) -> None:
        """A FIFO queue changed: say that a group is free, or when one will be."""
        soonest = self.fifo.groups.free_at(queue)
        if soonest is not None and soonest <= self.k.clock.now():
            self.arrivals.announce(queue.arn)
        elif soonest is not None:
            self.arrivals.expect(queue.arn, soonest)

    def _moved(self, queue: Queue, target: Queue, moved: int) -> None:
        self.count(queue, -moved)
        self.count(target, moved)
        self.k.meters.out(queue.arn, moved, to=target.arn)
        self.k.meters.into(target.arn, moved)
        self.arrivals.announce(target.arn)


def _received(message: Message, now: float) -> Message:
    first = message.first_received if message.receives else now
    return Message(
        message.seq, message.message_id, message.body, message.md5, message.extra, message.sender, message.sent,
        message.receives + 1, first,
    )  # fmt: skip
