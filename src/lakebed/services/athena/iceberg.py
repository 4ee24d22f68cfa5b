"""Statements that concern Iceberg tables, taken before the others see them.

By their form (DELETE, MERGE, OPTIMIZE, …) or because the table they name is one (INSERT, DROP TABLE, DESCRIBE, …).
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.lake import location
from lakebed.lake.statements import Statement
from lakebed.lake.tables.state import is_iceberg
from lakebed.ports.sql import SqlFailure
from lakebed.services.athena import iceberg_changes, iceberg_tables, iceberg_upkeep
from lakebed.services.athena.iceberg_commit import undo
from lakebed.services.athena.queries import Work

Body = dict[str, Any]
_ROWS = {"insert": iceberg_changes.insert, "update": iceberg_changes.change, "delete": iceberg_changes.change,
         "merge": iceberg_changes.change, "optimize": iceberg_upkeep.optimize, "vacuum": iceberg_upkeep.vacuum}  # fmt: skip
_TEXTS = ("drop_table", "alter_table_columns", "alter_table_set_properties", "alter_table_add_columns", "show_columns",
          "show_tblproperties", "show_create_table", "describe_table")  # fmt: skip
_ONLY = ("update", "delete", "merge", "optimize", "vacuum")
_REFUSED = ("show_partitions", "msck_repair_table", "alter_table_add_partition", "alter_table_drop_partition",
            "alter_table_set_location", "alter_table_rename_partition", "alter_table_replace_columns")  # fmt: skip
_HEADS = {
    "show_columns": ("field",),
    "show_tblproperties": ("prpt_name", "prpt_value"),
    "show_create_table": ("createtab_stmt",),
    "describe_table": ("col_name", "data_type", "comment"),
}


async def taken(work: Work, statement: Statement, attempts: int) -> Body | None:
    """The statement's outcome, None where it concerns no Iceberg table."""
    if attempts > 1 and (finished := await _finished(work, statement)) is not None:
        return finished
    if statement.kind == "create_iceberg_table":
        return await _told(work, statement, await iceberg_tables.create(work, statement))
    if statement.kind == "ctas":
        return await _ctas(work, statement)
    if statement.kind not in _ROWS and statement.kind not in _TEXTS and statement.kind not in _REFUSED:
        return None
    table = _table(work, statement)
    if table is None:
        return None
    if not is_iceberg(table):
        if statement.kind in _ONLY:
            raise SqlFailure("NOT_SUPPORTED", f"{_words(statement)} is supported for Iceberg tables only")
        return None
    if statement.kind in _REFUSED or "partition" in statement.facts:
        raise SqlFailure("NOT_SUPPORTED", f"{_words(statement)} is not supported for Iceberg tables")
    if statement.kind in _ROWS:
        made = await _ROWS[statement.kind](work, statement)
        if statement.kind in ("optimize", "vacuum"):
            return {**made, **await _told(work, statement, [])}
        return made
    return await _told(work, statement, await _lines(work, statement, table))


def _words(statement: Statement) -> str:
    return statement.kind.replace("_", " ").upper()


async def _ctas(work: Work, statement: Statement) -> Body | None:
    properties = {key.lower(): value for key, value in statement.facts["properties"].items()}
    if properties.get("table_type", "").upper() != "ICEBERG":
        return None
    try:
        work_table = iceberg_changes.table_of(work, statement.database or work.database, statement.name)
    except SqlFailure as missing:
        if missing.name != "TABLE_NOT_FOUND":
            raise
        return await iceberg_changes.create_table_as(work, statement)
    if statement.facts["if_not_exists"]:
        return {"rows": 0}
    told = f"line 1:1: Table 'awsdatacatalog.{work_table['DatabaseName']}.{statement.name}' already exists"
    raise SqlFailure("TABLE_ALREADY_EXISTS", told)


def _table(work: Work, statement: Statement) -> Mapping[str, Any] | None:
    try:
        return iceberg_changes.table_of(work, statement.database or work.database, statement.name)
    except SqlFailure as missing:
        if missing.name == "TABLE_NOT_FOUND" and statement.kind not in _ONLY:
            return None  # whose statement it is says so in its own way
        raise


async def _lines(work: Work, statement: Statement, table: Mapping[str, Any]) -> list[str]:
    if statement.kind == "drop_table":
        return await iceberg_tables.drop(work, statement, table)
    if statement.kind == "show_columns":
        return await iceberg_tables.show_columns(work, table)
    if statement.kind == "show_tblproperties":
        return await iceberg_tables.show_properties(work, table, statement.facts["key"])
    if statement.kind == "show_create_table":
        return await iceberg_tables.show_create(work, table)
    if statement.kind == "describe_table":
        return await iceberg_tables.describe(work, table)
    return await iceberg_tables.alter(work, statement)


async def _finished(work: Work, statement: Statement) -> Body | None:
    """What a run that was cut off had come to, where it had committed."""
    if (done := work.body.get("iceberg_done")) is not None:
        return dict(done) if done else await _told(work, statement, [])
    if place := work.body.get("iceberg_dropping"):
        await iceberg_tables.clear(work, place)
        return await _told(work, Statement("drop_table"), [])
    await undo(work)
    return None


async def _told(work: Work, statement: Statement, lines: list[str]) -> Body:
    """The text object at the reported place, and its columns."""
    bucket, key = location.parse(work.body["output"])
    text = "".join(f"{line}\n" for line in lines)
    await work.p.objects.put(work.principal, bucket, key, text.encode(), content_type="text/plain")
    columns = [
        {"CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": name, "Label": name, "Type": "string",
         "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN", "CaseSensitive": False}
        for name in _HEADS.get(statement.kind, ())
    ]  # fmt: skip
    return {"columns": columns, "format": "txt", "rows": len(lines)}
