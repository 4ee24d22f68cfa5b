"""The HTTP bindings of the REST protocols: members in the path, the query, the headers, the status and the body.

One ``InputBinding`` and one ``OutputBinding`` per operation, compiled when it is first called; the body goes to the JSON
or XML closures handed in. https://smithy.io/2.0/spec/http-bindings.html
"""

from __future__ import annotations

import binascii
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws import scalars
from lakebed.wire.aws.message import HttpRequest
from lakebed.wire.aws.model import Shape
from lakebed.wire.aws.scalars import malformed
from lakebed.wire.aws.xmlshapes import text_reader, text_writer

QueryItems = Mapping[str, list[str]]
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _split_header(text: str) -> list[str]:
    """The items of a header that lists strings; an item may be quoted."""
    items: list[str] = []
    index = 0
    while index < len(text):
        if text[index] in " \t,":
            index += 1
        elif text[index] == '"':
            piece: list[str] = []
            index += 1
            while index < len(text) and text[index] != '"':
                index += text[index] == "\\"
                piece.append(text[index : index + 1])
                index += 1
            index += 1
            items.append("".join(piece))
        else:
            end = text.find(",", index)
            end = len(text) if end < 0 else end
            items.append(text[index:end].strip())
            index = end
    return items


def _split_dates(text: str) -> list[str]:
    """HTTP dates hold a comma themselves."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) % 2 == 0 and parts and parts[0].isalpha():
        return [f"{day}, {rest}" for day, rest in zip(parts[::2], parts[1::2], strict=True)]
    return parts


def _header_reader(shape: Shape) -> Callable[[str], Any]:
    if shape.get("jsonvalue"):
        return _json_header
    if shape.type == "list":
        item = shape.part("member")
        read_item = text_reader(item)
        split = _split_dates if item.type == "timestamp" else _split_header
        return lambda text: [read_item(part) for part in split(text)]
    return text_reader(shape)


def _json_header(text: str) -> Any:
    try:
        return msgspec.json.decode(binascii.a2b_base64(text))
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise malformed("A header that holds JSON in Base64 holds something else.") from None


def _query_reader(shape: Shape) -> Callable[[list[str]], Any]:
    if shape.type == "list":
        read_item = text_reader(shape.part("member"))
        return lambda values: [read_item(value) for value in values]
    read = text_reader(shape)
    return lambda values: read(values[-1])


class InputBinding:
    """Reads the members of one operation's input."""

    def __init__(self, shape: Shape | None, body: Callable[[Shape, dict[str, Shape]], Callable[[bytes], Any]]) -> None:
        self._labels: list[tuple[str, str, Callable[[str], Any]]] = []
        self._query: list[tuple[str, str, Callable[[list[str]], Any]]] = []
        self._query_map: tuple[str, bool] | None = None
        self._headers: list[tuple[str, str, Callable[[str], Any]]] = []
        self._prefixes: list[tuple[str, str]] = []
        self._payload: Shape | None = shape.payload() if shape else None
        self._payload_name: str = (shape.get("payload") or "") if shape else ""
        self._body: Callable[[bytes], Any] | None = None
        rest: dict[str, Shape] = {}
        for name, member in (shape.members if shape else {}).items():
            self._place(name, member, rest)
        if shape is None:
            return
        if self._payload is not None and self._payload.type in ("structure", "list", "map", "timestamp"):
            self._body = body(self._payload, self._payload.members)
        elif self._payload is None and rest:
            self._body = body(shape, rest)

    def _place(self, name: str, member: Shape, rest: dict[str, Shape]) -> None:
        location, wire_name = member.get("location"), member.wire_name(name)
        if location == "uri":
            self._labels.append((name, wire_name, text_reader(member)))
        elif location == "querystring" and member.type == "map":
            self._query_map = (name, member.part("value").type == "list")
        elif location == "querystring":
            self._query.append((name, wire_name, _query_reader(member)))
        elif location == "header":
            self._headers.append((name, wire_name.lower(), _header_reader(member)))
        elif location == "headers":
            self._prefixes.append((name, wire_name.lower() if member.get("locationName") else ""))
        elif name != self._payload_name:
            rest[name] = member

    def read(self, labels: Mapping[str, str], query: QueryItems, request: HttpRequest) -> dict[str, Any]:
        """All members a request holds."""
        out: dict[str, Any] = {}
        for name, wire_name, read_text in self._labels:
            if wire_name in labels:
                out[name] = read_text(labels[wire_name])
        for name, wire_name, read_values in self._query:
            if wire_name in query:
                out[name] = read_values(query[wire_name])
        if self._query_map is not None:
            name, many = self._query_map
            if query:
                out[name] = {key: values if many else values[0] for key, values in query.items()}
        headers = request.headers
        for name, wire_name, read_text in self._headers:
            if wire_name in headers:
                out[name] = read_text(headers[wire_name])
        for name, prefix in self._prefixes:
            found = {key[len(prefix) :]: value for key, value in headers.items() if key.startswith(prefix)}
            if found:
                out[name] = found
        self._read_body(out, request)
        return out

    def _read_body(self, out: dict[str, Any], request: HttpRequest) -> None:
        payload = self._payload
        if payload is not None and payload.type == "blob":
            if payload.streaming:
                out[self._payload_name] = request.stream if request.stream is not None else _once(request.body)
            elif request.body:
                out[self._payload_name] = request.body
        elif payload is not None and payload.type == "string":
            if request.body:
                out[self._payload_name] = _utf8(request.body)
        elif self._body is not None and request.body:
            read = self._body(request.body)
            if payload is not None:
                out[self._payload_name] = read
            else:
                out.update(read)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise malformed("The body is not UTF-8.") from None


