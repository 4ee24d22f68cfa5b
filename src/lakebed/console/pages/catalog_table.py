"""One table of the catalogue: columns, partitions, versions, properties, where its data is, and rows on demand.

Rows are asked of Athena by a form, since that runs something; the query's id is then in the address.
"""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment
from lakebed.console.pages.catalog import CURRENT
from lakebed.console.pages.catalog_ask import asking
from lakebed.console.pages.catalog_iceberg import is_iceberg, snapshots
from lakebed.console.pages.catalog_lineage import lineage, view_text
from lakebed.console.parts import facts, mapping, pages, panel, table, time_of
from lakebed.console.results import execution_of, shown
from lakebed.console.shell import Page

_PARTITIONS, _VERSIONS = 50, 20


async def page(backend: Backend, asked: Asked) -> Page:
    """The page of a table."""
    database, name = asked.get("database"), asked.get("table")
    answer = await backend.call("glue", "GetTable", {"DatabaseName": database, "Name": name}, backend.scope)
    told = answer["Table"]
    storage = told.get("StorageDescriptor") or {}
    keys = told.get("PartitionKeys") or []
    questions = await asking(backend, database, told)
    sample: list[h.Node] = []
    if asked.get("query"):
        sample = await shown(backend, asked, await execution_of(backend, asked.get("query")))
    columns = [
        (column["Name"], h.code[column.get("Type", "—")], column.get("Comment") or "—", part)
        for part, listed in (("", storage.get("Columns") or []), ("partition key", keys))
        for column in listed
    ]
    content = [
        panel("Table", facts(_facts(told, storage))),
        questions,
        *sample,
        panel("Columns", table(("Column", "Type", "Comment", ""), columns, key="columns-table"), note=f"{len(columns)} columns"),
        await _partitions(backend, asked, [key["Name"] for key in keys]) if keys else None,
        await snapshots(backend, database, told) if is_iceberg(told) else None,
        await lineage(backend, database, told),
        panel("Definition", h.pre(tabindex="0")[view_text(told["ViewOriginalText"])]) if told.get("ViewOriginalText") else None,
        panel("Properties", mapping(told.get("Parameters") or {})),
        await _versions(backend, database, name),
    ]  # fmt: skip
    actions: list[h.Node] = [
        h.a(".button", href=to("athena", database=database, table=name))["Query it"],
        " ",
        h.a(".button", href=to("catalog/advice", database=database, table=name), title="measures a sample of its data")[
            "What would save?"
        ],
    ]
    crumbs = (("Catalog", CURRENT), (database, to("catalog", database=database)))
    return Page(
        name, "What this table is made of and where its data is.", CURRENT, content, actions, ("editor.js",), crumbs
    )


def _facts(told: dict[str, Any], storage: dict[str, Any]) -> list[tuple[str, h.Node]]:
    location = storage.get("Location") or ""
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    place = (
        h.a(href=to("s3/objects", bucket=bucket, prefix=prefix))[location] if location.startswith("s3://") else location
    )
    serde = (storage.get("SerdeInfo") or {}).get("SerializationLibrary") or "—"
    return [
        ("Data at", place or "—"),
        ("Kind", (told.get("TableType") or "—").replace("_", " ").lower()),
        ("Format", "Iceberg" if is_iceberg(told) else (told.get("Parameters") or {}).get("classification", "—")),
        ("Read by", h.code[serde.rpartition(".")[2]]),
        ("Owner", told.get("Owner") or "—"),
        ("Made", moment(told["CreateTime"]) if told.get("CreateTime") else "—"),
        ("Changed", moment(told["UpdateTime"]) if told.get("UpdateTime") else "—"),
        ("Description", told.get("Description") or "—"),
    ]


async def _partitions(backend: Backend, asked: Asked, keys: list[str]) -> h.Element:
    token = asked.get("partitions")
    params: dict[str, Any] = {
        "DatabaseName": asked.get("database"),
        "TableName": asked.get("table"),
        "MaxResults": _PARTITIONS,
    }
    if token:
        params["NextToken"] = token
    answer = await backend.call("glue", "GetPartitions", params, backend.scope)
    rows = [
        (
            ", ".join(f"{key}={value}" for key, value in zip(keys, one["Values"], strict=False)),
            h.code[(one.get("StorageDescriptor") or {}).get("Location") or "—"],
            time_of(backend.clock.now(), one.get("CreationTime")),
        )
        for one in answer.get("Partitions", [])
    ]
    following = asked.again(partitions=answer["NextToken"]) if answer.get("NextToken") else None
    nothing = (
        "No partition is registered: queries find no rows until one is (MSCK REPAIR TABLE, ALTER TABLE ADD PARTITION)."
    )
    return panel(
        "Partitions",
        table(("Partition", "Location", "Made"), rows, key="partitions-table", nothing=nothing),
        pages(asked.again(partitions=None) if token else None, following),
        note=f"by {', '.join(keys)}",
    )


async def _versions(backend: Backend, database: str, name: str) -> h.Element:
    params = {"DatabaseName": database, "TableName": name, "MaxResults": _VERSIONS}
    answer = await backend.call("glue", "GetTableVersions", params, backend.scope)
    rows = [
        (
            one["VersionId"],
            count(len((one["Table"].get("StorageDescriptor") or {}).get("Columns") or [])),
            time_of(backend.clock.now(), one["Table"].get("UpdateTime")),
        )
        for one in answer.get("TableVersions", [])
    ]
    return panel("Versions", table(("Version", "Columns", "Changed"), rows, numbers=("Columns",)))
