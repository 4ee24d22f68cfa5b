"""Bucket names and object keys.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html and .../object-keys.html. A key is a number
of UTF-8 bytes and never a path: nothing on disk is named after it.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model.errors import invalid_argument

KEY_BYTES_MAX = 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName for a name that CreateBucket would refuse."""
    if (
        not _BUCKET.fullmatch(name)
        or ".." in name
        or _ADDRESS.fullmatch(name)
        or name.startswith(_RESERVED_PREFIXES)
        or name.endswith(_RESERVED_SUFFIXES)
    ):
        raise AwsError(
            "InvalidBucketName", "The specified bucket is not valid.", status=400, members={"BucketName": name}
        )


def key_bytes(key: str) -> bytes:
    """The key as it is stored and ordered; KeyTooLongError beyond 1,024 bytes."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        raise AwsError("InvalidURI", "Couldn't parse the specified URI.", status=400) from None
    if len(raw) > KEY_BYTES_MAX:
        raise AwsError(
            "KeyTooLongError",
            "Your key is too long",
            status=400,
            members={"Size": str(len(raw)), "MaxSizeAllowed": str(KEY_BYTES_MAX)},
        )
    if not raw:
        raise invalid_argument("A key must not be empty", "key", key)
    return raw


def copy_source(text: object) -> tuple[str, str, str | None]:
    """Bucket, key and version of ``x-amz-copy-source``: a URL-encoded ``bucket/key?versionId=…`` or access point ARN."""
    if not isinstance(text, str):
        raise invalid_argument("Invalid copy source object key", "x-amz-copy-source", text)
    path, _, query = text.partition("?versionId=")
    decoded = unquote(path).removeprefix("/")
    bucket, _, key = decoded.partition("/")
    if not bucket or not key or bucket.startswith("arn:"):
        raise invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "x-amz-copy-source", text
        )
    return bucket, key, unquote(query) or None
