"""IAM's operations through boto3's own serialiser, and the identity port over what they made."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import GLOBAL_REGION, Principal, Scope
from lakebed.kernel.vault import SealBrokenError, Vault
from lakebed.services import iam
from lakebed.services.iam import documents
from lakebed.services.iam.port import root_principal
from tests.harness import ACCOUNT, Harness

ALLOW_S3 = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


def trust(*principals: Any) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": p, "Action": "sts:AssumeRole"} for p in principals],
        }
    )


FIREHOSE = trust({"Service": "firehose.amazonaws.com"})
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/r"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Harness]:
    made = Harness(tmp_path / "data")
    made.add(iam.service)
    await made.start()
    yield made
    await made.stop()


async def refuses(code: str, awaitable: Any) -> str:
    with pytest.raises(AwsError) as caught:
        await awaitable
    told = getattr(type(caught.value), "code", "") or caught.value.error_code
    assert code in (told, caught.value.error_code), caught.value
    return caught.value.message


def user_principal(house: Harness, key_id: str) -> Principal:
    key = house.ports.identity.access_key(key_id)
    assert key is not None
    return key.principal


async def test_user_life(house: Harness) -> None:
    call = house.call
    made = (await call("iam", "CreateUser", UserName="Bob", Path="/x/", Tags=[{"Key": "a", "Value": "1"}]))["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/x/Bob"
    await refuses("EntityAlreadyExists", call("iam", "CreateUser", UserName="bob"))
    await call("iam", "TagUser", UserName="Bob", Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert (await call("iam", "ListUserTags", UserName="Bob"))["Tags"] == [
        {"Key": "A", "Value": "2"},
        {"Key": "b", "Value": "3"},
    ]
    await call("iam", "UntagUser", UserName="Bob", TagKeys=["a"])
    await call("iam", "PutUserPolicy", UserName="Bob", PolicyName="p", PolicyDocument=ALLOW_S3)
    await call("iam", "UpdateUser", UserName="Bob", NewUserName="Rob", NewPath="/")
    assert (await call("iam", "ListUserPolicies", UserName="Rob"))["PolicyNames"] == ["p"]
    told = await call("iam", "GetUserPolicy", UserName="Rob", PolicyName="p")
    assert json.loads(unquote(told["PolicyDocument"]) if isinstance(told["PolicyDocument"], str) else "{}")
    await refuses("DeleteConflict", call("iam", "DeleteUser", UserName="Rob"))
    await call("iam", "DeleteUserPolicy", UserName="Rob", PolicyName="p")
    await call("iam", "DeleteUser", UserName="Rob")
    assert "Rob" in await refuses("NoSuchEntity", call("iam", "GetUser", UserName="Rob"))


async def test_pages(house: Harness) -> None:
    for number in range(5):
        await house.call("iam", "CreateUser", UserName=f"u{number}")
    names, marker = [], None
    while True:
        more = {"Marker": marker} if marker else {}
        page = await house.call("iam", "ListUsers", MaxItems=2, **more)
        names += [user["UserName"] for user in page["Users"]]
        if not page["IsTruncated"]:
            break
        marker = page["Marker"]
    assert names == ["u0", "u1", "u2", "u3", "u4"]


async def test_keys(house: Harness) -> None:
    call, identity = house.call, house.ports.identity
    await call("iam", "CreateUser", UserName="bob")
    first = (await call("iam", "CreateAccessKey", UserName="bob"))["AccessKey"]
    await call("iam", "CreateAccessKey", UserName="bob")
    await refuses("LimitExceeded", call("iam", "CreateAccessKey", UserName="bob"))
    key = identity.access_key(first["AccessKeyId"])
    assert key is not None
    assert (key.secret, key.principal.arn) == (first["SecretAccessKey"], f"arn:aws:iam::{ACCOUNT}:user/bob")
    identity.note_use(key.principal, "s3", "eu-west-1")
    await house.clock.advance(61)
    used = (await call("iam", "GetAccessKeyLastUsed", AccessKeyId=first["AccessKeyId"]))["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("s3", "eu-west-1")
    await call("iam", "UpdateAccessKey", UserName="bob", AccessKeyId=first["AccessKeyId"], Status="Inactive")
    assert identity.access_key(first["AccessKeyId"]) is None
    await call("iam", "DeleteAccessKey", UserName="bob", AccessKeyId=first["AccessKeyId"])
    assert len((await call("iam", "ListAccessKeys", UserName="bob"))["AccessKeyMetadata"]) == 1
    assert [k["AccessKeyId"] for k in (await call("iam", "ListAccessKeys"))["AccessKeyMetadata"]] == ["test"]


async def test_secrets_lie_sealed(house: Harness, tmp_path: Path) -> None:
    await house.call("iam", "CreateUser", UserName="bob")
    secret = (await house.call("iam", "CreateAccessKey", UserName="bob"))["AccessKey"]["SecretAccessKey"]
    files = [path.read_bytes() for path in (tmp_path / "data").glob("state.db*")]
    assert not any(secret.encode() in content for content in files)
    assert (tmp_path / "data" / "iam.master.key").stat().st_mode & 0o777 == 0o600
    vault = Vault(tmp_path / "data" / "iam.master.key", house.kernel.ids)
    sealed = vault.seal("x", "AKIA1")
    assert vault.open(sealed, "AKIA1") == "x"
    with pytest.raises(SealBrokenError):
        vault.open(sealed, "AKIA2")


async def test_everything_survives_a_restart(house: Harness, tmp_path: Path) -> None:
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=FIREHOSE)
    given = house.ports.identity.role_credentials(ROLE_ARN, "firehose.amazonaws.com", session_name="s", seconds=900)
    again = Harness(tmp_path / "data")
    again.add(iam.service)
    key = again.ports.identity.access_key(given.access_key_id)
    assert key is not None
    assert (key.secret, key.session_token) == (given.secret_access_key, given.session_token)
    assert again.ports.identity.access_key("test") is not None
    again.kernel.db.close()


async def test_sessions_are_removed_a_day_after_they_ended(house: Harness) -> None:
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=FIREHOSE)
    given = house.ports.identity.role_credentials(ROLE_ARN, "firehose.amazonaws.com", session_name="s", seconds=900)
    await house.clock.advance(3600)
    assert house.ports.identity.access_key(given.access_key_id) is not None
    await house.clock.advance(90_000)
    assert house.ports.identity.access_key(given.access_key_id) is None


async def test_managed_policies_and_versions(house: Harness) -> None:
    call, identity = house.call, house.ports.identity
    await call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=FIREHOSE)
    arn = (await call("iam", "CreatePolicy", PolicyName="P", PolicyDocument=ALLOW_S3))["Policy"]["Arn"]
    await call("iam", "AttachRolePolicy", RoleName="r", PolicyArn=arn)
    session = identity.service_session(ROLE_ARN, "firehose.amazonaws.com", session_name="x")
    identity.authorise(session, "s3:PutObject", "arn:aws:s3:::b/k")
    nothing = ALLOW_S3.replace("s3:*", "sqs:*")
    await call("iam", "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=nothing, SetAsDefault=True)
    with pytest.raises(AwsError):
        identity.authorise(session, "s3:PutObject", "arn:aws:s3:::b/k")
    await call("iam", "SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v1")
    identity.authorise(session, "s3:PutObject", "arn:aws:s3:::b/k")
    await refuses("DeleteConflict", call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId="v1"))
    await refuses("DeleteConflict", call("iam", "DeletePolicy", PolicyArn=arn))
    holders = await call("iam", "ListEntitiesForPolicy", PolicyArn=arn)
    assert [role["RoleName"] for role in holders["PolicyRoles"]] == ["r"]
    assert (await call("iam", "GetPolicy", PolicyArn=arn))["Policy"]["AttachmentCount"] == 1
    await call("iam", "DetachRolePolicy", RoleName="r", PolicyArn=arn)
    await call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId="v2")
    await call("iam", "DeletePolicy", PolicyArn=arn)
    await refuses(
        "NoSuchEntity", call("iam", "AttachRolePolicy", RoleName="r", PolicyArn="arn:aws:iam::aws:policy/Nope")
    )
    await call(
        "iam",
        "AttachRolePolicy",
        RoleName="r",
        PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    )
    identity.authorise(
        identity.service_session(ROLE_ARN, "firehose.amazonaws.com", session_name="x"), "logs:PutLogEvents", "*"
    )
    listed = (await call("iam", "ListPolicies", Scope="All", OnlyAttached=True))["Policies"]
    assert [policy["PolicyName"] for policy in listed] == ["AWSLambdaBasicExecutionRole"]


async def test_boundaries_narrow(house: Harness) -> None:
    call, identity = house.call, house.ports.identity
    arn = (await call("iam", "CreatePolicy", PolicyName="B", PolicyDocument=ALLOW_S3.replace("s3:*", "s3:Get*")))[
        "Policy"
    ]["Arn"]
    await call("iam", "CreateUser", UserName="bob", PermissionsBoundary=arn)
    await call("iam", "PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=ALLOW_S3)
    key = (await call("iam", "CreateAccessKey", UserName="bob"))["AccessKey"]["AccessKeyId"]
    bob = user_principal(house, key)
    identity.authorise(bob, "s3:GetObject", "arn:aws:s3:::b/k")
    with pytest.raises(AwsError, match="no permissions boundary allows the s3:PutObject action"):
        identity.authorise(bob, "s3:PutObject", "arn:aws:s3:::b/k")
    await call("iam", "DeleteUserPermissionsBoundary", UserName="bob")
    identity.authorise(bob, "s3:PutObject", "arn:aws:s3:::b/k")


async def test_roles_trust_services(house: Harness) -> None:
    call, identity = house.call, house.ports.identity
    await call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=FIREHOSE, MaxSessionDuration=7200)
    session = identity.service_session(ROLE_ARN, "firehose.amazonaws.com", session_name="d")
    assert (session.arn, session.identity_arn) == (f"arn:aws:sts::{ACCOUNT}:assumed-role/r/d", ROLE_ARN)
    for arn, service in ((ROLE_ARN, "lambda.amazonaws.com"), (f"{ROLE_ARN}x", "firehose.amazonaws.com")):
        with pytest.raises(AwsError) as caught:
            identity.service_session(arn, service, session_name="d")
        assert caught.value.error_code == "AccessDenied"
    await call("iam", "UpdateAssumeRolePolicy", RoleName="r", PolicyDocument=trust({"Service": "lambda.amazonaws.com"}))
    with pytest.raises(AwsError):
        identity.service_session(ROLE_ARN, "firehose.amazonaws.com", session_name="d")
    identity.check_pass_role(root_principal(ACCOUNT), ROLE_ARN, "lambda.amazonaws.com")
    await call("iam", "CreateUser", UserName="bob")
    key = (await call("iam", "CreateAccessKey", UserName="bob"))["AccessKey"]["AccessKeyId"]
    with pytest.raises(AwsError, match="iam:PassRole"):
        identity.check_pass_role(user_principal(house, key), ROLE_ARN, "lambda.amazonaws.com")
    told = (await call("iam", "GetRole", RoleName="r"))["Role"]
    assert told["MaxSessionDuration"] == 7200
    await call("iam", "DeleteRole", RoleName="r")
    await refuses("NoSuchEntity", call("iam", "GetRole", RoleName="r"))


async def test_accounts_are_apart(house: Harness) -> None:
    """Two accounts: neither root nor a listing reaches into the other."""
    other = Scope("222222222222", "us-east-1")
    stranger = root_principal("222222222222")
    await house.call("iam", "CreateUser", UserName="bob")
    assert (await house.call("iam", "ListUsers", place=other, caller=stranger))["Users"] == []
    await refuses("NoSuchEntity", house.call("iam", "GetUser", UserName="bob", place=other, caller=stranger))
    with pytest.raises(AwsError):
        house.ports.identity.authorise(stranger, "sqs:SendMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q")
    both = json.dumps(
        {"Statement": {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "sqs:*", "Resource": "*"}}
    )
    house.ports.identity.authorise(
        stranger, "sqs:SendMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", resource_policy=both
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "Syntax errors in policy."),
        ('{"Statement":[]}', "Syntax errors in policy."),
        (
            '{"Version":"2010-01-01","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}',
            "Syntax errors in policy.",
        ),
        ('{"Statement":[{"Effect":"Allow","Action":"s3:*"}]}', "Policy statement must contain resources."),
        ('{"Statement":[{"Effect":"Allow","Resource":"*"}]}', "Policy statement must contain actions."),
        (
            '{"Statement":[{"Effect":"Allow","Action":"get","Resource":"*"}]}',
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            '{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"b"}]}',
            'Resource b must be in ARN format or "*".',
        ),
        (
            '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}',
            "Policy document should not specify a principal.",
        ),
    ],
)
async def test_malformed_documents(house: Harness, document: str, message: str) -> None:
    told = await refuses(
        "MalformedPolicyDocument", house.call("iam", "CreatePolicy", PolicyName="P", PolicyDocument=document)
    )
    assert told == message


def test_trust_documents() -> None:
    def check(text: str) -> str:
        with pytest.raises(AwsError) as caught:
            documents.check_trust(text, 2048, lambda _: False)
        return caught.value.message

    assert "prohibited" in check(FIREHOSE.replace('"Action"', '"Resource": "*", "Action"'))
    assert "Invalid principal" in check(trust({"AWS": "arn:aws:iam::000000000000:user/nobody"}))
    assert "AssumeRole" in check(FIREHOSE.replace("sts:AssumeRole", "s3:GetObject"))
    assert "quota" in check(FIREHOSE.replace("firehose", "f" * 3000))


async def test_the_seed_is_a_key_like_any_other(house: Harness) -> None:
    key = house.ports.identity.access_key("test")
    assert key is not None
    assert (key.secret, key.principal.kind) == ("test", "root")
    assert house.ports.identity.access_key("000000000000") is None
    rows = house.kernel.db.all("SELECT account, region, owner FROM iam_access_key")
    assert [tuple(row) for row in rows] == [(ACCOUNT, GLOBAL_REGION, ACCOUNT)]


async def test_simulation_and_summary(house: Harness) -> None:
    await house.call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=FIREHOSE)
    await house.call("iam", "PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=ALLOW_S3)
    told = await house.call(
        "iam", "SimulatePrincipalPolicy", PolicySourceArn=ROLE_ARN, ActionNames=["s3:GetObject", "sqs:SendMessage"]
    )
    assert [result["EvalDecision"] for result in told["EvaluationResults"]] == ["allowed", "implicitDeny"]
    summary = (await house.call("iam", "GetAccountSummary"))["SummaryMap"]
    assert (summary["Roles"], summary["AccountAccessKeysPresent"]) == (1, 1)


async def test_a_role_made_anew_does_not_inherit_old_sessions(house: Harness) -> None:
    call, identity = house.call, house.ports.identity
    await call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=FIREHOSE)
    await call("iam", "PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=ALLOW_S3)
    given = identity.role_credentials(ROLE_ARN, "firehose.amazonaws.com", session_name="s", seconds=900)
    old = user_principal(house, given.access_key_id)
    identity.authorise(old, "s3:GetObject", "arn:aws:s3:::b/k")
    await call("iam", "DeleteRolePolicy", RoleName="r", PolicyName="p")
    await call("iam", "DeleteRole", RoleName="r")
    await call("iam", "CreateRole", RoleName="r", AssumeRolePolicyDocument=FIREHOSE)
    await call("iam", "PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=ALLOW_S3)
    with pytest.raises(AwsError):
        identity.authorise(old, "s3:GetObject", "arn:aws:s3:::b/k")
