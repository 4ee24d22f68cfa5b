"""What the registry asks of a data format, and where to find the one of a name.

The three are libraries of the ``lake`` extra (avro, jsonschema, proto-schema-parser), imported when first asked for.
"""

from __future__ import annotations

from typing import Protocol

from lakebed.kernel.errors import AwsError


class InvalidDefinitionError(Exception):
    """A definition that is none of its format; the text says why."""


class Format(Protocol):
    """A module with these two functions. Both are pure and may take a while: 170,000 characters are allowed."""

    def canonical(self, definition: str) -> str:
        """A text that is the same for definitions that mean the same; InvalidDefinitionError."""
        ...

    def problems(self, reader: str, writer: str) -> list[str]:
        """Why data written by one can not always be read by the other; empty when it can."""
        ...


def format_of(name: str) -> Format:
    """The format, or AwsError 501 naming the extra that brings its library."""
    try:
        if name == "AVRO":
            from lakebed.services.glue.schemas import avro

            return avro
        if name == "JSON":
            from lakebed.services.glue.schemas import json_schema

            return json_schema
        from lakebed.services.glue.schemas import protobuf

        return protobuf
    except ModuleNotFoundError as missing:
        raise AwsError(
            "NotImplemented",
            f"Schemas of the format {name} need a library that is not installed ({missing.name}): pip install 'lakebed[lake]'",
            status=501,
        ) from None
