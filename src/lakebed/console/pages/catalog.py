"""The catalogue: databases, and the tables of one."""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count
from lakebed.console.parts import empty, pages, panel, table, time_of
from lakebed.console.shell import Page

CURRENT = "/console/catalog"
_ROWS = 100


async def page(backend: Backend, asked: Asked) -> Page:
    """All databases, or the tables of ``database``."""
    if asked.get("database"):
        return await _tables(backend, asked)
    params: dict[str, Any] = {"MaxResults": _ROWS} | ({"NextToken": asked.get("token")} if asked.get("token") else {})
    answer = await backend.call("glue", "GetDatabases", params, backend.scope)
    lead = "The names, columns and places of your tables: what Athena, Firehose and every other reader agree on."
    found = answer.get("DatabaseList", [])
    if not found:
        text = "A database is a name for tables. Make one here, or by CREATE DATABASE in Athena:"
        command = 'aws glue create-database --database-input \'{"Name": "lake"}\''
        return Page("Catalog", lead, CURRENT, empty(f"No database in {backend.scope.region}", text, command))
    rows = [
        (
            h.a(href=to("catalog", database=one["Name"]))[one["Name"]],
            one.get("Description") or "—",
            h.code[one.get("LocationUri") or "—"],
            time_of(backend.clock.now(), one.get("CreateTime")),
        )
        for one in found
    ]
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = panel(
        "Databases",
        table(("Database", "Description", "Location", "Made"), rows, key="databases-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    return Page("Catalog", lead, CURRENT, content)


async def _tables(backend: Backend, asked: Asked) -> Page:
    database = asked.get("database")
    params: dict[str, Any] = {"DatabaseName": database, "MaxResults": _ROWS}
    if asked.get("token"):
        params["NextToken"] = asked.get("token")
    answer = await backend.call("glue", "GetTables", params, backend.scope)
    rows = []
    for one in answer.get("TableList", []):
        storage = one.get("StorageDescriptor") or {}
        columns, keys = len(storage.get("Columns") or []), [key["Name"] for key in one.get("PartitionKeys") or []]
        rows.append(
            (
                h.a(href=to("catalog/table", database=database, table=one["Name"]))[one["Name"]],
                (one.get("TableType") or "—").replace("_", " ").lower(),
                (one.get("Parameters") or {}).get("classification", "—"),
                count(columns),
                ", ".join(keys) or "—",
                h.code[storage.get("Location") or "—"],
                time_of(backend.clock.now(), one.get("UpdateTime")),
            )
        )
    columns_shown = ("Table", "Kind", "Format", "Columns", "Partitioned by", "Location", "Changed")
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = panel(
        "Tables",
        table(columns_shown, rows, numbers=("Columns",), key="tables-table", nothing="No table in this database yet."),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    actions = h.a(".button", href=to("athena", database=database))["Query it"]
    return Page(database, "Tables of this database.", CURRENT, content, actions, crumbs=(("Catalog", CURRENT),))
