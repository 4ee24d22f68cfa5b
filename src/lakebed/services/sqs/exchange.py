"""What happens to messages: sending, receiving with redrive, deleting, hiding. The API and the port both come here.

Receiving is at-least-once: a message is handed out, hidden for the visibility timeout, and handed out again unless the
latest receipt deleted it. A message that was received ``maxReceiveCount`` times goes to the dead-letter queue at the next
attempt to receive it.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.api import sqs as api
from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.sqs import model
from lakebed.services.sqs.arrivals import Arrivals
from lakebed.services.sqs.attributes import parameter_error
from lakebed.services.sqs.digest import md5_of_body
from lakebed.services.sqs.model import Draft, Message, Queue, Stored
from lakebed.services.sqs.store import MessageStore, MoveStore, QueueStore

_DEAD_LETTERS_AT_ONCE = 1000


class Exchange:
    """All queues of the house."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k, self.p = k, p
        self.queues = QueueStore(k.db)
        self.messages = MessageStore(k.db)
        self.moves = MoveStore(k.db)
        self.arrivals = Arrivals(k.clock, k.tasks)
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

    def send(self, queue: Queue, drafts: Sequence[Draft], sender: str) -> list[str]:
        """Store messages, durable when this returns; their ids."""
        now, rows, default_delay = self.k.clock.now(), [], int(queue.attributes["DelaySeconds"])
        soonest = float("inf")
        for draft in drafts:
            visible_at = now + (default_delay if draft.delay is None else draft.delay)
            soonest = min(soonest, visible_at)
            trace = draft.system.get("AWSTraceHeader", {}).get("StringValue", "")
            stored = Stored(draft.attributes, trace, draft.group)
            rows.append((self.k.ids.uuid(), draft.body, md5_of_body(draft.body), stored, sender, now, visible_at))
        with self.k.db.tx() as tx:
            self.messages.insert(tx, queue, rows)
        self.k.meters.into(queue.arn, len(drafts), sum(map(model.size_of, drafts)))
        self.count(queue, len(drafts))
        if soonest <= now:
            self.arrivals.announce(queue.arn)
        else:
            self.arrivals.expect(queue.arn, soonest)
        return [row[0] for row in rows]

    def take(self, queue: Queue, limit: int, visibility_seconds: float) -> list[Message]:
        """Receive up to ``limit`` messages and hide them; OverLimit when too many are in flight."""
        now = self.k.clock.now()
        limit = min(limit, self._room(queue, now))
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
            if dead and target is not None:
                self.messages.move(tx, dead, target, queue.arn, now)
        if dead and target is not None:
            self._moved(queue, target, len(dead))
        if taken:
            self._in_flight[queue.id] = self._in_flight.get(queue.id, 0) + len(taken)
            self.arrivals.expect(queue.arn, now + visibility_seconds)
        return [_received(message, now) for message in taken]

    def delete(self, queue: Queue, handle: str) -> None:
        """Delete by the latest receipt; an older one, or one of a message that is gone, succeeds without effect."""
        seq, receives, _ = model.read_receipt(queue, handle)
        with self.k.db.tx() as tx:
            deleted = self.messages.delete(tx, queue, seq, receives)
        if deleted:
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
        if visible_at <= self.k.clock.now():
            self.arrivals.announce(queue.arn)
        else:
            self.arrivals.expect(queue.arn, visible_at)

    def redrive(self, queue: Queue, destination: str | None, limit: int) -> tuple[int, str]:
        """Move up to ``limit`` dead letters to ``destination``, or each to where it came from: (how many, what failed)."""
        now, failure = self.k.clock.now(), ""
        by_target: dict[str, list[Message]] = {}
        with self.k.db.tx() as tx:
            for message in self.messages.receivable(tx, queue, now):
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
                self.messages.move(tx, messages, self.require(target_arn), "", now)
        for target_arn, messages in by_target.items():
            self._moved(queue, self.require(target_arn), len(messages))
        return sum(map(len, by_target.values())), failure

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
        if known is None or known >= model.IN_FLIGHT_MAX:
            known = self._in_flight[queue.id] = self.messages.in_flight(queue, now)
        if known >= model.IN_FLIGHT_MAX:
            raise api.OverLimit(f"Too many messages in flight: the limit is {model.IN_FLIGHT_MAX}.")
        return model.IN_FLIGHT_MAX - known

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
