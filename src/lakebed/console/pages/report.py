"""Report: an Athena query's result, read from S3 where Athena put it, drawn, with its SQL, bytes scanned and AWS price.

Without ``?query=`` the page shows the newest succeeded query whose result can be drawn, preferring those that wrote below
a ``report/`` prefix. Rows come from the CSV object at the query's own OutputLocation: what anyone else would download.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import htpy as h
from starlette.responses import Response

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.calls import Call
from lakebed.console.charts import Result, charts, is_average, total, words
from lakebed.console.figures import count, dollars, moment, size, span
from lakebed.console.parts import chart, copy_as, empty, panel
from lakebed.console.shell import Page
from lakebed.kernel.errors import AwsError
from lakebed.services.athena import price_usd

_LEAD = "What an Athena query found, drawn from its result in S3."
_RESULT_BYTES_MAX = 4 << 20
_ROWS_SHOWN = 200
_LOOK_BACK = 50


async def page(backend: Backend, asked: Asked) -> Page:
    """The page of one query, or of the newest that can be drawn."""
    chosen, others = await _choose(backend, asked.get("query"))
    if chosen is None:
        text = "No query of this account has succeeded yet. Run one with any Athena client, or let the demonstration make one:"
        return Page("Report", _LEAD, "/console/report", empty("No report yet", text, "lakebed demo"))
    result = await read_result(backend, chosen)
    content: list[h.Node] = [_figures(result), charts_of(result), _facts(chosen, result), _rows(result)]
    content.append(_copy(chosen))
    if len(others) > 1:
        content.append(_others(chosen, others))
    actions = h.a(".button", href=to("report/result.csv", query=chosen["QueryExecutionId"]))["Download CSV"]
    return Page("Report", _LEAD, "/console/report", content, actions, scripts=("chart.js",))


async def _choose(backend: Backend, query: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    listed = await backend.call("athena", "ListQueryExecutions", {"MaxResults": _LOOK_BACK}, backend.scope)
    found = []
    ids = listed.get("QueryExecutionIds", [])
    if ids:
        batch = await backend.call("athena", "BatchGetQueryExecution", {"QueryExecutionIds": ids}, backend.scope)
        found = [
            one
            for one in batch["QueryExecutions"]
            if one["Status"]["State"] == "SUCCEEDED"
            and one.get("StatementType") == "DML"
            and one["ResultConfiguration"].get("OutputLocation", "").endswith(".csv")
        ]
        found.sort(key=lambda one: one["Status"]["SubmissionDateTime"], reverse=True)
    if query:
        one = await backend.call("athena", "GetQueryExecution", {"QueryExecutionId": query}, backend.scope)
        return one["QueryExecution"], found
    reports = [one for one in found if "/report/" in one["ResultConfiguration"]["OutputLocation"]]
    return next(iter(reports or found), None), found


async def download(backend: Backend, asked: Asked) -> Response:
    """``report/result.csv``: the object as Athena wrote it."""
    params = {"QueryExecutionId": asked.get("query")}
    one = await backend.call("athena", "GetQueryExecution", params, backend.scope)
    body = await read_object(backend, one["QueryExecution"])
    return Response(body, media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="result.csv"'})


async def read_object(backend: Backend, execution: dict[str, Any]) -> bytes:
    """The result object, refused above a bound: this is a page, not a download of everything."""
    bucket, _, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    answer = await backend.call("s3", "GetObject", {"Bucket": bucket, "Key": key}, backend.scope)
    if answer["ContentLength"] > _RESULT_BYTES_MAX:
        raise AwsError(
            "ResultTooLarge", f"The result has {size(answer['ContentLength'])}; download it from S3.", status=413
        )
    body = answer["Body"]
    return body if isinstance(body, bytes) else b"".join([piece async for piece in body])


async def read_result(backend: Backend, execution: dict[str, Any]) -> Result:
    """The rows of the CSV in S3, with the column types Athena tells."""
    text = (await read_object(backend, execution)).decode("utf-8")
    answer = await backend.call(
        "athena", "GetQueryResults", {"QueryExecutionId": execution["QueryExecutionId"], "MaxResults": 1}, backend.scope
    )
    columns = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    rows = [[cell if cell != "" else None for cell in row] for row in csv.reader(io.StringIO(text))][1:]
    return Result([column["Name"] for column in columns], [column["Type"] for column in columns], rows)


def _figures(result: Result) -> h.Node:
    if not result.measures or not result.dimensions:
        return None
    cards = []
    weight = result.weight
    whole = total(result, weight).get((), 0.0) if weight else 0.0
    for measure in result.measures[:5]:
        value = total(result, measure).get((), 0.0)
        hint = f"weighted by {words(weight)}" if is_average(measure) and weight else "in all"
        if weight and measure != weight and not is_average(measure) and whole:
            hint = f"{value / whole:.1%} of {words(weight)}"
        text = f"{value:,.1f}" if is_average(measure) else count(value)
        cards.append(h.div(".kpi")[h.div(".label")[words(measure)], h.div(".value")[text], h.div(".hint")[hint]])
    return h.div(".kpis")[cards]


def charts_of(result: Result, most: int = 4) -> h.Node:
    """What can be drawn of a result, side by side."""
    drawn = charts(result)[:most]
    if not drawn:
        return None
    return h.div(".grid2")[
        [
            panel(
                one.title,
                chart(one.option, tall=one.tall),
                note=one.note,
            )
            for one in drawn
        ]
    ]


def _facts(execution: dict[str, Any], result: Result) -> h.Node:
    statistics = execution["Statistics"]
    scanned = statistics.get("DataScannedInBytes", 0)
    price = price_usd(scanned, execution.get("StatementType", ""), state=execution["Status"]["State"])
    facts = [
        ("On AWS this query would have cost", f"{dollars(price)}  (us-east-1: $5 per TB, at least 10 MB a query)"),
        ("Data scanned", f"{size(scanned)}  ({count(scanned)} bytes)"),
        ("Run time", span(statistics.get("TotalExecutionTimeInMillis", 0) / 1000)),
        ("Rows", count(len(result.rows))),
        ("Finished", moment(execution["Status"]["CompletionDateTime"])),
        ("Workgroup", execution.get("WorkGroup", "primary")),
        ("Result", execution["ResultConfiguration"]["OutputLocation"]),
        ("Query", execution["QueryExecutionId"]),
    ]
    return panel(
        "Where these numbers come from",
        h.dl(".facts")[[h.div[h.dt[name], h.dd[value]] for name, value in facts]],
        h.pre("#report-sql")[execution["Query"].strip()],
        actions=h.button(".button", type="button", data_copy="report-sql")["Copy SQL"],
    )


def _rows(result: Result) -> h.Node:
    numeric = [name in result.measures for name in result.columns]
    shown = result.rows[:_ROWS_SHOWN]
    note = (
        f"first {count(len(shown))} of {count(len(result.rows))}" if len(shown) < len(result.rows) else f"{len(shown)}"
    )
    return panel(
        "Rows",
        h.div(".scroll", tabindex="0")[
            h.table[
                h.thead[
                    h.tr[
                        [
                            h.th(".number" if number else "")[words(name)]
                            for name, number in zip(result.columns, numeric, strict=True)
                        ]
                    ]
                ],
                h.tbody[
                    [
                        h.tr[
                            [
                                h.td(".number" if number else "")["" if cell is None else cell]
                                for cell, number in zip(row, numeric, strict=True)
                            ]
                        ]
                        for row in shown
                    ]
                ],
            ]
        ],
        note=note,
    )


def _copy(execution: dict[str, Any]) -> h.Element:
    location = execution["ResultConfiguration"]["OutputLocation"].rsplit("/", 1)[0] + "/"
    call = Call(
        "athena",
        "StartQueryExecution",
        {
            "QueryString": execution["Query"].strip(),
            "QueryExecutionContext": {
                "Database": execution.get("QueryExecutionContext", {}).get("Database", "default")
            },
            "ResultConfiguration": {"OutputLocation": location},
        },
    )
    return copy_as("copy-report", call.cli(), f"import boto3\n\n{call.boto3()}")


def _others(chosen: dict[str, Any], others: list[dict[str, Any]]) -> h.Node:
    return panel(
        "Other results",
        h.div(".scroll")[
            h.table[
                h.thead[h.tr[h.th["Finished"], h.th["Query"], h.th(".number")["Scanned"]]],
                h.tbody[
                    [
                        h.tr[
                            h.td[moment(one["Status"]["CompletionDateTime"])],
                            h.td[
                                h.a(href=to("report", query=one["QueryExecutionId"]))[
                                    " ".join(one["Query"].split())[:90]
                                ]
                            ],
                            h.td(".number")[size(one["Statistics"].get("DataScannedInBytes", 0))],
                        ]
                        for one in others
                        if one["QueryExecutionId"] != chosen["QueryExecutionId"]
                    ]
                ],
            ]
        ],
    )
