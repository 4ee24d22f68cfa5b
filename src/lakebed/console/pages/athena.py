"""Athena: write SQL beside the tables, run it, see rows, bytes and price; recent and saved queries.

A plain form and a textarea; ``editor.js`` puts CodeMirror over it (completion by the tables shown, Ctrl-Enter runs). The
address holds the query shown, so a result can be bookmarked and two tabs work.
"""

from __future__ import annotations

from typing import Any

import htpy as h
from markupsafe import Markup

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.parts import act, button, embedded, empty, notice, panel, table
from lakebed.console.queries import RUN, output_location
from lakebed.console.results import execution_of, recent_table, shown
from lakebed.console.shell import Page
from lakebed.kernel.errors import AwsError

CURRENT = "/console/athena"
_DATABASES, _TABLES, _RECENT = 100, 100, 20


async def page(backend: Backend, asked: Asked) -> Page:
    """The query editor."""
    execution = await execution_of(backend, asked.get("query")) if asked.get("query") else None
    databases = await _databases(backend)
    context = (execution or {}).get("QueryExecutionContext", {}).get("Database", "")
    database = asked.get("database") or context or (databases[0] if databases else "default")
    tables = await _tables(backend, database) if database in databases else []
    workgroup = (execution or {}).get("WorkGroup", "") or asked.get("workgroup") or "primary"
    content: list[h.Node] = [
        h.div(".editor-frame")[
            _tree(databases, database, tables),
            h.div[
                await _form(backend, await _sql(backend, asked, execution), database, workgroup, tables),
                await shown(backend, asked, execution) if execution else None,
            ],
        ],
        panel("Recent queries", recent_table(backend, await _recent(backend, workgroup))),
        await _saved(backend, workgroup),
    ]
    lead = "Ask your data in S3. Every result is also an object in S3, as on AWS."
    return Page("Athena", lead, CURRENT, content, scripts=("editor.js",))


async def _databases(backend: Backend) -> list[str]:
    answer = await backend.call("glue", "GetDatabases", {"MaxResults": _DATABASES}, backend.scope)
    return [one["Name"] for one in answer.get("DatabaseList", [])]


async def _tables(backend: Backend, database: str) -> list[dict[str, Any]]:
    answer = await backend.call("glue", "GetTables", {"DatabaseName": database, "MaxResults": _TABLES}, backend.scope)
    found: list[dict[str, Any]] = answer.get("TableList", [])
    return found


async def _sql(backend: Backend, asked: Asked, execution: dict[str, Any] | None) -> str:
    """What the editor begins with: the query shown, a saved one, or a look at a table."""
    if execution:
        return str(execution["Query"])
    if asked.get("draft"):
        return asked.get("draft")
    if asked.get("saved"):
        params = {"NamedQueryId": asked.get("saved")}
        return str((await backend.call("athena", "GetNamedQuery", params, backend.scope))["NamedQuery"]["QueryString"])
    if asked.get("table"):
        return look_at(asked.get("database"), asked.get("table"), asked.number("snapshot"))
    return ""


def look_at(database: str, name: str, snapshot: int | None = None, *, rows: int = 20) -> str:
    """A first look at a table, or at an Iceberg table as it was."""
    then = f" FOR VERSION AS OF {snapshot}" if snapshot is not None else ""
    return f"SELECT *\nFROM {quoted(database, name)}{then}\nLIMIT {rows}"