def _header_writer(shape: Shape) -> Callable[[Any], str]:
    if shape.get("jsonvalue"):
        return lambda value: scalars.write_blob(msgspec.json.encode(value))
    if shape.type == "list":
        item = shape.part("member")
        write_item = text_writer(item, scalars.RFC822)
        quoted = item.type == "string"
        return lambda value: ",".join(_quoted(write_item(item)) if quoted else write_item(item) for item in value)
    if shape.type in ("string", "character"):
        return _header_text
    return text_writer(shape, scalars.RFC822)


def _quoted(text: str) -> str:
    if "," in text or '"' in text:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text


def _header_text(value: str) -> str:
    """A header's text; a line break in it would be another header. Only what a client asked for can hold one (S3's
    ``response-content-type`` and its like), so it is the client that is told."""
    if _CONTROLS.search(value):
        raise AwsError("InvalidArgument", "A header's value may not hold control characters.", status=400)
    return value


class OutputBinding:
    """Writes one operation's result: ``status``, ``headers`` and the members that remain for the body."""

    def __init__(self, shape: Shape | None, default_status: int) -> None:
        self.default_status = default_status
        self.payload = shape.payload() if shape else None
        self.payload_name: str = (shape.get("payload") or "") if shape else ""
        self.body_members: dict[str, Shape] = {}
        self._headers: dict[str, tuple[str, Callable[[Any], str]]] = {}
        self._prefixes: dict[str, str] = {}
        self._status = ""
        for name, member in (shape.members if shape else {}).items():
            location = member.get("location")
            if location == "header":
                self._headers[name] = (member.wire_name(name).lower(), _header_writer(member))
            elif location == "headers":
                self._prefixes[name] = member.get("locationName", "").lower()
            elif location == "statusCode":
                self._status = name
            elif name != self.payload_name:
                self.body_members[name] = member

    def split(self, result: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and what belongs into the body."""
        status, headers, rest = self.default_status, {}, {}
        for name, value in result.items():
            if value is None:
                continue
            if name in self._headers:
                wire_name, write_text = self._headers[name]
                headers[wire_name] = write_text(value)
            elif name in self._prefixes:
                prefix = self._prefixes[name]
                headers.update({f"{prefix}{key}": _header_text(item) for key, item in value.items()})
            elif name == self._status:
                status = int(value)
            else:
                rest[name] = value
        return status, headers, rest
