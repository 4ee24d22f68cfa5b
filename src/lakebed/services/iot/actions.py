"""Rule actions on data: kinesis, firehose, s3, lambda, sqs, republish and cloudwatchLogs; ``alerting`` has the others.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-rule-actions.html. Each action takes a whole batch and says
which messages failed. Roles are assumed for each batch as ``iot.amazonaws.com``, so what was revoked counts at once.
Other actions are refused by name when the rule is created.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from lakebed.api import iot as api
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.devices import NO_PROPERTIES, MessageProperties
from lakebed.ports.house import Ports
from lakebed.services.iot import alerting
from lakebed.services.iot.acting import SERVICE, Action, Failure, Maker, Outcome, Selected
from lakebed.services.iot.model import Rule
from lakebed.services.iot.sql.template import UndefinedPartError, compile_template
from lakebed.services.iot.sql.values import Env

_PUT_RECORDS_MAX = 500
_PUT_BYTES_MAX = 4 << 20
_SEPARATORS = ("\n", "\t", "\r\n", ",")


def compile_action(given: Mapping[str, Any], rule: Rule, k: Kernel, p: Ports) -> Action:
    """The action; AwsError names what is wrong or not built, SqlError a broken template."""
    kinds = [kind for kind, parameters in given.items() if parameters is not None]
    if len(kinds) != 1:
        raise api.InvalidRequestException("An action must have exactly one type.")
    kind = kinds[0]
    maker = _MAKERS.get(kind)
    if maker is None:
        raise not_built("iot", "CreateTopicRule", f"action {kind}")
    return maker(given[kind], Maker(rule, k, p))


def _kinesis(given: Mapping[str, Any], make: Maker) -> Action:
    """https://docs.aws.amazon.com/iot/latest/developerguide/kinesis-rule-action.html"""
    stream, role = given["streamName"], given["roleArn"]
    key = compile_template(given.get("partitionKey") or "${newuuid()}")
    stream_of = compile_template(stream)
    target = None if "${" in stream else make.scope.arn("kinesis", f"stream/{stream}")

    async def run(selected: Sequence[Selected]) -> Outcome:
        outcome = Outcome()
        groups: dict[str, list[tuple[int, str, bytes]]] = {}
        for index, item in enumerate(selected):
            try:
                arn = target or make.scope.arn("kinesis", f"stream/{stream_of(item.env)}")
                groups.setdefault(arn, []).append((index, key(item.env), item.payload))
            except UndefinedPartError as undefined:
                outcome.failures.append(Failure(index, "KinesisAction", stream, str(undefined)))
        for arn, group in groups.items():
            for part in _parts(group):
                records = [(partition, payload) for _, partition, payload in part]
                wrong = await make.deliver(
                    lambda arn=arn, records=records: make.p.streams.put(make.assume(role), arn, records)  # type: ignore[misc]  # defaults bind the loop's values
                )
                if wrong is None:
                    make.sent(len(part), sum(len(payload) for _, payload in records), arn)
                else:
                    outcome.failures += [Failure(index, "KinesisAction", arn, wrong) for index, _, _ in part]
        return outcome

    return make.action("kinesis", target, role, run)


def _firehose(given: Mapping[str, Any], make: Maker) -> Action:
    """https://docs.aws.amazon.com/iot/latest/developerguide/kinesis-firehose-rule-action.html"""
    name, role, separator = given["deliveryStreamName"], given["roleArn"], given.get("separator", "")
    if separator and separator not in _SEPARATORS:
        raise api.InvalidRequestException("separator must be a newline, a tab, a Windows newline or a comma.")
    is_batch = bool(given.get("batchMode"))
    name_of, tail = compile_template(name), separator.encode()
    target = None if "${" in name else make.scope.arn("firehose", f"deliverystream/{name}")

    async def run(selected: Sequence[Selected]) -> Outcome:
        outcome = Outcome()
        groups: dict[str, list[tuple[int, str, bytes]]] = {}
        for index, item in enumerate(selected):
            try:
                arn = target or make.scope.arn("firehose", f"deliverystream/{name_of(item.env)}")
                each = array_of(item.payload) if is_batch else [item.payload]
                groups.setdefault(arn, []).extend((index, "", payload + tail) for payload in each)
            except UndefinedPartError as undefined:
                outcome.failures.append(Failure(index, "FirehoseAction", name, str(undefined)))
        for arn, group in groups.items():
            for part in _parts(group):
                records = [payload for _, _, payload in part]
                wrong = await make.deliver(
                    lambda arn=arn, records=records: make.p.delivery.put(make.assume(role), arn, records)  # type: ignore[misc]  # defaults bind the loop's values
                )
                if wrong is None:
                    make.sent(len(part), sum(map(len, records)), arn)
                else:
                    outcome.failures += [Failure(index, "FirehoseAction", arn, wrong) for index, _, _ in part]
        return outcome

    return make.action("firehose", target, role, run)


