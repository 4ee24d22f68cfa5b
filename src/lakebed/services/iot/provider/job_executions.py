"""Job executions, as operators see them. https://docs.aws.amazon.com/iot/latest/developerguide/iot-jobs-lifecycle.html"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import iot as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.jobs import model
from lakebed.services.iot.jobs.keeper import TASK, JobKeeper
from lakebed.services.iot.jobs.model import Execution
from lakebed.services.iot.provider.jobs import job_arn
from lakebed.services.iot.state import Core
from lakebed.wire.aws import pages

_PAGE = 25


def thing_arn(scope: Scope, req: Request) -> str:
    """The thing an operation is on."""
    return scope.arn("iot", f"thing/{req['thingName']}")


def job_and_thing(scope: Scope, req: Request) -> list[str]:
    """Both must be allowed."""
    return [job_arn(scope, req), thing_arn(scope, req)]


class JobExecutionOperations:
    """See the module."""

    def __init__(self, core: Core, keeper: JobKeeper) -> None:
        self.core, self.keeper, self.store = core, keeper, keeper.store

    @operation("DescribeJobExecution", resource=job_and_thing)
    async def describe_job_execution(
        self, ctx: Context, req: api.DescribeJobExecutionRequest
    ) -> api.DescribeJobExecutionResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeJobExecution.html"""
        one = self._require(ctx.scope, req["jobId"], req["thingName"], req.get("executionNumber"))
        told: Any = {
            **_times(one),
            "jobId": one.job,
            "status": one.status,
            "forceCanceled": one.is_forced,
            "statusDetails": {"detailsMap": dict(one.details)},
            "thingArn": ctx.scope.arn("iot", f"thing/{one.thing}"),
            "executionNumber": one.number,
            "versionNumber": one.version,
        }
        if one.status == model.IN_PROGRESS and one.deadline is not None:
            told["approximateSecondsBeforeTimedOut"] = max(0, int(one.deadline - ctx.now))
        return {"execution": told}

    @operation("CancelJobExecution", resource=job_and_thing)
    async def cancel_job_execution(self, ctx: Context, req: api.CancelJobExecutionRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CancelJobExecution.html"""
        async with self.keeper.changing(ctx.scope, [req["thingName"]]) as tx_of:
            with tx_of() as tx:
                one = self._require(ctx.scope, req["jobId"], req["thingName"], None)
                expected = req.get("expectedVersion")
                if expected is not None and expected != one.version:
                    raise api.VersionConflictException(f"The version of the job execution is {one.version}.")
                if one.status in model.TERMINAL or (one.status == model.IN_PROGRESS and not req.get("force")):
                    raise api.InvalidStateTransitionException(
                        f"A job execution in status {one.status} can not be canceled."
                    )
                ended = one.to(model.CANCELED, ctx.now, req.get("statusDetails"))
                self.store.put_execution(tx, ended._replace(is_forced=one.status == model.IN_PROGRESS))
        self.core.k.tasks.poke(TASK)

    @operation("DeleteJobExecution", resource=job_and_thing, refused=("namespaceId",))
    async def delete_job_execution(self, ctx: Context, req: api.DeleteJobExecutionRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteJobExecution.html"""
        async with self.keeper.changing(ctx.scope, [req["thingName"]]) as tx_of:
            with tx_of() as tx:
                one = self._require(ctx.scope, req["jobId"], req["thingName"], req["executionNumber"])
                if one.status in model.OPEN and not req.get("force"):
                    raise api.InvalidStateTransitionException(
                        f"A job execution in status {one.status} is deleted with force only."
                    )
                self.store.delete_execution(tx, one)
        self.core.k.tasks.poke(TASK)

    @operation("ListJobExecutionsForJob", resource=job_arn)
    async def list_job_executions_for_job(
        self, ctx: Context, req: api.ListJobExecutionsForJobRequest
    ) -> api.ListJobExecutionsForJobResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListJobExecutionsForJob.html"""
        if self.store.job(ctx.scope, req["jobId"]) is None:
            raise api.ResourceNotFoundException(f"Job {req['jobId']} does not exist.")
        after, limit = _after(req), req.get("maxResults", _PAGE)
        found = self.store.executions(ctx.scope, req["jobId"], _statuses(req), after, limit + 1)
        summaries: Any = [
            {"thingArn": ctx.scope.arn("iot", f"thing/{one.thing}"), "jobExecutionSummary": _summary(one)}
            for one in found[:limit]
        ]
        answer: api.ListJobExecutionsForJobResponse = {"executionSummaries": summaries}
        if len(found) > limit:
            answer["nextToken"] = pages.sealed((found[limit - 1].thing, found[limit - 1].number))
        return answer

    @operation("ListJobExecutionsForThing", resource=thing_arn, refused=("namespaceId",))
    async def list_job_executions_for_thing(
        self, ctx: Context, req: api.ListJobExecutionsForThingRequest
    ) -> api.ListJobExecutionsForThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListJobExecutionsForThing.html"""
        if self.core.store.thing(ctx.scope, req["thingName"]) is None:
            raise api.ResourceNotFoundException(f"Thing {req['thingName']} does not exist")
        after, limit, job = _after(req), req.get("maxResults", _PAGE), req.get("jobId")
        every = self.store.on_thing(ctx.scope, req["thingName"], _statuses(req), 100_000)
        every.sort(key=lambda one: (one.job, one.number))
        found = [one for one in every if (one.job, one.number) > after and job in (None, one.job)]
        summaries: Any = [{"jobId": one.job, "jobExecutionSummary": _summary(one)} for one in found[:limit]]
        answer: api.ListJobExecutionsForThingResponse = {"executionSummaries": summaries}
        if len(found) > limit:
            answer["nextToken"] = pages.sealed((found[limit - 1].job, found[limit - 1].number))
        return answer

    def _require(self, scope: Scope, job_id: str, thing: str, number: int | None) -> Execution:
        one = self.store.execution(scope, job_id, thing, number)
        if one is None:
            raise api.ResourceNotFoundException(f"Job execution of {job_id} on {thing} does not exist.")
        return one


def _after(req: Mapping[str, Any]) -> tuple[str, int]:
    wrong = api.InvalidRequestException("The nextToken was not given out.")
    return pages.opened(req.get("nextToken"), tuple[str, int], ("", 0), wrong)


def _statuses(req: Mapping[str, Any]) -> list[str]:
    status = req.get("status")
    return [*model.OPEN, *model.TERMINAL] if status is None else [status]


def _times(one: Execution) -> dict[str, Any]:
    told: dict[str, Any] = {"queuedAt": one.queued, "lastUpdatedAt": one.modified}
    return told if one.started is None else {**told, "startedAt": one.started}


def _summary(one: Execution) -> dict[str, Any]:
    return {**_times(one), "status": one.status, "executionNumber": one.number, "retryAttempt": one.attempt}
