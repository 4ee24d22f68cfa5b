"""Protocol Buffers: a .proto file's messages by field number, and whether one file reads what another wrote.

The wire format decides: a field is its number, its type's encoding, and whether it repeats. Names may change, fields may
come and go unless they are required (proto2). https://protobuf.dev/programming-guides/proto3/#updating
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from antlr4.error.ErrorListener import ErrorListener
from proto_schema_parser import ast
from proto_schema_parser.parser import Parser

from lakebed.services.glue.schemas.formats import InvalidDefinitionError

# Types of one group have one encoding and one meaning as far as values go.
_GROUPS = (
    {"int32", "uint32", "int64", "uint64", "bool", "enum"},
    {"sint32", "sint64"},
    {"fixed32", "sfixed32"},
    {"fixed64", "sfixed64"},
    {"string", "bytes"},
)
_SCALARS = {"double", "float", *(name for group in _GROUPS for name in group if name != "enum")}


class _Field(NamedTuple):
    name: str
    type: str
    label: str
    oneof: str


class _File(NamedTuple):
    messages: Mapping[str, Mapping[int, _Field]]
    enums: Mapping[str, Mapping[int, str]]


def canonical(definition: str) -> str:
    """Messages and enums by name, fields by number: comments, order and layout do not count."""
    read = _parsed(definition)
    return json.dumps({"messages": read.messages, "enums": read.enums}, sort_keys=True)


def problems(reader: str, writer: str) -> list[str]:
    """See ``formats.Format``."""
    mine, other = _parsed(reader), _parsed(writer)
    found = []
    for name, written in other.messages.items():
        read = mine.messages.get(name)
        if read is None:
            found.append(f"message {name}: is missing")
            continue
        for number, field in written.items():
            if number in read:
                found += [
                    f"{name}.{field.name} ({number}): {text}" for text in _differences(read[number], field, mine, other)
                ]
        found += [
            f"{name}.{field.name} ({number}): is required and was not written"
            for number, field in read.items()
            if field.label == "required" and (number not in written or written[number].label != "required")
        ]
    return found


def _differences(read: _Field, written: _Field, mine: _File, other: _File) -> Iterator[str]:
    kinds = _kind(read.type, mine), _kind(written.type, other)
    if kinds[0] != kinds[1] and not any(kinds[0] in group and kinds[1] in group for group in _GROUPS):
        yield f"the type changed from {written.type} to {read.type}"
    if (read.label == "repeated") != (written.label == "repeated"):
        yield "repeats in one schema only"
    if read.oneof != written.oneof and read.oneof and written.oneof:
        yield "moved to another oneof"


def _kind(name: str, file: _File) -> str:
    """A scalar's own name, ``enum``, or the last part of a message's name (packages may be written or not)."""
    if name in _SCALARS or name.startswith("map<"):
        return name
    last = name.rpartition(".")[2]
    return "enum" if any(known.rpartition(".")[2] == last for known in file.enums) else last


class _Strict(ErrorListener):  # type: ignore[misc]
    """The grammar's own listener prints a mistake and goes on."""

    def syntaxError(self, _recognizer: Any, _symbol: Any, line: int, column: int, message: str, _error: Any) -> None:  # noqa: N802
        raise InvalidDefinitionError(f"line {line}:{column + 1}: {message}")


def _listen(recognizer: Any) -> None:
    recognizer.removeErrorListeners()
    recognizer.addErrorListener(_Strict())


def _parsed(definition: str) -> _File:
    try:
        file = Parser(setup_lexer=_listen, setup_parser=_listen).parse(definition)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as wrong:
        raise InvalidDefinitionError(str(wrong)) from None
    messages: dict[str, dict[int, _Field]] = {}
    enums: dict[str, dict[int, str]] = {}
    _collect(file.file_elements, "", messages, enums)
    if not messages and not enums:
        raise InvalidDefinitionError("the file defines no message")
    return _File(messages, enums)


def _collect(
    elements: Any, above: str, messages: dict[str, dict[int, _Field]], enums: dict[str, dict[int, str]]
) -> None:
    for one in elements:
        if isinstance(one, ast.Message):
            fields: dict[int, _Field] = {}
            for field in _fields(one.elements, ""):
                if field[0] in fields:
                    raise InvalidDefinitionError(f"{above}{one.name} has two fields with the number {field[0]}")
                fields[field[0]] = field[1]
            messages[f"{above}{one.name}"] = fields
            _collect(one.elements, f"{above}{one.name}.", messages, enums)
        elif isinstance(one, ast.Enum):
            values = {value.number: value.name for value in one.elements if isinstance(value, ast.EnumValue)}
            enums[f"{above}{one.name}"] = values


def _fields(elements: Any, oneof: str) -> Iterator[tuple[int, _Field]]:
    for one in elements:
        if isinstance(one, ast.OneOf):
            yield from _fields(one.elements, one.name)
        elif isinstance(one, ast.MapField):
            yield one.number, _Field(one.name, f"map<{one.key_type},{one.value_type}>", "repeated", oneof)
        elif isinstance(one, ast.Field):
            label = one.cardinality.name.lower() if one.cardinality else ""
            yield one.number, _Field(one.name, one.type, "repeated" if label == "repeated" else label, oneof)
