"""ACLs where ownership lets them speak: canned, granted, on objects of other accounts, and the public access blocks.

The identity of these tests decides as IAM does for callers without policies of their own: a resource policy alone allows.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import ANONYMOUS, Principal
from lakebed.services.iam.policy import Documents, Request, compile_document, decide
from lakebed.services.s3.model import acl
from lakebed.services.s3.model.shapes import canonical_id
from tests.harness import ACCOUNT, ROOT, Harness, OpenIdentity
from tests.services.s3.conftest import Call, refused

BETA = "111111111111"
STRANGER = Principal(BETA, f"arn:aws:iam::{BETA}:root", "root", BETA, f"arn:aws:iam::{BETA}:root", "beta")
OPEN_BLOCK = {"BlockPublicAcls": False, "IgnorePublicAcls": False}


class Strict(OpenIdentity):
    """IAM's evaluation without identity policies."""

    def authorise(self, principal: Principal, action: str, resource: str, **more: Any) -> None:
        text, owner = more.get("resource_policy"), more.get("resource_account")
        if text is None and principal.is_root and owner == principal.account:
            return
        request = Request(principal, action, resource, dict)
        documents = Documents(resource=compile_document(text) if text else None)
        if reason := decide(documents, request, same_account=owner == principal.account):
            raise AwsError("AccessDeniedException", f"{principal.arn} may not {action} {reason}", status=403)


@pytest.fixture
async def shared(s3: Call, harness: Harness) -> Call:
    """A bucket whose objects belong to their writers."""
    harness.ports.identity = Strict()
    await s3("CreateBucket", Bucket="shared", ObjectOwnership="ObjectWriter")
    await s3("DeletePublicAccessBlock", Bucket="shared")
    return s3


async def test_acls_are_disabled_by_default(s3: Call) -> None:
    told = await s3("GetBucketOwnershipControls", Bucket="shelf")
    assert told["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    public = s3("PutObject", Bucket="shelf", Key="k", Body=b"", ACL="public-read")
    assert (await refused(public)).error_code == "AccessControlListNotSupported"
    created = await refused(s3("CreateBucket", Bucket="open", ACL="public-read"))
    assert created.error_code == "InvalidBucketAclWithObjectOwnership"


async def test_public_read_until_it_is_blocked(shared: Call) -> None:
    await shared("PutObject", Bucket="shared", Key="k", Body=b"x")
    get = {"Bucket": "shared", "Key": "k"}
    assert (await refused(shared("GetObject", **get, caller=ANONYMOUS))).error_code == "AccessDenied"
    await shared("PutObjectAcl", **get, ACL="public-read")
    assert (await shared("GetObject", **get, caller=ANONYMOUS))["Body"] == b"x"
    assert (await refused(shared("PutObject", **get, Body=b"", caller=ANONYMOUS))).http_status == 403
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True}
    await shared("PutPublicAccessBlock", Bucket="shared", PublicAccessBlockConfiguration=block)
    assert (await refused(shared("GetObject", **get, caller=ANONYMOUS))).http_status == 403
    assert (await refused(shared("PutObjectAcl", **get, ACL="public-read"))).http_status == 403


async def test_a_bucket_acl_lets_list_and_write(shared: Call) -> None:
    await shared(
        "PutBucketAcl", Bucket="shared", GrantRead=f'id="{canonical_id(BETA)}"', GrantWrite=f"id={canonical_id(BETA)}"
    )
    await shared("PutObject", Bucket="shared", Key="theirs", Body=b"x", caller=STRANGER)
    assert (await shared("ListObjectsV2", Bucket="shared", caller=STRANGER))["KeyCount"] == 1
    assert (await refused(shared("ListObjectsV2", Bucket="shared", caller=ANONYMOUS))).http_status == 403
    told = await shared("GetObjectAcl", Bucket="shared", Key="theirs", caller=STRANGER)
    assert told["Owner"]["ID"] == canonical_id(BETA)
    # What another account owns is that account's, though the bucket is ours.
    assert (await refused(shared("GetObject", Bucket="shared", Key="theirs"))).error_code == "AccessDenied"
    full = {"Bucket": "shared", "Key": "given", "ACL": "bucket-owner-full-control"}
    await shared("PutObject", **full, Body=b"y", caller=STRANGER)
    assert (await shared("GetObject", Bucket="shared", Key="given"))["Body"] == b"y"
    ownership = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    await shared("PutBucketOwnershipControls", Bucket="shared", OwnershipControls=ownership)
    await shared("PutObject", **full, Body=b"z", caller=STRANGER)
    assert (await shared("GetObjectAcl", Bucket="shared", Key="given"))["Owner"]["ID"] == canonical_id(ACCOUNT)


