"""Schemas of files: whether two are alike, and one for both.

Compatible are those of one format and compression whose common columns have types that go together; similar ones also
share seven of ten columns. https://docs.aws.amazon.com/glue/latest/dg/crawler-grouping-policy.html
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from lakebed.lake.types import Type, UnknownTypeError, hive_text, parse_hive
from lakebed.ports.inspection import Inspected

SIMILAR = 0.7
_WIDTH = {"tinyint": 0, "smallint": 1, "integer": 2, "bigint": 3, "real": 4, "double": 5}
Columns = Sequence[tuple[str, str]]


def compatible(one: Inspected, other: Inspected) -> bool:
    """Whether one table can hold both."""
    if (one.classification, one.compression) != (other.classification, other.compression):
        return False
    if any(one.options.get(name) != other.options.get(name) for name in ("delimiter", "json_path", "row_tag", "grok")):
        return False
    known = dict(one.columns)
    return all(_together(known[name], kind) for name, kind in other.columns if name in known)


def similar(one: Inspected, other: Inspected) -> bool:
    """Compatible, and mostly the same columns."""
    if not compatible(one, other):
        return False
    left, right = {name for name, _ in one.columns}, {name for name, _ in other.columns}
    larger = max(len(left), len(right))
    return larger == 0 or len(left & right) >= SIMILAR * larger


def _together(left: str, right: str) -> bool:
    """Scalars go together (a string holds them all), nested types only with their kind."""
    nested = ("array", "map", "struct")
    one, other = left.partition("<")[0], right.partition("<")[0]
    return one == other or (one not in nested and other not in nested)


def columns_of(schemas: Sequence[Inspected]) -> Columns:
    """The columns of all, in order of appearance, wide enough for all."""
    made: dict[str, str] = {}
    for schema in schemas:
        for name, kind in schema.columns:
            made[name] = wider(made[name], kind) if name in made else kind
    return list(made.items())


def wider(left: str, right: str) -> str:
    """A type that holds the values of both."""
    if left == right:
        return left
    try:
        return hive_text(_wider(parse_hive(left), parse_hive(right)))
    except UnknownTypeError:
        return "string"


def _wider(left: Type, right: Type) -> Type:
    if left == right:
        return left
    if left.base in _WIDTH and right.base in _WIDTH:
        return left if _WIDTH[left.base] >= _WIDTH[right.base] else right
    if left.base == right.base == "array":
        return Type("array", (_wider(left.args[0], right.args[0]),))
    if left.base == right.base == "row":
        fields = dict(left.args)
        for name, kind in right.args:
            fields[name] = _wider(fields[name], kind) if name in fields else kind
        return Type("row", tuple(fields.items()))
    return parse_hive("string")


def together(schemas: Sequence[Inspected]) -> Inspected:
    """One schema for files that belong together."""
    first = schemas[0]
    options = reduce(lambda known, one: {**one.options, **known}, schemas, dict(first.options))
    return Inspected(first.classification, first.compression, columns_of(schemas), options)
