"""An event source mapping: settings, their defaults and limits. Pure.

Built for SQS and Kinesis (``kinds.py`` says what a kind of source is). Provisioned pollers, stream consumers with enhanced
fan-out, Kafka and document databases are refused by name.

https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
"""

from __future__ import annotations

from collections.abc import Mapping as Given
from typing import Any

import msgspec

from lakebed.api.lambda_ import EventSourceMappingConfiguration
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import not_built
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.destinations import checked
from lakebed.services.lambda_.model import invalid, tags_checked
from lakebed.services.lambda_.names import function_arn
from lakebed.services.lambda_.sources import filters

_STREAM_ONLY = (
    "StartingPosition", "StartingPositionTimestamp", "BisectBatchOnFunctionError", "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds", "DestinationConfig", "ParallelizationFactor", "TumblingWindowInSeconds",
)  # fmt: skip


class Mapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mapping. ``qualifier`` empty means ``$LATEST``; -1 means without limit, as in the API."""

    uuid: str
    source: str
    function: str
    qualifier: str
    enabled: bool
    batch_size: int
    modified: float
    window: int = 0
    report_failures: bool = False
    concurrency: int | None = None
    starting: str = ""
    starting_at: float | None = None
    bisect: bool = False
    retries: int = -1
    age: int = -1
    on_failure: str = ""
    filters: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    result: str = "No records processed"
    reason: str = "USER_INITIATED"
    parallel: int = 1
    tumbling: int = 0
    counted: bool = False  # MetricsConfig EventCount

    @property
    def is_queue(self) -> bool:
        """SQS, else Kinesis."""
        return ":sqs:" in self.source

    @property
    def task(self) -> str:
        """The name of its task."""
        return f"lambda:mapping:{self.uuid}"


def refuse(operation: str, request: Given[str, Any]) -> None:
    """501 for what is not built, also below the top level."""
    if request.get("DestinationConfig", {}).get("OnSuccess", {}).get("Destination"):
        raise invalid("OnSuccess destinations are not supported for event source mappings.")
    unknown = set(request.get("MetricsConfig", {}).get("Metrics", ())) - {"EventCount"}
    if unknown:
        raise not_built("lambda", operation, f"MetricsConfig {min(unknown)}")


def created(request: Given[str, Any], *, uuid: str, function: str, qualifier: str, now: float) -> Mapping:
    """A new mapping from a CreateEventSourceMapping request."""
    source = request.get("EventSourceArn")
    arn = parse(source) if source else None
    if arn is None:
        raise invalid("EventSourceArn is required.")
    if arn.service not in ("sqs", "kinesis"):
        raise not_built("lambda", "CreateEventSourceMapping", f"EventSourceArn of {arn.service}")
    queue = arn.service == "sqs"
    if not queue and "/consumer/" in arn.resource:
        raise not_built("lambda", "CreateEventSourceMapping", "EventSourceArn of a stream consumer")
    if not queue and "StartingPosition" not in request:
        raise invalid(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."
        )
    if request.get("StartingPosition") == "AT_TIMESTAMP" and "StartingPositionTimestamp" not in request:
        raise invalid("StartingPositionTimestamp must be specified when StartingPosition is AT_TIMESTAMP.")
    base = Mapping(
        uuid=uuid,
        source=str(arn),
        function=function,
        qualifier=qualifier,
        enabled=True,
        batch_size=10 if queue else 100,
        modified=now,
        starting=request.get("StartingPosition", ""),
        starting_at=request.get("StartingPositionTimestamp"),
        tags=tags_checked(request.get("Tags", {})),
    )
    return changed(base, request, now)


def changed(mapping: Mapping, request: Given[str, Any], now: float) -> Mapping:
    """The mapping with what a request sets, validated as a whole."""
    fields: dict[str, Any] = {"modified": now}
    for member, field in (
        ("Enabled", "enabled"),
        ("BatchSize", "batch_size"),
        ("MaximumBatchingWindowInSeconds", "window"),
        ("BisectBatchOnFunctionError", "bisect"),
        ("MaximumRetryAttempts", "retries"),
        ("MaximumRecordAgeInSeconds", "age"),
        ("ParallelizationFactor", "parallel"),
        ("TumblingWindowInSeconds", "tumbling"),
    ):
        if member in request:
            fields[field] = request[member]
    if "FunctionResponseTypes" in request:
        fields["report_failures"] = "ReportBatchItemFailures" in request["FunctionResponseTypes"]
    if "ScalingConfig" in request:
        fields["concurrency"] = request["ScalingConfig"].get("MaximumConcurrency")
    if "FilterCriteria" in request:
        given = [one.get("Pattern", "{}") for one in request["FilterCriteria"].get("Filters", ())]
        fields["filters"] = filters.check(given, queue=mapping.is_queue)
    if "DestinationConfig" in request:
        target = request["DestinationConfig"].get("OnFailure", {}).get("Destination", "")
        fields["on_failure"] = checked(target, ("sqs", "sns", "s3"))
    if "MetricsConfig" in request:
        fields["counted"] = "EventCount" in request["MetricsConfig"].get("Metrics", ())
    after = msgspec.structs.replace(mapping, **fields)
    _check(after, request)
    return after


def _check(mapping: Mapping, request: Given[str, Any]) -> None:
    if mapping.is_queue:
        if used := [member for member in _STREAM_ONLY if member in request]:
            raise invalid(f"Unsupported {used[0]} parameter for given event source mapping type.")
        if mapping.source.endswith(".fifo") and (mapping.batch_size > 10 or mapping.window):
            raise invalid("Batch size of a FIFO queue is at most 10, and a batching window is not supported for it.")
        if mapping.batch_size > 10 and not mapping.window:
            raise invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
            )
    else:
        if "ScalingConfig" in request:
            raise invalid("Unsupported ScalingConfig parameter for given event source mapping type.")
        if mapping.tumbling and mapping.parallel > 1:
            raise not_built("lambda", "CreateEventSourceMapping", "TumblingWindowInSeconds with ParallelizationFactor")
        if 0 <= mapping.age < 60:
            raise invalid("MaximumRecordAgeInSeconds is -1 or between 60 and 604800.")


def told(scope: Scope, mapping: Mapping, state: str | None = None) -> EventSourceMappingConfiguration:
    """The API's view."""
    found: EventSourceMappingConfiguration = {
        "UUID": mapping.uuid,
        "EventSourceMappingArn": scope.arn("lambda", f"event-source-mapping:{mapping.uuid}"),
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.window,
        "EventSourceArn": mapping.source,
        "FunctionArn": function_arn(scope, mapping.function, mapping.qualifier or None),
        "LastModified": mapping.modified,
        "LastProcessingResult": mapping.result,
        "State": state or ("Enabled" if mapping.enabled else "Disabled"),
        "StateTransitionReason": mapping.reason,
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if mapping.report_failures else [],
    }
    if mapping.filters:
        found["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in mapping.filters]}
    if mapping.counted:
        found["MetricsConfig"] = {"Metrics": ["EventCount"]}
    if mapping.is_queue:
        if mapping.concurrency is not None:
            found["ScalingConfig"] = {"MaximumConcurrency": mapping.concurrency}
        return found
    found["StartingPosition"] = mapping.starting
    if mapping.starting_at is not None:
        found["StartingPositionTimestamp"] = mapping.starting_at
    found["BisectBatchOnFunctionError"] = mapping.bisect
    found["MaximumRetryAttempts"] = mapping.retries
    found["MaximumRecordAgeInSeconds"] = mapping.age
    found["ParallelizationFactor"] = mapping.parallel
    found["TumblingWindowInSeconds"] = mapping.tumbling
    found["DestinationConfig"] = (
        {"OnFailure": {"Destination": mapping.on_failure}} if mapping.on_failure else {"OnFailure": {}}
    )
    return found
