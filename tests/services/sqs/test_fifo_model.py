"""A FIFO queue against a reference that keeps plain lists, through restarts: order, windows, blocked groups, receipts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakebed.kernel.clock import ManualClock
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.services.sqs import model
from lakebed.services.sqs.attributes import DEFAULTS, FIFO_DEFAULTS
from lakebed.services.sqs.exchange import Exchange
from lakebed.services.sqs.model import Draft, Message, Queue, Sent
from tests.harness import ROOT, SCOPE, OpenIdentity, make_kernel

MAX_RECEIVES, WINDOW, RETENTION = 3, 300.0, 900
FIFO = DEFAULTS | FIFO_DEFAULTS | {"FifoQueue": "true", "MessageRetentionPeriod": str(RETENTION)}
FIFO["SqsManagedSseEnabled"] = "false"  # the reference looks at rows by their bodies
GROUPS, DEDUPLICATIONS = st.sampled_from("AAABC"), st.sampled_from("abcdefghijklmnopqr")
RECEIVE = st.tuples(
    st.just("receive"), st.integers(1, 4), st.sampled_from([0, 5, 40, 60]), st.sampled_from(["", "", "", "p"])
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), GROUPS, DEDUPLICATIONS),
        st.tuples(st.just("send"), GROUPS, DEDUPLICATIONS),
        st.tuples(st.just("send"), GROUPS, DEDUPLICATIONS),
        RECEIVE,
        RECEIVE,
        st.tuples(st.just("delete"), st.integers(-4, -1)),
        st.tuples(st.just("hide"), st.integers(-4, -1), st.sampled_from([0, 0, 20])),
        st.tuples(st.just("advance"), st.sampled_from([1, 10, 41, 41, 100, 299, 300, 901])),
        st.tuples(st.just("restart")),
    ),
    min_size=10,
    max_size=60,
)


@dataclass
class Known:
    """A message as the reference sees it."""

    body: str
    group: str
    sent: float
    visible_at: float
    receives: int = 0


class Reference:
    """The definition, slow and obvious."""

    def __init__(self) -> None:
        self.waiting: list[Known] = []
        self.dead: list[Known] = []
        self.window: dict[str, tuple[float, Sent]] = {}
        self.attempts: dict[str, tuple[float, float, list[Known]]] = {}

    def blocked(self, group: str, now: float) -> bool:
        return any(known.group == group and known.receives and known.visible_at > now for known in self.waiting)

    def next_of(self, group: str, now: float) -> list[Known]:
        return [] if self.blocked(group, now) else [known for known in self.waiting if known.group == group]


class Play:
    """One script on both."""

    def __init__(self, directory: Path, scope: str) -> None:
        self.directory, self.clock, self.reference = directory, ManualClock(), Reference()
        self.scope = scope
        self.receipts: list[tuple[Known, Message]] = []
        self.kernel: Kernel
        self.open()
        dead = Queue(SCOPE, 1, "dead.fifo", FIFO, {}, 0, 0, 0)
        redrive = f'{{"deadLetterTargetArn":"{dead.arn}","maxReceiveCount":{MAX_RECEIVES}}}'
        more = {"RedrivePolicy": redrive, "DeduplicationScope": scope}
        self.main, self.dead = Queue(SCOPE, 2, "main.fifo", FIFO | more, {}, 0, 0, 0), dead
        with self.kernel.db.tx() as tx:
            self.exchange.queues.put(tx, dead)
            self.exchange.queues.put(tx, self.main)

    def open(self) -> None:
        self.kernel = make_kernel(self.directory, self.clock)
        self.kernel.db.migrate("sqs", "lakebed.services.sqs", self.clock)
        ports = Ports()
        ports.identity = OpenIdentity()
        self.exchange = Exchange(self.kernel, ports)

    def restart(self) -> None:
        self.kernel.db.close()
        self.open()

    def send(self, number: int, group: str, deduplication: str) -> None:
        now, body = self.clock.now(), f"{number}"
        (told,) = self.exchange.send(self.main, [Draft(body, group=group, deduplication=deduplication)], ROOT)
        key = f"{group}/{deduplication}" if self.scope == "messageGroup" else deduplication
        before = self.reference.window.get(key)
        if before is not None and now - before[0] < WINDOW:
            assert told == before[1], "a duplicate is answered with the first one's ids"
            return
        assert all(told.sequence_number > sent.sequence_number for _, sent in self.reference.window.values())
        self.reference.window[key] = (now, told)
        self.reference.waiting.append(Known(body, group, now, now))

    def receive(self, limit: int, hidden: int, attempt: str) -> None:
        now, reference = self.clock.now(), self.reference
        taken = self.exchange.take(ROOT, self.main, limit, hidden, attempt)
        if self.repeated(attempt, taken, now, hidden):
            return
        reference.waiting = [
            known for known in reference.waiting if known.sent > now - RETENTION or self.still_there(known)
        ]
        by_group: dict[str, list[Message]] = {}
        for message in taken:
            by_group.setdefault(message.extra.group, []).append(message)
        unlocked = {group for group in "ABC" if not reference.blocked(group, now)}
        self.bury(unlocked, now)
        available = {group: reference.next_of(group, now) for group in unlocked}
        got: list[Known] = []
        for group, messages in by_group.items():
            assert group in unlocked, "a group is blocked while one of its messages is in flight"
            expected = [known for known in available[group] if known.sent > now - RETENTION][: len(messages)]
            assert [message.body for message in messages] == [known.body for known in expected], "order within a group"
            got += expected
            for known, message in zip(expected, messages, strict=True):
                known.receives, known.visible_at = known.receives + 1, now + hidden
                assert message.receives == known.receives <= MAX_RECEIVES
                self.receipts.append((known, message))
        fresh = sum(known.sent > now - RETENTION for group in unlocked for known in available[group])
        assert len(taken) == min(limit, fresh), "nothing that may be received is held back"
        if attempt and got:
            reference.attempts[attempt] = (now, now + hidden, got)

    def repeated(self, attempt: str, taken: list[Message], now: float, hidden: int) -> bool:
        before = self.reference.attempts.get(attempt)
        if before is None or now - before[0] >= WINDOW:
            return False
        at, visible_at, got = before
        if any(known not in self.reference.waiting or known.visible_at != visible_at for known in got):
            return False
        assert [message.body for message in taken] == [known.body for known in got], "the same set again"
        for known in got:
            known.visible_at = now + hidden
        self.reference.attempts[attempt] = (at, now + hidden, got)
        return True

    def still_there(self, known: Known) -> bool:
        return self.row(known) is not None

    def row(self, known: Known) -> int | None:
        found = self.kernel.db.one("SELECT queue_id FROM sqs_message WHERE body=?", (known.body,))
        return found["queue_id"] if found else None

    def bury(self, unlocked: set[str], now: float) -> None:
        """What went to the dead-letter queue had been received often enough, and was in a group that was free."""
        for known in list(self.reference.waiting):
            if self.row(known) == self.dead.id:
                assert known.receives == MAX_RECEIVES
                assert known.group in unlocked
                self.reference.waiting.remove(known)
                self.reference.dead.append(known)

    def change(self, at: int, seconds: int | None) -> None:
        """Delete (None) or hide by one of all receipts."""
        if not self.receipts:
            return
        known, message = self.receipts[at % len(self.receipts)]
        now, handle = self.clock.now(), model.receipt_handle(self.main, message)
        current = known in self.reference.waiting and known.receives == message.receives and known.visible_at > now
        gone = known not in self.reference.waiting
        if seconds is None:
            if current or gone:
                self.exchange.delete(self.main, handle)
                if current:
                    self.reference.waiting.remove(known)
                return
            with pytest.raises(AwsError, match="expired"):
                self.exchange.delete(self.main, handle)
        elif current:
            self.exchange.hide(self.main, handle, seconds)
            known.visible_at = now + seconds
        else:
            with pytest.raises(AwsError):
                self.exchange.hide(self.main, handle, seconds)

    def check(self) -> None:
        now = self.clock.now()
        _, in_flight, delayed = self.exchange.messages.counts(self.main, now)
        assert in_flight == sum(known.visible_at > now and known.receives > 0 for known in self.reference.waiting)
        assert delayed == 0
        left = self.kernel.db.all(
            "SELECT body, message_group FROM sqs_message WHERE queue_id=? ORDER BY seq", (self.dead.id,)
        )
        for group in "ABC":
            bodies = [int(row["body"]) for row in left if row["message_group"] == group]
            buried = [int(known.body) for known in self.reference.dead if known.group == group]
            assert bodies == buried, "dead letters keep their order"


@settings(max_examples=100, deadline=None)
@given(steps, st.sampled_from(["queue", "messageGroup"]))
@example(
    [("send", "A", "a"), ("send", "A", "b"), ("receive", 2, 40, ""), ("hide", -2, 0), ("receive", 1, 0, "")], "queue"
)
@example(
    [("send", "A", "a"), ("send", "A", "b")]
    + [("receive", 2, 40, "p"), ("restart",)] * 2
    + [("delete", -1)]
    + [("receive", 2, 40, "p"), ("advance", 41)] * 2,
    "queue",
)
@example(
    [("send", "A", "a"), ("send", "A", "b"), ("send", "B", "a")]
    + [("receive", 1, 5, ""), ("advance", 10)] * 4
    + [("restart",), ("receive", 4, 5, ""), ("advance", 901), ("receive", 4, 5, "")],
    "messageGroup",
)
def test_order_windows_and_blocked_groups(script: list[tuple[object, ...]], scope: str) -> None:
    async def run(directory: Path) -> None:
        play = Play(directory, scope)
        for number, (kind, *values) in enumerate(script):
            match kind, *values:
                case "send", str(group), str(deduplication):
                    play.send(number, group, deduplication)
                case "receive", int(limit), int(hidden), str(attempt):
                    play.receive(limit, hidden, attempt)
                case "delete", int(at):
                    play.change(at, None)
                case "hide", int(at), int(seconds):
                    play.change(at, seconds)
                case "advance", int(seconds):
                    await play.clock.advance(float(seconds))
                case _:
                    play.restart()
            play.check()
        play.kernel.db.close()

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))
