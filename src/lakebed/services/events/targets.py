"""Targets: what may be one, what each needs, and how an event is handed over.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html

Without a role EventBridge delivers as itself, and the target's own policy must let it (queues, topics, functions, log
groups). Streams, delivery streams and buses are written to as the target's role. API destinations, ECS, Batch, Step
Functions, Redshift, SageMaker and the others are refused by name: they do not exist in this house.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.kernel import arn as arns
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.queues import Outgoing
from lakebed.services.events import transform
from lakebed.services.events.exchange import Exchange
from lakebed.services.events.model import Event, Rule, Target, bus_place, invalid, service_principal

_SERVICES = ("sqs", "sns", "lambda", "kinesis", "firehose", "logs", "events")
_WITH_ROLE = ("kinesis", "firehose", "events")
_NOT_BUILT = (
    "RunCommandParameters", "EcsParameters", "BatchParameters", "HttpParameters", "RedshiftDataParameters",
    "SageMakerPipelineParameters", "AppSyncParameters",
)  # fmt: skip
_INPUTS = ("Input", "InputPath", "InputTransformer")
_INPUT_BYTES_MAX, _PATHS_MAX = 8192, 100


def checked(entry: Mapping[str, Any]) -> Target:
    """A target from PutTargets; raises what is wrong with it."""
    for name in _NOT_BUILT:
        if name in entry:
            raise not_built("events", "PutTargets", f"Target.{name}")
    kind = kind_of(entry["Arn"])
    target_id = entry["Id"]
    if kind == "sqs" and entry["Arn"].endswith(".fifo") and not _group(entry):
        raise invalid(f"Parameter(s) SqsParameters must be specified for target: {target_id}.")
    if kind in _WITH_ROLE and not entry.get("RoleArn"):
        raise invalid(f"RoleArn is required for target {target_id}.")
    if "SqsParameters" in entry and kind != "sqs":
        raise invalid(f"Parameter(s) SqsParameters not valid for target: {target_id}.")
    if "KinesisParameters" in entry:
        if kind != "kinesis":
            raise invalid(f"Parameter(s) KinesisParameters not valid for target: {target_id}.")
        _check_path(entry["KinesisParameters"]["PartitionKeyPath"], "PartitionKeyPath")
    _check_input(entry, target_id)
    dead = (entry.get("DeadLetterConfig") or {}).get("Arn")
    if dead is not None and (kind_of(dead) != "sqs" or dead.endswith(".fifo")):
        raise invalid(f"DeadLetterConfig of target {target_id}: the queue must be a standard Amazon SQS queue.")
    settings = {name: value for name, value in entry.items() if name not in ("Id", "Arn")}
    return Target(target_id, entry["Arn"], settings)


def kind_of(text: str) -> str:
    """The service of a target's ARN."""
    arn = arns.parse(text)
    if arn is None:
        raise invalid(f"Parameter {text[:256]} is not valid. Reason: Provided Arn is not in correct format.")
    if arn.service not in _SERVICES or (arn.service == "events" and not arn.resource.startswith("event-bus/")):
        raise not_built("events", "PutTargets", f"a target of {arn.service}")
    if arn.service == "logs" and not arn.resource.startswith("log-group:"):
        raise invalid(f"Parameter {text[:256]} is not valid. Reason: Provided Arn is not in correct format.")
    return arn.service


def _group(entry: Mapping[str, Any]) -> str:
    return str((entry.get("SqsParameters") or {}).get("MessageGroupId", ""))


