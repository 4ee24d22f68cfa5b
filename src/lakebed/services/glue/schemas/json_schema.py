"""JSON Schema (drafts 4, 6, 7): validity by the draft's own meta-schema, and whether one schema takes all that another does.

The second has no library. ``_Reading`` walks both schemas and collects what the reader forbids and the writer may produce;
where it cannot tell (``not``, ``if``, ``allOf`` that differ) the schemas are incompatible, since a wrong yes breaks readers.
A property that only the reader names counts as absent from what is written, as in AWS's description of adding optional
fields, although an open schema lets a writer put anything there.

https://docs.aws.amazon.com/glue/latest/dg/schema-registry.html#schema-registry-compatibility
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema import SchemaError
from jsonschema.validators import Draft4Validator, Draft6Validator, Draft7Validator

from lakebed.services.glue.schemas.formats import InvalidDefinitionError

_DRAFTS = {"draft-04": Draft4Validator, "draft-06": Draft6Validator, "draft-07": Draft7Validator}
_KINDS = ("null", "boolean", "object", "array", "number", "string")
_PROSE = ("$schema", "$id", "id", "$comment", "title", "description", "default", "examples", "definitions", "$defs")
# The reader's bound must not be tighter. +1: at most, -1: at least.
_BOUNDS = {
    "maximum": 1, "exclusiveMaximum": 1, "maxLength": 1, "maxItems": 1, "maxProperties": 1,
    "minimum": -1, "exclusiveMinimum": -1, "minLength": -1, "minItems": -1, "minProperties": -1,
}  # fmt: skip
_SAME = ("pattern", "format", "multipleOf", "uniqueItems", "not", "if", "then", "else", "contains", "propertyNames",
         "dependencies", "patternProperties", "contentEncoding", "contentMediaType")  # fmt: skip
_WALKED = ("$ref", "type", "enum", "const", "required", "properties", "additionalProperties", "items", "additionalItems",
           "anyOf", "oneOf", "allOf")  # fmt: skip
_PROBLEMS_MAX = 20


def canonical(definition: str) -> str:
    """The definition with its keys in order."""
    return json.dumps(_checked(definition), sort_keys=True)


def problems(reader: str, writer: str) -> list[str]:
    """See ``formats.Format``."""
    reading = _Reading(_checked(reader), _checked(writer))
    try:
        reading.compare(reading.reader, reading.writer, "")
    except RecursionError:
        return ["the schemas are nested too deeply to be compared"]
    return reading.problems


def _checked(definition: str) -> Any:
    try:
        document = json.loads(definition)
        if not isinstance(document, dict | bool):
            raise InvalidDefinitionError("a JSON schema is an object or a boolean")
        named = document.get("$schema", "") if isinstance(document, dict) else ""
        validator = next((found for name, found in _DRAFTS.items() if name in str(named)), Draft7Validator)
        validator.check_schema(document)
    except SchemaError as wrong:
        raise InvalidDefinitionError(wrong.message) from None
    except (ValueError, RecursionError) as wrong:
        raise InvalidDefinitionError(str(wrong)) from None
    return document


class _Reading:
    """One comparison; pairs under way are taken for compatible, which is what recursion means."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self.reader, self.writer = reader, writer
        self.problems: list[str] = []
        self._under_way: set[tuple[int, int]] = set()

    def compare(self, reader: Any, writer: Any, place: str) -> None:
        """Collect what the reader forbids and the writer may produce."""
        reader, writer = _resolved(reader, self.reader), _resolved(writer, self.writer)
        pair = (id(reader), id(writer))
        if pair in self._under_way or reader == writer or reader is True or writer is False:
            return None
        if reader is False:
            return self._say(place, "is no longer allowed")
        self._under_way.add(pair)
        told = {} if writer is True else writer
        if not self._branches(reader, told, place):
            self._kinds(reader, told, place)
            self._values(reader, told, place)
            self._objects(reader, told, place)
            self._arrays(reader, told, place)
            for name in (set(reader) | set(told)) - {*_PROSE, *_BOUNDS, *_SAME, *_WALKED}:
                if reader.get(name) != told.get(name):
                    self._say(place, f"{name} differs")
        self._under_way.discard(pair)
        return None

    def _say(self, place: str, text: str) -> None:
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(f"{place or '/'}: {text}")

    def _accepts(self, reader: Any, writer: Any) -> bool:
        inner = _Reading(self.reader, self.writer)
        inner._under_way = set(self._under_way)
        inner.compare(reader, writer, "")
        return not inner.problems

    def _branches(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> bool:
        """Alternatives: each of the writer's must be taken by one of the reader's. True where that settled it."""
        if reader.get("allOf") != writer.get("allOf"):
            self._say(place, "allOf differs")
        written = writer.get("anyOf") or writer.get("oneOf")
        if written:
            rest = {name: value for name, value in writer.items() if name not in ("anyOf", "oneOf")}
            for number, branch in enumerate(written):
                whole = branch if isinstance(branch, bool) else {**rest, **_object(_resolved(branch, self.writer))}
                if not self._accepts(reader, whole):
                    self._say(place, f"alternative {number + 1} of what is written is not taken")
            return True
        read = reader.get("anyOf") or reader.get("oneOf")
        if read:
            rest = {name: value for name, value in reader.items() if name not in ("anyOf", "oneOf")}
            if not any(self._accepts({**rest, **_object(_resolved(branch, self.reader))}, writer) for branch in read):
                self._say(place, "no alternative takes what is written")
            return True
        return False

    def _kinds(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> None:
        if "type" in reader and (lost := _kinds(writer) - _kinds(reader)):
            self._say(place, f"the type {', '.join(sorted(lost))} is no longer taken")

    def _values(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> None:
        taken = reader.get("enum", [reader["const"]] if "const" in reader else None)
        written = writer.get("enum", [writer["const"]] if "const" in writer else None)
        if taken is not None and (written is None or any(value not in taken for value in written)):
            self._say(place, "values are written that are no longer listed")
        for name, sign in _BOUNDS.items():
            mine, other = reader.get(name), writer.get(name)
            if mine is not None and (other is None or (other - mine) * sign > 0):
                self._say(place, f"{name} is tighter")
        for name in _SAME:
            if name in reader and reader[name] != writer.get(name):
                self._say(place, f"{name} differs")

    def _objects(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> None:
        if "object" not in _kinds(writer):
            return
        for name in set(reader.get("required", ())) - set(writer.get("required", ())):
            self._say(f"{place}/{name}", "is required and may be absent in what is written")
        mine, other = reader.get("properties", {}), writer.get("properties", {})
        others = reader.get("additionalProperties", True)
        for name, schema in other.items():
            if name in mine:
                self.compare(mine[name], schema, f"{place}/{name}")
            elif others is False:
                self._say(f"{place}/{name}", "is written and no longer allowed")
            else:
                self.compare(others, schema, f"{place}/{name}")
        if others is not True and writer.get("additionalProperties", True) is not False:
            self.compare(others, writer.get("additionalProperties", True), f"{place}/*")

    def _arrays(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> None:
        if "array" not in _kinds(writer):
            return
        mine, other = reader.get("items", True), writer.get("items", True)
        if isinstance(mine, list) or isinstance(other, list):
            if mine != other or reader.get("additionalItems", True) != writer.get("additionalItems", True):
                self._say(f"{place}[]", "the places of the array differ")
            return
        self.compare(mine, other, f"{place}[]")


def _object(schema: Any) -> Mapping[str, Any]:
    return schema if isinstance(schema, dict) else {} if schema else {"type": []}


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """JSON types a schema takes; integers are told from numbers only where a schema does."""
    named = schema.get("type")
    if named is None:
        return {*_KINDS, "integer"}
    kinds = {named} if isinstance(named, str) else set(named)
    return kinds | {"integer"} if "number" in kinds else kinds


def _resolved(schema: Any, root: Any) -> Any:
    """What a local reference points to; another one is left as it stands, to be compared by its text."""
    seen: list[str] = []
    while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and schema["$ref"] not in seen:
        seen.append(schema["$ref"])
        found = _pointed(root, schema["$ref"])
        if found is None:
            return schema
        schema = found
    return schema


def _pointed(root: Any, pointer: str) -> Any:
    if pointer == "#":
        return root
    if not pointer.startswith("#/"):
        return None
    at: Any = root
    for part in pointer[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, Sequence) and not isinstance(at, str) and key.isdigit() and int(key) < len(at):
            at = at[int(key)]
        else:
            return None
    return at
