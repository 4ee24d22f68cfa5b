"""One query execution on a page: its state, what it read and would have cost, its rows by GetQueryResults' own pages."""

from __future__ import annotations

from typing import Any

import htpy as h
from markupsafe import Markup, escape

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, dollars, moment, size, span
from lakebed.console.parts import facts, notice, pages, panel, state, table
from lakebed.console.queries import STOP
from lakebed.services.athena import price_usd

ROWS = 100
_NUMERIC = ("tinyint", "smallint", "integer", "int", "bigint", "float", "real", "double", "decimal")


async def execution_of(backend: Backend, query: str) -> dict[str, Any]:
    """What Athena tells of a query."""
    answer = await backend.call("athena", "GetQueryExecution", {"QueryExecutionId": query}, backend.scope)
    told: dict[str, Any] = answer["QueryExecution"]
    return told


def price_of(execution: dict[str, Any]) -> float:
    """What it would have cost."""
    scanned = execution["Statistics"].get("DataScannedInBytes", 0)
    return price_usd(scanned, execution.get("StatementType", ""), state=execution["Status"]["State"])


async def shown(backend: Backend, asked: Asked, execution: dict[str, Any]) -> list[h.Node]:
    """The execution in full: running with a way to stop it, failed with its reason, or its rows."""
    at, query = execution["Status"], execution["QueryExecutionId"]
    if at["State"] in ("QUEUED", "RUNNING"):
        return [_running(backend, query, at)]
    if at["State"] != "SUCCEEDED":
        why = at.get("StateChangeReason") or at.get("AthenaError", {}).get("ErrorMessage", "no reason is known")
        kind = "error" if at["State"] == "FAILED" else "info"
        return [notice(kind, f"The query has {at['State'].lower()}. ", h.span(".reason")[why]), _facts(execution)]
    return [await _rows(backend, asked, execution), _facts(execution)]


def _running(backend: Backend, query: str, at: dict[str, Any]) -> h.Element:
    address = escape(to("athena/state.json", query=query))
    return h.section(".panel")[
        h.div(".body.running")[
            Markup(f'<lb-query src="{address}">')
            + Markup('<span class="spinner" aria-hidden="true"></span> <span role="status">')
            + escape(
                f"{at['State'].capitalize()} since {span(max(0.0, backend.clock.now() - at['SubmissionDateTime']))}"
            )
            + Markup("</span></lb-query>"),
            h.form(method="post", action=STOP)[
                h.input(type="hidden", name="token", value=backend.token),
                h.input(type="hidden", name="query", value=query),
                h.button(".button", type="submit")["Stop"],
            ],
        ]
    ]


async def _rows(backend: Backend, asked: Asked, execution: dict[str, Any]) -> h.Element:
    query, token = execution["QueryExecutionId"], asked.get("token")
    params: dict[str, Any] = {"QueryExecutionId": query, "MaxResults": ROWS} | ({"NextToken": token} if token else {})
    answer = await backend.call("athena", "GetQueryResults", params, backend.scope)
    info = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    rows = [[cell.get("VarCharValue") for cell in row.get("Data", [])] for row in answer["ResultSet"]["Rows"]]
    names = [column["Name"] for column in info]
    if not token and rows and rows[0] == names:
        rows = rows[1:]  # a SELECT's first row is its header
    if not names:
        return panel("Result", h.p(".nothing")["Done. The statement has no rows to show."])
    body = [
        [h.span(".null")["null"] if cell is None else cell for cell in row] for row in rows if len(row) == len(names)
    ]
    if len(names) == 1 and execution.get("StatementType") != "DML":
        return panel("Result", h.pre(tabindex="0")["\n".join(str(row[0] or "") for row in rows)])
    # Two columns of a result may have one name: numbers are told by place.
    numeric = [column["Type"].startswith(_NUMERIC) for column in info]
    grid = h.div(".scroll.grid", tabindex="0")[
        h.table[
            h.thead[
                h.tr[
                    [
                        h.th(class_="number" if number else None, scope="col", title=column["Type"])[column["Name"]]
                        for column, number in zip(info, numeric, strict=True)
                    ]
                ]
            ],
            h.tbody[
                [
                    h.tr[[h.td(class_="number" if number else None)[cell] for cell, number in zip(row, numeric, strict=True)]]
                    for row in body
                ]
            ],
        ]
    ]  # fmt: skip
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    links = [
        h.a(".button", href=to("report", query=query))["Draw it"] if _is_csv(execution) else None,
        " ",
        h.a(".button", href=to("report/result.csv", query=query))["Download CSV"] if _is_csv(execution) else None,
    ]
    note = f"{count(len(body))} rows" + (" on this page" if following or token else "")
    nothing = None if body else h.p(".nothing")["No row answers to this."]
    paging = pages(asked.again(token=None) if token else None, following, "Next rows")
    return panel("Result", grid, nothing, paging, note=note, actions=links)


def _is_csv(execution: dict[str, Any]) -> bool:
    return str(execution["ResultConfiguration"].get("OutputLocation", "")).endswith(".csv")


def _facts(execution: dict[str, Any]) -> h.Element:
    statistics, at = execution["Statistics"], execution["Status"]
    scanned = statistics.get("DataScannedInBytes", 0)
    pairs: list[tuple[str, h.Node]] = [
        ("State", state(at["State"])),
        ("Data scanned", f"{size(scanned)}  ({count(scanned)} bytes)"),
        ("On AWS it would have cost", dollars(price_of(execution))),
        ("Run time", span(statistics.get("TotalExecutionTimeInMillis", 0) / 1000)),
        ("Submitted", moment(at["SubmissionDateTime"])),
        ("Workgroup", execution.get("WorkGroup", "primary")),
        ("Result", h.code[execution["ResultConfiguration"].get("OutputLocation", "—")]),
        ("Query", h.code[execution["QueryExecutionId"]]),
    ]
    link = h.a(".button", href=to("athena/advice", query=execution["QueryExecutionId"]))["What would save?"]
    is_select = (execution.get("StatementType"), execution.get("SubstatementType", "SELECT")) == ("DML", "SELECT")
    return panel(
        "About this query",
        facts(pairs),
        note="$5 a TB scanned in us-east-1, at least 10 MB a query",
        actions=link if is_select and at["State"] == "SUCCEEDED" and scanned else None,
    )


def recent_table(backend: Backend, executions: list[dict[str, Any]]) -> h.Element:
    """Recent queries, each a link to its result."""
    rows = [
        (
            h.span(".time", title=moment(one["Status"]["SubmissionDateTime"]))[
                f"{span(max(0.0, backend.clock.now() - one['Status']['SubmissionDateTime']))} ago"
            ],
            state(one["Status"]["State"]),
            h.a(href=to("athena", query=one["QueryExecutionId"]))[" ".join(one["Query"].split())[:110]],
            size(one["Statistics"].get("DataScannedInBytes", 0)),
            dollars(price_of(one)),
            span(one["Statistics"].get("TotalExecutionTimeInMillis", 0) / 1000),
        )
        for one in executions
    ]
    columns = ("Submitted", "State", "Query", "Scanned", "On AWS", "Took")
    nothing = "No query yet. Write one above, or let any Athena client run one."
    return table(columns, rows, numbers=("Scanned", "On AWS", "Took"), key="recent-table", nothing=nothing)