def _check_input(entry: Mapping[str, Any], target_id: str) -> None:
    given = [name for name in _INPUTS if name in entry]
    if len(given) > 1:
        raise invalid(f"Only one of Input, InputPath, or InputTransformer must be provided for target {target_id}.")
    if "Input" in entry:
        try:
            json.loads(entry["Input"])
        except (ValueError, RecursionError):
            raise invalid(f"JSON syntax error in input for target {target_id}") from None
    if "InputPath" in entry:
        _check_path(entry["InputPath"], "InputPath")
    if "InputTransformer" in entry:
        transformer = entry["InputTransformer"]
        paths = transformer.get("InputPathsMap") or {}
        for name, where in paths.items():
            if name.startswith("AWS"):
                raise invalid(f"Invalid InputPathsMap key {name[:64]}: keys must not begin with AWS.")
            _check_path(where, "InputPathsMap")
        if len(paths) > _PATHS_MAX or len(transformer["InputTemplate"].encode()) > _INPUT_BYTES_MAX:
            raise invalid(f"InputTransformer of target {target_id} is too large.")


def _check_path(text: str, member: str) -> None:
    try:
        transform.path(text)
    except transform.PathError:
        raise invalid(f"Invalid {member} {text[:256]}: it is no valid JSON path.") from None


class Carrier:
    """Hands events over to targets."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self.k, self.p = exchange, exchange.k, exchange.p

    async def hand_over(self, rule: Rule, target: Target, event: Event) -> None:
        """Durable at the target when this returns; raises its error."""
        kind, text = kind_of(target.arn), transform.body(event, rule, target)
        who = self._principal(rule, target)
        source = None if target.role else rule.arn
        if kind == "sqs":
            message = Outgoing(text, group=_group(target.settings))
            await self.p.queues.deliver(who, target.arn, [message], source_arn=source)
        elif kind == "sns":
            await self.p.topics.publish(who, target.arn, text, source_arn=source)
        elif kind == "lambda":
            await self.p.functions.invoke_later(who, target.arn, text.encode(), source_arn=source)
        elif kind == "kinesis":
            path = (target.settings.get("KinesisParameters") or {}).get("PartitionKeyPath", "$.id")
            key = transform.text_at(event.document(), path, event.id)[:256] or event.id
            await self.p.streams.put(who, target.arn, [(key, text.encode())])
        elif kind == "firehose":
            await self.p.delivery.put(who, target.arn, [text.encode()])
        elif kind == "logs":
            self._write_log(rule, target, event, text)
        else:
            self._forward(who, target, event)

    def _principal(self, rule: Rule, target: Target) -> Principal:
        if target.role:
            return self.p.identity.service_session(target.role, "events.amazonaws.com", session_name="events")
        return service_principal(rule.scope)

    def _write_log(self, rule: Rule, target: Target, event: Event, text: str) -> None:
        """As the service, which the group's account must let in by a resource policy. Templates for log groups are objects
        of a timestamp and a message."""
        arn = arns.parse(target.arn)
        assert arn is not None, "checked when the target was put"
        group = arn.resource.removeprefix("log-group:").removesuffix(":*")
        message, at = text, self.k.clock.now()
        if "InputTransformer" in target.settings:
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                parsed = None
            if isinstance(parsed, dict) and isinstance(parsed.get("message"), str):
                message = parsed["message"]
        self.p.logs.deliver(
            service_principal(rule.scope), Scope(arn.account, arn.region, arn.partition), group, event.id,
            [(at, message)], source_arn=rule.arn,
        )  # fmt: skip

    def _forward(self, who: Principal, target: Target, event: Event) -> None:
        """To another bus: the event keeps its id, account, region and time."""
        place = bus_place(event.scope, target.arn)
        bus = self._exchange.authorised(who, place, put_facts(event))
        self._exchange.put(bus, [msgspec.structs.replace(event, hops=event.hops + 1)])


def put_facts(event: Event) -> dict[str, str]:
    """Condition keys of PutEvents."""
    return {"events:source": event.source, "events:detail-type": event.detail_type}


def is_transient(failure: AwsError) -> bool:
    """Whether another attempt may succeed."""
    return (failure.http_status or 400) >= 500 or failure.error_code in (
        "ThrottlingException", "Throttling", "TooManyRequestsException", "ProvisionedThroughputExceededException",
        "LimitExceededException", "ServiceUnavailableException", "OverLimit", "KMSInvalidStateException",
    )  # fmt: skip
