"""Walking keys in order, with prefix and delimiter, without looking at what a common prefix hides.

A listing reads batches of neighbouring rows; when a key rolls up into a common prefix the walk jumps to the first key
behind that prefix, so a folder of a million keys costs one seek. The same walk serves ListObjects, ListObjectsV2,
ListObjectVersions and ListMultipartUploads: rows have a ``key`` and a ``rank`` that orders rows of one key.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from lakebed.services.s3.model.errors import invalid_argument
from lakebed.wire.aws import pages

PAGE_MAX = 1000
_BEFORE_ALL = -(1 << 63)
_FIRST_BATCH = 16


class Position(NamedTuple):
    """Rows strictly behind (key, rank); a rank below all ranks means "from this key on"."""

    key: bytes
    rank: int


class Listed(Protocol):
    """A row of a walk."""

    @property
    def key(self) -> bytes:
        """UTF-8 key."""
        ...

    @property
    def rank(self) -> int:
        """Order among rows of the same key."""
        ...


_Row = TypeVar("_Row", bound=Listed)
_Place = TypeVar("_Place")
Fetch = Callable[[Position, bytes | None, int], Sequence[_Row]]


class Page(NamedTuple, Generic[_Row]):
    """Rows and common prefixes in order of appearance; ``last`` is the last of either, ``truncated`` tells of more."""

    rows: list[_Row]
    prefixes: list[bytes]
    truncated: bool
    last_row: _Row | None
    last_prefix: bytes | None

    @property
    def last(self) -> bytes:
        """Where a next page continues: the last key or, where that came later, the last common prefix."""
        if self.last_prefix is not None:
            return self.last_prefix
        return self.last_row.key if self.last_row is not None else b""


def from_key(key: bytes) -> Position:
    """Start with this key itself."""
    return Position(key, _BEFORE_ALL)


def successor(prefix: bytes) -> bytes | None:
    """The smallest byte string above everything that begins with ``prefix``; None where nothing is."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def start_behind(marker: bytes, prefix: bytes, delimiter: bytes) -> Position:
    """Where a listing that continues behind ``marker`` starts; a marker that is a common prefix hides all below it."""
    if marker < prefix:
        return from_key(prefix)
    rolled = common_prefix(marker, prefix, delimiter)
    if rolled is not None and rolled == marker:
        behind = successor(marker)
        return from_key(behind) if behind is not None else Position(marker, 0)
    return Position(marker, (1 << 63) - 1)


def common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    """What ``key`` rolls up into."""
    if not delimiter or not key.startswith(prefix):
        return None
    at = key.find(delimiter, len(prefix))
    return key[: at + len(delimiter)] if at >= 0 else None


def walk(fetch: Fetch[_Row], start: Position, prefix: bytes, delimiter: bytes, limit: int) -> Page[_Row]:
    """One page: at most ``limit`` rows and common prefixes together."""
    rows: list[_Row] = []
    prefixes: list[bytes] = []
    last_prefix: bytes | None = None
    end = successor(prefix) if prefix else None
    batch_size = _FIRST_BATCH if delimiter else limit + 1
    position = max(start, from_key(prefix))
    while limit > 0:
        batch = fetch(position, end, batch_size)
        index, skipped = 0, False
        while index < len(batch):
            row = batch[index]
            rolled = common_prefix(row.key, prefix, delimiter)
            if len(rows) + len(prefixes) >= limit:
                return Page(rows, prefixes, True, rows[-1] if rows else None, last_prefix)
            if rolled is None:
                rows.append(row)
                last_prefix, index = None, index + 1
                continue
            prefixes.append(rolled)
            last_prefix = rolled
            behind = successor(rolled)
            if behind is None:
                return Page(rows, prefixes, False, None, rolled)
            index = bisect_left(batch, behind, lo=index, key=lambda listed: listed.key)
            if index == len(batch):
                position, skipped = from_key(behind), True
        if skipped:
            # The whole rest of the batch lay below one prefix: seek behind it, reading little again.
            batch_size = _FIRST_BATCH
            if end is not None and position.key >= end:
                break
            continue
        if len(batch) < batch_size:
            break
        position = Position(batch[-1].key, batch[-1].rank)
        batch_size = min(batch_size * 2, limit + 1, PAGE_MAX + 1)
    return Page(rows, prefixes, False, rows[-1] if rows else None, last_prefix)


def page_size(value: int | None, name: str = "max-keys") -> int:
    """``max-keys`` with its default and its ceiling."""
    if value is None:
        return PAGE_MAX
    if not 0 <= value <= 2147483647:
        raise invalid_argument(f"Argument {name} must be an integer between 0 and 2147483647", name, value)
    return min(value, PAGE_MAX)


def from_token(text: str | None, kind: type[_Place], first: _Place) -> _Place:
    """The place behind a continuation token."""
    wrong = invalid_argument("The continuation token provided is incorrect", "continuation-token", text)
    return pages.opened(text, kind, first, wrong)


class Encoding:
    """``encoding-type=url``: names in the answer are percent-encoded (a space as %20, which every client decodes)."""

    def __init__(self, kind: str | None) -> None:
        if kind not in (None, "url"):
            raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", kind)
        self.kind = kind

    def __call__(self, name: str | bytes) -> str:
        text = name.decode() if isinstance(name, bytes) else name
        return quote(text, safe="/") if self.kind else text