def array_of(payload: bytes) -> list[bytes]:
    """The elements of an array, as batch mode delivers them one by one; anything else is one element."""
    try:
        tree = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [payload]
    return [msgspec.json.encode(one) for one in tree] if isinstance(tree, list) else [payload]


def _events(item: Selected) -> list[tuple[float, str]]:
    """Log events of a batch: objects with ``timestamp`` (milliseconds) and ``message``."""
    found: list[tuple[float, str]] = []
    for one in array_of(item.payload):
        tree = msgspec.json.decode(one)
        if not isinstance(tree, dict) or not isinstance(tree.get("message"), str):
            raise AwsError("InvalidParameterException", "A batch is an array of objects with timestamp and message.")
        stamp = tree.get("timestamp")
        found.append((stamp / 1000 if isinstance(stamp, int | float) else item.env.now, tree["message"]))
    return found


def _parts(group: Sequence[tuple[int, str, bytes]]) -> list[list[tuple[int, str, bytes]]]:
    """Batches as one put takes them."""
    parts: list[list[tuple[int, str, bytes]]] = [[]]
    size = 0
    for item in group:
        if len(parts[-1]) >= _PUT_RECORDS_MAX or size + len(item[2]) > _PUT_BYTES_MAX:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += len(item[2])
    return [part for part in parts if part]


def _s3(given: Mapping[str, Any], make: Maker) -> Action:
    """https://docs.aws.amazon.com/iot/latest/developerguide/s3-rule-action.html"""
    role, bucket = given["roleArn"], given["bucketName"]
    if given.get("cannedAcl", "private") != "private":
        raise not_built("iot", "CreateTopicRule", "s3 cannedAcl other than private")
    key, bucket_of = compile_template(given["key"]), compile_template(bucket)

    async def send(name: str, item: Selected) -> str:
        where = bucket_of(item.env)
        await make.p.objects.put(make.assume(role), where, name, item.payload)
        return f"arn:{make.scope.partition}:s3:::{where}"

    async def run(selected: Sequence[Selected]) -> Outcome:
        return await make.each("S3Action", selected, key, send)

    return make.action("s3", None if "${" in bucket else f"arn:{make.scope.partition}:s3:::{bucket}", role, run)


def _lambda(given: Mapping[str, Any], make: Maker) -> Action:
    """https://docs.aws.amazon.com/iot/latest/developerguide/lambda-rule-action.html: asynchronous, by resource policy."""
    function = given["functionArn"]
    service = Principal(make.scope.account, SERVICE, "service", SERVICE)

    async def send(arn: str, item: Selected) -> str:
        await make.p.functions.invoke_later(service, arn, item.payload, source_arn=make.rule.arn)
        return arn

    fill = compile_template(function)

    async def run(selected: Sequence[Selected]) -> Outcome:
        return await make.each("LambdaAction", selected, fill, send)

    return make.action("lambda", None if "${" in function else function, None, run)


def _sqs(given: Mapping[str, Any], make: Maker) -> Action:
    """https://docs.aws.amazon.com/iot/latest/developerguide/sqs-rule-action.html"""
    role, url, in_base64 = given["roleArn"], given["queueUrl"], bool(given.get("useBase64"))

    def arn_of(filled: str) -> str:
        parts = urlsplit(filled).path.strip("/").split("/")
        account = parts[-2] if len(parts) > 1 else make.scope.account
        return f"arn:{make.scope.partition}:sqs:{make.scope.region}:{account}:{parts[-1]}"

    async def send(filled: str, item: Selected) -> str:
        body = base64.b64encode(item.payload).decode() if in_base64 else item.payload.decode("utf-8", "replace")
        await make.p.queues.send(make.assume(role), arn_of(filled), [body])
        return arn_of(filled)

    fill = compile_template(url)

    async def run(selected: Sequence[Selected]) -> Outcome:
        return await make.each("SqsAction", selected, fill, send)

    return make.action("sqs", None if "${" in url else arn_of(url), role, run)


