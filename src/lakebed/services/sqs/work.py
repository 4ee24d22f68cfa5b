"""Background work of SQS: retention, discarded messages, message move tasks, and telling subscribers of what becomes
visible by time alone."""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Tx
from lakebed.services.sqs.arrivals import VISIBILITY_TASK
from lakebed.services.sqs.exchange import Exchange
from lakebed.services.sqs.fifo import WINDOW_SECONDS
from lakebed.services.sqs.model import Move, Queue

MOVES_TASK = "sqs:moves"
_AT_ONCE = 1000
_MOVED_AT_ONCE = 500


class Retention:
    """Delete what is older than its queue keeps, and what purged and deleted queues left; bounded at each activation."""

    name = "sqs:retention"
    period = 900.0

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._k = exchange, exchange.k

    async def activate(self) -> float | None:
        """Due now again while anything was deleted."""
        now, more = self._k.clock.now(), self._discard()
        with self._k.db.tx() as tx:
            more = self._exchange.fifo.windows.forget(tx, now - WINDOW_SECONDS) or more
        for queue in self._exchange.queues.all_queues():
            oldest = self._exchange.messages.oldest(queue)
            if oldest is None or oldest > now - queue.retention_seconds:
                continue
            with self._k.db.tx() as tx:
                expire = self._exchange.fifo.expire if queue.is_fifo else self._expire
                gone = expire(tx, queue, now - queue.retention_seconds, _AT_ONCE)
            self._k.meters.drop(queue.arn, gone)
            self._exchange.count(queue, -gone)
            more = more or gone == _AT_ONCE
        return now if more else None

    def _expire(self, tx: Tx, queue: Queue, sent_before: float, limit: int) -> int:
        return self._exchange.messages.expire(tx, queue.id, sent_before, limit)

    def _discard(self) -> bool:
        queue_id = self._exchange.queues.discarded()
        if queue_id is None:
            return False
        with self._k.db.tx() as tx:
            gone = self._exchange.messages.expire(tx, queue_id, float("inf"), _AT_ONCE)
            left = self._exchange.fifo.groups.forget_queue(tx, queue_id, _AT_ONCE)
            if gone < _AT_ONCE and not left:
                self._exchange.queues.forget_discarded(tx, queue_id)
        return True


class Visibility:
    """Poke subscribers of queues where a delay or a visibility timeout ended."""

    name = VISIBILITY_TASK
    period = 600.0

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def activate(self) -> float | None:
        """Wake when the next message becomes visible."""
        exchange, now = self._exchange, self._exchange.k.clock.now()
        planned = float("inf")
        for arn in exchange.arrivals.subscribed():
            queue = exchange.find(arn)
            if queue is None:
                continue
            soonest = exchange.next_at(queue)
            if soonest is not None and soonest <= now:
                exchange.arrivals.poke(arn)
                soonest = exchange.next_at(queue, now)
            if soonest is not None:
                planned = min(planned, soonest)
        exchange.arrivals.planned = planned
        return planned if planned != float("inf") else None


class Moves:
    """Carry on every running message move task, by its rate for a second where it has one."""

    name = MOVES_TASK
    period = 3600.0

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def activate(self) -> float | None:
        """Due again at once, or in a second, while a task runs."""
        exchange, wakes = self._exchange, []
        now = exchange.k.clock.now()
        for move in exchange.moves.all_running():
            carried = self._carry_on(move)
            with exchange.k.db.tx() as tx:
                exchange.moves.put(tx, carried)
            if carried.status == "RUNNING":
                wakes.append(now + 1.0 if carried.rate else now)
        return min(wakes, default=None)

    def _carry_on(self, move: Move) -> Move:
        """One step. What was in the source at the start is moved, so a task ends even if letters keep coming back."""
        queue = self._exchange.find(move.source)
        if queue is None:
            return msgspec.structs.replace(move, status="FAILED", failure="AWS.SimpleQueueService.NonExistentQueue")
        limit = min(move.rate or _MOVED_AT_ONCE, move.to_move - move.moved)
        moved, failure = self._exchange.redrive(queue, move.destination, limit) if limit > 0 else (0, "")
        total = move.moved + moved
        if failure:
            return msgspec.structs.replace(move, moved=total, status="FAILED", failure=failure)
        if moved < limit or total >= move.to_move:
            return msgspec.structs.replace(move, moved=total, status="COMPLETED")
        return msgspec.structs.replace(move, moved=total)
