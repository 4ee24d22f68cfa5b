"""ALTER TABLE on Hive tables: columns, properties, places and single partitions. Only the catalogue changes, no data.

https://docs.aws.amazon.com/athena/latest/ug/alter-table-add-columns.html, .../alter-table-replace-columns.html,
.../alter-table-change-column.html, .../alter-table-set-location.html, .../alter-table-set-tblproperties.html,
.../alter-table-rename-partition.html. A partition keeps the columns it was made with until it is altered by name; REPLACE
COLUMNS needs a serde that reads by position (or Parquet's and ORC's); DROP COLUMN and UNSET are Iceberg's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.lake import location
from lakebed.lake.statements import Statement
from lakebed.lake.types import UnknownTypeError, hive_text, parse_hive
from lakebed.ports.sql import SqlFailure
from lakebed.services.athena.queries import Work
from lakebed.services.athena.resolve import Resolver, pairs

Lines = list[str]
Columns = list[dict[str, Any]]
Descriptor = dict[str, Any]
# https://github.com/apache/hive: the serdes for which DDLTask replaces columns
_REPLACEABLE = ("LazySimpleSerDe", "ParquetHiveSerDe", "OrcSerde")
_TABLE_INPUT = ("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "TableType",
                "Parameters")  # fmt: skip
_PARTITION_INPUT = ("Values", "LastAccessTime", "StorageDescriptor", "Parameters", "LastAnalyzedTime")


def typed(column: Mapping[str, str]) -> dict[str, str]:
    """A column with its type as Glue spells it; SYNTAX_ERROR for one that is none."""
    try:
        return {**column, "Type": hive_text(parse_hive(column["Type"]))}
    except UnknownTypeError as wrong:
        raise SqlFailure("SYNTAX_ERROR", f"line 1:1: {wrong}") from None


def partition_values(table: Mapping[str, Any], spec: Mapping[str, str]) -> list[str]:
    """The values of a partition spec in the order of the table's keys."""
    keys = [name for name, _ in pairs(table.get("PartitionKeys", []))]
    given = {name.lower(): value for name, value in spec.items()}
    if set(given) != set(keys):
        raise SqlFailure("INVALID_PARTITION_SPEC", f"Partition spec {dict(spec)} must name {keys}")
    return [given[key] for key in keys]


