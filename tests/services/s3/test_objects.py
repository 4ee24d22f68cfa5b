"""Objects: bodies and their checksums, headers, conditions, ranges, copies, tags, deletes, versions."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.chunked import DecodedBody, make_decoder
from tests.harness import Harness
from tests.services.s3.conftest import Call, leftovers, refused

MD5_HELLO = '"5d41402abc4b2a76b9719d911017c592"'


async def test_what_is_put_is_got(s3: Call, harness: Harness) -> None:
    put = await s3(
        "PutObject", Bucket="shelf", Key="a/b", Body=b"hello", ContentType="text/plain", CacheControl="no-store",
        Metadata={"Colour": "red"}, StorageClass="STANDARD_IA", Tagging="a=1&b=2",
    )  # fmt: skip
    assert put["ETag"] == MD5_HELLO
    assert "VersionId" not in put
    got = await s3("GetObject", Bucket="shelf", Key="a/b")
    assert got["Body"] == b"hello"
    assert (got["ContentType"], got["CacheControl"]) == ("text/plain", "no-store")
    assert got["Metadata"] == {"colour": "red"}
    assert (got["StorageClass"], got["TagCount"], got["ContentLength"]) == ("STANDARD_IA", 2, 5)
    head = await s3("HeadObject", Bucket="shelf", Key="a/b")
    assert head["ETag"] == MD5_HELLO
    assert head["LastModified"] == harness.clock.now()
    override = await s3("GetObject", Bucket="shelf", Key="a/b", ResponseContentType="x/y")
    assert override["ContentType"] == "x/y"


async def test_absent_and_wrong(s3: Call) -> None:
    missing = await refused(s3("GetObject", Bucket="shelf", Key="none"))
    assert (missing.error_code, missing.http_status, missing.members["Key"]) == ("NoSuchKey", 404, "none")
    assert (await refused(s3("PutObject", Bucket="nobody", Key="k", Body=b""))).error_code == "NoSuchBucket"
    long = await refused(s3("PutObject", Bucket="shelf", Key="é" * 513, Body=b""))
    assert long.error_code == "KeyTooLongError"
    big = await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"", Metadata={"a": "x" * 2048}))
    assert big.error_code == "MetadataTooLarge"
    owner = await refused(s3("GetObject", Bucket="shelf", Key="k", ExpectedBucketOwner="111111111111"))
    assert owner.error_code == "AccessDenied"
    acl = await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"", ACL="public-read"))
    assert acl.error_code == "AccessControlListNotSupported"
    snow = await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"", StorageClass="SNOW"))
    assert snow.http_status == 501


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"])
async def test_checksums_are_compared_and_told(s3: Call, algorithm: str) -> None:
    from lakebed.services.s3.model import checksums
    from lakebed.wire.aws.checksums import encoded

    running = checksums.hasher(algorithm)
    running.update(b"hello")
    value, member = encoded(running.digest()), f"Checksum{algorithm}"
    put = await s3("PutObject", Bucket="shelf", Key="k", Body=b"hello", **{member: value})
    assert put[member] == value
    got = await s3("GetObject", Bucket="shelf", Key="k", ChecksumMode="ENABLED")
    assert (got[member], got["ChecksumType"]) == (value, "FULL_OBJECT")
    assert member not in await s3("GetObject", Bucket="shelf", Key="k")
    wrong = await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"hullo", **{member: value}))
    assert wrong.error_code == "BadDigest"
    short = await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"hello", **{member: "AA=="}))
    assert short.error_code == "InvalidRequest"


async def test_content_md5(s3: Call, harness: Harness) -> None:
    right = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"hello", ContentMD5=right)
    assert (
        await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"x", ContentMD5=right))
    ).error_code == "BadDigest"
    assert (
        await refused(s3("PutObject", Bucket="shelf", Key="k", Body=b"x", ContentMD5="??"))
    ).error_code == "InvalidDigest"
    assert (await s3("GetObject", Bucket="shelf", Key="k"))["Body"] == b"hello"
    assert len(list(harness.ports.objects.known_blobs())) == 1
    assert await leftovers(harness) == 0, "failed writes left files"


async def test_a_trailing_checksum_is_compared(s3: Call, harness: Harness) -> None:
    def body(checksum: str) -> DecodedBody:
        async def sent() -> AsyncIterator[bytes]:
            yield b"3\r\nhel\r\n2\r\nlo\r\n0\r\n"
            yield f"x-amz-checksum-crc32:{checksum}\r\n\r\n".encode()

        headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32"}
        return DecodedBody(make_decoder(headers, None), sent())

    handler = harness.services["s3"].operations["PutObject"].handler
    good = base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()
    request = {"Bucket": "shelf", "Key": "k", "ChecksumAlgorithm": "CRC32"}
    put = await handler(harness.context("s3", "PutObject"), {**request, "Body": body(good)})
    assert put["ChecksumCRC32"] == good
    with pytest.raises(AwsError, match="BadDigest"):
        await handler(harness.context("s3", "PutObject"), {**request, "Body": body("AAAAAA==")})


async def test_a_body_that_is_cut_short_leaves_nothing(s3: Call, harness: Harness) -> None:
    async def torn() -> AsyncIterator[bytes]:
        yield b"hel"
        raise ConnectionResetError

    handler = harness.services["s3"].operations["PutObject"].handler
    with pytest.raises(ConnectionResetError):
        await handler(harness.context("s3", "PutObject"), {"Bucket": "shelf", "Key": "k", "Body": torn()})
    assert (await refused(s3("GetObject", Bucket="shelf", Key="k"))).error_code == "NoSuchKey"
    assert await leftovers(harness) == 0


@pytest.mark.parametrize(
    ("header", "body", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-999", b"56789", "bytes 5-9/10"),
        ("bytes=3-1", b"0123456789", None),
        ("bytes=1-2,4-5", b"0123456789", None),
        ("lines=1-2", b"0123456789", None),
    ],
)
async def test_ranges(s3: Call, header: str, body: bytes, told: str | None) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"0123456789")
    got = await s3("GetObject", Bucket="shelf", Key="k", Range=header)
    assert (got["Body"], got.get("ContentRange"), got["ContentLength"]) == (body, told, len(body))


async def test_unsatisfiable_ranges(s3: Call) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"0123456789")
    for header in ("bytes=10-", "bytes=10-20", "bytes=-0"):
        refusal = await refused(s3("GetObject", Bucket="shelf", Key="k", Range=header))
        assert (refusal.error_code, refusal.http_status) == ("InvalidRange", 416)
    part = await s3("GetObject", Bucket="shelf", Key="k", PartNumber=1)
    assert part["Body"] == b"0123456789"
    assert (await refused(s3("GetObject", Bucket="shelf", Key="k", PartNumber=2))).error_code == "InvalidPartNumber"


async def test_read_conditions(s3: Call, harness: Harness) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"hello")
    now = harness.clock.now()
    get = {"Bucket": "shelf", "Key": "k"}
    assert (await s3("GetObject", **get, IfMatch=MD5_HELLO, IfUnmodifiedSince=now - 60))["Body"] == b"hello"
    assert (await s3("GetObject", **get, IfNoneMatch='"other"', IfModifiedSince=now + 60))["Body"] == b"hello"
    assert (await refused(s3("GetObject", **get, IfMatch='"other"'))).http_status == 412
    assert (await refused(s3("GetObject", **get, IfUnmodifiedSince=now - 60))).http_status == 412
    same = await refused(s3("GetObject", **get, IfNoneMatch=MD5_HELLO))
    assert (same.http_status, same.members["ETag"]) == (304, MD5_HELLO)
    assert same.members["Last-Modified"] == formatdate(now, usegmt=True)
    assert (await refused(s3("HeadObject", **get, IfModifiedSince=now))).http_status == 304


async def test_write_conditions(s3: Call) -> None:
    put = {"Bucket": "shelf", "Key": "k"}
    await s3("PutObject", **put, Body=b"hello", IfNoneMatch="*")
    assert (await refused(s3("PutObject", **put, Body=b"x", IfNoneMatch="*"))).error_code == "PreconditionFailed"
    assert (await refused(s3("PutObject", **put, Body=b"x", IfMatch='"other"'))).http_status == 412
    assert (
        await refused(s3("PutObject", Bucket="shelf", Key="none", Body=b"x", IfMatch="*"))
    ).error_code == "NoSuchKey"
    await s3("PutObject", **put, Body=b"new", IfMatch=MD5_HELLO)
    assert (await s3("GetObject", **put))["Body"] == b"new"
    assert (await refused(s3("DeleteObject", **put, IfMatch=MD5_HELLO))).http_status == 412


async def test_two_create_only_writes_at_once(s3: Call, harness: Harness) -> None:
    """Both bodies come in side by side; the commit decides, once."""
    import asyncio

    async def slow(value: bytes) -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield value

    handler = harness.services["s3"].operations["PutObject"].handler
    puts = [
        handler(
            harness.context("s3", "PutObject"),
            {"Bucket": "shelf", "Key": "k", "IfNoneMatch": "*", "Body": slow(value)},
        )
        for value in (b"a", b"b")
    ]
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes].count("AwsError") == 1


async def test_copies(s3: Call) -> None:
    await s3("CreateBucket", Bucket="other")
    await s3(
        "PutObject", Bucket="shelf", Key="a b/ü", Body=b"hello", Metadata={"m": "1"}, Tagging="t=1", ContentType="x/y"
    )
    copied = await s3("CopyObject", Bucket="other", Key="copy", CopySource="shelf/a%20b/%C3%BC")
    assert copied["CopyObjectResult"]["ETag"] == MD5_HELLO
    got = await s3("GetObject", Bucket="other", Key="copy")
    assert (got["Body"], got["Metadata"], got["ContentType"], got["TagCount"]) == (b"hello", {"m": "1"}, "x/y", 1)
    await s3(
        "CopyObject", Bucket="other", Key="copy", CopySource="other/copy", MetadataDirective="REPLACE",
        Metadata={"n": "2"}, TaggingDirective="REPLACE", Tagging="",
    )  # fmt: skip
    got = await s3("GetObject", Bucket="other", Key="copy")
    assert got["Metadata"] == {"n": "2"}
    assert "TagCount" not in got
    itself = await refused(s3("CopyObject", Bucket="other", Key="copy", CopySource="other/copy"))
    assert itself.error_code == "InvalidRequest"
    condition = s3("CopyObject", Bucket="other", Key="x", CopySource="other/copy", CopySourceIfMatch='"z"')
    assert (await refused(condition)).http_status == 412
    assert (await refused(s3("CopyObject", Bucket="other", Key="x", CopySource="other/none"))).error_code == "NoSuchKey"


async def test_tags(s3: Call) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    await s3("PutObjectTagging", Bucket="shelf", Key="k", Tagging={"TagSet": tags})
    assert (await s3("GetObjectTagging", Bucket="shelf", Key="k"))["TagSet"] == tags
    many = [{"Key": str(number), "Value": "v"} for number in range(11)]
    too_many = await refused(s3("PutObjectTagging", Bucket="shelf", Key="k", Tagging={"TagSet": many}))
    assert too_many.error_code == "BadRequest"
    await s3("DeleteObjectTagging", Bucket="shelf", Key="k")
    assert (await s3("GetObjectTagging", Bucket="shelf", Key="k"))["TagSet"] == []


async def test_deleting_many(s3: Call) -> None:
    for key in ("a", "b"):
        await s3("PutObject", Bucket="shelf", Key=key, Body=b"x")
    entries = [{"Key": "a"}, {"Key": "none"}, {"Key": "b", "ETag": '"other"'}]
    done = await s3("DeleteObjects", Bucket="shelf", Delete={"Objects": entries})
    assert sorted(entry["Key"] for entry in done["Deleted"]) == ["a", "none"]
    assert done["Errors"][0]["Code"] == "PreconditionFailed"
    quiet = await s3("DeleteObjects", Bucket="shelf", Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert (await refused(s3("HeadObject", Bucket="shelf", Key="b"))).http_status == 404
    await s3("DeleteObject", Bucket="shelf", Key="b")


async def test_versions(s3: Call, harness: Harness) -> None:
    at = {"Bucket": "shelf", "Key": "k"}
    await s3("PutObject", **at, Body=b"null")
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Enabled"})
    one = (await s3("PutObject", **at, Body=b"one"))["VersionId"]
    two = (await s3("PutObject", **at, Body=b"two"))["VersionId"]
    assert (await s3("GetObject", **at))["VersionId"] == two
    assert (await s3("GetObject", **at, VersionId=one))["Body"] == b"one"
    assert (await s3("GetObject", **at, VersionId="null"))["Body"] == b"null"
    deleted = await s3("DeleteObject", **at)
    assert deleted["DeleteMarker"] is True
    assert (await refused(s3("GetObject", **at))).error_code == "NoSuchKey"
    marker = await refused(s3("GetObject", **at, VersionId=deleted["VersionId"]))
    assert (marker.error_code, marker.http_status) == ("MethodNotAllowed", 405)
    gone = await s3("DeleteObject", **at, VersionId=deleted["VersionId"])
    assert gone["DeleteMarker"] is True
    assert (await s3("GetObject", **at))["Body"] == b"two"
    await s3("DeleteObject", **at, VersionId=two)
    assert (await s3("GetObject", **at))["Body"] == b"one"
    assert (await refused(s3("GetObject", **at, VersionId=two))).error_code == "NoSuchVersion"
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Suspended"})
    assert (await s3("PutObject", **at, Body=b"null again"))["VersionId"] == "null"
    assert (await s3("GetObject", **at, VersionId="null"))["Body"] == b"null again"
    suspended = await s3("DeleteObject", **at)
    assert (suspended["DeleteMarker"], suspended["VersionId"]) == (True, "null")
    await s3("DeleteObject", **at, VersionId="null")
    assert (await s3("GetObject", **at))["Body"] == b"one"
    await s3("DeleteObject", **at, VersionId=one)
    await s3("DeleteBucket", Bucket="shelf")
    assert await leftovers(harness) == 0


async def test_attributes(s3: Call) -> None:
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    told = await s3(
        "GetObjectAttributes",
        Bucket="shelf",
        Key="k",
        ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"],
    )
    assert told["ETag"] == MD5_HELLO.strip('"')
    assert told["Checksum"]["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    assert (told["ObjectSize"], told["StorageClass"]) == (5, "STANDARD")


async def test_overridden_headers_and_a_versioned_acl(s3: Call) -> None:
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Enabled"})
    await s3("PutObject", Bucket="shelf", Key="k", Body=b"x", Tagging="bare&a=b", ContentEncoding="deflate, gzip")
    got = await s3("GetObject", Bucket="shelf", Key="k", ResponseExpires=123, ResponseCacheControl="no-store")
    assert (got["Expires"], got["CacheControl"]) == (123.0, "no-store")
    assert (got["ContentEncoding"], got["TagCount"]) == ("deflate, gzip", 2)
    assert await s3("PutObjectAcl", Bucket="shelf", Key="k", ACL="private") == {}


async def test_pages_of_versions_go_on_when_their_marker_is_deleted(s3: Call) -> None:
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(4):
        await s3("PutObject", Bucket="shelf", Key="k", Body=b"x")
    left = 0
    page = await s3("ListObjectVersions", Bucket="shelf", MaxKeys=2)
    while True:
        for version in page["Versions"]:
            await s3("DeleteObject", Bucket="shelf", Key="k", VersionId=version["VersionId"])
            left += 1
        if not page["IsTruncated"]:
            break
        marks = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        page = await s3("ListObjectVersions", Bucket="shelf", MaxKeys=2, **marks)
    assert left == 4
    assert "Versions" not in await s3("ListObjectVersions", Bucket="shelf")
