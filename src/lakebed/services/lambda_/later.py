"""Asynchronous invocations: a durable queue, retried by AWS's rules, with a dead letter or a destination at the end.

An invocation is a row until it came to its end, so that it survives kill -9 (at least once: a crash in the middle runs it
again). Function errors are retried twice, after one and two minutes; throttles and our own errors with growing pauses up
to five minutes, for as long as the event's age allows.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lakebed.api.lambda_ import RecursiveInvocationException, TooManyRequestsException
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.runtime import Execution
from lakebed.services.lambda_.destinations import Destinations, Notice
from lakebed.services.lambda_.invoking import Event, Invoker
from lakebed.services.lambda_.model import FunctionVersion
from lakebed.services.lambda_.names import LATEST, Reference, function_arn
from lakebed.services.lambda_.queue_store import Later, QueueStore
from lakebed.services.lambda_.store import LaterConfig
from lakebed.wire.aws.scalars import write_iso_millis

RETRIES, AGE_SECONDS = 2, 21_600
_RETRY_SECONDS = (60.0, 120.0)
_PAUSE_SECONDS_MAX = 300.0
TASK = "lambda:later"


class LaterQueue:
    """Takes asynchronous invocations in."""

    def __init__(self, kernel: Kernel, ports: Ports, store: QueueStore, limit: int) -> None:
        self.k, self.p, self.store, self._limit = kernel, ports, store, limit

    def add(
        self, named: Reference, payload: bytes, client_context: str = "", *, request_id: str = "", trace: str = ""
    ) -> str:
        """Durable when this returns; the request id."""
        if self.store.waiting(named.scope) >= self._limit:
            raise TooManyRequestsException("Too many asynchronous invocations are waiting.", members={"Type": "User"})
        now = self.k.clock.now()
        later = Later(
            named.scope,
            request_id or self.k.ids.uuid(),
            named.name,
            named.qualifier or "",
            now,
            now,
            0,
            0,
            payload,
            client_context,
            trace,
        )
        with self.k.db.tx() as tx:
            self.store.add(tx, later)
            tx.after_commit(lambda: self.k.tasks.poke(TASK))
        _publish(self.p, later, ("AsyncEventsReceived", 1.0, "Count"))
        return later.id


class LaterTask:
    """Runs what is due, a bounded number at the same time."""

    name = TASK
    period = 60.0

    def __init__(self, kernel: Kernel, ports: Ports, invoker: Invoker, queue: LaterQueue) -> None:
        self.k, self.p, self.invoker, self.queue = kernel, ports, invoker, queue
        self.destinations = Destinations(kernel, ports)
        self._running: dict[tuple[str, str, str], asyncio.Task[None]] = {}

    async def activate(self) -> float | None:
        """Start what is due and fits; woken at the next due time, or when one has ended."""
        parallel, now = self.invoker.settings.later_parallel, self.k.clock.now()
        for account, region, later_id, due in self.queue.store.due_heads(4 * parallel):
            if (account, region, later_id) in self._running:
                continue
            if due > now:
                return due
            if len(self._running) >= parallel:
                return None
            later = self.queue.store.get(Scope(account, region), later_id)
            if later is not None:
                self._start(later)
        return None

    async def stop(self) -> None:
        """Give up what runs; the rows stay for the next boot."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, later: Later) -> None:
        key = (later.scope.account, later.scope.region, later.id)
        task = self._running[key] = asyncio.create_task(self._attempt(later), name=f"lambda-later:{later.id}")

        def ended(finished: asyncio.Task[None]) -> None:
            self._running.pop(key, None)
            if not finished.cancelled() and (failure := finished.exception()) is not None:
                self.k.log.error("asynchronous invocation broke", function=later.function, exc=failure)
                return  # the row stays and the period tries it again
            self.k.tasks.poke(TASK)

        task.add_done_callback(ended)

    async def _attempt(self, later: Later) -> None:
        with self.k.clock.working():
            named = Reference(later.scope, later.function, later.qualifier or None)
            config = self._config(later)
            try:
                version = self.invoker.resolve(named)
            except AwsError:
                self._end(later)  # the function is gone
                _publish(self.p, later, ("AsyncEventsDropped", 1.0, "Count"))
                return
            age = config.age_seconds if config.age_seconds is not None else AGE_SECONDS
            if self.k.clock.now() - later.queued_at >= age:
                await self._gave_up(later, version, "EventAgeExceeded", None)
                return
            context = json.loads(later.client_context) if later.client_context else None
            try:
                came = await self.invoker.run(
                    named, version, Event(later.payload, later.id, context, trace=later.trace)
                )
            except RecursiveInvocationException:
                await self._gave_up(later, version, "RecursiveInvocation", None)
                return
            except AwsError as failure:
                self.k.log.info("asynchronous invocation waits", function=later.function, reason=failure.error_code)
                pause = min(2.0 ** min(later.throttles, 10), _PAUSE_SECONDS_MAX)
                self._postpone(later, pause, later.attempts, later.throttles + 1)
                return
            await self._after(later, version, config, came)

    async def _after(self, later: Later, version: FunctionVersion, config: LaterConfig, came: Execution) -> None:
        retries = config.retries if config.retries is not None else RETRIES
        if came.error and later.attempts < retries:
            pause = _RETRY_SECONDS[min(later.attempts, len(_RETRY_SECONDS) - 1)]
            self._postpone(later, pause, later.attempts + 1, 0)
            return
        if came.error:
            await self._gave_up(later, version, "RetriesExhausted", came)
            return
        age = self.k.clock.now() - later.queued_at
        _publish(self.p, later, ("AsyncEventAge", age * 1000, "Milliseconds"))
        if config.on_success:
            record = self._record(later, version, "Success", came)
            await self._tell(later, version, config.on_success, self._notice(later, record, succeeded=True))
        self._end(later)

    async def _gave_up(self, later: Later, version: FunctionVersion, why: str, came: Execution | None) -> None:
        self.k.log.warning("asynchronous invocation failed", function=later.function, reason=why)
        target = self._config(later).on_failure
        if target:
            record = self._record(later, version, why, came)
            if not await self._tell(later, version, target, self._notice(later, record)):
                _publish(self.p, later, ("DestinationDeliveryFailures", 1.0, "Count"))
        if version.dead_letter and not await self._tell(later, version, version.dead_letter, self._dead(later, came)):
            _publish(self.p, later, ("DeadLetterErrors", 1.0, "Count"))
        if not target and not version.dead_letter:
            _publish(self.p, later, ("AsyncEventsDropped", 1.0, "Count"))
        self.k.meters.drop(function_arn(later.scope, later.function))
        self._end(later)

    async def _tell(self, later: Later, version: FunctionVersion, target: str, notice: Notice) -> bool:
        """Send as the function's role."""
        try:
            role: Principal = self.invoker.role_session(version, later.function)
        except AwsError as failure:
            self.k.log.warning("destination failed", function=later.function, target=target, exc=failure)
            return False
        return await self.destinations.try_to(role, target, notice)

    def _notice(self, later: Later, record: str, *, succeeded: bool = False) -> Notice:
        arn = function_arn(later.scope, later.function, later.qualifier or LATEST)
        return Notice(
            record, later.scope, arn, succeeded=succeeded, folder=f"async/{later.function}", trace=later.trace
        )

    def _dead(self, later: Later, came: Execution | None) -> Notice:
        """The event as it came, with why it died beside it."""
        attributes = {"RequestID": ("String", later.id)}
        if came is not None:
            told = _document(came.payload)
            message = str(told.get("errorMessage", "")) if isinstance(told, dict) else ""
            attributes["ErrorCode"] = ("Number", "200")
            attributes["ErrorMessage"] = ("String", message[:1024] or "Unhandled")
        text = later.payload.decode("utf-8", "replace")
        return Notice(text, later.scope, function_arn(later.scope, later.function), attributes=attributes)

    def _record(self, later: Later, version: FunctionVersion, condition: str, came: Execution | None) -> str:
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": write_iso_millis(self.k.clock.now()),
            "requestContext": {
                "requestId": later.id,
                "functionArn": function_arn(later.scope, later.function, later.qualifier or LATEST),
                "condition": condition,
                "approximateInvokeCount": later.attempts + (1 if came else 0),
            },
            "requestPayload": _document(later.payload),
        }
        if came is not None:
            record["responseContext"] = {"statusCode": 200, "executedVersion": version.version}
            if came.error:
                record["responseContext"]["functionError"] = came.error
            record["responsePayload"] = _document(came.payload)
        return json.dumps(record)

    def _config(self, later: Later) -> LaterConfig:
        return self.invoker.store.later_config(later.scope, later.function, later.qualifier or LATEST) or LaterConfig(
            0.0
        )

    def _postpone(self, later: Later, pause: float, attempts: int, throttles: int) -> None:
        with self.k.db.tx() as tx:
            self.queue.store.postpone(tx, later, self.k.clock.now() + pause, attempts, throttles)

    def _end(self, later: Later) -> None:
        with self.k.db.tx() as tx:
            self.queue.store.remove(tx, later)


def _publish(ports: Ports, later: Later, point: tuple[str, float, str]) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html (asynchronous invocation metrics)"""
    name, value, unit = point
    ports.metrics.put(later.scope, "AWS/Lambda", [(name, {"FunctionName": later.function}, value, unit)])


def _document(payload: bytes) -> Any:
    """A payload as JSON; as text where it is none."""
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
