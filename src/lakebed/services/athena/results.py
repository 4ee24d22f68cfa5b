"""Reading results back: the CSV and text objects an execution wrote, a page at a time, as the caller.

A page's token is the place in the object where it begins, so that any page costs the same.
https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html
"""

from __future__ import annotations

from typing import Any

from lakebed.kernel.scope import Principal
from lakebed.lake import location
from lakebed.ports.house import Ports

_BLOCK = 1 << 20
Row = list[str | None]


class RowReader:
    """Splits all-quoted CSV: a quoted field is a value, nothing between commas is NULL."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str, last: bool) -> list[tuple[Row, int]]:
        """Rows that are complete now, each with how many bytes it took."""
        data, found, start = self._rest + text, [], 0
        while start < len(data):
            end = _row_end(data, start)
            if end < 0:
                if not last:
                    break
                end = len(data)
            line = data[start:end]
            found.append((_fields(line), len(line.encode()) + 1))
            start = end + 1
        self._rest = data[start:]
        return found


def _row_end(data: str, start: int) -> int:
    """The newline that ends the row: the first one outside quotes."""
    end = data.find("\n", start)
    while end >= 0 and data.count('"', start, end) % 2:
        end = data.find("\n", end + 1)
    return end


def _fields(line: str) -> Row:
    fields: Row = []
    at = 0
    while True:
        if line[at : at + 1] == '"':
            end = at + 1
            while True:
                end = line.index('"', end)
                if line[end + 1 : end + 2] != '"':
                    break
                end += 2
            fields.append(line[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            fields.append(None)
        if line[at : at + 1] != ",":
            return fields
        at += 1


async def page(
    p: Ports, principal: Principal, body: dict[str, Any], start: int, limit: int
) -> tuple[list[Row], int | None]:
    """Up to ``limit`` rows from byte ``start`` on, and where the next page begins."""
    bucket, key = location.parse(body["output"])
    info = await p.objects.head(principal, bucket, key)
    rows: list[Row] = []
    position, reader, text = start, RowReader(), body.get("format") == "txt"
    pending = b""
    async for block in p.objects.read(info, start):
        pending += block
        cut = _whole(pending)
        for row, size in _rows(reader, pending[:cut].decode(), text, False):
            if len(rows) == limit:
                return rows, position
            rows.append(row)
            position += size
        pending = pending[cut:]
    for row, size in _rows(reader, pending.decode(), text, True):
        if len(rows) == limit:
            return rows, position
        rows.append(row)
        position += size
    return rows, None


def _rows(reader: RowReader, data: str, text: bool, last: bool) -> list[tuple[Row, int]]:
    if not text:
        return reader.feed(data, last)
    lines = (reader._rest + data).split("\n")
    reader._rest = "" if last else lines.pop()
    return [([line], len(line.encode()) + 1) for line in lines if line or not last]


def _whole(data: bytes) -> int:
    """How many bytes are whole characters."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return len(data)
        if byte >= 0xC0:
            return len(data) if back >= (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else len(data) - back
    return len(data)
