"""STS: who may assume what, for how long, and what the session may do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services import iam, sts
from lakebed.services.iam.port import root_principal
from tests.harness import ACCOUNT, ROOT, Harness
from tests.services.iam.test_operations import ALLOW_S3, refuses, trust, user_principal

ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/r"
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Harness]:
    made = Harness(tmp_path / "data")
    made.add(iam.service, sts.service)
    await made.start()
    await made.call("iam", "CreateUser", UserName="bob")
    yield made
    await made.stop()


async def bob_of(house: Harness) -> Any:
    key = (await house.call("iam", "CreateAccessKey", UserName="bob"))["AccessKey"]["AccessKeyId"]
    return user_principal(house, key)


def assume(house: Harness, principal: Any = ROOT, **more: Any) -> Any:
    return house.call("sts", "AssumeRole", caller=principal, RoleArn=ROLE_ARN, RoleSessionName="session", **more)


async def test_a_trusted_user_assumes(house: Harness) -> None:
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=trust({"AWS": BOB}))
    await house.call("iam", "PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=ALLOW_S3)
    told = await assume(house, await bob_of(house), DurationSeconds=900)
    assert told["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/session"
    assert told["Credentials"]["Expiration"] == house.clock.now() + 900
    session = user_principal(house, told["Credentials"]["AccessKeyId"])
    house.ports.identity.authorise(session, "s3:GetObject", "arn:aws:s3:::b/k")
    with pytest.raises(AwsError):
        house.ports.identity.authorise(session, "sqs:SendMessage", "*")
    who = await house.call("sts", "GetCallerIdentity", caller=session)
    assert who["UserId"] == told["AssumedRoleUser"]["AssumedRoleId"]


async def test_trusting_the_account_delegates_to_its_users(house: Harness) -> None:
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    bob = await bob_of(house)
    message = await refuses("AccessDenied", assume(house, bob))
    assert message == f"User: {BOB} is not authorized to perform: sts:AssumeRole on resource: {ROLE_ARN}"
    allows = ALLOW_S3.replace("s3:*", "sts:AssumeRole")
    await house.call("iam", "PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=allows)
    assert (await assume(house, bob))["Credentials"]


async def test_nobody_else_assumes(house: Harness) -> None:
    allows = ALLOW_S3.replace("s3:*", "sts:AssumeRole")
    await house.call("iam", "PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=allows)
    bob = await bob_of(house)
    await refuses("AccessDenied", assume(house, bob))  # no such role
    await house.call(
        "iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"})
    )
    await refuses("AccessDenied", assume(house, bob))  # trusts a service only
    stranger = await refuses("AccessDenied", assume(house, root_principal("222222222222")))
    assert "222222222222:root is not authorized to perform: sts:AssumeRole" in stranger


async def test_external_id(house: Harness) -> None:
    document = json.loads(trust({"AWS": BOB}))
    document["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": "42x"}}
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=json.dumps(document))
    bob = await bob_of(house)
    await refuses("AccessDenied", assume(house, bob))
    await refuses("AccessDenied", assume(house, bob, ExternalId="43x"))
    assert (await assume(house, bob, ExternalId="42x"))["Credentials"]


async def test_session_policies_and_tags(house: Harness) -> None:
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=trust({"AWS": BOB}))
    await house.call("iam", "PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=ALLOW_S3)
    narrow = ALLOW_S3.replace("s3:*", "s3:Get*")
    told = await assume(house, await bob_of(house), Policy=narrow, Tags=[{"Key": "team", "Value": "x"}])
    assert told["PackedPolicySize"] > 0
    session = user_principal(house, told["Credentials"]["AccessKeyId"])
    assert session.tags == {"team": "x"}
    house.ports.identity.authorise(session, "s3:GetObject", "arn:aws:s3:::b/k")
    with pytest.raises(AwsError, match="no session policy allows the s3:PutObject action"):
        house.ports.identity.authorise(session, "s3:PutObject", "arn:aws:s3:::b/k")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"DurationSeconds": 899}, "Validation"),
        ({"DurationSeconds": 3601}, "ValidationError"),
        ({"RoleSessionName": "no spaces"}, "Validation"),
        ({"RoleArn": "arn:aws:iam::000000000000:user/bobby"}, "ValidationError"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"SerialNumber": "arn:aws:iam::000000000000:mfa/x"}, "NotImplemented"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/DoesNotExist"}]}, "ValidationError"),
    ],
)
async def test_bad_requests(house: Harness, change: dict[str, Any], code: str) -> None:
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=trust({"AWS": BOB}))
    bob = await bob_of(house)
    with pytest.raises(AwsError) as caught:
        await house.call(
            "sts", "AssumeRole", caller=bob, **({"RoleArn": ROLE_ARN, "RoleSessionName": "session"} | change)
        )
    assert code in caught.value.error_code


async def test_session_tokens_of_users(house: Harness) -> None:
    bob = await bob_of(house)
    told = await house.call("sts", "GetSessionToken", caller=bob, DurationSeconds=900)
    session = user_principal(house, told["Credentials"]["AccessKeyId"])
    assert (session.kind, session.arn) == ("user", BOB)
    await refuses("AccessDenied", house.call("sts", "GetSessionToken", caller=session))
    assert (await house.call("sts", "GetAccessKeyInfo", AccessKeyId=session.access_key_id))["Account"] == ACCOUNT
    await refuses("ValidationError", house.call("sts", "GetAccessKeyInfo", AccessKeyId="AKIAUNKNOWNUNKNOWN00"))
