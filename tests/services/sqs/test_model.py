"""The queue against a reference that keeps a list and looks at every message (the definition, slow and obvious)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.clock import ManualClock
from lakebed.ports.house import Ports
from lakebed.services.sqs import model
from lakebed.services.sqs.attributes import DEFAULTS
from lakebed.services.sqs.exchange import Exchange
from lakebed.services.sqs.model import Draft, Message, Queue
from tests.harness import ROOT, SCOPE, OpenIdentity, make_kernel

PLAIN = DEFAULTS | {"SqsManagedSseEnabled": "false"}  # the reference looks at rows by their bodies

MAX_RECEIVES = 2


@dataclass
class Expected:
    body: str
    visible_at: float
    receives: int = 0
    queue: str = "main"
    receipt: int = -1  # which of all receipts is its latest


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 20)),
        st.tuples(st.just("receive"), st.integers(1, 4), st.integers(0, 30)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("release"), st.integers(0, 30)),
        st.tuples(st.just("advance"), st.integers(1, 25)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_visibility_delay_redrive_and_receive_counts(script: list[tuple[object, ...]]) -> None:
    with TemporaryDirectory() as directory:
        asyncio.run(check_against_reference(Path(directory), script))


async def check_against_reference(directory: Path, script: list[tuple[object, ...]]) -> None:
    clock, ports = ManualClock(), Ports()
    kernel = make_kernel(directory, clock)
    kernel.db.migrate("sqs", "lakebed.services.sqs", clock)
    ports.identity = OpenIdentity()
    exchange = Exchange(kernel, ports)
    dead = Queue(SCOPE, 1, "dead", PLAIN, {}, 0, 0, 0)
    redrive = f'{{"deadLetterTargetArn":"{dead.arn}","maxReceiveCount":{MAX_RECEIVES}}}'
    main = Queue(SCOPE, 2, "main", PLAIN | {"RedrivePolicy": redrive}, {}, 0, 0, 0)
    with kernel.db.tx() as tx:
        exchange.queues.put(tx, dead)
        exchange.queues.put(tx, main)
    expected: list[Expected] = []
    receipts: list[tuple[Expected, Message]] = []
    for number, (kind, *values) in enumerate(script):
        now = clock.now()
        if kind == "send":
            exchange.send(main, [Draft(f"{number}", values[0])], ROOT)  # type: ignore[arg-type]
            expected.append(Expected(f"{number}", now + values[0]))  # type: ignore[operator]
        elif kind == "receive":
            limit, hidden = values
            taken = exchange.take(ROOT, main, limit, hidden)  # type: ignore[arg-type]
            ready = [message for message in expected if message.queue == "main" and message.visible_at <= now]
            alive = [message for message in ready if message.receives < MAX_RECEIVES]
            assert len(taken) == min(limit, len(alive))  # type: ignore[call-overload]
            for message in taken:
                wanted = next(known for known in alive if known.body == message.body)
                wanted.receives, wanted.visible_at = wanted.receives + 1, now + hidden  # type: ignore[operator]
                assert message.receives == wanted.receives
                wanted.receipt = len(receipts)
                receipts.append((wanted, message))
            for message in ready:
                row = kernel.db.one("SELECT queue_id FROM sqs_message WHERE body=?", (message.body,))
                if row is not None and row["queue_id"] == dead.id:
                    assert message.receives == MAX_RECEIVES
                    message.queue, message.visible_at, message.receives = "dead", now, 0
            if len(taken) < limit:  # type: ignore[operator]
                assert not [
                    m
                    for m in ready
                    if m.queue == "main" and m.receives >= MAX_RECEIVES and m.visible_at <= now and m.receipt < 0
                ]
        elif receipts and kind in ("delete", "release"):
            at = int(values[0]) % len(receipts)  # type: ignore[call-overload]
            wanted, message = receipts[at]
            latest = wanted.receipt == at and wanted in expected and wanted.queue == "main"
            if kind == "delete":
                exchange.delete(main, model.receipt_handle(main, message))
                if latest:
                    expected.remove(wanted)
            elif latest and wanted.visible_at > now:
                exchange.hide(main, model.receipt_handle(main, message), 0)
                wanted.visible_at = now
        elif kind == "advance":
            await clock.advance(float(values[0]))  # type: ignore[arg-type]
        now = clock.now()
        for queue in (main, dead):
            mine = [message for message in expected if message.queue == queue.name]
            assert exchange.messages.counts(queue, now) == (
                sum(message.visible_at <= now for message in mine),
                sum(message.visible_at > now and message.receives > 0 for message in mine),
                sum(message.visible_at > now and message.receives == 0 for message in mine),
            )
    kernel.db.close()
