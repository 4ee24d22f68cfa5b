"""Jobs. https://docs.aws.amazon.com/iot/latest/developerguide/create-manage-jobs.html

The document is given as text or as the address of an S3 object, which is read with the caller's rights when the job is
made. Refused by name: templates and their parameters, schedules, namespaces, package versions, and presigned addresses
inside documents.
"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from lakebed.api import iot as api
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.group_store import THING, GroupStore
from lakebed.services.iot.jobs import model
from lakebed.services.iot.jobs.keeper import TASK
from lakebed.services.iot.jobs.model import Job
from lakebed.services.iot.jobs.work import JobWork
from lakebed.services.iot.state import Core, tags_of

_PAGE = 25
_DOCUMENT_MAX = 32_768
_TARGETS_MAX = 100
_KEPT = (
    "targets", "document", "documentSource", "description", "targetSelection", "jobExecutionsRolloutConfig", "abortConfig",
    "timeoutConfig", "jobExecutionsRetryConfig",
)  # fmt: skip
_UPDATED = ("description", "jobExecutionsRolloutConfig", "abortConfig", "timeoutConfig", "jobExecutionsRetryConfig")


def job_arn(scope: Scope, req: Request) -> str:
    """The job an operation is on."""
    return scope.arn("iot", f"job/{req['jobId']}")


def job_and_targets(scope: Scope, req: Request) -> list[str]:
    """CreateJob asks for the job and for each target."""
    return [job_arn(scope, req), *req.get("targets", ())]


class JobOperations:
    """See the module."""

    def __init__(self, core: Core, work: JobWork, groups: GroupStore) -> None:
        self.core, self.work, self.store, self.groups = core, work, work.store, groups

    @operation(
        "CreateJob",
        resource=job_and_targets,
        refused=(
            "presignedUrlConfig", "namespaceId", "jobTemplateArn", "documentParameters", "schedulingConfig",
            "destinationPackageVersions",
        ),
    )  # fmt: skip
    async def create_job(self, ctx: Context, req: api.CreateJobRequest) -> api.CreateJobResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateJob.html"""
        self._check_targets(ctx.scope, req["targets"])
        tags = tags_of(req.get("tags"))
        config: dict[str, Any] = {name: value for name, value in req.items() if name in _KEPT}
        config["document"] = await self._document(ctx, req)
        config.setdefault("targetSelection", "SNAPSHOT")
        _check_config(config)
        job = Job(ctx.scope, req["jobId"], config, model.IN_PROGRESS, False, "", "", ctx.now, ctx.now, None)
        with self.store.db.tx() as tx:
            if self.store.job(ctx.scope, job.id) is not None:
                raise api.ResourceAlreadyExistsException(
                    f"Job {job.id} already exists.", members={"resourceId": job.id, "resourceArn": job.arn}
                )
            self.store.put(tx, job)
            self.work.target(tx, job, self.work.expand(ctx.scope, req["targets"]), ctx.now)
            self.core.store.put_tags(tx, ctx.scope, job.arn, tags)
            tx.after_commit(lambda: self.core.k.tasks.poke(TASK))
        told: Any = _named(job)
        return told  # type: ignore[no-any-return]

    @operation("DescribeJob", resource=job_arn)
    async def describe_job(self, ctx: Context, req: api.DescribeJobRequest) -> api.DescribeJobResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeJob.html

        ``beforeSubstitution`` shows the same: there are no presigned addresses to put in.
        """
        _ = req.get("beforeSubstitution")
        job = self._require(ctx.scope, req["jobId"])
        config = {name: value for name, value in job.config.items() if name not in ("document", "documentSource")}
        told: Any = {
            **config,
            "jobArn": job.arn,
            "jobId": job.id,
            "status": job.status,
            "forceCanceled": job.is_forced,
            "createdAt": job.created,
            "lastUpdatedAt": job.modified,
            "jobProcessDetails": self._details(job),
            "isConcurrent": False,
        }
        for name, value in (("reasonCode", job.reason), ("comment", job.comment), ("completedAt", job.completed)):
            if value:
                told[name] = value
        answer: api.DescribeJobResponse = {"job": told}
        if source := job.config.get("documentSource"):
            answer["documentSource"] = source
        return answer

    @operation("GetJobDocument", resource=job_arn)
    async def get_job_document(self, ctx: Context, req: api.GetJobDocumentRequest) -> api.GetJobDocumentResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetJobDocument.html"""
        _ = req.get("beforeSubstitution")  # nothing is put in
        return {"document": self._require(ctx.scope, req["jobId"]).config["document"]}

    @operation("UpdateJob", resource=job_arn, refused=("presignedUrlConfig", "namespaceId"))
    async def update_job(self, ctx: Context, req: api.UpdateJobRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateJob.html"""
        with self.store.db.tx() as tx:
            job = self._require(ctx.scope, req["jobId"])
            if job.status != model.IN_PROGRESS:
                raise api.InvalidRequestException(f"A job in status {job.status} can not be updated.")
            config = {**job.config, **{name: value for name, value in req.items() if name in _UPDATED}}
            _check_config(config)
            self.store.put(tx, job._replace(config=config, modified=ctx.now))
            tx.after_commit(lambda: self.core.k.tasks.poke(TASK))

    @operation("AssociateTargetsWithJob", resource=job_and_targets, refused=("namespaceId",))
    async def associate_targets_with_job(
        self, ctx: Context, req: api.AssociateTargetsWithJobRequest
    ) -> api.AssociateTargetsWithJobResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_AssociateTargetsWithJob.html"""
        with self.store.db.tx() as tx:
            job = self._require(ctx.scope, req["jobId"])
            if not job.is_continuous or job.status != model.IN_PROGRESS:
                raise api.InvalidRequestException("The job must be continuous and in progress.")
            targets = list(dict.fromkeys([*job.config["targets"], *req["targets"]]))
            self._check_targets(ctx.scope, targets)
            changed = job._replace(
                config={**job.config, "targets": targets}, comment=req.get("comment", job.comment), modified=ctx.now
            )
            self.store.put(tx, changed)
            tx.after_commit(lambda: self.core.k.tasks.poke(TASK))
        told: Any = _named(job)
        return told  # type: ignore[no-any-return]

    @operation("CancelJob", resource=job_arn)
    async def cancel_job(self, ctx: Context, req: api.CancelJobRequest) -> api.CancelJobResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CancelJob.html"""
        job = self._require(ctx.scope, req["jobId"])
        force = bool(req.get("force", False))
        if job.status == model.COMPLETED or (job.status == model.CANCELED and not force):
            raise api.InvalidRequestException(f"A job in status {job.status} can not be canceled.")
        job = job._replace(reason=req.get("reasonCode", ""), comment=req.get("comment", job.comment))
        await self.work.cancel(job, ctx.now, force=force)
        told: Any = _named(job)
        return told  # type: ignore[no-any-return]

    @operation("DeleteJob", resource=job_arn, refused=("namespaceId",))
    async def delete_job(self, ctx: Context, req: api.DeleteJobRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteJob.html"""
        job = self._require(ctx.scope, req["jobId"])
        if job.status == model.IN_PROGRESS and not req.get("force"):
            raise api.InvalidStateTransitionException("A job that is in progress is deleted with force only.")
        things = [one.thing for one in self.store.executions(ctx.scope, job.id, model.OPEN)]
        async with self.work.keeper.changing(ctx.scope, things) as tx_of:
            with tx_of() as tx:
                self.store.delete(tx, ctx.scope, job.id)
                self.core.store.delete_tags(tx, ctx.scope, job.arn)

    @operation("ListJobs", refused=("namespaceId",))
    async def list_jobs(self, ctx: Context, req: api.ListJobsRequest) -> api.ListJobsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListJobs.html"""
        limit, status, kind = req.get("maxResults", _PAGE), req.get("status"), req.get("targetSelection")
        group = self._group_arn(ctx.scope, req.get("thingGroupName"), req.get("thingGroupId"))
        found = [
            job
            for job in self.store.jobs(ctx.scope, req.get("nextToken", ""), 100_000)
            if status in (None, job.status)
            and kind in (None, job.config["targetSelection"])
            and (group is None or group in job.config["targets"])
        ]
        answer: api.ListJobsResponse = {"jobs": [_listed(job) for job in found[:limit]]}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1].id
        return answer

    def _group_arn(self, scope: Scope, name: str | None, group_id: str | None) -> str | None:
        if name is None and group_id is None:
            return None
        if name is None:
            known = (group for group in self.groups.groups(scope, THING, "", 100_000) if group.id == group_id)
            name = next((group.name for group in known), "")
        if self.groups.group(scope, THING, name) is None:
            raise api.ResourceNotFoundException("The thing group does not exist.")
        return scope.arn("iot", f"thinggroup/{name}")

    def _details(self, job: Job) -> dict[str, Any]:
        counts = self.store.counts(job.scope, job.id)
        names = {
            "CANCELED": "Canceled", "SUCCEEDED": "Succeeded", "FAILED": "Failed", "REJECTED": "Rejected",
            "QUEUED": "Queued", "IN_PROGRESS": "InProgress", "REMOVED": "Removed", "TIMED_OUT": "TimedOut",
        }  # fmt: skip
        told: dict[str, Any] = {f"numberOf{name}Things": counts.get(status, 0) for status, name in names.items()}
        return {**told, "processingTargets": list(job.config["targets"]) if counts.get(model.PENDING) else []}

    def _check_targets(self, scope: Scope, targets: list[str]) -> None:
        if len(targets) > _TARGETS_MAX:
            raise api.LimitExceededException(f"A job can have {_TARGETS_MAX} targets.")
        for target in targets:
            arn = parse(target)
            kind, _, name = arn.resource.partition("/") if arn is not None else ("", "", "")
            known: object
            if kind == "thing":
                known = self.core.store.thing(scope, name)
            elif kind == "thinggroup":
                known = self.groups.group(scope, THING, name)
            else:
                raise api.InvalidRequestException(f"Target {target} is neither a thing nor a thing group.")
            if known is None or target != scope.arn("iot", f"{kind}/{name}"):
                raise api.ResourceNotFoundException(f"Target {target} does not exist.")

    async def _document(self, ctx: Context, req: api.CreateJobRequest) -> str:
        given, source = req.get("document"), req.get("documentSource")
        if (given is None) == (source is None):
            raise api.InvalidRequestException("Either document or documentSource must be given.")
        document = given if source is None else await self._read(ctx, source)
        assert document is not None, "one of the two was given"
        if len(document.encode()) > _DOCUMENT_MAX:
            raise api.LimitExceededException(f"A job document can have {_DOCUMENT_MAX} bytes.")
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            msgspec.json.decode(document.encode())
            if "${aws:iot:s3-presigned-url" in document:
                raise not_built("iot", "CreateJob", "presigned addresses in job documents")
            return document
        raise api.InvalidRequestException("The job document is not valid JSON.")

    async def _read(self, ctx: Context, source: str) -> str:
        """The S3 object at an address, with the caller's rights."""
        url = urlsplit(source)
        bucket, key = url.netloc, unquote(url.path.lstrip("/"))
        if url.scheme in ("http", "https"):
            host = url.netloc.partition(":")[0].partition(".s3")
            bucket, key = (host[0], key) if host[1] else (key.partition("/")[0], key.partition("/")[2])
        objects = self.core.p.objects
        try:
            info = await objects.head(ctx.principal, bucket, key)
            if info.size > _DOCUMENT_MAX:
                raise api.LimitExceededException(f"A job document can have {_DOCUMENT_MAX} bytes.")
            return b"".join([piece async for piece in objects.read(info)]).decode()
        except UnicodeDecodeError:
            raise api.InvalidRequestException("The job document is not UTF-8.") from None
        except AwsError as wrong:
            if isinstance(wrong, api.LimitExceededException):
                raise
            raise api.InvalidRequestException(f"The job document can not be read: {wrong.message}") from None

    def _require(self, scope: Scope, job_id: str) -> Job:
        job = self.store.job(scope, job_id)
        if job is None:
            raise api.ResourceNotFoundException(f"Job {job_id} does not exist.")
        return job


def _check_config(config: dict[str, Any]) -> None:
    """What the model does not say of numbers."""
    exponential = (config.get("jobExecutionsRolloutConfig") or {}).get("exponentialRate")
    if exponential and len(exponential["rateIncreaseCriteria"]) != 1:
        raise api.InvalidRequestException("rateIncreaseCriteria must have exactly one member.")
    minutes = (config.get("timeoutConfig") or {}).get("inProgressTimeoutInMinutes")
    if minutes is not None and not 1 <= minutes <= 10_080:
        raise api.InvalidRequestException("inProgressTimeoutInMinutes must be 1 to 10080.")


def _named(job: Job) -> dict[str, str]:
    told = {"jobArn": job.arn, "jobId": job.id}
    return {**told, "description": job.config["description"]} if job.config.get("description") else told


def _listed(job: Job) -> Any:
    told = {
        "jobArn": job.arn,
        "jobId": job.id,
        "targetSelection": job.config["targetSelection"],
        "status": job.status,
        "createdAt": job.created,
        "lastUpdatedAt": job.modified,
        "isConcurrent": False,
    }
    return {**told, "completedAt": job.completed} if job.completed is not None else told
