"""Hive's DDL, SHOW and DESCRIBE: done on the catalogue as the caller, told as lines of text.

https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html
"""

from __future__ import annotations

import fnmatch
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.lake import formats, location
from lakebed.lake.statements import Statement
from lakebed.ports.sql import SqlFailure
from lakebed.services.athena import ddl_alter
from lakebed.services.athena.queries import Work
from lakebed.services.athena.resolve import Resolver, objects_under, pairs, view_of

Lines = list[str]


def _database(work: Work, statement: Statement) -> str:
    return statement.database or work.database


def _table(work: Work, statement: Statement) -> Mapping[str, Any]:
    return Resolver(work.p, work.principal, work.scope).table(_database(work, statement), statement.name)


async def create_database(work: Work, statement: Statement) -> Lines:
    """CREATE DATABASE"""
    facts = statement.facts
    made: dict[str, Any] = {"Name": statement.database, "Parameters": facts.get("properties", {})}
    if "comment" in facts:
        made["Description"] = facts["comment"]
    if "location" in facts:
        made["LocationUri"] = str(location.parse(facts["location"]))
    try:
        work.p.catalog.create_database(work.principal, work.scope, made)
    except AwsError as wrong:
        if wrong.error_code != "AlreadyExistsException":
            raise
        if not facts["if_not_exists"]:
            raise SqlFailure("SCHEMA_ALREADY_EXISTS", f"Database {statement.database} already exists") from None
    return []


async def drop_database(work: Work, statement: Statement) -> Lines:
    """DROP DATABASE [CASCADE]"""
    try:
        tables = work.p.catalog.tables(work.principal, work.scope, statement.database)
    except AwsError as wrong:
        if wrong.error_code == "EntityNotFoundException" and statement.facts["if_exists"]:
            return []
        raise
    if tables and not statement.facts["cascade"]:
        raise SqlFailure("SCHEMA_NOT_EMPTY", f"Database {statement.database} is not empty. One or more tables exist.")
    work.p.catalog.delete_database(work.principal, work.scope, statement.database)
    return []


async def create_table(work: Work, statement: Statement) -> Lines:
    """CREATE EXTERNAL TABLE"""
    facts, database = statement.facts, _database(work, statement)
    if facts["properties"].get("table_type", "").upper() == "ICEBERG":
        raise SqlFailure("NOT_SUPPORTED", "External keyword not supported for table type ICEBERG")
    if not facts.get("location"):
        told = "No location was specified for table. An S3 location must be specified"
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"line 1:1: {told}")
    columns, keys = (
        [ddl_alter.typed(column) for column in facts["columns"]],
        [ddl_alter.typed(column) for column in facts["partitions"]],
    )
    names = [column["Name"] for column in [*columns, *keys]]
    if len(set(names)) != len(names):
        raise SqlFailure("DUPLICATE_COLUMN_NAME", "Column repeated in partitioning columns or duplicate column name")
    descriptor = {"Columns": columns, "Location": str(location.parse(facts["location"])), **formats.storage(facts)}
    parameters = {"EXTERNAL": "TRUE", **facts["properties"]}
    if "comment" in facts:
        parameters["comment"] = facts["comment"]
    table = {"Name": statement.name, "TableType": "EXTERNAL_TABLE", "PartitionKeys": keys,
             "StorageDescriptor": descriptor, "Parameters": parameters}  # fmt: skip
    try:
        work.p.catalog.create_table(work.principal, work.scope, database, table)
    except AwsError as wrong:
        if wrong.error_code != "AlreadyExistsException":
            raise
        if not facts["if_not_exists"]:
            raise SqlFailure("TABLE_ALREADY_EXISTS", f"Table {statement.name} already exists") from None
    return []


async def drop_table(work: Work, statement: Statement) -> Lines:
    """DROP TABLE and DROP VIEW; data stays in S3."""
    try:
        table = _table(work, statement)
    except SqlFailure as missing:
        if missing.name == "TABLE_NOT_FOUND" and statement.facts["if_exists"]:
            return []
        raise
    view = table.get("TableType") == "VIRTUAL_VIEW"
    if view != (statement.kind == "drop_view"):
        raise SqlFailure("TABLE_NOT_FOUND" if not view else "NOT_SUPPORTED",
                         f"'{statement.name}' is a {'view' if view else 'table'}")  # fmt: skip
    work.p.catalog.delete_table(work.principal, work.scope, _database(work, statement), statement.name)
    return []


async def show_databases(work: Work, statement: Statement) -> Lines:
    """SHOW DATABASES"""
    names = [database["Name"] for database in work.p.catalog.databases(work.principal, work.scope)]
    return _matching(names, statement.facts["pattern"])


async def show_tables(work: Work, statement: Statement) -> Lines:
    """SHOW TABLES; views are among them."""
    tables = work.p.catalog.tables(work.principal, work.scope, _database(work, statement))
    return _matching([table["Name"] for table in tables], statement.facts["pattern"])


