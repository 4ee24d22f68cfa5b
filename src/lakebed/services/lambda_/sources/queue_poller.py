"""The task of one SQS mapping.

Messages are received as the function's role, gathered up to the batch size or for the batching window, and handed over;
several batches may be with the function at the same time (a FIFO queue keeps its groups in order itself, by hiding a group
while a message of it is out). They are deleted only after the function succeeded; otherwise the visibility timeout brings
them back, and the queue's redrive policy counts. What is gathered and not yet handed over lives in memory only: after a
crash it becomes visible again.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.queues import QueueMessage
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.names import Reference, function_arn
from lakebed.services.lambda_.recursion import furthest
from lakebed.services.lambda_.sources import events, filters
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.store import MappingStore

_PROBLEM_SECONDS = 10.0
_THROTTLED_SECONDS = 1


@dataclass(frozen=True, slots=True)
class _Held:
    message: QueueMessage
    encoded: bytes


class QueuePoller:
    """A kernel Task; ``stop`` ends the batches under way."""

    period = 20.0

    def __init__(
        self, kernel: Kernel, ports: Ports, invoker: Invoker, store: MappingStore, of: tuple[Scope, Mapping]
    ) -> None:
        self.k, self.p, self.invoker, self.store = kernel, ports, invoker, store
        self.scope, mapping = of
        self.uuid, self.name = mapping.uuid, mapping.task
        self._held: list[_Held] = []
        self._window_ends = 0.0
        self._running: set[asyncio.Task[None]] = set()

    async def activate(self) -> float | None:
        """Receive what there is room for; woken by the queue, the window's end, or a batch that has ended."""
        mapping = self.store.get(self.scope, self.uuid)
        if mapping is None or not mapping.enabled:
            self._release()
            return None
        try:
            return self._gather(mapping)
        except AwsError as failure:
            self._result(f"PROBLEM: {failure.error_code}: {failure.message}")
            return self.k.clock.now() + _PROBLEM_SECONDS

    @property
    def busy(self) -> bool:
        """Whether batches are under way."""
        return bool(self._running)

    async def stop(self) -> None:
        """End the batches under way; their messages come back after the visibility timeout."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _gather(self, mapping: Mapping) -> float | None:
        named = Reference(self.scope, mapping.function, mapping.qualifier or None)
        version = self.invoker.resolve(named)
        role = self.invoker.role_session(version, mapping.function)
        while len(self._running) < self._parallel(mapping):
            now = self.k.clock.now()
            room = mapping.batch_size - len(self._held)
            got = self.p.queues.receive(role, mapping.source, room) if room > 0 else []
            wanted = self._wanted(mapping, role, got)
            if wanted and not self._held:
                self._window_ends = now + mapping.window
            self._held += [_Held(message, events.queue_record(mapping.source, message)) for message in wanted]
            if got and not wanted:
                return now  # all of them were filtered out: let others run, then look again
            if not self._held:
                break
            count = events.fitting([len(held.encoded) for held in self._held])
            if len(self._held) < mapping.batch_size and count == len(self._held) and now < self._window_ends:
                break
            batch, self._held = self._held[:count], self._held[count:]
            if self._held and mapping.source.endswith(".fifo"):
                self._give_back(mapping, self._held, 0)  # a group's later part waits until its first part is done
                self._held = []
            self._window_ends = now
            self._start(mapping, role, batch)
        return self._wake(mapping)

    def _wanted(self, mapping: Mapping, role: Principal, got: Sequence[QueueMessage]) -> list[QueueMessage]:
        """The messages that pass the mapping's filters; the others are deleted, as AWS does."""
        counted(self.p, self.scope, mapping, "PolledEventCount", len(got))
        if not mapping.filters:
            return list(got)
        wanted = [message for message in got if filters.passes_message(mapping.filters, message)]
        if len(wanted) < len(got):
            kept = {message.receipt_handle for message in wanted}
            dropped = [message.receipt_handle for message in got if message.receipt_handle not in kept]
            self.p.queues.delete(role, mapping.source, dropped)
            self.k.meters.drop(function_arn(self.scope, mapping.function), len(dropped))
            counted(self.p, self.scope, mapping, "FilteredOutEventCount", len(dropped))
        return wanted

    def _wake(self, mapping: Mapping) -> float | None:
        if len(self._running) >= self._parallel(mapping):
            return None
        now = self.k.clock.now()
        visible = self.p.queues.next_visible_at(mapping.source)
        due = [max(visible, now + 1.0)] if visible is not None else []
        return min([*due, self._window_ends] if self._held else due, default=None)

    def _parallel(self, mapping: Mapping) -> int:
        limits = [self.invoker.settings.batches_parallel]
        if mapping.concurrency is not None:
            limits.append(mapping.concurrency)
        row = self.invoker.store.function(self.scope, mapping.function)
        if row is not None and row.reserved_concurrency is not None:
            limits.append(row.reserved_concurrency)
        return min(limits)

    def _start(self, mapping: Mapping, role: Principal, batch: Sequence[_Held]) -> None:
        task = asyncio.create_task(self._run(mapping, role, batch), name=f"{self.name}:batch")
        self._running.add(task)

        def ended(finished: asyncio.Task[None]) -> None:
            self._running.discard(finished)
            if not finished.cancelled() and (failure := finished.exception()) is not None:
                self.k.log.error("batch broke", mapping=self.uuid, exc=failure)
            self.k.tasks.poke(self.name)

        task.add_done_callback(ended)

    async def _run(self, mapping: Mapping, role: Principal, batch: Sequence[_Held]) -> None:
        with self.k.clock.working():
            named = Reference(self.scope, mapping.function, mapping.qualifier or None)
            payload = events.event([held.encoded for held in batch])
            self.k.meters.link(mapping.source, function_arn(self.scope, mapping.function), len(batch))
            counted(self.p, self.scope, mapping, "InvokedEventCount", len(batch))
            trace = furthest(held.message.attributes.get("AWSTraceHeader", "") for held in batch)
            event = Event(payload, self.k.ids.uuid(), records=len(batch), trace=trace)
            try:
                came = await self.invoker.run(named, self.invoker.resolve(named), event)
                failed = self._failed(mapping, came.error, came.payload, batch)
                done = [held.message.receipt_handle for held in batch if held.message.message_id not in failed]
                counted(self.p, self.scope, mapping, "DeletedEventCount", len(done))
                counted(self.p, self.scope, mapping, "FailedInvokeEventCount", len(failed))
                if done:
                    self.p.queues.delete(role, mapping.source, done)
                self._result("PROBLEM: Function call failed" if failed else "OK")
            except AwsError as failure:
                if failure.error_code == "TooManyRequestsException":
                    self._give_back(mapping, batch, _THROTTLED_SECONDS)
                self._result(f"PROBLEM: {failure.error_code}: {failure.message}")

    def _failed(self, mapping: Mapping, error: str | None, payload: bytes, batch: Sequence[_Held]) -> set[str]:
        everything = [held.message.message_id for held in batch]
        if error:
            return set(everything)
        if not mapping.report_failures:
            return set()
        failed = events.failed_items(payload, everything)
        return set(everything if failed is None else failed)

    def _release(self) -> None:
        """A disabled or deleted mapping gives back what it had gathered."""
        mapping = self.store.get(self.scope, self.uuid)
        if self._held and mapping is not None:
            self._give_back(mapping, self._held, 0)
        self._held = []

    def _give_back(self, mapping: Mapping, batch: Sequence[_Held], delay: int) -> None:
        try:
            self.p.queues.release(mapping.source, [held.message.receipt_handle for held in batch], delay_seconds=delay)
        except AwsError as failure:
            self.k.log.info("messages not given back", mapping=self.uuid, reason=failure.error_code)

    def _result(self, text: str) -> None:
        record_result(self.store, self.scope, self.uuid, text)


def counted(ports: Ports, scope: Scope, mapping: Mapping, name: str, count: int) -> None:
    """The mapping's own metrics, where it has them switched on.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html (event source mapping metrics)
    """
    if mapping.counted and count:
        of = {"EventSourceMappingUUID": mapping.uuid}
        ports.metrics.put(scope, "AWS/Lambda", [(name, of, float(count), "Count")])


def record_result(store: MappingStore, scope: Scope, uuid: str, text: str) -> None:
    """LastProcessingResult, written where it changed."""
    with store.db.tx() as tx:
        mapping = store.get(scope, uuid)
        if mapping is not None and mapping.result != text[:500]:
            store.put(tx, scope, msgspec.structs.replace(mapping, result=text[:500]))
