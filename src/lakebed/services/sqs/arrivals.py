"""Who waits for messages: long polls inside a request, and tasks of other services (Lambda's event source mappings).

Nothing polls. A commit that makes a message receivable announces the queue; what becomes receivable only later (a delay,
a visibility timeout) is watched by the ``sqs:visibility`` task for subscribed queues and by the waiting poll itself.
"""

from __future__ import annotations

import asyncio

from lakebed.kernel.clock import Clock
from lakebed.kernel.tasks import Tasks

VISIBILITY_TASK = "sqs:visibility"


class Arrivals:
    """Waiting polls and subscribed tasks by queue ARN; in memory, bounded by connections and mappings."""

    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self._clock, self._tasks = clock, tasks
        self._polls: dict[str, asyncio.Event] = {}
        self._subscribers: dict[str, set[str]] = {}
        self.planned = float("inf")

    def announce(self, arn: str) -> None:
        """Something is receivable, or the queue is gone."""
        self._look_again(arn)
        self.poke(arn)

    def poke(self, arn: str) -> None:
        """Only the subscribed tasks."""
        for task in self._subscribers.get(arn, ()):
            self._tasks.poke(task)

    def expect(self, arn: str, visible_at: float) -> None:
        """Something will be receivable at ``visible_at``: waiting polls plan anew, subscribers are poked then."""
        self._look_again(arn)
        if arn in self._subscribers and visible_at < self.planned:
            self._tasks.poke(VISIBILITY_TASK)

    def _look_again(self, arn: str) -> None:
        if (event := self._polls.pop(arn, None)) is not None:
            event.set()

    async def wait(self, arn: str, until: float) -> None:
        """Return when the queue is announced or ``until`` has come."""
        event = self._polls.setdefault(arn, asyncio.Event())
        sleeper = asyncio.ensure_future(self._clock.sleep_until(until))
        announced = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((sleeper, announced), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            announced.cancel()

    def subscribe(self, arn: str, task: str) -> None:
        """Poke ``task`` from now on, and once now: there may be messages already."""
        self._subscribers.setdefault(arn, set()).add(task)
        self._tasks.poke(VISIBILITY_TASK)

    def unsubscribe(self, arn: str, task: str) -> None:
        """Stop poking ``task``."""
        tasks = self._subscribers.get(arn, set())
        tasks.discard(task)
        if not tasks:
            self._subscribers.pop(arn, None)

    def subscribed(self) -> list[str]:
        """Queues some task waits for."""
        return list(self._subscribers)