def quoted(*parts: str) -> str:
    """A name as SQL writes it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts if part)


async def _form(backend: Backend, sql: str, database: str, workgroup: str, tables: list[dict[str, Any]]) -> h.Element:
    told = await backend.call("athena", "GetWorkGroup", {"WorkGroup": workgroup}, backend.scope)
    groups = await backend.call("athena", "ListWorkGroups", {"MaxResults": 50}, backend.scope)
    names = [one["Name"] for one in groups.get("WorkGroups", [])] or [workgroup]
    output = await output_location(backend, told["WorkGroup"])
    schema = {one["Name"]: [column["Name"] for column in columns_of(one)] for one in tables}
    known = Markup('<script type="application/json">') + Markup(embedded(schema)) + Markup("</script>")
    return h.form(".panel.query", method="post", action=RUN)[
        h.input(type="hidden", name="token", value=backend.token),
        h.input(type="hidden", name="selection"),
        Markup("<lb-editor>") + known
        + Markup(str(h.textarea(name="sql", rows="8", spellcheck="false", aria_label="SQL", required=True,
                                placeholder="SELECT …   (Ctrl-Enter runs it)")[sql]))
        + Markup("</lb-editor>"),
        h.div(".query-bar")[
            h.button(".button.primary", type="submit", title="Ctrl-Enter; what is selected, else all of it")["Run"],
            h.button(".button", type="submit", formaction="/console/athena/explain")["Explain"],
            h.label["Database ", h.input(type="text", name="database", value=database, size="16")],
            h.label["Workgroup ", h.select(name="workgroup")[
                [h.option(value=name, selected=name == workgroup)[name] for name in names]]],
            h.label(".wide")["Results go to ", h.input(type="text", name="output", value=output, placeholder="s3://bucket/prefix/")],
        ],
        h.details(".more")[
            h.summary["Parameters, saving"],
            h.div(".query-bar")[
                h.label(".wide")["Values of the ?s, one a line, as SQL writes them ",
                                 h.textarea(name="parameters", rows="2", spellcheck="false", placeholder="'UA'")],
                h.label["Name ", h.input(type="text", name="name", size="24", maxlength="128")],
                h.button(".button", type="submit", formaction="/console/athena/save")["Save query"],
                h.button(".button", type="submit", formaction="/console/athena/view")["Save as view"],
            ],
        ],
        None if output else notice("info", "There is no bucket for results yet. ", h.code["aws s3 mb s3://results"]),
    ]  # fmt: skip


def columns_of(one: dict[str, Any]) -> list[dict[str, Any]]:
    """A table's columns, the partition keys last."""
    return [*((one.get("StorageDescriptor") or {}).get("Columns") or []), *(one.get("PartitionKeys") or [])]


def _tree(databases: list[str], database: str, tables: list[dict[str, Any]]) -> h.Element:
    return h.aside(".tree.panel", aria_label="Databases and tables")[
        h.h2["Data"],
        [
            h.div[
                h.a(href=to("athena", database=name), aria_current="true" if name == database else None)[name],
                h.div(".branch")[
                    [
                        h.details[
                            h.summary[one["Name"]],
                            h.a(".insert", href=to("athena", database=name, table=one["Name"]))["Look at it"],
                            " ",
                            h.a(href=to("catalog/table", database=name, table=one["Name"]))["Details"],
                            h.ul[[h.li[column["Name"], " ", h.span(".muted")[column.get("Type", "")]]
                                  for column in columns_of(one)]],
                        ]
                        for one in tables
                    ]
                    or h.p(".nothing")["No table."]
                ]
                if name == database
                else None,
            ]
            for name in databases
        ]
        or h.p(".nothing")["No database yet: CREATE DATABASE name"],
    ]  # fmt: skip


async def _recent(backend: Backend, workgroup: str) -> list[dict[str, Any]]:
    params = {"MaxResults": _RECENT, "WorkGroup": workgroup}
    ids = (await backend.call("athena", "ListQueryExecutions", params, backend.scope)).get("QueryExecutionIds", [])
    if not ids:
        return []
    answer = await backend.call("athena", "BatchGetQueryExecution", {"QueryExecutionIds": ids}, backend.scope)
    found: list[dict[str, Any]] = answer["QueryExecutions"]
    return sorted(found, key=lambda one: one["Status"]["SubmissionDateTime"], reverse=True)


async def _saved(backend: Backend, workgroup: str) -> h.Element:
    params = {"MaxResults": 50, "WorkGroup": workgroup}
    ids = (await backend.call("athena", "ListNamedQueries", params, backend.scope)).get("NamedQueryIds", [])
    if not ids:
        command = 'aws athena create-named-query --name daily --database default --query-string "SELECT 1"'
        return empty(
            "No saved query", "A saved query is a name for a text; everyone in the workgroup sees it.", command
        )
    try:
        answer = await backend.call("athena", "BatchGetNamedQuery", {"NamedQueryIds": ids}, backend.scope)
    except AwsError as failure:
        return notice("error", "Saved queries could not be read: ", failure.message)
    rows = [
        (
            h.a(href=to("athena", saved=one["NamedQueryId"], database=one["Database"]))[one["Name"]],
            one["Database"],
            one.get("Description") or "—",
            h.code[" ".join(one["QueryString"].split())[:90]],
            act(backend.token, "athena/forget", button("Delete"), saved=one["NamedQueryId"], workgroup=workgroup),
        )
        for one in answer["NamedQueries"]
    ]
    return panel("Saved queries", table(("Name", "Database", "Description", "SQL", ""), rows, key="saved-table"))