async def test_a_denial_in_the_policy_wins(shared: Call) -> None:
    await shared("PutObject", Bucket="shared", Key="k", Body=b"x", ACL="public-read")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/*"}
    await shared(
        "PutBucketPolicy", Bucket="shared", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    assert (await refused(shared("GetObject", Bucket="shared", Key="k", caller=ANONYMOUS))).http_status == 403


async def test_a_documents_grants_round_trip(shared: Call) -> None:
    owner = canonical_id(ACCOUNT)
    grants = [
        {"Grantee": {"Type": "CanonicalUser", "ID": owner}, "Permission": "FULL_CONTROL"},
        {"Grantee": {"Type": "Group", "URI": acl.AUTHENTICATED_USERS}, "Permission": "READ"},
    ]
    await shared("PutBucketAcl", Bucket="shared", AccessControlPolicy={"Owner": {"ID": owner}, "Grants": grants})
    assert (await shared("GetBucketAcl", Bucket="shared"))["Grants"] == grants
    assert (await shared("ListObjects", Bucket="shared", caller=STRANGER))["Name"] == "shared"
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    refusal = await refused(shared("PutBucketOwnershipControls", Bucket="shared", OwnershipControls=enforced))
    assert refusal.error_code == "InvalidBucketAclWithObjectOwnership"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"GrantRead": "id=nobody"}, "InvalidArgument"),
        ({"GrantRead": "emailAddress=a@b"}, "UnresolvableGrantByEmailAddress"),
        ({"GrantRead": f"id={'0' * 64}", "ACL": "private"}, "InvalidRequest"),
        ({}, "MissingSecurityHeader"),
        ({"AccessControlPolicy": {"Grants": []}}, "MalformedXML"),
    ],
)
async def test_wrong_acls(shared: Call, given: dict[str, Any], code: str) -> None:
    assert (await refused(shared("PutBucketAcl", Bucket="shared", **given))).error_code == code


async def test_an_access_point_has_a_policy_of_its_own(shared: Call, harness: Harness) -> None:
    await shared("PutObject", Bucket="shelf", Key="k", Body=b"x")
    account: dict[str, Any] = {"AccountId": ACCOUNT}
    made = await harness.call("s3control", "CreateAccessPoint", **account, Name="door", Bucket="shelf")
    alias, arn = made["Alias"], made["AccessPointArn"]
    for name in (alias, arn, f"door-{ACCOUNT}"):
        assert (await shared("GetObject", Bucket=name, Key="k"))["Body"] == b"x"
    assert (await refused(shared("GetBucketPolicyStatus", Bucket=alias))).error_code == "MethodNotAllowed"
    assert (await refused(shared("DeleteBucket", Bucket="shelf"))).http_status is not None
    assert (await refused(shared("GetObject", Bucket=alias, Key="k", caller=STRANGER))).http_status == 403
    resource = f"{arn}/object/*"
    allow = {"Effect": "Allow", "Principal": {"AWS": BETA}, "Action": "s3:GetObject", "Resource": resource}
    text = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    await harness.call("s3control", "PutAccessPointPolicy", **account, Name="door", Policy=text)
    assert (await refused(shared("GetObject", Bucket=alias, Key="k", caller=STRANGER))).http_status == 403
    bucket = allow | {"Resource": "arn:aws:s3:::shelf/*"}
    await shared("PutBucketPolicy", Bucket="shelf", Policy=json.dumps({"Version": "2012-10-17", "Statement": [bucket]}))
    assert (await shared("GetObject", Bucket=alias, Key="k", caller=STRANGER))["Body"] == b"x"
    told = await harness.call("s3control", "ListAccessPoints", **account, Bucket="shelf")
    assert [point["Name"] for point in told["AccessPointList"]] == ["door"]
    assert (await harness.call("s3control", "GetAccessPoint", **account, Name="door"))["Bucket"] == "shelf"
    tags = [{"Key": "a", "Value": "b"}]
    await harness.call("s3control", "TagResource", **account, ResourceArn=arn, Tags=tags)
    assert (await harness.call("s3control", "ListTagsForResource", **account, ResourceArn=arn))["Tags"] == tags
    await harness.call("s3control", "DeleteAccessPoint", **account, Name="door")
    assert (await refused(shared("GetObject", Bucket=alias, Key="k"))).error_code == "NoSuchBucket"


async def test_an_accounts_block_holds_for_all_its_buckets(shared: Call, harness: Harness) -> None:
    await shared("PutObject", Bucket="shared", Key="k", Body=b"x", ACL="public-read")
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    await harness.call("s3control", "PutPublicAccessBlock", AccountId=ACCOUNT, PublicAccessBlockConfiguration=block)
    told = await harness.call("s3control", "GetPublicAccessBlock", AccountId=ACCOUNT)
    assert told["PublicAccessBlockConfiguration"] == block
    assert (await refused(shared("GetObject", Bucket="shared", Key="k", caller=ANONYMOUS))).http_status == 403
    await harness.call("s3control", "DeletePublicAccessBlock", AccountId=ACCOUNT)
    assert (await shared("GetObject", Bucket="shared", Key="k", caller=ANONYMOUS))["Body"] == b"x"
    assert ROOT.account == ACCOUNT
