"""Multipart uploads: create, upload parts, complete, abort.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html. Parts are blobs; completing concatenates the named
ones into one blob off the event loop, then swaps rows in one transaction. Unfinished uploads survive restarts. The parts
of an encrypted upload share its key and have a nonce each, so completing joins ciphertexts as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import caller
from lakebed.services.s3.datakeys import Sealed
from lakebed.services.s3.intake import BodyChecks, Taken
from lakebed.services.s3.model import checksums, conditions, encryption
from lakebed.services.s3.model.errors import (
    invalid_argument,
    invalid_request,
    malformed_xml,
    no_such_upload,
    precondition_failed,
)
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.shapes import Bucket, NewObject, ObjectVersion, Part, PartFacts, Upload
from lakebed.services.s3.provider.drafts import drafted
from lakebed.services.s3.provider.request import EVENT_HOLDS, expiration_told, object_arn, version_told
from lakebed.services.s3.state import Core
from lakebed.services.s3.writing import Conditions
from lakebed.wire.aws.checksums import bad_checksum

PART_BYTES_MIN = 5 << 20
_PARTS_MAX = 10_000
_MD5 = re.compile(r"[0-9a-f]{32}")
_OBJECT_BYTES_MAX = 50 << 40


class MultipartOperations:
    """Uploads in parts."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access, self.buckets, self.writing = (
            core,
            core.k,
            core.access,
            core.buckets,
            core.writing,
        )
        self.objects, self.uploads, self.settings = core.objects, core.uploads, core.settings

    @operation("CreateMultipartUpload", action=None, resource=object_arn, refused=EVENT_HOLDS)
    async def create_multipart_upload(self, ctx: Context, req: dict[str, Any]) -> api.CreateMultipartUploadOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html"""
        key = req["Key"]
        key_bytes(key)
        bucket = self.access.bucket(ctx, req, "s3:PutObject", key)
        algorithm = req.get("ChecksumAlgorithm") or ""
        kind = checksums.upload_type(algorithm, req.get("ChecksumType"))
        facts, kept_in, _ = drafted(self.core, ctx, bucket, req)
        with self.k.db.tx() as tx:
            if self.uploads.count(bucket.name) >= self.settings.uploads_max:
                raise AwsError("TooManyUploads", "The bucket has too many unfinished multipart uploads.", status=400)
            upload = Upload(
                bucket.name, key, self.objects.next_sequence(tx), self.k.ids.token(64), ctx.now, ctx.principal.arn,
                kept_in, algorithm, kind, facts,
            )  # fmt: skip
            self.uploads.add(tx, upload)
        answer: dict[str, Any] = {"Bucket": bucket.name, "Key": key, "UploadId": upload.upload_id}
        answer |= encryption.written(encryption.told(facts.encryption), facts.encryption)
        if algorithm:
            answer |= {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
        return answer  # type: ignore[return-value]  # built by members

    @operation("UploadPart", action=None, resource=object_arn)
    async def upload_part(self, ctx: Context, req: dict[str, Any]) -> api.UploadPartOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutObject", req["Key"])
        upload = self.uploads.require(bucket.name, req["Key"], req["UploadId"])
        check_part_number(req["PartNumber"])
        checks = BodyChecks.of(req, ctx.headers)
        if checks.algorithm and upload.checksum_algorithm and checks.algorithm != upload.checksum_algorithm:
            raise invalid_request(
                f"Checksum Type mismatch occurred, expected checksum Type: {upload.checksum_algorithm.lower()}, "
                f"actual checksum Type: {checks.algorithm.lower()}"
            )
        checks = msgspec.structs.replace(checks, kept=upload.checksum_algorithm or checksums.DEFAULT)
        sealed = part_sealed(self.core, ctx, bucket, upload, req)
        taken = await self.core.intake.take(req.get("Body"), checks, sealed.sealer() if sealed else None)
        part = part_of(self.k, req["PartNumber"], taken, sealed)
        try:
            with self.k.db.tx() as tx:
                self.uploads.require(bucket.name, req["Key"], upload.upload_id)
                self.writing.retire(tx, bucket.name, self.uploads.put_part(tx, upload.upload_id, part))
        except AwsError:
            self.k.blobs.delete([part.blob])
            raise
        answer: dict[str, Any] = {"ETag": f'"{part.etag}"', **encryption.told(upload.facts.encryption)}
        if upload.checksum_algorithm:
            answer[checksums.member(upload.checksum_algorithm)] = taken.checksum
        elif taken.stated:
            answer[checksums.member(checks.algorithm)] = taken.stated
        return answer  # type: ignore[return-value]  # built by members

    @operation("CompleteMultipartUpload", action=None, resource=object_arn)
    async def complete_multipart_upload(self, ctx: Context, req: dict[str, Any]) -> api.CompleteMultipartUploadOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutObject", req["Key"])
        try:
            version = await self._completed(ctx, req, bucket)
        except AwsError as failure:
            before = self._completed_before(req, bucket) if failure.error_code == "NoSuchUpload" else None
            if before is None:
                raise
            version = before
        answer: dict[str, Any] = {
            "Location": f"{ctx.endpoint}/{bucket.name}/{version.key}", "Bucket": bucket.name, "Key": version.key,
            "ETag": version.quoted_etag, **_told(version),
        }  # fmt: skip
        answer |= checksums.told(version.checksum_algorithm, version.facts.checksum, version.checksum_type)
        answer |= expiration_told(bucket, version)
        return answer | version_told(bucket, version)  # type: ignore[return-value]  # built by members

    async def _completed(self, ctx: Context, req: Mapping[str, Any], bucket: Bucket) -> ObjectVersion:
        """Check, concatenate, swap: the version the upload becomes."""
        key = req["Key"]
        upload = self.uploads.require(bucket.name, key, req["UploadId"])
        parts = _chosen(_named(req), {part.number: part for part in self.uploads.parts(upload.upload_id)}, upload)
        if req.get("SSECustomerKey") is not None:
            self.core.keys.open(ctx.principal, bucket, upload.facts.encryption, req)
        algorithm, kind, checksum = _whole_checksum(req, upload, parts)
        wanted = Conditions(req.get("IfMatch"), req.get("IfNoneMatch"))
        conditions.check_write(*wanted, key, self.objects.current(bucket.name, key_bytes(key)))
        with self.k.clock.working():
            try:
                blob = await self.k.blobs.concatenate([part.blob for part in parts])
            except FileNotFoundError:  # a part was replaced or the upload ended while we copied
                raise no_such_upload(upload.upload_id) from None
        new = NewObject(
            key, sum(part.size for part in parts), _etag([part.etag for part in parts]), blob,
            msgspec.structs.replace(
                upload.facts, checksum=checksum,
                parts=tuple(
                    PartFacts(part.number, part.size, part.checksum if upload.checksum_algorithm else "", part.nonce)
                    for part in parts
                ),
            ),
            upload.storage_class, algorithm, kind,
        )  # fmt: skip
        return self._swap(ctx, bucket.name, upload, parts, new, wanted)

    def _completed_before(self, req: Mapping[str, Any], bucket: Bucket) -> ObjectVersion | None:
        """What the same completion made earlier, when its answer did not reach the client."""
        found = self.uploads.completed(bucket.name, req["Key"], req["UploadId"])
        etags = [str(entry.get("ETag", "")).strip('"') for entry in _named(req)]
        if found is None or not all(_MD5.fullmatch(etag) for etag in etags) or _etag(etags) != found[1]:
            return None
        version = self.objects.version(bucket.name, key_bytes(req["Key"]), found[0])
        return version if version is not None and version.etag == found[1] else None

    def _swap(
        self, ctx: Context, bucket: str, upload: Upload, parts: Sequence[Part], new: NewObject, wanted: Conditions
    ) -> ObjectVersion:
        """One transaction: the object appears and the upload is gone."""
        with self.k.db.tx() as tx:

            def still_there() -> Bucket:
                self.uploads.require(bucket, upload.key, upload.upload_id)
                now = {part.number: part.blob for part in self.uploads.parts(upload.upload_id)}
                if any(now.get(part.number) != part.blob for part in parts):
                    raise _invalid_part(upload, parts[0])
                return self.buckets.require(bucket)

            version = self.writing.commit(
                still_there, new, caller(ctx), "s3:ObjectCreated:CompleteMultipartUpload", wanted
            )
            self.uploads.remember(tx, upload, version.version_id, version.etag)
            self.writing.retire(tx, bucket, self.uploads.remove(tx, upload))
        return version

    @operation("AbortMultipartUpload", action=None, resource=object_arn)
    async def abort_multipart_upload(self, ctx: Context, req: dict[str, Any]) -> api.AbortMultipartUploadOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html"""
        bucket = self.access.bucket(ctx, req, "s3:AbortMultipartUpload", req["Key"])
        with self.k.db.tx() as tx:
            upload = self.uploads.require(bucket.name, req["Key"], req["UploadId"])
            wanted = req.get("IfMatchInitiatedTime")
            if wanted is not None and int(wanted) != int(upload.initiated):
                raise precondition_failed("If-Match-Initiated-Time")
            blobs = self.uploads.remove(tx, upload)
            self.writing.retire(tx, bucket.name, blobs)
        return {}


