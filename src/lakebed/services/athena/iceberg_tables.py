"""Definitions of Iceberg tables: CREATE, ALTER, DROP (which takes the data too), and what SHOW and DESCRIBE tell of them.

https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html, .../querying-iceberg-managing-tables.html,
.../querying-iceberg-evolving-table-schema.html
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.lake import location
from lakebed.lake.statements import Statement
from lakebed.lake.tables import properties, types
from lakebed.lake.tables.state import State, load
from lakebed.lake.types import UnknownTypeError, parse_hive
from lakebed.ports.sql import SqlFailure
from lakebed.services.athena.iceberg_changes import empty, table_of
from lakebed.services.athena.iceberg_commit import ATTEMPTS, CommitLostError, committed, lost
from lakebed.services.athena.iceberg_relations import metadata_location
from lakebed.services.athena.queries import Work

Lines = list[str]
_DELETED_AT_ONCE = 1000


async def create(work: Work, statement: Statement) -> Lines:
    """CREATE TABLE … TBLPROPERTIES ('table_type' = 'ICEBERG')"""
    facts, database = statement.facts, statement.database or work.database
    given = {key.lower(): value for key, value in facts["properties"].items()}
    if given.get("table_type", "").upper() != "ICEBERG":
        raise SqlFailure(
            "NOT_SUPPORTED", "Only external tables are supported: CREATE EXTERNAL TABLE, or table_type ICEBERG"
        )
    if not facts.get("location"):
        raise SqlFailure(
            "INVALID_TABLE_PROPERTY", "No location was specified for table. An S3 location must be specified"
        )
    work.p.catalog.database(work.principal, work.scope, database)
    if _known(work, database, statement.name):
        if facts["if_not_exists"]:
            return []
        raise SqlFailure("TABLE_ALREADY_EXISTS", f"Table {statement.name} already exists")
    columns = [(name, _type(text), comment) for name, text, comment in facts["columns"]]
    names = [name for name, _, _ in columns]
    if len(set(names)) != len(names):
        raise SqlFailure("DUPLICATE_COLUMN_NAME", "Duplicate column name in the table definition")
    target = location.directory(facts["location"])
    await empty(work, target)
    terms = [types.transform(text) for text in facts["partitions"]]
    known = {name: (at + 1, kind) for at, (name, kind, _) in enumerate(columns)}
    own = properties.fresh(given) | ({"comment": facts["comment"]} if "comment" in facts else {})
    request = {"schema": types.schema(columns), "spec": types.spec(terms, known), "properties": own,
               "location": str(target).rstrip("/")}  # fmt: skip
    staged = await work.p.tables.stage(work.principal, "create", None, request, work.scratch)
    await committed(work, (database, statement.name), staged, None, {})
    return []


def _known(work: Work, database: str, name: str) -> bool:
    try:
        work.p.catalog.table(work.principal, work.scope, database, name)
    except AwsError as wrong:
        if wrong.error_code != "EntityNotFoundException":
            raise
        return False
    return True


def _type(text: str) -> Any:
    try:
        return parse_hive(text)
    except UnknownTypeError as wrong:
        raise SqlFailure("SYNTAX_ERROR", f"line 1:1: {wrong}") from None


async def alter(work: Work, statement: Statement) -> Lines:
    """ALTER TABLE: columns and properties. An edit that loses the race is made over the new state."""
    database, name = statement.database or work.database, statement.name
    request = _request(statement)
    for attempt in range(ATTEMPTS):
        table = table_of(work, database, name)
        staged = await work.p.tables.stage(
            work.principal, "evolve", metadata_location(table), request, work.scratch / f"alter-{attempt}"
        )
        try:
            await committed(work, (database, name), staged, table, {})
        except CommitLostError:
            continue
        return []
    raise lost(database, name)


def _request(statement: Statement) -> dict[str, Any]:
    facts = statement.facts
    if statement.kind == "alter_table_set_properties":
        return {"set": properties.made(facts["properties"])}
    if statement.kind == "alter_table_add_columns":
        return {"edits": [["add", column["Name"], _json(column["Type"]), column.get("Comment", "")]
                          for column in facts["columns"]]}  # fmt: skip
    if "unset" in facts:
        return {"unset": [properties.stored_name(key) for key in facts["unset"]]}
    edits: list[Any] = []
    for edit in facts["edits"]:
        if edit[0] == "change":
            _, old, new, kind, comment, place = edit
            edits.append(["change", old, new, _json(kind), comment, place])
        elif edit[0] == "replace":
            edits.append(["replace", [[name, _json(kind), comment] for name, kind, comment in edit[1]]])
        else:
            edits.append(list(edit))
    return {"edits": edits}


def _json(text: str) -> Any:
    return types.json_type(_type(text), itertools.count(1))


async def drop(work: Work, statement: Statement, table: Mapping[str, Any]) -> Lines:
    """DROP TABLE: out of the catalogue first, then everything under its location."""
    place = location.directory(table["StorageDescriptor"]["Location"])
    with work.k.db.tx():
        work.p.catalog.delete_table(work.principal, work.scope, statement.database or work.database, statement.name)
        work.remember({"iceberg_dropping": str(place)})
    await clear(work, str(place))
    return []


async def clear(work: Work, place: str) -> None:
    """Delete all objects of a dropped table; goes on after a crash."""
    bucket, prefix = location.parse(place)
    if not prefix:
        return
    while page := await work.p.objects.list(work.principal, bucket, prefix, limit=_DELETED_AT_ONCE):
        await work.p.objects.delete(work.principal, bucket, [info.key for info in page])


async def _state(work: Work, table: Mapping[str, Any]) -> State:
    return await load(work.p.objects, work.principal, metadata_location(table))


async def show_columns(work: Work, table: Mapping[str, Any]) -> Lines:
    """SHOW COLUMNS"""
    return [f"{name:<20}" for name, _ in (await _state(work, table)).columns()]


async def show_properties(work: Work, table: Mapping[str, Any], key: str) -> Lines:
    """SHOW TBLPROPERTIES"""
    told = properties.shown((await _state(work, table)).properties)
    if key:
        return [told.get(key, f"Table {table['DatabaseName']}.{table['Name']} does not have property: {key}")]
    return [f"{name}\t{value}" for name, value in sorted(told.items())]


async def describe(work: Work, table: Mapping[str, Any]) -> Lines:
    """DESCRIBE"""
    state = await _state(work, table)
    lines = ["# Table schema:\t\t", "# col_name\tdata_type\tcomment"]
    lines += [
        f"{field['name']}\t{types.hive_text(field['type'], glue=True)}\t{field.get('doc', '')}"
        for field in state.schema()["fields"]
    ]
    lines += ["\t\t", "# Partition spec:\t\t", "# field_name\tfield_transform\tcolumn_name"]
    names = {field["id"]: field["name"] for field in state.schema()["fields"]}
    return [*lines, *(f"{part['name']}\t{part['transform']}\t{names[part['source-id']]}" for part in state.spec())]


async def show_create(work: Work, table: Mapping[str, Any]) -> Lines:
    """SHOW CREATE TABLE"""
    state = await _state(work, table)
    fields = state.schema()["fields"]
    lines = [f"CREATE TABLE {table['DatabaseName']}.{table['Name']} ("]
    for at, field in enumerate(fields):
        comment = f" COMMENT {_string(field['doc'])}" if field.get("doc") else ""
        end = ")" if at == len(fields) - 1 else ","
        lines.append(f"  {field['name']} {types.hive_text(field['type'], glue=True)}{comment}{end}")
    names = {field["id"]: field["name"] for field in fields}
    if parts := [_term(part, names) for part in state.spec() if part["transform"] != "void"]:
        lines.append(f"PARTITIONED BY ({', '.join(parts)})")
    lines.append(f"LOCATION {_string(state.location)}")
    told = sorted(properties.shown(state.properties).items())
    lines += ["TBLPROPERTIES (", *(f"  {_string(key)}={_string(value)}{',' if at < len(told) - 1 else ''}"
                                   for at, (key, value) in enumerate(told)), ");"]  # fmt: skip
    return lines


def _term(part: Mapping[str, Any], names: Mapping[int, str]) -> str:
    transform, _, width = part["transform"].partition("[")
    column = f"`{names[part['source-id']]}`"
    if transform == "identity":
        return column
    if not width:
        return f"{transform}({column})"
    return f"bucket({width[:-1]}, {column})" if transform == "bucket" else f"{transform}({width[:-1]}, {column})"


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
