"""Thing groups, billing groups, policies by group, and what policies would say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.iot.policy import compile_policy, decide
from tests.edge.mqtt.world import ALLOW_ALL, Device, World, make_csr

ARN = "arn:aws:iot:us-east-1:000000000000:"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path / "data").start()
    yield made
    await made.stop()


async def fails(call: Any) -> str:
    with pytest.raises(AwsError) as caught:
        await call
    return caught.value.error_code


async def test_thing_groups(world: World) -> None:
    call = world.harness.call
    await call("iot", "CreateThing", thingName="t")
    root = await call("iot", "CreateThingGroup", thingGroupName="root", tags=[{"Key": "a", "Value": "b"}])
    again = await call("iot", "CreateThingGroup", thingGroupName="root")
    assert root["thingGroupId"] == again["thingGroupId"]
    properties = {"thingGroupDescription": "d", "attributePayload": {"attributes": {"x": "1"}}}
    await call(
        "iot", "CreateThingGroup", thingGroupName="leaf", parentGroupName="root", thingGroupProperties=properties
    )
    told = await call("iot", "DescribeThingGroup", thingGroupName="leaf")
    assert told["thingGroupMetadata"]["rootToParentThingGroups"] == [
        {"groupName": "root", "groupArn": f"{ARN}thinggroup/root"}]  # fmt: skip
    assert told["thingGroupProperties"] == properties
    changed = {"attributePayload": {"attributes": {"y": "2"}, "merge": True}}
    assert (
        await call("iot", "UpdateThingGroup", thingGroupName="leaf", thingGroupProperties=changed, expectedVersion=1)
    )["version"] == 2
    stale = call("iot", "UpdateThingGroup", thingGroupName="leaf", thingGroupProperties=changed, expectedVersion=1)
    assert await fails(stale) == "VersionConflictException"
    await call("iot", "AddThingToThingGroup", thingGroupArn=f"{ARN}thinggroup/leaf", thingArn=f"{ARN}thing/t")
    twice = call("iot", "AddThingToThingGroup", thingGroupName="root", thingName="t")
    assert await fails(twice) == "InvalidRequestException"
    assert (await call("iot", "ListThingsInThingGroup", thingGroupName="root"))["things"] == []
    assert (await call("iot", "ListThingsInThingGroup", thingGroupName="root", recursive=True))["things"] == ["t"]
    assert (await call("iot", "ListThingGroupsForThing", thingName="t"))["thingGroups"][0]["groupName"] == "leaf"
    assert [g["groupName"] for g in (await call("iot", "ListThingGroups", parentGroup="root"))["thingGroups"]] == [
        "leaf"
    ]
    tags = await call("iot", "ListTagsForResource", resourceArn=f"{ARN}thinggroup/root")
    assert tags["tags"] == [{"Key": "a", "Value": "b"}]
    assert await fails(call("iot", "DeleteThingGroup", thingGroupName="root")) == "InvalidRequestException"
    await call(
        "iot", "UpdateThingGroupsForThing", thingName="t", thingGroupsToAdd=["root"], thingGroupsToRemove=["leaf"]
    )
    await call("iot", "DeleteThing", thingName="t")
    assert (await call("iot", "ListThingsInThingGroup", thingGroupName="root"))["things"] == []


async def test_billing_groups(world: World) -> None:
    call = world.harness.call
    for name in ("a", "b"):
        await call("iot", "CreateBillingGroup", billingGroupName=name)
    await call("iot", "CreateThing", thingName="t", billingGroupName="a")
    assert (await call("iot", "DescribeThing", thingName="t"))["billingGroupName"] == "a"
    await call("iot", "AddThingToBillingGroup", billingGroupName="b", thingName="t")
    assert (await call("iot", "ListThingsInBillingGroup", billingGroupName="a"))["things"] == []
    assert (await call("iot", "ListThingsInBillingGroup", billingGroupName="b"))["things"] == ["t"]
    await call("iot", "RemoveThingFromBillingGroup", billingGroupName="b", thingName="t")
    assert "billingGroupName" not in await call("iot", "DescribeThing", thingName="t")
    page = await call("iot", "ListBillingGroups", maxResults=1)
    assert page["nextToken"]
    await call("iot", "DeleteBillingGroup", billingGroupName="a")
    assert await fails(call("iot", "DescribeBillingGroup", billingGroupName="a")) == "ResourceNotFoundException"


async def test_policies_of_groups_count_for_their_things_certificates(world: World) -> None:
    call = world.harness.call
    private, csr = make_csr()
    made = await call("iot", "CreateCertificateFromCsr", certificateSigningRequest=csr, setAsActive=True)
    folder = world.directory.parent
    (folder / "g.pem").write_text(made["certificatePem"])
    (folder / "g.key").write_text(private)
    files = (folder / "g.pem", folder / "g.key", made["certificateArn"])
    assert (await Device(world, files).connect()).reason == 5
    await call("iot", "CreateThing", thingName="d1")
    await call("iot", "AttachThingPrincipal", thingName="d1", principal=files[2])
    await call("iot", "CreateThingGroup", thingGroupName="root")
    await call("iot", "CreateThingGroup", thingGroupName="leaf", parentGroupName="root")
    await call("iot", "CreatePolicy", policyName="p", policyDocument=json.dumps(ALLOW_ALL))
    await call("iot", "AttachPolicy", policyName="p", target=f"{ARN}thinggroup/root")
    assert (await Device(world, files).connect()).reason == 5
    await call("iot", "AddThingToThingGroup", thingGroupName="leaf", thingName="d1")
    assert (await Device(world, files).connect()).reason == 0
    leaf = f"{ARN}thinggroup/leaf"
    assert (await call("iot", "ListAttachedPolicies", target=leaf))["policies"] == []
    assert len((await call("iot", "ListAttachedPolicies", target=leaf, recursive=True))["policies"]) == 1
    effective = await call("iot", "GetEffectivePolicies", principal=files[2], thingName="d1")
    assert [policy["policyName"] for policy in effective["effectivePolicies"]] == ["p"]
    info = {"actionType": "PUBLISH", "resources": [f"{ARN}topic/a"]}
    tested = await call("iot", "TestAuthorization", principal=files[2], authInfos=[info])
    assert tested["authResults"][0]["authDecision"] == "ALLOWED"
    tested = await call("iot", "TestAuthorization", principal=files[2], authInfos=[info], policyNamesToSkip=["p"])
    assert tested["authResults"][0]["authDecision"] == "IMPLICIT_DENY"
    assert (await call("iot", "ListThingPrincipalsV2", thingName="d1"))["thingPrincipalObjects"] == [
        {"principal": files[2], "thingPrincipalType": "NON_EXCLUSIVE_THING"}]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "facts", "holds"),
    [
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.2.3"}, True),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.2.3"}, False),
        ({"NumericLessThan": {"n": 5}}, {"n": "4.5"}, True),
        ({"NumericLessThan": {"n": "5"}}, {"n": "x"}, False),
        ({"DateGreaterThan": {"t": "2026-01-01T00:00:00Z"}}, {"t": "2026-01-02T00:00:00Z"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "v"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "v"}}, {"k": "w"}, False),
        ({"ArnLike": {"k": "arn:aws:iot:*:thing/a*"}}, {"k": "arn:aws:iot:x:thing/ab"}, True),
        ({"ForAnyValue:StringEquals": {"k": ["LastWill"]}}, {"k": ["A", "LastWill"]}, True),
        ({"StringNotEquals": {"k": "v"}}, {"k": "v"}, False),
    ],
)  # fmt: skip
def test_conditions(condition: Any, facts: Any, holds: bool) -> None:
    statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert decide(compile_policy(document), "iot:Connect", "x", facts) is holds