async def show_views(work: Work, statement: Statement) -> Lines:
    """SHOW VIEWS"""
    tables = work.p.catalog.tables(work.principal, work.scope, _database(work, statement))
    names = [table["Name"] for table in tables if table.get("TableType") == "VIRTUAL_VIEW"]
    return _matching(names, statement.facts["pattern"])


async def show_properties(work: Work, statement: Statement) -> Lines:
    """SHOW TBLPROPERTIES: all of them, or the value of one."""
    parameters, key = _table(work, statement).get("Parameters", {}), statement.facts["key"]
    if key:
        told = f"Table {_database(work, statement)}.{statement.name} does not have property: {key}"
        return [parameters.get(key, told)]
    return [f"{name}\t{value}" for name, value in sorted(parameters.items())]


def _matching(names: list[str], pattern: str) -> Lines:
    wanted = pattern.replace("%", "*").lower().split("|") if pattern else ["*"]
    return sorted(name for name in names if any(fnmatch.fnmatchcase(name, each) for each in wanted))


async def show_columns(work: Work, statement: Statement) -> Lines:
    """SHOW COLUMNS"""
    table = _table(work, statement)
    return [f"{name:<20}" for name, _ in [*_columns(table), *pairs(table.get("PartitionKeys", []))]]


async def show_partitions(work: Work, statement: Statement) -> Lines:
    """SHOW PARTITIONS"""
    table = _table(work, statement)
    keys = [name for name, _ in pairs(table.get("PartitionKeys", []))]
    if not keys:
        raise SqlFailure("HIVE_INVALID_METADATA", f"Table {statement.name} is not a partitioned table")
    found = work.p.catalog.partitions(work.principal, work.scope, _database(work, statement), statement.name)
    return sorted(location.partition_path(keys, part["Values"]).rstrip("/") for part in found)


async def describe_table(work: Work, statement: Statement) -> Lines:
    """DESCRIBE"""
    table = _table(work, statement)
    keys = table.get("PartitionKeys", [])
    described = table.get("StorageDescriptor", {}).get("Columns", [])
    lines = [_line(column["Name"], column.get("Type", ""), column.get("Comment", "")) for column in [*described, *keys]]
    if keys:
        lines += [
            "\t \t ",
            _line("# Partition Information", "", ""),
            _line("# col_name", "data_type", "comment"),
            "\t \t ",
        ]
        lines += [_line(column["Name"], column.get("Type", ""), column.get("Comment", "")) for column in keys]
    return lines


def _line(*parts: str) -> str:
    return "\t".join(f"{part:<20}" for part in parts)


