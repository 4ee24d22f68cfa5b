"""Shapes as JSON or CBOR values: one closure per shape, compiled when an operation is first called.

A reader takes what msgspec (or cbor2) decoded and gives members by their model names, blobs as bytes, timestamps as
floats; a writer goes the other way. Unknown members of a request are dropped, as AWS does; unknown members of a result
are a bug of ours and raise. Documents pass as they are, bounded in depth.

https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html; the wording of the errors is that of AWS's JSON services.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from lakebed.wire.aws import scalars
from lakebed.wire.aws.model import Shape
from lakebed.wire.aws.scalars import malformed

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]
_DOCUMENT_DEPTH = 64


def _wrong(value: Any, wanted: str) -> Exception:
    kind = type(value)
    if kind is dict:
        return malformed("Start of structure or map found where not expected.")
    if kind is list:
        return malformed("Start of list found where not expected.")
    name = {str: "STRING_VALUE", bool: "TRUE_VALUE" if value else "FALSE_VALUE", float: "DECIMAL_VALUE"}
    return malformed(f"{name.get(kind, 'NUMBER_VALUE')} can not be converted to {wanted}")


def _string(value: Any) -> str:
    if type(value) is str:
        return value
    raise _wrong(value, "a String")


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise _wrong(value, "a Boolean")


def _blob(value: Any) -> bytes:
    if type(value) is str:
        return scalars.read_blob(value)
    raise _wrong(value, "a Blob")


def _cbor_blob(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    return _blob(value)


def _float(value: Any) -> float:
    if type(value) is float or type(value) is int:
        return value
    if type(value) is str and value in scalars.SPECIAL_FLOATS:
        return scalars.SPECIAL_FLOATS[value]
    raise _wrong(value, "a Double")


def _integer(kind: str) -> Reader:
    low, high = scalars.LIMITS.get(kind, scalars.LIMITS["long"])
    wanted = "an Integer" if kind == "integer" else f"a {kind.title()}"

    def read(value: Any) -> int:
        if type(value) is float and value == value and value % 1 == 0:
            value = int(value)
        if type(value) is not int:
            raise _wrong(value, wanted)
        if not low <= value <= high:
            raise malformed(f"Numeric value is out of range of {wanted.split()[-1]}")
        return value

    return read


def _timestamp(value: Any) -> float:
    if type(value) is float or type(value) is int:
        if not math.isfinite(value):
            raise _wrong(value, "a Timestamp")
        return float(value)
    if type(value) is str:
        return scalars.read_timestamp(value)
    raise _wrong(value, "a Timestamp")


def _cbor_millis(value: Any) -> float:
    return _timestamp(value) / 1000


def bounded_document(value: Any, depth: int = _DOCUMENT_DEPTH) -> Any:
    """The document itself, unless it is nested too deeply."""
    if depth == 0:
        raise malformed("The document is nested too deeply.")
    if type(value) is dict:
        for item in value.values():
            bounded_document(item, depth - 1)
    elif type(value) is list:
        for item in value:
            bounded_document(item, depth - 1)
    return value


def _json_value(value: Any) -> Any:
    try:
        return bounded_document(msgspec.json.decode(_string(value)))
    except (msgspec.DecodeError, RecursionError):
        raise malformed("A member that holds JSON holds something else.") from None


class Readers:
    """Readers of one model's shapes, for JSON or for one of the two CBORs."""

    def __init__(self, *, blob: Reader = _blob, timestamp: Reader = _timestamp) -> None:
        self._compiled: dict[str, Reader] = {}
        self._scalars: dict[str, Reader] = {
            "string": _string,
            "character": _string,
            "boolean": _boolean,
            "blob": blob,
            "timestamp": timestamp,
            **{kind: _integer(kind) for kind in scalars.INTEGERS},
            **dict.fromkeys(scalars.FLOATS, _float),
        }

    def of(self, shape: Shape) -> Reader:
        """The reader of a shape."""
        if shape.get("jsonvalue"):
            return _json_value
        if shape.document:
            return bounded_document
        scalar = self._scalars.get(shape.type)
        if scalar is not None:
            return scalar
        compiled = self._compiled.get(shape.name)
        if compiled is None:
            compiled = getattr(self, f"_{shape.type}")(shape)
        return compiled

    def structure(self, members: dict[str, Shape]) -> Reader:
        """A reader of some of a structure's members (those a REST body holds)."""
        fields: dict[str, tuple[str, Reader]] = {}
        read = _structure_reader(fields)
        for name, member in members.items():
            fields[member.wire_name(name)] = (name, self.of(member))
        return read

    def _structure(self, shape: Shape) -> Reader:
        fields: dict[str, tuple[str, Reader]] = {}
        read = self._compiled[shape.name] = _structure_reader(fields)
        for name, member in shape.members.items():
            fields[member.wire_name(name)] = (name, self.of(member))
        return read

    def _list(self, shape: Shape) -> Reader:
        item_reader: list[Reader] = []
        sparse = bool(shape.get("sparse"))

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise malformed("Unexpected value type in payload; a list was expected.")
            read_item = item_reader[0]
            if None not in value:
                return [read_item(item) for item in value]
            if not sparse:
                raise malformed("A list has a null where a value is expected.")
            return [None if item is None else read_item(item) for item in value]

        self._compiled[shape.name] = read
        item_reader.append(self.of(shape.part("member")))
        return read

    def _map(self, shape: Shape) -> Reader:
        value_reader: list[Reader] = []

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise malformed("Unexpected value type in payload; a map was expected.")
            read_value = value_reader[0]
            return {_string(key): read_value(item) for key, item in value.items() if item is not None}

        self._compiled[shape.name] = read
        value_reader.append(self.of(shape.part("value")))
        return read


