"""The operations through boto3's own codecs, and rules with fakes of every port they deliver to."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.ports.devices import DeviceIdentity, IngestUnavailableError, PublishedMessage
from tests.edge.mqtt.world import ALLOW_ALL, World, make_csr
from tests.harness import SCOPE

ROLE = "arn:aws:iam::000000000000:role/r"


class Sinks:
    """Every neighbour a rule may deliver to; ``fails`` makes one raise."""

    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []
        self.fails: dict[str, BaseException] = {}

    def note(self, kind: str, *what: Any) -> None:
        if kind in self.fails:
            raise self.fails[kind]
        self.got.append((kind, *what))

    def named(self, kind: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self.got if entry[0] == kind]


class Port:
    def __init__(self, sinks: Sinks) -> None:
        self.sinks = sinks

    async def invoke_later(
        self, principal: Any, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        self.sinks.note("lambda", function_arn, payload, source_arn, principal.arn)
        return "id"

    async def send(self, principal: Any, queue_arn: str, bodies: Sequence[str]) -> None:
        self.sinks.note("sqs", queue_arn, *bodies)

    def write(self, scope: Any, group: str, stream: str, events: Sequence[tuple[float, str]]) -> None:
        self.sinks.note("logs", group, events[0][1])


class Objects:
    def __init__(self, sinks: Sinks) -> None:
        self.sinks = sinks

    async def put(self, principal: Any, bucket: str, key: str, body: bytes, **_: Any) -> None:
        self.sinks.note("s3", bucket, key, body)


class Streams:
    def __init__(self, sinks: Sinks, kind: str) -> None:
        self.sinks, self.kind = sinks, kind

    async def put(self, principal: Any, arn: str, records: Sequence[Any]) -> None:
        self.sinks.note(self.kind, arn, list(records))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "data")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def sinks(world: World) -> Sinks:
    made = Sinks()
    ports: Any = world.ports
    ports.functions = ports.queues = ports.logs = Port(made)
    ports.objects = Objects(made)
    ports.streams, ports.delivery = Streams(made, "kinesis"), Streams(made, "firehose")
    return made


async def rule(
    world: World, *actions: dict[str, Any], sql: str = "SELECT * FROM 't/#'", name: str = "r", **more: Any
) -> None:
    payload = {"sql": sql, "actions": list(actions), **more}
    await world.harness.call("iot", "CreateTopicRule", ruleName=name, topicRulePayload=payload)


async def send(world: World, *messages: tuple[str, bytes]) -> None:
    identity = DeviceIdentity(SCOPE, "cert", "10.0.0.1")
    batch = [PublishedMessage(topic, payload, 1, False, world.k.clock.now()) for topic, payload in messages]
    await world.ports.gate.ingest(identity, "client", batch)


async def fails(call: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await call
    return caught.value


async def test_things(world: World) -> None:
    call = world.harness.call
    made = await call("iot", "CreateThing", thingName="a", attributePayload={"attributes": {"line": "1"}})
    assert made["thingArn"] == "arn:aws:iot:us-east-1:000000000000:thing/a"
    again = await call("iot", "CreateThing", thingName="a", attributePayload={"attributes": {"line": "1"}})
    assert again == made
    assert (await fails(call("iot", "CreateThing", thingName="a"))).error_code == "ResourceAlreadyExistsException"
    await call("iot", "CreateThing", thingName="b", attributePayload={"attributes": {"line": "12"}})
    await call("iot", "UpdateThing", thingName="a", attributePayload={"attributes": {"x": "y"}, "merge": True})
    found = await call("iot", "DescribeThing", thingName="a")
    assert (found["attributes"], found["version"]) == ({"line": "1", "x": "y"}, 2)
    stale = await fails(call("iot", "UpdateThing", thingName="a", expectedVersion=1))
    assert stale.error_code == "VersionConflictException"
    page = await call("iot", "ListThings", maxResults=1)
    assert [thing["thingName"] for thing in page["things"]] == ["a"]
    page = await call("iot", "ListThings", maxResults=1, nextToken=page["nextToken"])
    assert [thing["thingName"] for thing in page["things"]] == ["b"]
    assert "nextToken" not in page
    by_prefix = {"attributeName": "line", "attributeValue": "1", "usePrefixAttributeValue": True}
    assert len((await call("iot", "ListThings", **by_prefix))["things"]) == 2
    assert len((await call("iot", "ListThings", attributeName="line", attributeValue="1"))["things"]) == 1
    await call("iot", "DeleteThing", thingName="b")
    assert (await fails(call("iot", "DescribeThing", thingName="b"))).error_code == "ResourceNotFoundException"


async def test_thing_types(world: World) -> None:
    call = world.harness.call
    made = await call("iot", "CreateThingType", thingTypeName="k", thingTypeProperties={"thingTypeDescription": "d"})
    assert made["thingTypeArn"] == "arn:aws:iot:us-east-1:000000000000:thingtype/k"
    attributes = {f"a{n}": "x" for n in range(4)}
    over = await fails(call("iot", "CreateThing", thingName="t", attributePayload={"attributes": attributes}))
    assert over.error_code == "InvalidRequestException"
    await call("iot", "CreateThing", thingName="t", thingTypeName="k", attributePayload={"attributes": attributes})
    assert (await call("iot", "DescribeThing", thingName="t"))["thingTypeName"] == "k"
    assert len((await call("iot", "ListThings", thingTypeName="k"))["things"]) == 1
    assert (await call("iot", "ListThings", thingTypeName="other"))["things"] == []
    unknown = await fails(call("iot", "CreateThing", thingName="u", thingTypeName="no"))
    assert unknown.error_code == "ResourceNotFoundException"
    assert (await fails(call("iot", "DeleteThingType", thingTypeName="k"))).error_code == "InvalidRequestException"
    await call("iot", "DeprecateThingType", thingTypeName="k")
    assert (
        await fails(call("iot", "CreateThing", thingName="u", thingTypeName="k"))
    ).error_code == "InvalidRequestException"
    told = await call("iot", "DescribeThingType", thingTypeName="k")
    assert told["thingTypeMetadata"]["deprecated"] is True
    await call("iot", "UpdateThing", thingName="t", removeThingType=True, attributePayload={"attributes": {"a": "b"}})
    assert (await fails(call("iot", "DeleteThingType", thingTypeName="k"))).error_code == "InvalidRequestException"
    await world.harness.clock.advance(300)
    await call("iot", "DeleteThingType", thingTypeName="k")
    assert (await call("iot", "ListThingTypes"))["thingTypes"] == []


async def test_certificates_policies_and_attachments(world: World) -> None:
    call = world.harness.call
    made = await call("iot", "CreateKeysAndCertificate")
    assert "BEGIN RSA PRIVATE KEY" in made["keyPair"]["PrivateKey"]
    arn, certificate_id = made["certificateArn"], made["certificateId"]
    told = (await call("iot", "DescribeCertificate", certificateId=certificate_id))["certificateDescription"]
    assert told["status"] == "INACTIVE"
    await call("iot", "UpdateCertificate", certificateId=certificate_id, newStatus="ACTIVE")
    await call(
        "iot", "CreatePolicy", policyName="p", policyDocument=json.dumps(ALLOW_ALL), tags=[{"Key": "k", "Value": "v"}]
    )
    await call("iot", "AttachPolicy", policyName="p", target=arn)
    assert [p["policyName"] for p in (await call("iot", "ListAttachedPolicies", target=arn))["policies"]] == ["p"]
    assert (await call("iot", "ListTargetsForPolicy", policyName="p"))["targets"] == [arn]
    await call("iot", "CreateThing", thingName="t")
    await call("iot", "AttachThingPrincipal", thingName="t", principal=arn)
    assert (await call("iot", "ListThingPrincipals", thingName="t"))["principals"] == [arn]
    assert (await call("iot", "ListPrincipalThings", principal=arn))["things"] == ["t"]
    for operation, wanted in (
        ("DeletePolicy", {"policyName": "p"}),
        ("DeleteCertificate", {"certificateId": certificate_id}),
    ):
        refusal = await fails(call("iot", operation, **wanted))
        assert refusal.error_code in ("DeleteConflictException", "CertificateStateException")
    assert (await fails(call("iot", "DeleteThing", thingName="t"))).error_code == "InvalidRequestException"
    version = await call(
        "iot", "CreatePolicyVersion", policyName="p", policyDocument=json.dumps(ALLOW_ALL), setAsDefault=True
    )
    assert version["policyVersionId"] == "2"
    assert (await call("iot", "GetPolicy", policyName="p"))["defaultVersionId"] == "2"
    await call("iot", "DeletePolicyVersion", policyName="p", policyVersionId="1")
    policy_arn = "arn:aws:iot:us-east-1:000000000000:policy/p"
    assert (await call("iot", "ListTagsForResource", resourceArn=policy_arn))["tags"] == [{"Key": "k", "Value": "v"}]
    await call("iot", "DetachThingPrincipal", thingName="t", principal=arn)
    await call("iot", "DetachPolicy", policyName="p", target=arn)
    await call("iot", "UpdateCertificate", certificateId=certificate_id, newStatus="REVOKED")
    await call("iot", "DeleteCertificate", certificateId=certificate_id)
    await call("iot", "DeletePolicy", policyName="p")
    assert (await call("iot", "ListCertificates"))["certificates"] == []
    bad = await fails(call("iot", "CreatePolicy", policyName="x", policyDocument="{}"))
    assert bad.error_code == "MalformedPolicyException"


async def test_csr_and_foreign_certificates(world: World) -> None:
    call = world.harness.call
    made = await call("iot", "CreateCertificateFromCsr", certificateSigningRequest=make_csr()[1])
    await call("iot", "UpdateCertificate", certificateId=made["certificateId"], newStatus="INACTIVE")
    again = await fails(call("iot", "RegisterCertificateWithoutCA", certificatePem=made["certificatePem"]))
    assert again.error_code == "ResourceAlreadyExistsException"
    bad = await fails(call("iot", "CreateCertificateFromCsr", certificateSigningRequest="x"))
    assert bad.error_code == "InvalidRequestException"
    foreign = await call(
        "iot", "RegisterCertificateWithoutCA", certificatePem=world.door.authority.root_pem, status="ACTIVE"
    )
    assert foreign["certificateId"]


async def test_the_endpoint_is_the_truth(world: World) -> None:
    told = await world.harness.call("iot", "DescribeEndpoint", endpointType="iot:Data-ATS")
    assert told["endpointAddress"] == f"localhost:{world.port}"
    unknown = await fails(world.harness.call("iot", "DescribeEndpoint", endpointType="iot:Other"))
    assert unknown.error_code == "InvalidRequestException"


async def test_rules_are_kept_and_checked(world: World) -> None:
    call = world.harness.call
    kinesis = {"kinesis": {"roleArn": ROLE, "streamName": "s", "partitionKey": "${topic(2)}"}}
    await rule(world, kinesis, description="d")
    told = (await call("iot", "GetTopicRule", ruleName="r"))["rule"]
    assert told["actions"] == [kinesis]
    assert (told["sql"], told["ruleDisabled"], told["description"]) == ("SELECT * FROM 't/#'", False, "d")
    assert (await fails(rule(world, kinesis))).error_code == "ResourceAlreadyExistsException"
    await call("iot", "DisableTopicRule", ruleName="r")
    assert (await call("iot", "ListTopicRules"))["rules"][0]["ruleDisabled"] is True
    assert (await call("iot", "ListTopicRules", topic="other"))["rules"] == []
    await call(
        "iot", "ReplaceTopicRule", ruleName="r", topicRulePayload={"sql": "SELECT a FROM 'x'", "actions": [kinesis]}
    )
    assert (await call("iot", "ListTopicRules"))["rules"][0]["topicPattern"] == "x"
    links = world.harness.services["iot"].topology(SCOPE)  # type: ignore[misc]
    assert links[1].target == "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    for payload, code in (
        ({"sql": "SELECT regexp_matches(a, '(') FROM 'x'", "actions": []}, "SqlParseException"),
        ({"sql": "SELECT * FROM 'a/#/b'", "actions": []}, "SqlParseException"),
        (
            {"sql": "SELECT * FROM 'x'", "actions": [{"stepFunctions": {"stateMachineName": "a", "roleArn": ROLE}}]},
            "NotImplemented",
        ),
        ({"sql": "SELECT * FROM 'x'", "actions": [], "awsIotSqlVersion": "2015-10-08"}, "NotImplemented"),
    ):
        refused = await fails(call("iot", "CreateTopicRule", ruleName="bad", topicRulePayload=payload))
        assert refused.error_code == code
    await call("iot", "DeleteTopicRule", ruleName="r")
    assert (await fails(call("iot", "GetTopicRule", ruleName="r"))).error_code == "UnauthorizedException"


async def test_every_action_delivers(world: World, sinks: Sinks) -> None:
    await rule(
        world,
        {"kinesis": {"roleArn": ROLE, "streamName": "s", "partitionKey": "${topic(2)}"}},
        {"firehose": {"roleArn": ROLE, "deliveryStreamName": "f", "separator": "\n"}},
        {"s3": {"roleArn": ROLE, "bucketName": "b", "key": "${topic(2)}/${timestamp()}"}},
        {"lambda": {"functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f"}},
        {"sqs": {"roleArn": ROLE, "queueUrl": "http://localhost:4566/000000000000/q", "useBase64": True}},
        {"cloudwatchLogs": {"roleArn": ROLE, "logGroupName": "g"}},
        sql="SELECT v FROM 't/#' WHERE v > 1",
    )
    await send(world, ("t/a", b'{"v": 1}'), ("t/b", b'{"v": 2}'), ("u", b'{"v": 9}'), ("t/c", b'{"v": 3}'))
    out = [b'{"v":2}', b'{"v":3}']
    assert sinks.named("kinesis") == [
        ("arn:aws:kinesis:us-east-1:000000000000:stream/s", [("b", out[0]), ("c", out[1])])
    ]
    assert sinks.named("firehose")[0][1] == [out[0] + b"\n", out[1] + b"\n"]
    assert sinks.named("s3") == [("b", "b/1750000000000", out[0]), ("b", "c/1750000000000", out[1])]
    assert sinks.named("lambda")[0][1:] == (
        out[0], "arn:aws:iot:us-east-1:000000000000:rule/r", "iot.amazonaws.com"
    )  # fmt: skip
    assert sinks.named("sqs")[0] == (
        "arn:aws:sqs:us-east-1:000000000000:q",
        base64.b64encode(out[0]).decode(),
    )
    assert sinks.named("logs")[1] == ("g", '{"v":3}')
    meters: Any = world.k.meters.snapshot()["resources"]
    assert meters["arn:aws:iot:us-east-1:000000000000:rule/r"]["dropped"] == 1
    assert meters["arn:aws:iot:us-east-1:000000000000:client/*"]["recordsIn"] == 4


async def test_a_failing_action_reports_to_the_error_action(world: World, sinks: Sinks) -> None:
    sinks.fails["kinesis"] = AwsError("ResourceNotFoundException", "no stream")
    await rule(
        world,
        {"kinesis": {"roleArn": ROLE, "streamName": "s"}},
        errorAction={"s3": {"roleArn": ROLE, "bucketName": "errors", "key": "${newuuid()}"}},
    )
    await send(world, ("t/a", b"binary\xff"))
    report = json.loads(sinks.named("s3")[0][2])
    assert base64.b64decode(report["base64OriginalPayload"]) == b"binary\xff"
    assert report["failures"][0]["errorMessage"] == "ResourceNotFoundException: no stream"
    assert (report["ruleName"], report["topic"], report["clientId"]) == ("r", "t/a", "client")
    sinks.fails["kinesis"] = OSError("disk full")
    with pytest.raises(IngestUnavailableError):
        await send(world, ("t/a", b"x"))


async def test_throttling_is_tried_again(world: World, sinks: Sinks) -> None:
    await rule(world, {"kinesis": {"roleArn": ROLE, "streamName": "s"}})
    sinks.fails["kinesis"] = AwsError("ProvisionedThroughputExceededException", "slow down")
    import asyncio

    sending = asyncio.create_task(send(world, ("t/a", b"x")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sinks.fails.clear()
    await world.harness.clock.advance(1)
    await sending
    assert len(sinks.named("kinesis")) == 1


async def test_basic_ingest_and_republish_and_loops(world: World, sinks: Sinks) -> None:
    await rule(
        world, {"sqs": {"roleArn": ROLE, "queueUrl": "q"}}, sql="SELECT *, topic(1) AS t FROM 'never'", name="direct"
    )
    await send(world, ("$aws/rules/direct/a/b", b"{}"))
    assert sinks.named("sqs")[0][1] == '{"t":"a"}'
    await rule(
        world,
        {"republish": {"roleArn": ROLE, "topic": "loop/${topic(2)}", "qos": 1}},
        sql="SELECT * FROM 't/#'",
        name="one",
    )
    await rule(
        world, {"republish": {"roleArn": ROLE, "topic": "t/${topic(2)}"}}, sql="SELECT * FROM 'loop/#'", name="two"
    )
    await send(world, ("t/x", b"{}"))
    assert any(line["event"] == "republish loop" for line in world.k.log.tail)


async def test_http_publish_reaches_rules(world: World, sinks: Sinks) -> None:
    await rule(world, {"kinesis": {"roleArn": ROLE, "streamName": "s", "partitionKey": "k"}})
    call = world.harness.call
    await call(
        "iot-data", "Publish", topic="t/a", qos=1, payload=b"hello", userProperties='[{"a": "b"}]', contentType="x"
    )
    assert sinks.named("kinesis")[0][1] == [("k", b"hello")]
    await call("iot-data", "Publish", topic="t/a", retain=True, payload=b"kept", userProperties='[{"a": "b"}]')
    kept = await call("iot-data", "GetRetainedMessage", topic="t/a")
    assert kept["lastModifiedTime"] == 1750000000000
    assert json.loads(kept["userProperties"]) == [{"a": "b"}]
    for topic in ("a/#", "/".join("abcdefghi"), "$aws/things/x/other", "x" * 257):
        assert (
            await fails(call("iot-data", "Publish", topic=topic, payload=b"x"))
        ).error_code == "InvalidRequestException"
    assert (await fails(call("iot-data", "GetRetainedMessage", topic="no"))).error_code == "ResourceNotFoundException"


async def test_logs(world: World, sinks: Sinks) -> None:
    call = world.harness.call
    absent = await fails(call("iot", "GetV2LoggingOptions"))
    assert absent.error_code == "NotConfiguredException"
    await send(world, ("t/a", b"{}"))
    assert sinks.named("logs") == []
    await call("iot", "SetV2LoggingOptions", roleArn=ROLE, defaultLogLevel="INFO")
    sinks.fails["kinesis"] = AwsError("ResourceNotFoundException", "no stream")
    await rule(world, {"kinesis": {"roleArn": ROLE, "streamName": "s"}})
    await send(world, ("t/a", b"{}"))
    lines = [json.loads(text) for group, text in sinks.named("logs") if group == "AWSIotLogsV2"]
    assert [(line["eventType"], line["status"]) for line in lines] == [
        ("Publish-In", "Success"), ("RuleExecution", "Failure")]  # fmt: skip
    await call("iot", "SetV2LoggingOptions", disableAllLogs=True)
    assert (await call("iot", "GetV2LoggingOptions"))["disableAllLogs"] is True
    await send(world, ("t/a", b"{}"))
    assert len(sinks.named("logs")) == 2
    await call("iot", "SetLoggingOptions", loggingOptionsPayload={"roleArn": ROLE, "logLevel": "WARN"})
    assert (await call("iot", "GetLoggingOptions"))["logLevel"] == "WARN"
