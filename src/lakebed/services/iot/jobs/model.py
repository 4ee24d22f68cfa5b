"""Jobs and executions as values, and the states an execution may go through.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-jobs-lifecycle.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lakebed.kernel.scope import Scope

PENDING, QUEUED, IN_PROGRESS = "PENDING", "QUEUED", "IN_PROGRESS"
CANCELED, COMPLETED, TIMED_OUT, REMOVED = "CANCELED", "COMPLETED", "TIMED_OUT", "REMOVED"
OPEN = (QUEUED, IN_PROGRESS)
REPORTED = (IN_PROGRESS, "SUCCEEDED", "FAILED", "REJECTED")
TERMINAL = ("SUCCEEDED", "FAILED", TIMED_OUT, "REJECTED", REMOVED, CANCELED)
RATE_MAX = 1000  # things a minute, where nothing else is said


class Job(NamedTuple):
    """A job; ``config`` has the API's members as they were given."""

    scope: Scope
    id: str
    config: Mapping[str, Any]
    status: str
    is_forced: bool
    reason: str
    comment: str
    created: float
    modified: float
    completed: float | None

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return self.scope.arn("iot", f"job/{self.id}")

    @property
    def is_continuous(self) -> bool:
        """Whether things that join a target group later get the job too."""
        return bool(self.config.get("targetSelection") == "CONTINUOUS")


class Execution(NamedTuple):
    """A job on one thing. ``number`` tells attempts apart, ``version`` counts changes."""

    scope: Scope
    job: str
    thing: str
    number: int
    status: str
    details: Mapping[str, str]
    queued: float
    started: float | None
    modified: float
    version: int
    attempt: int
    is_forced: bool
    total_deadline: float | None
    step_deadline: float | None

    @property
    def deadline(self) -> float | None:
        """When it times out."""
        known = [when for when in (self.total_deadline, self.step_deadline) if when is not None]
        return min(known, default=None)

    def summary(self) -> dict[str, Any]:
        """As lists of pending executions tell it; times in seconds."""
        told: dict[str, Any] = {
            "jobId": self.job,
            "queuedAt": int(self.queued),
            "lastUpdatedAt": int(self.modified),
            "executionNumber": self.number,
            "versionNumber": self.version,
        }
        return told if self.started is None else {**told, "startedAt": int(self.started)}

    def whole(self, now: float) -> dict[str, Any]:
        """As a device sees it, without the document."""
        told = {**self.summary(), "thingName": self.thing, "status": self.status}
        if self.details:
            told["statusDetails"] = dict(self.details)
        if self.status == IN_PROGRESS and self.deadline is not None:
            told["approximateSecondsBeforeTimedOut"] = max(0, int(self.deadline - now))
        return told

    def to(self, status: str, now: float, details: Mapping[str, str] | None = None) -> Execution:
        """In another state."""
        started = now if status == IN_PROGRESS and self.started is None else self.started
        return self._replace(
            status=status,
            details=self.details if details is None else details,
            started=started,
            modified=now,
            version=self.version + 1,
            step_deadline=self.step_deadline if status == IN_PROGRESS else None,
        )


def begun(execution: Execution, job: Job, now: float, step_minutes: int | None) -> Execution:
    """With the deadlines of a device that works on it: the whole one counts from the first start."""
    minutes = (job.config.get("timeoutConfig") or {}).get("inProgressTimeoutInMinutes")
    total = execution.total_deadline
    if total is None and minutes:
        total = now + 60 * minutes
    step = execution.step_deadline
    if step_minutes is not None:
        step = None if step_minutes < 0 else now + 60 * step_minutes
    return execution._replace(total_deadline=total, step_deadline=step)


def rate(config: Mapping[str, Any], notified: int, succeeded: int) -> int:
    """Things a minute that may be told of the job now."""
    rollout = config.get("jobExecutionsRolloutConfig") or {}
    most = int(rollout.get("maximumPerMinute", RATE_MAX))
    exponential = rollout.get("exponentialRate")
    if not exponential:
        return most
    criteria = exponential["rateIncreaseCriteria"]
    if wanted := criteria.get("numberOfNotifiedThings"):
        steps = notified // wanted
    else:
        steps = succeeded // criteria.get("numberOfSucceededThings", 1)
    grown = exponential["baseRatePerMinute"] * float(exponential["incrementFactor"]) ** min(steps, 64)
    return int(min(most, grown))


def aborts(config: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Whether so many executions failed that the job is to be cancelled."""
    executed = sum(counts.get(status, 0) for status in TERMINAL)
    for criterion in (config.get("abortConfig") or {}).get("criteriaList", ()):
        kinds: Sequence[str] = ("FAILED", "REJECTED", TIMED_OUT)
        if criterion["failureType"] != "ALL":
            kinds = (criterion["failureType"],)
        failed = sum(counts.get(kind, 0) for kind in kinds)
        is_many = 100.0 * failed >= criterion["thresholdPercentage"] * executed
        if executed and executed >= criterion["minNumberOfExecutedThings"] and is_many:
            return True
    return False


def retries(config: Mapping[str, Any], status: str) -> int:
    """How often an execution that ended so is tried again."""
    for criterion in (config.get("jobExecutionsRetryConfig") or {}).get("criteriaList", ()):
        if criterion["failureType"] in (status, "ALL") and status in ("FAILED", TIMED_OUT):
            return int(criterion["numberOfRetries"])
    return 0
