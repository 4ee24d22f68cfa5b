"""Locations: ``s3://bucket/prefix/``.

https://docs.aws.amazon.com/athena/latest/ug/tables-location-format.html
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from lakebed.ports.sql import SqlFailure


class Location(NamedTuple):
    """A bucket and a key prefix."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def parse(text: str) -> Location:
    """The parts of an S3 URI."""
    found = re.fullmatch(r"s3[an]?://([a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(.*))?", text, re.DOTALL)
    if found is None:
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"The S3 location provided is invalid: {text[:200]}")
    return Location(found.group(1), found.group(2) or "")


def directory(text: str) -> Location:
    """As ``parse``, the prefix ending with a slash unless it is the whole bucket."""
    bucket, prefix = parse(text)
    return Location(bucket, prefix if not prefix or prefix.endswith("/") else prefix + "/")


def partition_path(names: list[str], values: list[str | None]) -> str:
    """``a=1/b=2/`` as Hive writes it."""
    default = "__HIVE_DEFAULT_PARTITION__"
    return "".join(
        f"{name}={quote(value, safe=' -_.,+()@~') if value is not None else default}/"
        for name, value in zip(names, values, strict=True)
    )


def partition_values(path: str, names: list[str]) -> list[str] | None:
    """The values in ``a=1/b=2/...``, None where the path does not follow the names."""
    parts = path.split("/")[: len(names)]
    if len(parts) < len(names):
        return None
    values = []
    for name, part in zip(names, parts, strict=True):
        key, mark, value = part.partition("=")
        if not mark or key.lower() != name.lower():
            return None
        values.append(unquote(value))
    return values
