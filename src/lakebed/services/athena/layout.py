"""Layouts the cost advisor measures, each with the CREATE TABLE AS that makes it. Pure.

https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html; at most 100 partitions are written by one statement:
.../ctas-insert-into.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakebed.lake import location
from lakebed.lake.types import parse_hive
from lakebed.ports.sql import Relation

PARTITIONS_MAX = 100
_COLUMNS_TRIED = 2
_KEYS = ("varchar", "char", "tinyint", "smallint", "integer", "bigint", "date", "boolean")
Columns = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Parquet with ZSTD, by ``keys``; ``select`` gives its rows, ``sql`` makes it on AWS."""

    title: str
    columns: Columns
    keys: Columns
    select: str
    sql: str


def name(table: tuple[str, str]) -> str:
    """A table's name as SQL."""
    return ".".join(_quoted(part) for part in table)


def whole(table: tuple[str, str]) -> str:
    """The query that reads all of a table."""
    return f"SELECT * FROM {name(table)}"  # noqa: S608 - names are quoted


def candidates(table: Mapping[str, Any], relation: Relation, filtered: Sequence[str]) -> list[Layout]:
    """The table as it is divided now, and divided by each of the columns queries filter on most."""
    kinds = dict(relation.columns)
    fit = [column for column in filtered if column in kinds and parse_hive(kinds[column]).base in _KEYS]
    made = [_layout(table, relation, "")]
    if len(kinds) > 1:
        made += [_layout(table, relation, column) for column in fit[:_COLUMNS_TRIED]]
    return made


def _layout(table: Mapping[str, Any], relation: Relation, column: str) -> Layout:
    columns = [pair for pair in relation.columns if pair[0] != column]
    keys = [*relation.partition_columns, *(pair for pair in relation.columns if pair[0] == column)]
    listed = ", ".join(_quoted(each) for each, _ in [*columns, *keys])
    select = f"SELECT {listed} FROM {name((relation.database, relation.name))}"  # noqa: S608 - names are quoted
    options = ["format = 'PARQUET'", "write_compression = 'ZSTD'"]
    if place := _beside(table, column):
        options.append("external_location = '{}'".format(place.replace("'", "''")))
    if keys:
        parts = ", ".join("'{}'".format(each.replace("'", "''")) for each, _ in keys)
        options.append(f"partitioned_by = ARRAY[{parts}]")
    target = name((relation.database, relation.name + (f"_by_{column}" if column else "_zstd")))
    told = ",\n  ".join(options)
    made = f"CREATE TABLE {target}\nWITH (\n  {told}\n)\nAS {select}"
    if keys:
        made += f"\n-- more than {PARTITIONS_MAX} partitions: CREATE with a WHERE over {keys[-1][0]}, then INSERT INTO"
    title = "Parquet with ZSTD, in few large files"
    return Layout(f"{title}, partitioned by {column}" if column else title, columns, keys, select, made)


def columns_of(tree: Any) -> Iterator[str]:
    """The columns in a predicate (``lake.tables.predicates``)."""
    if tree is None:
        return
    if tree[0] in ("and", "or"):
        for each in tree[1:]:
            yield from columns_of(each)
    elif tree[0] not in ("null", "notnull", "!="):
        yield str(tree[1])


def _beside(table: Mapping[str, Any], column: str) -> str:
    """A place next to the table's own; empty where that is a whole bucket."""
    bucket, prefix = location.parse(table.get("StorageDescriptor", {}).get("Location", ""))
    ending = f"_by_{column}" if column else "_zstd"
    return f"s3://{bucket}/{prefix.rstrip('/')}{ending}/" if prefix.strip("/") else ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