def _republish(given: Mapping[str, Any], make: Maker) -> Action:
    """https://docs.aws.amazon.com/iot/latest/developerguide/republish-rule-action.html"""
    role, qos = given["roleArn"], given.get("qos", 0)
    if qos not in (0, 1):
        raise api.InvalidRequestException("qos must be 0 or 1.")
    topic = compile_template(given["topic"].replace("$$aws/", "$aws/"))
    headers = _headers(given.get("headers") or {})

    async def run(selected: Sequence[Selected]) -> Outcome:
        outcome = Outcome()

        async def send(name: str, item: Selected) -> str:
            arn = make.scope.arn("iot", f"topic/{name}")
            properties = headers(item.env)
            make.p.identity.authorise(make.assume(role), "iot:Publish", arn)
            try:
                await make.p.broker.publish(make.scope, name, item.payload, qos=qos, properties=properties)
            except ValueError as wrong:
                raise api.InvalidRequestException(str(wrong)) from None
            env = item.env
            outcome.republished.append(
                Env(name, item.payload, env.scope, env.client_id, env.principal, env.now, env.ids, env.source_ip, properties)
            )  # fmt: skip
            return make.scope.arn("iot", "client/*")

        outcome.failures = (await make.each("RepublishAction", selected, topic, send)).failures
        return outcome

    return make.action("republish", None, role, run)


def _headers(given: Mapping[str, Any]) -> Callable[[Env], MessageProperties]:
    """MQTT 5 properties of republished messages; every value may be a template."""
    if not given:
        return lambda env: NO_PROPERTIES  # noqa: ARG005 - nothing to fill
    texts = {name: compile_template(str(value)) for name, value in given.items() if name != "userProperties"}
    pairs = [
        (compile_template(pair["key"]), compile_template(pair["value"])) for pair in given.get("userProperties") or ()
    ]

    def fill(env: Env) -> MessageProperties:
        value = {name: template(env) for name, template in texts.items()}
        expiry, data = value.get("messageExpiry"), value.get("correlationData")
        indicator = value.get("payloadFormatIndicator")
        return MessageProperties(
            value.get("contentType"),
            value.get("responseTopic"),
            data.encode() if data is not None else None,
            int(expiry) if expiry is not None and expiry.isdigit() else None,
            None if indicator is None else indicator == "UTF8_DATA",
            tuple((key(env), text(env)) for key, text in pairs),
        )

    return fill


def _logs(given: Mapping[str, Any], make: Maker) -> Action:
    """https://docs.aws.amazon.com/iot/latest/developerguide/cloudwatch-logs-rule-action.html"""
    role, group = given["roleArn"], given["logGroupName"]
    is_batch = bool(given.get("batchMode"))
    fill = compile_template(group)

    async def send(name: str, item: Selected) -> str:
        arn = make.scope.arn("logs", f"log-group:{name}")
        make.p.identity.authorise(make.assume(role), "logs:PutLogEvents", f"{arn}:*")
        events = _events(item) if is_batch else [(item.env.now, item.payload.decode("utf-8", "replace"))]
        make.p.logs.write(make.scope, name, make.rule.name, events)
        return arn

    async def run(selected: Sequence[Selected]) -> Outcome:
        return await make.each("CloudwatchLogsAction", selected, fill, send)

    return make.action("cloudwatchLogs", None, role, run)


_MAKERS: dict[str, Callable[[Mapping[str, Any], Maker], Action]] = {
    "kinesis": _kinesis,
    "firehose": _firehose,
    "s3": _s3,
    "lambda": _lambda,
    "sqs": _sqs,
    "republish": _republish,
    "cloudwatchLogs": _logs,
    "sns": alerting.sns,
    "cloudwatchMetric": alerting.metric,
    "cloudwatchAlarm": alerting.alarm,
}
