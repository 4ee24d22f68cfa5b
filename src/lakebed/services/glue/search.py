"""What SearchTables matches: text anywhere in a table's metadata, and filters on single properties.

A filter on text compares whole words (a value split at punctuation other than ``_``) or the whole value, without regard
to case; one on a time compares by its comparator. A key that is no property of tables is looked up in their parameters.
https://docs.aws.amazon.com/glue/latest/webapi/API_SearchTables.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lakebed.api import glue as api
from lakebed.services.glue.model import Body

_WORDS = re.compile(r"[^\w]+")
_TIMES = ("CreateTime", "UpdateTime", "LastAccessTime")
_COMPARATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": operator.eq, "GREATER_THAN": operator.gt, "LESS_THAN": operator.lt, "GREATER_THAN_EQUALS": operator.ge,
    "LESS_THAN_EQUALS": operator.le,
}  # fmt: skip


def matcher(text: str | None, filters: Sequence[Mapping[str, Any]]) -> Callable[[Body], bool]:
    """A test for tables as GetTable tells them."""
    tests = [_filter(one) for one in filters]
    if text:
        tests.append(_text(text))
    return lambda table: all(test(table) for test in tests)


def _text(text: str) -> Callable[[Body], bool]:
    wanted = text.lower()
    if len(wanted) > 1 and wanted[0] == wanted[-1] == '"':
        exact = wanted[1:-1]
        return lambda table: any(value.lower() == exact for value in _metadata(table))
    return lambda table: any(wanted in value.lower() for value in _metadata(table))


def _metadata(table: Body) -> Iterator[str]:
    """Every text of a table that is searched."""
    storage = table.get("StorageDescriptor") or {}
    yield from (table["Name"], table["DatabaseName"])
    yield from (str(table[member]) for member in ("Description", "Owner", "TableType") if table.get(member))
    for column in [*(storage.get("Columns") or ()), *table["PartitionKeys"]]:
        yield column["Name"]
        yield column.get("Comment", "")
    for parameters in (table.get("Parameters") or {}, storage.get("Parameters") or {}):
        for key, value in parameters.items():
            yield from (key, value)
    yield storage.get("Location", "")


def _filter(predicate: Mapping[str, Any]) -> Callable[[Body], bool]:
    key, value = predicate.get("Key", ""), predicate.get("Value", "")
    if key in _TIMES:
        compare, at = _COMPARATORS[predicate.get("Comparator", "EQUALS")], _time(value)
        return lambda table: table.get(key) is not None and compare(int(table[key]), at)
    wanted = value.lower()

    def matches(table: Body) -> bool:
        known = _property(table, key).lower()
        return known == wanted or wanted in _WORDS.split(known)

    return matches


def _property(table: Body, key: str) -> str:
    if key == "Location":
        return str((table.get("StorageDescriptor") or {}).get("Location", ""))
    found = table.get(key) if key in ("Name", "DatabaseName", "Description", "Owner", "TableType") else None
    return str(found if found is not None else (table.get("Parameters") or {}).get(key, ""))


def _time(text: str) -> int:
    """Epoch seconds, or ISO 8601 (UTC where no zone is told)."""
    if text.isascii() and text.isdigit() and len(text) < 13:
        return int(text)
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise api.InvalidInputException(f"The time {text[:50]} cannot be read.") from None
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp())