def check_part_number(number: int) -> None:
    """1 to 10,000."""
    if not 1 <= number <= _PARTS_MAX:
        raise invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", number)


def part_of(k: Kernel, number: int, taken: Taken, sealed: Sealed | None) -> Part:
    """The row of a part whose body is in."""
    nonce = sealed.encryption.nonce if sealed is not None else b""
    return Part(number, taken.size, taken.etag, k.clock.now(), taken.checksum, taken.blob, nonce)


def part_sealed(core: Core, ctx: Context, bucket: Bucket, upload: Upload, req: Mapping[str, Any]) -> Sealed | None:
    """The upload's key and a nonce of the part's own; None where the upload is not encrypted under a key."""
    kept = upload.facts.encryption
    key = core.keys.open(ctx.principal, bucket, kept, req)
    return None if kept is None or key is None else Sealed(kept, key).begun_at(core.keys.nonce())


def _invalid_part(upload: Upload, part: Any) -> AwsError:
    number, etag = (part.number, part.etag) if isinstance(part, Part) else (part.get("PartNumber"), part.get("ETag"))
    return AwsError(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag.",
        status=400,
        members={"UploadId": upload.upload_id, "PartNumber": str(number), "ETag": str(etag)},
    )


def _chosen(named: Sequence[Mapping[str, Any]], uploaded: Mapping[int, Part], upload: Upload) -> list[Part]:
    """The parts a completion names: in order, each as uploaded, each but the last of 5 MiB at least."""
    if not named:
        raise malformed_xml()
    numbers = [entry.get("PartNumber") or 0 for entry in named]
    if any(second <= first for first, second in pairwise(numbers)):
        raise AwsError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            status=400,
            members={"UploadId": upload.upload_id},
        )
    parts = []
    for entry in named:
        part = uploaded.get(entry.get("PartNumber") or 0)
        if part is None or str(entry.get("ETag", "")).strip('"') != part.etag:
            raise _invalid_part(upload, entry)
        stated = entry.get(checksums.member(upload.checksum_algorithm)) if upload.checksum_algorithm else None
        if stated is not None and stated != part.checksum:
            raise _invalid_part(upload, entry)
        if stated is None and upload.checksum_type == checksums.COMPOSITE:
            raise invalid_request(
                f"The upload was created using a {upload.checksum_algorithm.lower()} checksum. The complete request must "
                f"include the checksum for each part. It was missing for part {part.number} in the request."
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.size < PART_BYTES_MIN:
            raise AwsError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                status=400,
                members={
                    "ProposedSize": str(part.size),
                    "MinSizeAllowed": str(PART_BYTES_MIN),
                    "PartNumber": str(part.number),
                    "ETag": part.etag,
                },
            )
    return parts


