"""Relations whose rows are metadata: ``information_schema`` and a table's ``$partitions``.

Their rows are read from the catalogue as the caller and handed to the engine with the query; nothing is scanned in S3.
https://docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lakebed.kernel.scope import Principal, Scope
from lakebed.lake.types import UnknownTypeError, parse_hive, trino_text
from lakebed.ports.house import Ports
from lakebed.ports.sql import Relation, SqlFailure, TableName

_CATALOG = "awsdatacatalog"
_ROWS_MAX = 200_000
Row = list[str | None]
Table = Mapping[str, Any]


class Inline:
    """Metadata as rows, for one caller."""

    def __init__(self, p: Ports, principal: Principal, scope: Scope) -> None:
        self._p, self._principal, self._scope = p, principal, scope

    def information_schema(self, named: TableName) -> Relation | None:
        """The relation of that name in ``information_schema``; None where this is another database."""
        if named.database != "information_schema":
            return None
        if named.name not in _TABLES:
            full = f"{_CATALOG}.information_schema.{named.name}"
            raise SqlFailure("TABLE_NOT_FOUND", f"line 1:15: Table '{full}' does not exist")
        columns, rows_of = _TABLES[named.name]
        rows: list[Row] = []
        for row in rows_of(self):
            rows.append(row)
            if len(rows) > _ROWS_MAX:
                raise SqlFailure("NOT_SUPPORTED", f"more than {_ROWS_MAX} rows of metadata are not built")
        return Relation(named.database, named.name, columns, format="rows", rows=rows)

    def schemata(self) -> Iterator[Row]:
        """information_schema.schemata"""
        for name in [*self._databases(), "information_schema"]:
            yield [_CATALOG, name]

    def tables(self) -> Iterator[Row]:
        """information_schema.tables"""
        for database, table in self._every():
            kind = "VIEW" if table.get("TableType") == "VIRTUAL_VIEW" else "BASE TABLE"
            yield [_CATALOG, database, table["Name"], kind]

    def views(self) -> Iterator[Row]:
        """information_schema.views"""
        from lakebed.services.athena.resolve import view_of

        for database, table in self._every():
            if table.get("TableType") == "VIRTUAL_VIEW":
                yield [_CATALOG, database, table["Name"], view_of(table)["originalSql"]]

    def columns(self) -> Iterator[Row]:
        """information_schema.columns"""
        for database, table in self._every():
            listed = [*table.get("StorageDescriptor", {}).get("Columns", []), *table.get("PartitionKeys", [])]
            keys = {column["Name"] for column in table.get("PartitionKeys", [])}
            for at, column in enumerate(listed, 1):
                extra = "partition key" if column["Name"] in keys else None
                yield [_CATALOG, database, table["Name"], column["Name"], str(at), None, "YES",
                       _type(column.get("Type", "string")), column.get("Comment") or None, extra]  # fmt: skip

    def _databases(self) -> list[str]:
        found = self._p.catalog.databases(self._principal, self._scope)
        return sorted(str(database["Name"]) for database in found)

    def _every(self) -> Iterator[tuple[str, Table]]:
        for database in self._databases():
            for table in self._p.catalog.tables(self._principal, self._scope, database):
                yield database, table


def partitions_of(named: TableName, keys: list[tuple[str, str]], partitions: list[Mapping[str, Any]]) -> Relation:
    """``"t$partitions"``: a row of values for each partition."""
    if not keys:
        raise SqlFailure("TABLE_NOT_FOUND", f"line 1:15: Table '{named.database}.{named.name}' does not exist")
    rows = [[None if v == "__HIVE_DEFAULT_PARTITION__" else v for v in part["Values"]] for part in partitions]
    return Relation(named.database, named.name, keys, format="rows", rows=rows)


def _type(hive: str) -> str:
    try:
        return trino_text(parse_hive(hive))
    except UnknownTypeError:
        return hive


def _texts(*names: str) -> list[tuple[str, str]]:
    return [(name, "string") for name in names]


_TABLES: dict[str, tuple[list[tuple[str, str]], Callable[[Inline], Iterator[Row]]]] = {
    "schemata": (_texts("catalog_name", "schema_name"), Inline.schemata),
    "tables": (_texts("table_catalog", "table_schema", "table_name", "table_type"), Inline.tables),
    "views": (_texts("table_catalog", "table_schema", "table_name", "view_definition"), Inline.views),
    "columns": (
        [*_texts("table_catalog", "table_schema", "table_name", "column_name"), ("ordinal_position", "bigint"),
         *_texts("column_default", "is_nullable", "data_type", "comment", "extra_info")],
        Inline.columns,
    ),
}  # fmt: skip
