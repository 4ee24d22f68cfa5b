"""iot-jobs-data: what devices ask of jobs over HTTP.

https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT_Jobs_Data_Plane.html. Commands
(StartCommandExecution) do not exist here.
"""

from __future__ import annotations

from typing import Any

from lakebed.api import iot_jobs_data as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.jobs.keeper import JobError, JobKeeper

_ERRORS: dict[str, type[AwsError]] = {
    "ResourceNotFound": api.ResourceNotFoundException,
    "TerminalStateReached": api.TerminalStateException,
    "InvalidStateTransition": api.InvalidStateTransitionException,
}


def thing_arn(scope: Scope, req: Request) -> str:
    """The thing an operation is on."""
    return scope.arn("iot", f"thing/{req['thingName']}")


class JobsDataOperations:
    """See the module."""

    def __init__(self, keeper: JobKeeper) -> None:
        self.keeper = keeper

    @operation("GetPendingJobExecutions", resource=thing_arn)
    async def get_pending_job_executions(
        self, ctx: Context, req: api.GetPendingJobExecutionsRequest
    ) -> api.GetPendingJobExecutionsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iot-jobs-data_GetPendingJobExecutions.html"""
        found: Any = self.keeper.pending(ctx.scope, req["thingName"])
        return found  # type: ignore[no-any-return]

    @operation("StartNextPendingJobExecution", resource=thing_arn)
    async def start_next_pending_job_execution(
        self, ctx: Context, req: api.StartNextPendingJobExecutionRequest
    ) -> api.StartNextPendingJobExecutionResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iot-jobs-data_StartNextPendingJobExecution.html"""
        try:
            found: Any = await self.keeper.start_next(ctx.scope, req["thingName"], {
                "statusDetails": req.get("statusDetails"), "stepTimeoutInMinutes": req.get("stepTimeoutInMinutes"),
            })  # fmt: skip
        except JobError as refused:
            raise _error(refused) from None
        return found  # type: ignore[no-any-return]

    @operation("DescribeJobExecution", resource=thing_arn)
    async def describe_job_execution(
        self, ctx: Context, req: api.DescribeJobExecutionRequest
    ) -> api.DescribeJobExecutionResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iot-jobs-data_DescribeJobExecution.html"""
        asked = {
            "executionNumber": req.get("executionNumber"), "includeJobDocument": req.get("includeJobDocument", False),
        }  # fmt: skip
        try:
            found: Any = self.keeper.describe(ctx.scope, req["thingName"], req["jobId"], asked)
        except JobError as refused:
            raise _error(refused) from None
        return found  # type: ignore[no-any-return]

    @operation("UpdateJobExecution", resource=thing_arn)
    async def update_job_execution(
        self, ctx: Context, req: api.UpdateJobExecutionRequest
    ) -> api.UpdateJobExecutionResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iot-jobs-data_UpdateJobExecution.html"""
        asked = {
            "status": req["status"],
            "statusDetails": req.get("statusDetails"),
            "stepTimeoutInMinutes": req.get("stepTimeoutInMinutes"),
            "expectedVersion": req.get("expectedVersion"),
            "includeJobExecutionState": req.get("includeJobExecutionState"),
            "includeJobDocument": req.get("includeJobDocument"),
            "executionNumber": req.get("executionNumber"),
        }
        try:
            found: Any = await self.keeper.update(ctx.scope, req["thingName"], req["jobId"], asked)
        except JobError as refused:
            raise _error(refused) from None
        return found  # type: ignore[no-any-return]


def _error(refused: JobError) -> AwsError:
    made = _ERRORS.get(refused.code, api.InvalidRequestException)
    return made(refused.message)  # type: ignore[call-arg]  # a modelled error has its code already