def _columns(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    return pairs(table.get("StorageDescriptor", {}).get("Columns", []))


async def show_create_table(work: Work, statement: Statement) -> Lines:
    """SHOW CREATE TABLE, a statement that makes the same table again."""
    table = _table(work, statement)
    if table.get("TableType") == "VIRTUAL_VIEW":
        head = f"CREATE VIEW {_database(work, statement)}.{statement.name} AS"
        return [head, *view_of(table)["originalSql"].split("\n")]
    descriptor = table["StorageDescriptor"]
    serde = descriptor.get("SerdeInfo", {})
    lines = [f"CREATE EXTERNAL TABLE `{_database(work, statement)}.{table['Name']}`("]
    lines += _listed(descriptor.get("Columns", []))
    if table.get("PartitionKeys"):
        lines += ["PARTITIONED BY ( ", *_listed(table["PartitionKeys"])]
    lines += ["ROW FORMAT SERDE ", f"  {_string(serde.get('SerializationLibrary', ''))} "]
    if serde.get("Parameters"):
        lines += ["WITH SERDEPROPERTIES ( ", *_pairs(serde["Parameters"])]
    lines += ["STORED AS INPUTFORMAT ", f"  {_string(descriptor.get('InputFormat', ''))} "]
    lines += ["OUTPUTFORMAT ", f"  {_string(descriptor.get('OutputFormat', ''))}"]
    lines += ["LOCATION", f"  {_string(descriptor.get('Location', ''))}"]
    parameters = {key: value for key, value in table.get("Parameters", {}).items() if key != "EXTERNAL"}
    if parameters:
        lines += ["TBLPROPERTIES (", *_pairs(parameters)]
    return lines


def _listed(columns: Any) -> Lines:
    made = [
        f"  `{column['Name']}` {column.get('Type', 'string')}"
        + (f" COMMENT {_string(column['Comment'])}" if column.get("Comment") else "")
        for column in columns
    ]
    return [line + (", " if at < len(made) - 1 else ")") for at, line in enumerate(made)]


def _pairs(values: Mapping[str, str]) -> Lines:
    made = [f"  {_string(key)}={_string(value)}" for key, value in sorted(values.items())]
    return [line + (", " if at < len(made) - 1 else ")") for at, line in enumerate(made)]


def _string(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\x01", "\\001").replace("\t", "\\t").replace("\n", "\\n") + "'"


async def msck_repair_table(work: Work, statement: Statement) -> Lines:
    """MSCK REPAIR TABLE: partitions that lie in S3 in Hive's layout and are not in the catalogue."""
    table = _table(work, statement)
    database, keys = _database(work, statement), [name for name, _ in pairs(table.get("PartitionKeys", []))]
    if not keys:
        raise SqlFailure("HIVE_INVALID_METADATA", f"Table {statement.name} is not a partitioned table")
    descriptor = table["StorageDescriptor"]
    bucket, prefix = location.directory(descriptor["Location"])
    listed = work.p.catalog.partitions(work.principal, work.scope, database, statement.name)
    known = {tuple(part["Values"]) for part in listed}
    fresh: dict[tuple[str, ...], str] = {}
    async for info in objects_under(work.p, work.principal, bucket, prefix):
        path = info.key[len(prefix) :]
        values = location.partition_values(path, keys) if path.count("/") >= len(keys) else None
        if values is not None and tuple(values) not in known:
            fresh[tuple(values)] = f"s3://{bucket}/{prefix}{'/'.join(path.split('/')[: len(keys)])}/"
    items = [
        {"Values": list(values), "StorageDescriptor": {**descriptor, "Location": place}}
        for values, place in fresh.items()
    ]
    for at in range(0, len(items), 100):
        work.p.catalog.add_partitions(work.principal, work.scope, database, statement.name, items[at : at + 100])
    if not items:
        return []
    added = [f"{statement.name}:{location.partition_path(keys, list(values)).rstrip('/')}" for values in fresh]
    lines = [f"Repair: Added partition to metastore {each}" for each in added]
    return ["Partitions not in metastore:\t" + "\t".join(added), *lines]


async def add_partitions(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE ADD PARTITION"""
    table, database = _table(work, statement), _database(work, statement)
    descriptor = table["StorageDescriptor"]
    keys = [name for name, _ in pairs(table.get("PartitionKeys", []))]
    items = []
    for spec, place in statement.facts["partitions"]:
        values = ddl_alter.partition_values(table, spec)
        own = str(location.parse(place)) if place else (
            f"{location.directory(descriptor['Location'])}{location.partition_path(keys, list(values))}")  # fmt: skip
        items.append({"Values": values, "StorageDescriptor": {**descriptor, "Location": own}})
    errors = work.p.catalog.add_partitions(work.principal, work.scope, database, statement.name, items)
    for error in errors:
        code = error.get("ErrorDetail", {}).get("ErrorCode", "")
        if code == "AlreadyExistsException" and statement.facts["if_not_exists"]:
            continue
        raise SqlFailure("PARTITION_ALREADY_EXISTS" if code == "AlreadyExistsException" else "HIVE_METASTORE_ERROR",
                         error.get("ErrorDetail", {}).get("ErrorMessage", "Partition already exists"))  # fmt: skip
    return []


async def drop_partitions(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE DROP PARTITION"""
    table = _table(work, statement)
    values = [ddl_alter.partition_values(table, spec) for spec, _ in statement.facts["partitions"]]
    try:
        work.p.catalog.delete_partitions(work.principal, work.scope, _database(work, statement), statement.name, values)
    except AwsError as wrong:
        if wrong.error_code != "EntityNotFoundException" or not statement.facts["if_exists"]:
            raise
    return []


BUILT: dict[str, tuple[Callable[[Work, Statement], Awaitable[Lines]], tuple[str, ...]]] = {
    "create_database": (create_database, ()),
    "drop_database": (drop_database, ()),
    "create_table": (create_table, ()),
    "drop_table": (drop_table, ()),
    "drop_view": (drop_table, ()),
    "show_databases": (show_databases, ("database_name",)),
    "show_tables": (show_tables, ("tab_name",)),
    "show_views": (show_views, ("views",)),
    "show_tblproperties": (show_properties, ("prpt_name", "prpt_value")),
    "alter_table_set_properties": (ddl_alter.set_properties, ()),
    "alter_table_add_columns": (ddl_alter.add_columns, ()),
    "alter_table_replace_columns": (ddl_alter.replace_columns, ()),
    "alter_table_columns": (ddl_alter.columns, ()),
    "alter_table_set_location": (ddl_alter.set_location, ()),
    "alter_table_rename_partition": (ddl_alter.rename_partition, ()),
    "show_columns": (show_columns, ("field",)),
    "show_partitions": (show_partitions, ("partition",)),
    "show_create_table": (show_create_table, ("createtab_stmt",)),
    "describe_table": (describe_table, ("col_name", "data_type", "comment")),
    "msck_repair_table": (msck_repair_table, ("result",)),
    "alter_table_add_partition": (add_partitions, ()),
    "alter_table_drop_partition": (drop_partitions, ()),
}
