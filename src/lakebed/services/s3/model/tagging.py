"""Tag sets of buckets and objects.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html: at most ten on an object, fifty on a bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model.errors import invalid_argument

OBJECT_TAGS_MAX, BUCKET_TAGS_MAX = 10, 50
_KEY_MAX, _VALUE_MAX = 128, 256


def from_set(tag_set: Iterable[Mapping[str, Any]], limit: int) -> dict[str, str]:
    """A TagSet as a mapping."""
    return _checked([(str(tag.get("Key", "")), str(tag.get("Value", ""))) for tag in tag_set], limit)


def from_header(text: str | None) -> dict[str, str]:
    """The ``x-amz-tagging`` header: ``k1=v1&k2=v2``, URL-encoded."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name "
            "duplicates.",
            "x-amz-tagging",
            text,
        ) from None
    return _checked(pairs, OBJECT_TAGS_MAX)


def to_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A TagSet."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _checked(pairs: list[tuple[str, str]], limit: int) -> dict[str, str]:
    if len(pairs) > limit:
        code = "BadRequest"
        raise AwsError(
            code, f"{'Object' if limit == OBJECT_TAGS_MAX else 'Bucket'} tags cannot be greater than {limit}"
        )
    tags = dict(pairs)
    if len(tags) != len(pairs):
        raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key", status=400)
    for key, value in tags.items():
        if not key or len(key) > _KEY_MAX:
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid", status=400, members={"TagKey": key})
        if len(value) > _VALUE_MAX:
            raise AwsError(
                "InvalidTag", "The TagValue you have provided is invalid", status=400, members={"TagValue": value}
            )
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidTag", "System tags cannot be added/updated by requester", status=400)
    return tags
