"""S3 with the real IAM: users, roles, other accounts, bucket policies, explicit denies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import ANONYMOUS, Principal
from lakebed.services import iam
from lakebed.services import s3 as package
from tests.harness import ACCOUNT, Harness
from tests.services.s3.conftest import refused

OTHER = "111111111111"
OTHER_ROOT = Principal(OTHER, f"arn:aws:iam::{OTHER}:root", "root", OTHER, f"arn:aws:iam::{OTHER}:root")


@pytest.fixture
async def house(harness: Harness) -> Harness:
    """IAM and S3; a bucket ``shelf`` with one object."""
    harness.add(iam.service, package.service)
    await harness.start()
    await harness.call("s3", "CreateBucket", Bucket="shelf")
    await harness.call("s3", "PutObject", Bucket="shelf", Key="in/a", Body=b"hello")
    return harness


@pytest.fixture
async def ada(house: Harness) -> Principal:
    """A user of the bucket's account, without policies."""
    user = (await house.call("iam", "CreateUser", UserName="ada"))["User"]
    return Principal(ACCOUNT, user["Arn"], "user", user["UserId"], user["Arn"])


async def grant(house: Harness, *actions: str, resource: str = "*", effect: str = "Allow", **condition: Any) -> None:
    entry = {"Effect": effect, "Action": list(actions), "Resource": resource}
    if condition:
        entry["Condition"] = condition
    document = json.dumps({"Version": "2012-10-17", "Statement": [entry]})
    await house.call("iam", "PutUserPolicy", UserName="ada", PolicyName="p", PolicyDocument=document)


async def bucket_policy(house: Harness, principal: Any, *actions: str, effect: str = "Allow") -> None:
    entry = {
        "Effect": effect,
        "Principal": principal,
        "Action": list(actions),
        "Resource": ["arn:aws:s3:::shelf", "arn:aws:s3:::shelf/*"],
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [entry]})
    await house.call("s3", "PutBucketPolicy", Bucket="shelf", Policy=text)


def get(house: Harness, principal: Principal, key: str = "in/a") -> Any:
    return house.call("s3", "GetObject", Bucket="shelf", Key=key, caller=principal)


async def test_default_is_no(house: Harness, ada: Principal) -> None:
    denied = await refused(get(house, ada))
    assert (denied.error_code, denied.http_status) == ("AccessDenied", 403)
    assert "s3:GetObject" in denied.message
    assert (await refused(house.call("s3", "ListBuckets", caller=ada))).error_code == "AccessDenied"
    assert (await refused(house.call("s3", "CreateBucket", Bucket="mine", caller=ada))).error_code == "AccessDenied"


async def test_an_identity_policy_suffices_at_home(house: Harness, ada: Principal) -> None:
    await grant(house, "s3:GetObject", resource="arn:aws:s3:::shelf/in/*")
    assert (await get(house, ada))["ContentLength"] == 5
    hidden = await refused(get(house, ada, "in/none"))
    assert hidden.error_code == "AccessDenied", "who may not list is not told that a key is missing"
    await grant(house, "s3:GetObject", "s3:ListBucket")
    assert (await refused(get(house, ada, "in/none"))).error_code == "NoSuchKey"


async def test_the_prefix_condition(house: Harness, ada: Principal) -> None:
    await grant(house, "s3:ListBucket", resource="arn:aws:s3:::shelf", StringLike={"s3:prefix": "in/*"})
    listed = await house.call("s3", "ListObjectsV2", Bucket="shelf", Prefix="in/", caller=ada)
    assert listed["KeyCount"] == 1
    everything = house.call("s3", "ListObjectsV2", Bucket="shelf", caller=ada)
    assert (await refused(everything)).error_code == "AccessDenied"


async def test_a_bucket_policy_suffices_at_home_and_its_deny_wins(house: Harness, ada: Principal) -> None:
    await bucket_policy(house, {"AWS": ada.arn}, "s3:GetObject")
    assert (await get(house, ada))["ContentLength"] == 5
    await grant(house, "s3:*")
    await bucket_policy(house, {"AWS": ada.arn}, "s3:GetObject", effect="Deny")
    assert (await refused(get(house, ada))).error_code == "AccessDenied"


async def test_the_owners_root_can_mend_a_policy_that_shuts_everybody_out(house: Harness, ada: Principal) -> None:
    await house.call("s3", "DeletePublicAccessBlock", Bucket="shelf")
    await bucket_policy(house, "*", "s3:*", effect="Deny")
    assert (await refused(house.call("s3", "ListObjectsV2", Bucket="shelf"))).error_code == "AccessDenied"
    await grant(house, "s3:*")
    mend = house.call("s3", "DeleteBucketPolicy", Bucket="shelf", caller=ada)
    assert (await refused(mend)).error_code == "AccessDenied"
    await house.call("s3", "DeleteBucketPolicy", Bucket="shelf")
    assert (await house.call("s3", "ListObjectsV2", Bucket="shelf"))["KeyCount"] == 1


async def test_another_account_needs_the_bucket_policy(house: Harness) -> None:
    assert (await refused(get(house, OTHER_ROOT))).error_code == "AccessDenied"
    await bucket_policy(house, {"AWS": f"arn:aws:iam::{OTHER}:root"}, "s3:GetObject")
    assert (await get(house, OTHER_ROOT))["ContentLength"] == 5
    denied = house.call("s3", "PutObject", Bucket="shelf", Key="x", Body=b"", caller=OTHER_ROOT)
    assert (await refused(denied)).error_code == "AccessDenied"
    assert (await refused(house.call("s3", "DeleteBucket", Bucket="shelf", caller=OTHER_ROOT))).http_status == 403


async def test_anonymous_readers_of_a_public_bucket(house: Harness) -> None:
    assert (await refused(get(house, ANONYMOUS))).error_code == "AccessDenied"
    blocked = bucket_policy(house, "*", "s3:GetObject")
    assert (await refused(blocked)).error_code == "AccessDenied"
    await house.call("s3", "DeletePublicAccessBlock", Bucket="shelf")
    await bucket_policy(house, "*", "s3:GetObject")
    assert (await get(house, ANONYMOUS))["ContentLength"] == 5
    assert (await refused(house.call("s3", "ListObjectsV2", Bucket="shelf", caller=ANONYMOUS))).http_status == 403


async def test_a_service_acts_as_its_role(house: Harness) -> None:
    trust = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]
    }
    await house.call(
        "iam", "CreateRole", RoleName="pump", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust})
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/pump"
    acting = house.ports.identity.service_session(role, "firehose.amazonaws.com", session_name="s")
    with pytest.raises(AwsError, match="AccessDenied"):
        await house.ports.objects.put(acting, "shelf", "out/1", b"x")
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::shelf/out/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": allow})
    await house.call("iam", "PutRolePolicy", RoleName="pump", PolicyName="p", PolicyDocument=document)
    assert (await house.ports.objects.put(acting, "shelf", "out/1", b"x")).size == 1
    with pytest.raises(AwsError, match="AccessDenied"):
        await house.ports.objects.put(acting, "shelf", "elsewhere", b"x")


async def test_a_copy_needs_both_sides(house: Harness, ada: Principal) -> None:
    await grant(house, "s3:PutObject")
    copy = {"Bucket": "shelf", "Key": "copy", "CopySource": "shelf/in/a", "caller": ada}
    assert (await refused(house.call("s3", "CopyObject", **copy))).error_code == "AccessDenied"
    await grant(house, "s3:PutObject", "s3:GetObject")
    assert (await house.call("s3", "CopyObject", **copy))["CopyObjectResult"]["ETag"]
