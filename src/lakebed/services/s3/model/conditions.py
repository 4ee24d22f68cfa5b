"""Conditional requests and ranges.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html and .../API/API_GetObject.html.
Times are compared in whole seconds, as HTTP dates carry them. Several ranges in one header give the whole object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model.errors import no_such_key, not_modified, precondition_failed
from lakebed.services.s3.model.shapes import ObjectVersion

RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


class ByteRange(NamedTuple):
    """From ``start`` to ``end``, exclusive."""

    start: int
    end: int


def matches(condition: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match list names ``etag`` (unquoted)."""
    wanted = [entry.strip().removeprefix("W/").strip('"') for entry in condition.split(",")]
    return "*" in wanted or etag in wanted


class ReadConditions(NamedTuple):
    """What must hold of the version that is read. ``copying``: the conditions of a copy, whose failures are all 412."""

    if_match: str | None
    if_none_match: str | None
    if_modified: float | None
    if_unmodified: float | None
    copying: bool = False

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> ReadConditions:
        """Those of GET and HEAD."""
        get = request.get
        return cls(get("IfMatch"), get("IfNoneMatch"), get("IfModifiedSince"), get("IfUnmodifiedSince"))

    @classmethod
    def of_source(cls, request: Mapping[str, Any]) -> ReadConditions:
        """Those on the source of a copy."""
        get = request.get
        return cls(
            get("CopySourceIfMatch"),
            get("CopySourceIfNoneMatch"),
            get("CopySourceIfModifiedSince"),
            get("CopySourceIfUnmodifiedSince"),
            copying=True,
        )

    def check(self, found: ObjectVersion) -> None:
        """Return, or raise 412 or 304. A condition on the entity tag silences the one on the time beside it."""
        prefix = "x-amz-copy-source-" if self.copying else ""
        modified = int(found.modified)
        if self.if_match is not None:
            if not matches(self.if_match, found.etag):
                raise precondition_failed(f"{prefix}If-Match")
        elif self.if_unmodified is not None and modified > int(self.if_unmodified):
            raise precondition_failed(f"{prefix}If-Unmodified-Since")
        if self.if_none_match is not None:
            if matches(self.if_none_match, found.etag):
                raise precondition_failed(f"{prefix}If-None-Match") if self.copying else not_modified(found)
        elif self.if_modified is not None and modified <= int(self.if_modified):
            raise precondition_failed(f"{prefix}If-Modified-Since") if self.copying else not_modified(found)


def check_write(if_match: str | None, if_none_match: str | None, key: str, current: ObjectVersion | None) -> None:
    """Conditions on writing a key: create only (``If-None-Match: *``) or replace exactly this (``If-Match``)."""
    if if_none_match is not None:
        if if_none_match.strip().strip('"') != "*":
            raise AwsError(
                "NotImplemented", "A header you provided implies functionality that is not implemented", status=501
            )
        if current is not None:
            raise precondition_failed("If-None-Match")
    if if_match is not None:
        if current is None:
            raise no_such_key(key)
        if not matches(if_match, current.etag):
            raise precondition_failed("If-Match")


def byte_range(header: str | None, size: int) -> ByteRange | None:
    """The range asked for; None for the whole object, which is also the answer to a header that is no range."""
    found = RANGE.fullmatch(header.strip()) if header else None
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        start, end = max(size - int(last), 0), size
        satisfiable = int(last) > 0 and size > 0
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
        satisfiable = start < size
    if not satisfiable:
        raise AwsError(
            "InvalidRange",
            "The requested range is not satisfiable",
            status=416,
            members={"RangeRequested": header, "ActualObjectSize": str(size)},
        )
    return ByteRange(start, end)


def part_range(number: int, found: ObjectVersion) -> ByteRange:
    """The bytes of one part; an object that was put whole is its own part 1."""
    if not found.facts.parts and number == 1:
        return ByteRange(0, found.size)
    start = 0
    for part in found.facts.parts:
        if part.number == number:
            return ByteRange(start, start + part.size)
        start += part.size
    raise AwsError(
        "InvalidPartNumber",
        "The requested partnumber is not satisfiable",
        status=416,
        members={"PartNumberRequested": str(number), "ActualPartCount": str(len(found.facts.parts) or 1)},
    )