def _whole_checksum(req: Mapping[str, Any], upload: Upload, parts: Sequence[Part]) -> tuple[str, str, str]:
    """Algorithm, type and value of the checksum of the object to be, compared with what the request states of it."""
    size = sum(part.size for part in parts)
    if size > _OBJECT_BYTES_MAX:
        raise AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", status=400)
    if req.get("MpuObjectSize") is not None and int(req["MpuObjectSize"]) != size:
        raise invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {req['MpuObjectSize']} does not match what was computed: {size}"
        )
    if req.get("ChecksumType") not in (None, upload.checksum_type or checksums.FULL_OBJECT):
        raise invalid_request(f"The upload was created using the {upload.checksum_type or 'no'} checksum mode.")
    used, kind = upload.checksum_algorithm, upload.checksum_type
    if not used and all(part.checksum for part in parts):  # parts of an older Lakebed have none
        used, kind = checksums.DEFAULT, checksums.FULL_OBJECT
    checksum = checksums.combine(used, kind, [(part.size, part.checksum) for part in parts])
    algorithm, stated = checksums.expected({name: value for name, value in req.items() if name != "ChecksumAlgorithm"})
    if stated is not None:
        if algorithm != used:
            raise invalid_request("The checksum of the request is not of the upload's algorithm.")
        if stated.partition("-")[0] != checksum.partition("-")[0]:
            raise bad_checksum(algorithm)
    return used, kind, checksum


def _named(req: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The parts a completion names."""
    return (req.get("MultipartUpload") or {}).get("Parts") or ()


def _etag(etags: Sequence[str]) -> str:
    digests = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"


def _told(version: ObjectVersion) -> dict[str, Any]:
    """Encryption, as the answer to a completion tells it: nothing of a customer's key."""
    return {name: value for name, value in encryption.told(version.facts.encryption).items() if "Customer" not in name}
