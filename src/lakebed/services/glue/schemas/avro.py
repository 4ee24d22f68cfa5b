"""Avro schemas, by Apache's own library: parsing, the canonical form, and its rules of schema resolution.

https://avro.apache.org/docs/1.12.0/specification/#schema-resolution
"""

from __future__ import annotations

import json

from avro import schema as avro_schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from lakebed.services.glue.schemas.formats import InvalidDefinitionError


def canonical(definition: str) -> str:
    """The definition as parsed, its keys in order. Defaults and aliases count: they decide what can be read."""
    return json.dumps(_parsed(definition).to_json(), sort_keys=True)


def problems(reader: str, writer: str) -> list[str]:
    """See ``formats.Format``."""
    checker = ReaderWriterCompatibilityChecker()
    result = checker.get_compatibility(reader=_parsed(reader), writer=_parsed(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return [
        f"{place}: {text}" for place, text in zip(sorted(result.locations), sorted(result.messages), strict=False)
    ] or ["the schemas are incompatible"]


def _parsed(definition: str) -> avro_schema.Schema:
    try:
        return avro_schema.parse(definition)
    except (AvroException, ValueError, TypeError, AttributeError, KeyError, RecursionError) as wrong:
        raise InvalidDefinitionError(str(wrong)) from None
