"""Buckets: names, ownership, regions, emptiness, and configurations that are told truthfully."""

from __future__ import annotations

import json

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.services.s3.model import policy
from lakebed.services.s3.model.names import check_bucket_name
from tests.harness import Harness
from tests.services.s3.conftest import Call, refused

OTHER = Principal("111111111111", "arn:aws:iam::111111111111:root", "root", "111111111111")


@pytest.mark.parametrize(
    "name", ["ab", "A-b", "a..b", "1.2.3.4", "-ab", "ab-", "xn--ab", "ab-s3alias", "a_b", "x" * 64]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(AwsError, match="InvalidBucketName"):
        check_bucket_name(name)


@pytest.mark.parametrize("name", ["abc", "a.b", "1ab", "a-b.c", "x" * 63])
def test_good_names(name: str) -> None:
    check_bucket_name(name)
    assert name


async def test_a_name_belongs_to_one_account(s3: Call, harness: Harness) -> None:
    assert (await s3("CreateBucket", Bucket="shelf"))["Location"] == "/shelf"  # us-east-1 is idempotent
    taken = await refused(
        harness.call("s3", "CreateBucket", Bucket="shelf", caller=OTHER, place=Scope("111111111111", "us-east-1"))
    )
    assert taken.error_code == "BucketAlreadyExists"
    assert taken.http_status == 409
    west = Scope("000000000000", "eu-west-1")
    configuration = {"LocationConstraint": "eu-west-1"}
    await harness.call("s3", "CreateBucket", Bucket="west", CreateBucketConfiguration=configuration, place=west)
    again = harness.call("s3", "CreateBucket", Bucket="west", CreateBucketConfiguration=configuration, place=west)
    assert (await refused(again)).error_code == "BucketAlreadyOwnedByYou"
    locate = (
        harness.services["s3"].operations["GetBucketLocation"].handler
    )  # boto3 parses its answer in a way of its own
    context = harness.context("s3", "GetBucketLocation")
    assert await locate(context, {"Bucket": "west"}) == {"LocationConstraint": "eu-west-1"}
    assert await locate(context, {"Bucket": "shelf"}) == {}
    wrong = harness.call("s3", "CreateBucket", Bucket="east", place=west)
    assert (await refused(wrong)).error_code == "IllegalLocationConstraintException"
    assert (await s3("HeadBucket", Bucket="west"))["BucketRegion"] == "eu-west-1"


async def test_listing_pages_and_the_quota(s3: Call, harness: Harness) -> None:
    for number in range(4):
        await s3("CreateBucket", Bucket=f"many-{number}")
    first = await s3("ListBuckets", Prefix="many", MaxBuckets=3)
    rest = await s3("ListBuckets", Prefix="many", MaxBuckets=3, ContinuationToken=first["ContinuationToken"])
    names = [bucket["Name"] for bucket in first["Buckets"] + rest["Buckets"]]
    assert names == [f"many-{number}" for number in range(4)]
    assert "ContinuationToken" not in rest


async def test_only_an_empty_bucket_goes(s3: Call, harness: Harness) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")
    assert (await refused(s3("DeleteBucket", Bucket="shelf"))).error_code == "BucketNotEmpty"
    await s3("DeleteObject", Bucket="shelf", Key="k")
    upload = await s3("CreateMultipartUpload", Bucket="shelf", Key="k")
    await s3("UploadPart", Bucket="shelf", Key="k", UploadId=upload["UploadId"], PartNumber=1, Body=b"x")
    await s3("DeleteBucket", Bucket="shelf")
    assert (await refused(s3("HeadBucket", Bucket="shelf"))).http_status == 404
    assert list(harness.ports.objects.known_blobs()) == []


async def test_tags_and_versioning_state(s3: Call) -> None:
    assert (await refused(s3("GetBucketTagging", Bucket="shelf"))).error_code == "NoSuchTagSet"
    tags = [{"Key": "team", "Value": "data"}]
    await s3("PutBucketTagging", Bucket="shelf", Tagging={"TagSet": tags})
    assert (await s3("GetBucketTagging", Bucket="shelf"))["TagSet"] == tags
    twice = s3("PutBucketTagging", Bucket="shelf", Tagging={"TagSet": tags + tags})
    assert (await refused(twice)).error_code == "InvalidTag"
    await s3("DeleteBucketTagging", Bucket="shelf")
    assert (await refused(s3("GetBucketTagging", Bucket="shelf"))).error_code == "NoSuchTagSet"
    assert "Status" not in await s3("GetBucketVersioning", Bucket="shelf")
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Suspended"})
    assert (await s3("GetBucketVersioning", Bucket="shelf"))["Status"] == "Suspended"


async def test_what_is_fixed_is_told(s3: Call) -> None:
    controls = await s3("GetBucketOwnershipControls", Bucket="shelf")
    assert controls["OwnershipControls"]["Rules"][0]["ObjectOwnership"] == "BucketOwnerEnforced"
    encryption = (await s3("GetBucketEncryption", Bucket="shelf"))["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert (await s3("GetBucketAcl", Bucket="shelf"))["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert (await s3("GetBucketRequestPayment", Bucket="shelf"))["Payer"] == "BucketOwner"
    for operation, code in (
        ("GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration"),
        ("GetBucketCors", "NoSuchCORSConfiguration"),
        ("GetBucketWebsite", "NoSuchWebsiteConfiguration"),
        ("GetBucketReplication", "ReplicationConfigurationNotFoundError"),
        ("GetObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"),
    ):
        assert (await refused(s3(operation, Bucket="shelf"))).error_code == code
    for operation in ("DeleteBucketEncryption", "DeleteBucketCors", "DeleteBucketWebsite", "DeleteBucketReplication"):
        await s3(operation, Bucket="shelf")
    await s3("PutBucketRequestPayment", Bucket="shelf", RequestPaymentConfiguration={"Payer": "BucketOwner"})
    requester = s3("PutBucketRequestPayment", Bucket="shelf", RequestPaymentConfiguration={"Payer": "Requester"})
    assert (await refused(requester)).http_status == 501
    await s3("PutBucketAcl", Bucket="shelf", ACL="private")
    public = await refused(s3("PutBucketAcl", Bucket="shelf", ACL="public-read"))
    assert public.error_code == "AccessControlListNotSupported"
    told = await s3("GetBucketAcl", Bucket="shelf")
    await s3("PutBucketAcl", Bucket="shelf", AccessControlPolicy={"Owner": told["Owner"], "Grants": told["Grants"]})


def statement(**changes: object) -> str:
    entry = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::shelf/*",
    } | changes
    return json.dumps({"Version": "2012-10-17", "Statement": [entry]})


async def test_policies_are_checked_and_told(s3: Call) -> None:
    assert (await refused(s3("GetBucketPolicy", Bucket="shelf"))).error_code == "NoSuchBucketPolicy"
    for bad in ("{", "[]", statement(Effect="Maybe"), statement(Resource="arn:aws:s3:::other/*"), statement(Extra=1)):
        assert (await refused(s3("PutBucketPolicy", Bucket="shelf", Policy=bad))).error_code == "MalformedPolicy"
    await s3("PutBucketPolicy", Bucket="shelf", Policy=statement())
    assert json.loads((await s3("GetBucketPolicy", Bucket="shelf"))["Policy"]) == json.loads(statement())
    public = statement(Principal="*")
    assert (await refused(s3("PutBucketPolicy", Bucket="shelf", Policy=public))).error_code == "AccessDenied"
    await s3("DeletePublicAccessBlock", Bucket="shelf")
    await s3("PutBucketPolicy", Bucket="shelf", Policy=public)
    assert (await s3("GetBucketPolicyStatus", Bucket="shelf"))["PolicyStatus"]["IsPublic"] is True
    await s3("DeleteBucketPolicy", Bucket="shelf")
    assert (await refused(s3("GetBucketPolicy", Bucket="shelf"))).error_code == "NoSuchBucketPolicy"


def test_what_makes_a_policy_public() -> None:
    narrowed = statement(Principal="*", Condition={"ArnLike": {"aws:SourceArn": "arn:aws:iot:*"}})
    assert not policy.is_public(narrowed)
    assert not policy.is_public(statement())
    assert policy.is_public(statement(Principal={"AWS": ["*"]}))
    assert not policy.is_public(statement(Principal="*", Effect="Deny"))