def _structure_reader(fields: dict[str, tuple[str, Reader]]) -> Reader:
    find = fields.get

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise malformed("Unexpected value type in payload; a structure was expected.")
        out = {}
        for wire_name, item in value.items():
            field = find(wire_name)
            if field is not None and item is not None:
                out[field[0]] = field[1](item)
        return out

    return read


def _write_float(value: float) -> Any:
    return value if math.isfinite(value) else scalars.write_float(value)


def _write_json_value(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _write_seconds(value: float) -> float:
    return int(value) if value == int(value) else round(value, 6)


class Writers:
    """Writers of one model's shapes; None is a writer that changes nothing."""

    def __init__(
        self,
        *,
        blob: Writer | None = scalars.write_blob,
        timestamp: Writer | None = None,
        number: Writer | None = _write_float,
    ) -> None:
        self._compiled: dict[str, Writer] = {}
        self._blob = blob
        self._timestamp = timestamp
        self._float = number

    def of(self, shape: Shape) -> Writer | None:
        """The writer of a shape."""
        if shape.get("jsonvalue"):
            return _write_json_value
        if shape.document or shape.type in ("string", "character", "boolean") or shape.type in scalars.INTEGERS:
            return None
        if shape.type in scalars.FLOATS:
            return self._float
        if shape.type == "blob":
            return self._blob
        if shape.type == "timestamp":
            if self._timestamp is not None:
                return self._timestamp
            form = shape.get("timestampFormat", scalars.UNIX)
            return _write_seconds if form == scalars.UNIX else scalars.TIMESTAMP_WRITERS[form]
        compiled = self._compiled.get(shape.name)
        if compiled is None:
            compiled = getattr(self, f"_{shape.type}")(shape)
        return compiled

    def structure(self, shape: Shape, members: dict[str, Shape]) -> Writer:
        """A writer of some of a structure's members."""
        fields: dict[str, tuple[str, Writer | None]] = {}
        for name, member in members.items():
            fields[name] = (member.wire_name(name), self.of(member))
        return _structure_writer(shape.name, fields)

    def _structure(self, shape: Shape) -> Writer:
        fields: dict[str, tuple[str, Writer | None]] = {}
        write = self._compiled[shape.name] = _structure_writer(shape.name, fields)
        for name, member in shape.members.items():
            fields[name] = (member.wire_name(name), self.of(member))
        return write

    def _list(self, shape: Shape) -> Writer:
        cell: list[Writer | None] = []

        def write(value: Any) -> list[Any]:
            write_item = cell[0]
            if write_item is None:
                return list(value)
            return [None if item is None else write_item(item) for item in value]

        self._compiled[shape.name] = write
        cell.append(self.of(shape.part("member")))
        return write

    def _map(self, shape: Shape) -> Writer:
        cell: list[Writer | None] = []

        def write(value: Any) -> dict[str, Any]:
            write_value = cell[0]
            if write_value is None:
                return dict(value)
            return {key: None if item is None else write_value(item) for key, item in value.items()}

        self._compiled[shape.name] = write
        cell.append(self.of(shape.part("value")))
        return write


def _structure_writer(shape_name: str, fields: dict[str, tuple[str, Writer | None]]) -> Writer:
    def write(value: Any) -> dict[str, Any]:
        out = {}
        for name, item in value.items():
            try:
                wire_name, write_item = fields[name]
            except KeyError:
                raise ValueError(f"{shape_name} has no member {name!r}") from None
            if item is not None:
                out[wire_name] = item if write_item is None else write_item(item)
        return out

    return write


class CborReaders(Readers):
    """Kinesis's CBOR: blobs are byte strings, timestamps epoch milliseconds."""

    def __init__(self, *, millis: bool) -> None:
        super().__init__(blob=_cbor_blob, timestamp=_cbor_millis if millis else _timestamp)