async def set_properties(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE SET TBLPROPERTIES"""
    table = _table(work, statement)
    _update(work, statement, {**table, "Parameters": {**table.get("Parameters", {}), **statement.facts["properties"]}})
    return []


async def set_location(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE [PARTITION] SET LOCATION; partitions that are there stay where they are."""
    place = str(location.parse(statement.facts["location"]))
    return _described(work, statement, lambda descriptor: {**descriptor, "Location": place})


async def add_columns(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE [PARTITION] ADD COLUMNS: behind the others, before the partition columns."""
    fresh = [typed(column) for column in statement.facts["columns"]]
    return _described(work, statement, lambda descriptor: {**descriptor, "Columns": [*_columns(descriptor), *fresh]})


async def replace_columns(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE [PARTITION] REPLACE COLUMNS"""
    fresh = [typed(column) for column in statement.facts["columns"]]
    return _replaced(work, statement, fresh)


async def columns(work: Work, statement: Statement) -> Lines:
    """The forms that Iceberg tables have too: REPLACE COLUMNS and CHANGE COLUMN; DROP COLUMN and UNSET are refused."""
    edit: Sequence[Any] = statement.facts.get("edits", [("unset",)])[0]
    if edit[0] == "replace":
        fresh = [
            typed({"Name": name, "Type": kind} | ({"Comment": comment} if comment else {}))
            for name, kind, comment in edit[1]
        ]
        return _replaced(work, statement, fresh)
    if edit[0] == "change":
        return _described(work, statement, lambda descriptor: _changed(statement, descriptor, edit))
    form = "DROP COLUMN" if edit[0] == "drop" else "UNSET TBLPROPERTIES"
    instead = "; use REPLACE COLUMNS with the columns to keep" if edit[0] == "drop" else ""
    raise SqlFailure("NOT_SUPPORTED", f"ALTER TABLE {form} is supported for Iceberg tables only{instead}")


async def rename_partition(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE PARTITION … RENAME TO PARTITION: other values, the same place."""
    table = _table(work, statement)
    values = partition_values(table, statement.facts["to"])
    partition = _partition(work, statement, table)
    _update_partition(work, statement, partition["Values"], {**partition, "Values": values})
    return []


def _replaced(work: Work, statement: Statement, fresh: Columns) -> Lines:
    def edit(descriptor: Descriptor) -> Descriptor:
        serde = descriptor.get("SerdeInfo", {}).get("SerializationLibrary", "")
        if serde.rpartition(".")[2] not in _REPLACEABLE:
            told = f"Replace columns is not supported for table {statement.name}. SerDe may be incompatible."
            raise SqlFailure("NOT_SUPPORTED", told)
        return {**descriptor, "Columns": fresh}

    return _described(work, statement, edit)


def _changed(statement: Statement, descriptor: Descriptor, edit: Sequence[Any]) -> Descriptor:
    _, old, name, kind, comment, place = edit
    known = _columns(descriptor)
    at = _position(statement, known, old)
    column = {**known.pop(at), **typed({"Name": name, "Type": kind})} | ({"Comment": comment} if comment else {})
    if place == "first":
        at = 0
    elif place:
        at = _position(statement, known, place.removeprefix("after:")) + 1
    known.insert(at, column)
    return {**descriptor, "Columns": known}


def _position(statement: Statement, known: Columns, name: str) -> int:
    for at, column in enumerate(known):
        if column["Name"].lower() == name.lower():
            return at
    raise SqlFailure("COLUMN_NOT_FOUND", f"Invalid column reference {name} in table {statement.name}")


def _described(work: Work, statement: Statement, edit: Callable[[Descriptor], Descriptor]) -> Lines:
    """Edit the storage descriptor of the table, or of the partition the statement names."""
    table = _table(work, statement)
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise SqlFailure("NOT_SUPPORTED", f"'{statement.name}' is a view")
    whole = table
    if "partition" in statement.facts:
        whole = _partition(work, statement, table)
    descriptor = edit(dict(whole["StorageDescriptor"]))
    names = [column["Name"].lower() for column in [*_columns(descriptor), *table.get("PartitionKeys", [])]]
    if len(set(names)) != len(names):
        raise SqlFailure("DUPLICATE_COLUMN_NAME", "Duplicate column name in the table definition")
    if whole is table:
        _update(work, statement, {**table, "StorageDescriptor": descriptor})
    else:
        _update_partition(work, statement, whole["Values"], {**whole, "StorageDescriptor": descriptor})
    return []


def _columns(descriptor: Mapping[str, Any]) -> Columns:
    return list(descriptor.get("Columns", []))


def _table(work: Work, statement: Statement) -> Mapping[str, Any]:
    return Resolver(work.p, work.principal, work.scope).table(_database(work, statement), statement.name)


def _database(work: Work, statement: Statement) -> str:
    return statement.database or work.database


def _partition(work: Work, statement: Statement, table: Mapping[str, Any]) -> Mapping[str, Any]:
    values = partition_values(table, statement.facts["partition"])
    for partition in work.p.catalog.partitions(work.principal, work.scope, _database(work, statement), statement.name):
        if list(partition["Values"]) == values:
            return partition
    raise SqlFailure("PARTITION_NOT_FOUND", f"Partition not found {statement.facts['partition']}")


def _update(work: Work, statement: Statement, table: Mapping[str, Any]) -> None:
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise SqlFailure("NOT_SUPPORTED", f"'{statement.name}' is a view")
    kept = {name: table[name] for name in _TABLE_INPUT if name in table}
    work.p.catalog.update_table(work.principal, work.scope, _database(work, statement), kept)


def _update_partition(work: Work, statement: Statement, values: Sequence[str], partition: Mapping[str, Any]) -> None:
    kept = {name: partition[name] for name in _PARTITION_INPUT if name in partition}
    database = _database(work, statement)
    try:
        work.p.catalog.update_partition(work.principal, work.scope, database, statement.name, values, kept)
    except AwsError as wrong:
        if wrong.error_code != "AlreadyExistsException":
            raise
        raise SqlFailure("PARTITION_ALREADY_EXISTS", f"Partition already exists: {kept['Values']}") from None
