"""S3 for browsers: preflights and the headers of other origins' answers, and uploads by a form. Implements ports.browsers.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html. A form is a PutObject whose members are the form's fields:
the same permission, checks and writing. What the policy says is checked before the file is read, its size while it is.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from lakebed.kernel.errors import AwsError
from lakebed.ports.browsers import Answer, Form
from lakebed.ports.service import Context
from lakebed.services.s3.model import cors, postpolicy
from lakebed.services.s3.model.errors import invalid_argument
from lakebed.services.s3.model.tagging import from_set
from lakebed.services.s3.provider.objects import ObjectOperations
from lakebed.services.s3.state import Core
from lakebed.wire.aws.scalars import read_timestamp
from lakebed.wire.aws.xmlshapes import escape

_MEMBERS = {
    "acl": "ACL",
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-md5": "ContentMD5",
    "content-type": "ContentType",
    "x-amz-checksum-algorithm": "ChecksumAlgorithm",
    "x-amz-object-lock-legal-hold": "ObjectLockLegalHoldStatus",
    "x-amz-object-lock-mode": "ObjectLockMode",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-server-side-encryption-context": "SSEKMSEncryptionContext",
    "x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "x-amz-server-side-encryption-customer-key": "SSECustomerKey",
    "x-amz-server-side-encryption-customer-key-md5": "SSECustomerKeyMD5",
    "x-amz-storage-class": "StorageClass",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
}
_CHECKSUM = re.compile(r"x-amz-checksum-(crc32c?|crc64nvme|sha1|sha256|sha512|md5|xxhash(?:64|3|128))")
_TAG = re.compile(r"<Tag>\s*<Key>([^<]*)</Key>\s*<Value>([^<]*)</Value>\s*</Tag>")
_FORM_NAME = "${filename}"


class S3Browsers:
    """Implements ``lakebed.ports.browsers.Browsers``."""

    def __init__(self, core: Core, objects: ObjectOperations) -> None:
        self._core, self._objects = core, objects

    def preflight(self, bucket: str, origin: str, method: str, headers: Sequence[str]) -> Mapping[str, str]:
        """See the port."""
        found, _ = self._core.access.find(bucket)
        told = cors.headers(cors.rules_of(found.cors), origin, method, headers)
        if told is None:
            enabled = (
                "This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
            )
            raise AwsError(
                "AccessForbidden",
                f"CORSResponse: {enabled}Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted "
                "by the resource's CORS spec."
                if found.cors
                else "CORSResponse: CORS is not enabled for this bucket.",
                status=403,
                members={"Method": method, "ResourceType": "OBJECT"},
            )
        return told

    def exposed(self, bucket: str, origin: str, method: str) -> Mapping[str, str]:
        """See the port."""
        try:
            found, _ = self._core.access.find(bucket)
        except AwsError:
            return {}
        return cors.headers(cors.rules_of(found.cors), origin, method) or {} if found.cors else {}

    async def post(self, ctx: Context, bucket: str, form: Form) -> Answer:
        """See the port."""
        fields = dict(form.fields)
        if "key" not in fields or not fields["key"]:
            raise invalid_argument(
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order "
                "of the fields.",
                "key",
                "",
            )
        fields["key"] = fields["key"].replace(_FORM_NAME, form.filename)
        limits = None
        if form.policy is not None:
            found, _ = self._core.access.find(bucket)
            postpolicy.check(form.policy, fields, bucket, ctx.now)
            limits = postpolicy.size_limits(form.policy)
            bucket = found.name
        request = _members(fields) | {"Bucket": bucket, "Key": fields["key"], "Body": _within(form.body, limits)}
        done = await self._objects.put(ctx, request, "s3:ObjectCreated:Post")
        return _answer(ctx, bucket, fields, done)


def _members(fields: Mapping[str, str]) -> dict[str, Any]:
    """The members of PutObject that a form's fields are."""
    found: dict[str, Any] = {member: fields[name] for name, member in _MEMBERS.items() if fields.get(name)}
    found["Metadata"] = {
        name.removeprefix("x-amz-meta-"): value for name, value in fields.items() if name.startswith("x-amz-meta-")
    }
    for name, value in fields.items():
        if (match := _CHECKSUM.fullmatch(name)) is not None:
            found[f"Checksum{match[1].upper()}"] = value
    if "expires" in fields:
        found["Expires"] = fields["expires"]
    if "x-amz-object-lock-retain-until-date" in fields:
        found["ObjectLockRetainUntilDate"] = _date(fields["x-amz-object-lock-retain-until-date"])
    if "tagging" in fields:
        pairs = [{"Key": key, "Value": value} for key, value in _TAG.findall(fields["tagging"])]
        if not pairs and "<Tag>" in fields["tagging"]:
            raise AwsError("MalformedXML", "The XML you provided was not well-formed", status=400)
        found["Tagging"] = urlencode(from_set(pairs, 10))
    return found


def _date(text: str) -> float:
    try:
        return read_timestamp(text)
    except (AwsError, ValueError):
        raise invalid_argument("The retain until date must be provided in ISO 8601 format") from None


async def _within(body: AsyncIterator[bytes], limits: tuple[int, int] | None) -> AsyncIterator[bytes]:
    """The file, as long as its size is what the policy allows."""
    size = 0
    async for piece in body:
        size += len(piece)
        if limits is not None and size > limits[1]:
            raise AwsError(
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
                status=400,
                members={"ProposedSize": str(size), "MaxSizeAllowed": str(limits[1])},
            )
        yield piece
    if limits is not None and size < limits[0]:
        raise AwsError(
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
            status=400,
            members={"ProposedSize": str(size), "MinSizeAllowed": str(limits[0])},
        )


def _answer(ctx: Context, bucket: str, fields: Mapping[str, str], done: Mapping[str, Any]) -> Answer:
    """A redirect, or the status the form asks for; 201 comes with a document."""
    etag = str(done["ETag"])
    location = f"{ctx.endpoint}/{bucket}/{quote(fields['key'])}"
    headers = {"ETag": etag, "Location": location}
    if "VersionId" in done:
        headers["x-amz-version-id"] = str(done["VersionId"])
    if "ServerSideEncryption" in done:
        headers["x-amz-server-side-encryption"] = str(done["ServerSideEncryption"])
    target = fields.get("success_action_redirect") or fields.get("redirect")
    if target and target.startswith(("http://", "https://")):
        query = urlencode({"bucket": bucket, "key": fields["key"], "etag": etag})
        return Answer(303, headers | {"Location": f"{target}{'&' if '?' in target else '?'}{query}"})
    status = fields.get("success_action_status")
    if status == "201":
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>'
            f"<Location>{escape(location)}</Location><Bucket>{escape(bucket)}</Bucket>"
            f"<Key>{escape(fields['key'])}</Key><ETag>{escape(etag)}</ETag></PostResponse>"
        )
        return Answer(201, headers | {"Content-Type": "application/xml"}, body.encode())
    return Answer(200 if status == "200" else 204, headers)
