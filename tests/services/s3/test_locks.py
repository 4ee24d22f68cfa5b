"""Object Lock on the clock: retention in both modes, legal hold, defaults, and who may pass over them."""

from __future__ import annotations

import pytest

from tests.harness import Harness
from tests.services.s3.conftest import Call, refused

DAY = 86_400


@pytest.fixture
async def vault(s3: Call) -> Call:
    await s3("CreateBucket", Bucket="vault", ObjectLockEnabledForBucket=True)
    return s3


async def test_a_locked_bucket_is_versioned_and_stays_so(vault: Call) -> None:
    assert (await vault("GetBucketVersioning", Bucket="vault"))["Status"] == "Enabled"
    told = await vault("GetObjectLockConfiguration", Bucket="vault")
    assert told["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    suspended = vault("PutBucketVersioning", Bucket="vault", VersioningConfiguration={"Status": "Suspended"})
    assert (await refused(suspended)).error_code == "InvalidBucketState"
    unversioned = vault(
        "PutObjectLockConfiguration", Bucket="shelf", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )
    assert (await refused(unversioned)).http_status == 409


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
async def test_a_retention_keeps_a_version_until_its_end(vault: Call, harness: Harness, mode: str) -> None:
    until = harness.clock.now() + DAY
    lock = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}
    version = (await vault("PutObject", Bucket="vault", Key="k", Body=b"x", **lock))["VersionId"]
    head = await vault("HeadObject", Bucket="vault", Key="k")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == (mode, until)
    assert (await vault("DeleteObject", Bucket="vault", Key="k"))["DeleteMarker"]
    this = {"Bucket": "vault", "Key": "k", "VersionId": version}
    assert (await refused(vault("DeleteObject", **this))).error_code == "AccessDenied"
    many = await vault("DeleteObjects", Bucket="vault", Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    assert many["Errors"][0]["Code"] == "AccessDenied"
    shorter = vault("PutObjectRetention", **this, Retention={"Mode": mode, "RetainUntilDate": until - 60})
    assert (await refused(shorter)).error_code == "AccessDenied"
    await vault("PutObjectRetention", **this, Retention={"Mode": mode, "RetainUntilDate": until + 60})
    if mode == "GOVERNANCE":
        await vault("DeleteObject", **this, BypassGovernanceRetention=True)
        return
    assert (await refused(vault("DeleteObject", **this, BypassGovernanceRetention=True))).error_code == "AccessDenied"
    await harness.clock.advance(DAY + 61)
    await vault("DeleteObject", **this)


async def test_a_legal_hold_stays_until_it_is_taken_off(vault: Call) -> None:
    version = (await vault("PutObject", Bucket="vault", Key="k", Body=b"x"))["VersionId"]
    this = {"Bucket": "vault", "Key": "k", "VersionId": version}
    assert (await refused(vault("GetObjectLegalHold", **this))).error_code == "NoSuchObjectLockConfiguration"
    await vault("PutObjectLegalHold", **this, LegalHold={"Status": "ON"})
    assert (await vault("GetObjectLegalHold", **this))["LegalHold"] == {"Status": "ON"}
    assert (await refused(vault("DeleteObject", **this, BypassGovernanceRetention=True))).error_code == "AccessDenied"
    await vault("PutObjectLegalHold", **this, LegalHold={"Status": "OFF"})
    await vault("DeleteObject", **this)


async def test_the_buckets_default_holds_for_every_way_to_write(vault: Call, harness: Harness) -> None:
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 2}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    await vault("PutObjectLockConfiguration", Bucket="vault", ObjectLockConfiguration=configuration)
    assert (await vault("GetObjectLockConfiguration", Bucket="vault"))["ObjectLockConfiguration"] == configuration
    await vault("PutObject", Bucket="vault", Key="put", Body=b"x")
    await vault("CopyObject", Bucket="vault", Key="copy", CopySource="vault/put")
    for key in ("put", "copy"):
        told = (await vault("GetObjectRetention", Bucket="vault", Key=key))["Retention"]
        assert told == {"Mode": "COMPLIANCE", "RetainUntilDate": harness.clock.now() + 2 * DAY}


@pytest.mark.parametrize(
    ("lock", "code"),
    [
        ({"ObjectLockMode": "GOVERNANCE"}, "InvalidArgument"),
        ({"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": 1.0}, "InvalidArgument"),
        ({"ObjectLockMode": "NEVER", "ObjectLockRetainUntilDate": 9e9}, "InvalidArgument"),
    ],
)
async def test_wrong_locks(vault: Call, lock: dict[str, object], code: str) -> None:
    assert (await refused(vault("PutObject", Bucket="vault", Key="k", Body=b"", **lock))).error_code == code
    hold = vault("PutObject", Bucket="shelf", Key="k", Body=b"", ObjectLockLegalHoldStatus="ON")
    assert (await refused(hold)).error_code == "InvalidRequest"


async def test_lifecycle_passes_over_what_is_locked(vault: Call, harness: Harness) -> None:
    first = (await vault("PutObject", Bucket="vault", Key="k", Body=b"1", ObjectLockLegalHoldStatus="ON"))["VersionId"]
    await vault("PutObject", Bucket="vault", Key="k", Body=b"2")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    await vault("PutBucketLifecycleConfiguration", Bucket="vault", LifecycleConfiguration={"Rules": [rule]})
    await harness.clock.advance(4 * DAY)
    assert (await vault("GetObject", Bucket="vault", Key="k", VersionId=first))["Body"] == b"1"
    await vault("PutObjectLegalHold", Bucket="vault", Key="k", VersionId=first, LegalHold={"Status": "OFF"})
    await harness.clock.advance(2 * DAY)
    assert (await refused(vault("GetObject", Bucket="vault", Key="k", VersionId=first))).error_code == "NoSuchVersion"
