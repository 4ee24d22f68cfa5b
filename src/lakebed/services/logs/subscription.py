"""Delivering what subscription filters found: gzip-compressed JSON to Lambda, Kinesis or Firehose, in AWS's envelope.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
"""

from __future__ import annotations

import base64
import gzip
from typing import Any

import msgspec

from lakebed.api import logs as api
from lakebed.kernel.arn import Arn, parse
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.services.logs.filters import SUBSCRIPTION_TOPIC

SERVICE = "logs.amazonaws.com"
_TRY_AGAIN = {
    "ProvisionedThroughputExceededException", "ServiceUnavailableException", "TooManyRequestsException", "ThrottlingException",
    "LimitExceededException", "InternalFailure",
}  # fmt: skip


class Subscriptions:
    """The outbox topic's handler, and the check of a destination."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p
        k.outbox.handle(SUBSCRIPTION_TOPIC, self._deliver)

    async def check(self, scope: Scope, group: str, body: dict[str, Any]) -> None:
        """Reach the destination as AWS does: functions by their policy, streams by a test message."""
        arn = parse(body["destinationArn"])
        kind = arn.service if arn else ""
        if kind == "logs":
            raise not_built("logs", "PutSubscriptionFilter", "destinations of another account")
        if arn is None or kind not in ("lambda", "kinesis", "firehose"):
            raise api.InvalidParameterException("destinationArn must be of Lambda, Kinesis or Firehose.")
        if kind == "lambda":
            if "roleArn" in body:
                raise api.InvalidParameterException("destinationArn for vendor lambda cannot be used with roleArn")
            try:
                source = scope.arn("logs", f"log-group:{group}:*")
                self._p.functions.check_destination(_caller(scope), body["destinationArn"], source_arn=source)
            except AwsError:
                raise api.InvalidParameterException(
                    "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to "
                    "execute your function."
                ) from None
            return
        if "roleArn" not in body:
            raise api.InvalidParameterException(f"destinationArn for vendor {kind} cannot be used without roleArn")
        test = {"id": "", "timestamp": int(self._k.clock.now() * 1000),
                "message": f"CWL CONTROL MESSAGE: Checking health of destination {kind.title()}."}  # fmt: skip
        payload = {"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
                   "subscriptionFilters": [], "logEvents": [test]}  # fmt: skip
        try:
            await self._put(arn, body["roleArn"], _packed(payload), self._k.ids.uuid())
        except AwsError as failure:
            raise api.InvalidParameterException(
                f"Could not deliver test message to specified {kind.title()} stream. Check if the given stream is in "
                f"ACTIVE state and the role may write to it: {failure.message}"
            ) from None

    async def _deliver(self, message: dict[str, Any]) -> None:
        """One batch. What a later try may mend is tried again; the rest goes to the dead letters."""
        scope = Scope(message["account"], message["region"])
        arn = parse(message["destination"])
        assert arn is not None, "checked when the filter was put"
        group_arn = scope.arn("logs", f"log-group:{message['group']}")
        payload = _packed({
            "messageType": "DATA_MESSAGE", "owner": scope.account, "logGroup": message["group"],
            "logStream": message["stream"], "subscriptionFilters": [message["filter"]], "logEvents": message["events"],
        })  # fmt: skip
        try:
            if arn.service == "lambda":
                event = msgspec.json.encode({"awslogs": {"data": base64.b64encode(payload).decode()}})
                caller, source = _caller(scope), f"{group_arn}:*"
                await self._p.functions.invoke_later(caller, str(arn), event, source_arn=source)
            else:
                random = message["distribution"] == "Random"
                await self._put(arn, message["role"], payload, self._k.ids.uuid() if random else message["stream"])
        except AwsError as failure:
            if failure.error_code in _TRY_AGAIN:
                raise
            self._k.meters.error(group_arn, len(message["events"]))
            with self._k.db.tx() as tx:
                self._k.outbox.bury(tx, SUBSCRIPTION_TOPIC, message, f"{failure.error_code}: {failure.message}")
            return
        self._k.meters.out(group_arn, len(message["events"]), len(payload), to=str(arn))

    async def _put(self, arn: Arn, role: str, payload: bytes, key: str) -> None:
        principal = self._p.identity.service_session(role, SERVICE, session_name="CloudWatchLogs")
        if arn.service == "kinesis":
            await self._p.streams.put(principal, str(arn), [(key[:256], payload)])
        else:
            await self._p.delivery.put(principal, str(arn), [payload])


def _caller(scope: Scope) -> Principal:
    return Principal(scope.account, SERVICE, "service", SERVICE)


def _packed(payload: dict[str, Any]) -> bytes:
    return gzip.compress(msgspec.json.encode(payload), 6, mtime=0)
