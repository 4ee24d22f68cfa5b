"""What devices ask of the Jobs service, over MQTT and ``iot-jobs-data``, and what they are told unasked.

https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-api.html: ``notify`` when executions join or leave a
thing's pending list, ``notify-next`` when another one is the next. Everybody who changes executions does so inside
``changing``, which compares before and after.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import DeviceIdentity, PublishedMessage
from lakebed.services.iot.jobs import model
from lakebed.services.iot.jobs.model import Execution, Job
from lakebed.services.iot.jobs.store import JobStore
from lakebed.services.iot.rules import RuleEngine

TASK = "iot:jobs"
_DETAILS_MAX, _DETAIL_MAX = 10, 1024
_STEP_MAX = 10_080
_LISTED = 15


class JobError(Exception):
    """A refused request: the code of the MQTT API, the message, and the state where that is told."""

    def __init__(self, code: str, message: str, state: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.state = code, message, state


class JobKeeper:
    """See the module."""

    def __init__(self, k: Kernel, store: JobStore, engine: RuleEngine) -> None:
        self.k, self.store, self._engine = k, store, engine

    # Requests of a device

    def pending(self, scope: Scope, thing: str) -> dict[str, Any]:
        """GetPendingJobExecutions."""
        found = self.store.on_thing(scope, thing, model.OPEN)
        return {
            "inProgressJobs": [one.summary() for one in found if one.status == model.IN_PROGRESS][:_LISTED],
            "queuedJobs": [one.summary() for one in found if one.status == model.QUEUED][:_LISTED],
        }

    async def start_next(self, scope: Scope, thing: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """StartNextPendingJobExecution: what is in progress already, or the first of the queue, now in progress."""
        now = self.k.clock.now()
        details, step = _details(asked), _step(asked)
        async with self.changing(scope, [thing]) as tx_of:
            with tx_of() as tx:
                found = self.store.on_thing(scope, thing, model.OPEN, 1)
                if not found:
                    return {}
                job = self._job(found[0])
                one = found[0]
                if one.status == model.QUEUED:
                    one = model.begun(one.to(model.IN_PROGRESS, now, details), job, now, step)
                    self.store.put_execution(tx, one)
        self.k.tasks.poke(TASK)
        return {"execution": {**one.whole(now), "jobDocument": job.config["document"]}}

    def describe(self, scope: Scope, thing: str, job_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeJobExecution of the data plane; ``$next`` is the next pending one."""
        one = self._find(scope, thing, job_id, asked.get("executionNumber"))
        if one is None:
            return {}
        if one.status in model.TERMINAL and job_id != "$next" and asked.get("executionNumber") is None:
            raise JobError("TerminalStateReached", f"The job execution is in the terminal state {one.status}.")
        told = one.whole(self.k.clock.now())
        if asked.get("includeJobDocument", True):
            told["jobDocument"] = self._job(one).config["document"]
        return {"execution": told}

    async def update(self, scope: Scope, thing: str, job_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateJobExecution."""
        status, now = asked.get("status"), self.k.clock.now()
        if status not in model.REPORTED:
            raise JobError("InvalidRequest", f"status must be one of {', '.join(model.REPORTED)}.")
        details, step = _details(asked), _step(asked)
        async with self.changing(scope, [thing]) as tx_of:
            with tx_of() as tx:
                one = self._find(scope, thing, job_id, asked.get("executionNumber"))
                if one is None:
                    raise JobError("ResourceNotFound", "There is no pending job execution.")
                self._check(one, asked.get("expectedVersion"))
                job = self._job(one)
                one = one.to(str(status), now, details)
                if status == model.IN_PROGRESS:
                    one = model.begun(one, job, now, step)
                self.store.put_execution(tx, one)
                self.ended(tx, job, one)
        self.k.tasks.poke(TASK)
        told: dict[str, Any] = {}
        if asked.get("includeJobExecutionState"):
            told["executionState"] = _state(one)
        if asked.get("includeJobDocument"):
            told["jobDocument"] = job.config["document"]
        return told

    def ended(self, tx: Tx, job: Job, one: Execution) -> None:
        """Queue another attempt of an execution that failed, where the job wants one."""
        if one.attempt < model.retries(job.config, one.status):
            again = one._replace(
                number=one.number + 1, status=model.QUEUED, details={}, queued=one.modified, started=None, version=1,
                attempt=one.attempt + 1, total_deadline=None, step_deadline=None,
            )  # fmt: skip
            self.store.put_execution(tx, again)

    def _find(self, scope: Scope, thing: str, job_id: str, number: int | None) -> Execution | None:
        if job_id == "$next":
            found = self.store.on_thing(scope, thing, model.OPEN, 1)
            return found[0] if found else None
        one = self.store.execution(scope, job_id, thing, number)
        if one is None:
            raise JobError("ResourceNotFound", f"Job execution of {job_id} on {thing} does not exist.")
        return one

    def _job(self, one: Execution) -> Job:
        job = self.store.job(one.scope, one.job)
        assert job is not None, "an execution has its job"
        return job

    @staticmethod
    def _check(one: Execution, expected: int | None) -> None:
        if expected is not None and expected != one.version:
            raise JobError("VersionMismatch", f"The version of the job execution is {one.version}.", _state(one))
        if one.status in model.TERMINAL:
            message = f"A job execution can not leave the state {one.status}."
            raise JobError("InvalidStateTransition", message, _state(one))

    # What devices are told

    @asynccontextmanager
    async def changing(self, scope: Scope, things: Iterable[str]) -> AsyncIterator[Any]:
        """Transactions inside may change executions of ``things``; afterwards those concerned are told."""
        names = list(dict.fromkeys(things))
        before = {thing: self._view(scope, thing) for thing in names}
        yield self.k.db.tx
        for thing in names:
            pending, following = self._view(scope, thing)
            if pending != before[thing][0]:
                await self._notify(scope, thing)
            if following != before[thing][1]:
                await self._notify_next(scope, thing)

    def _view(self, scope: Scope, thing: str) -> tuple[frozenset[tuple[str, int]], tuple[str, int] | None]:
        found = [(one.job, one.number) for one in self.store.on_thing(scope, thing, model.OPEN)]
        return frozenset(found), found[0] if found else None

    async def _notify(self, scope: Scope, thing: str) -> None:
        jobs: dict[str, list[dict[str, Any]]] = {}
        for one in self.store.on_thing(scope, thing, model.OPEN):
            if len(listed := jobs.setdefault(one.status, [])) < _LISTED:
                listed.append(one.summary())
        await self._tell(scope, f"$aws/things/{thing}/jobs/notify", {"jobs": jobs})

    async def _notify_next(self, scope: Scope, thing: str) -> None:
        body = self.describe(scope, thing, "$next", {})
        await self._tell(scope, f"$aws/things/{thing}/jobs/notify-next", _parsed(body))

    async def _tell(self, scope: Scope, topic: str, body: Mapping[str, Any]) -> None:
        stamped = {"timestamp": int(self.k.clock.now()), **body}
        await self._engine.tell(scope, topic, msgspec.json.encode(stamped))

    # MQTT

    async def answer(self, identity: DeviceIdentity, _client_id: str, message: PublishedMessage) -> None:
        """A request that came over MQTT."""
        parsed = parse_topic(message.topic)
        if parsed is None:
            return
        thing, job_id, verb = parsed
        token: dict[str, Any] = {}
        try:
            asked = _asked(message.payload)
            if isinstance(asked.get("clientToken"), str):
                token = {"clientToken": asked["clientToken"][:64]}
            told = await self._served(identity.scope, thing, job_id, verb, asked)
        except JobError as refused:
            report: dict[str, Any] = {"code": refused.code, "message": refused.message, **token}
            if refused.state is not None:
                report["executionState"] = refused.state
            await self._tell(identity.scope, f"{message.topic}/rejected", report)
            return
        await self._tell(identity.scope, f"{message.topic}/accepted", {**_parsed(told), **token})

    async def _served(
        self, scope: Scope, thing: str, job_id: str, verb: str, asked: Mapping[str, Any]
    ) -> dict[str, Any]:
        if verb == "start-next":
            return await self.start_next(scope, thing, asked)
        if not job_id:
            return self.pending(scope, thing)
        if verb == "get":
            return self.describe(scope, thing, job_id, asked)
        return await self.update(scope, thing, job_id, asked)


def parse_topic(topic: str) -> tuple[str, str, str] | None:
    """(thing, job or '', verb) of a request topic; None for any other."""
    match topic.split("/"):
        case ["$aws", "things", thing, "jobs", "get" | "start-next" as verb] if thing:
            return thing, "", verb
        case ["$aws", "things", thing, "jobs", job_id, "get" | "update" as verb] if thing and job_id:
            return thing, job_id, verb
    return None


def _asked(payload: bytes) -> dict[str, Any]:
    if not payload.strip():
        return {}
    try:
        tree = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise JobError("InvalidJson", "The request is not valid JSON.") from None
    if not isinstance(tree, dict):
        raise JobError("InvalidRequest", "The request is not an object.")
    for name in ("expectedVersion", "executionNumber", "stepTimeoutInMinutes"):
        given = tree.get(name)
        if isinstance(given, str) and given.isdigit():  # AWS's own documentation quotes the version
            tree[name] = given = int(given)
        if given is not None and (not isinstance(given, int) or isinstance(given, bool)):
            raise JobError("InvalidRequest", f"{name} is not a number.")
    return tree


def _details(asked: Mapping[str, Any]) -> Mapping[str, str] | None:
    details = asked.get("statusDetails")
    if details is None:
        return None
    if not isinstance(details, dict) or len(details) > _DETAILS_MAX:
        raise JobError("InvalidRequest", f"statusDetails is not an object of at most {_DETAILS_MAX} members.")
    for value in details.values():
        if not isinstance(value, str) or len(value) > _DETAIL_MAX:
            raise JobError(
                "InvalidRequest", f"A value of statusDetails is not a string of at most {_DETAIL_MAX} characters."
            )
    return details


def _step(asked: Mapping[str, Any]) -> int | None:
    step = asked.get("stepTimeoutInMinutes")
    if step is not None and step != -1 and not 1 <= step <= _STEP_MAX:
        raise JobError("InvalidRequest", f"stepTimeoutInMinutes must be -1 or 1 to {_STEP_MAX}.")
    return step


def _state(one: Execution) -> dict[str, Any]:
    return {"status": one.status, "statusDetails": dict(one.details), "versionNumber": one.version}


def _parsed(told: Mapping[str, Any]) -> dict[str, Any]:
    """Documents are text in the HTTP API and JSON over MQTT."""

    def parsed(text: str) -> Any:
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text

    body = dict(told)
    if "jobDocument" in body:
        body["jobDocument"] = parsed(body["jobDocument"])
    if "execution" in body and "jobDocument" in body["execution"]:
        body["execution"] = {**body["execution"], "jobDocument": parsed(body["execution"]["jobDocument"])}
    return body
