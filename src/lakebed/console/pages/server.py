"""Requests and Tasks: what clients asked of this server and what it does by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from lakebed.console.asked import Asked
from lakebed.console.backend import Backend
from lakebed.console.figures import count, span
from lakebed.console.parts import pages, panel, state, table, time_of
from lakebed.console.shell import Page

_ROWS, _READS_MAX = 100, 10
_OWN = "lakebed-loopback"
_SERVICES = (
    "athena",
    "firehose",
    "glue",
    "iam",
    "iot",
    "iot-data",
    "kinesis",
    "lambda",
    "logs",
    "s3",
    "sns",
    "sqs",
    "sts",
)


async def requests(backend: Backend, asked: Asked) -> Page:
    """The journal of API calls, newest first."""
    service, errors, own = asked.get("service"), asked.get("errors") == "1", asked.get("own") == "1"
    rows, before = _read(backend, asked.number("before"), service, errors, own)
    following = asked.again(before=before) if before else None
    content = [
        _filters(service, errors, own),
        panel(
            "Calls",
            request_table(backend, rows),
            pages(asked.again(before=None) if asked.get("before") else None, following, "Older calls"),
            note="newest first; bodies and secrets are never kept",
        ),
    ]
    lead = "Every call clients made: who, what, on which resource, how long, and what went wrong."
    return Page("Requests", lead, "/console/requests", content)


def _read(
    backend: Backend, before: int | None, service: str, errors: bool, own: bool
) -> tuple[list[Mapping[str, Any]], int | None]:
    """A page of rows without the console's own, and the row to go on from; a bounded number of reads."""
    rows: list[Mapping[str, Any]] = []
    for _ in range(_READS_MAX):
        batch = backend.requests(before=before, limit=200, service=service, errors=errors)
        for row in batch:
            if len(rows) == _ROWS:
                return rows, before
            before = int(row["id"])
            if own or row["user_agent"] != _OWN:
                rows.append(row)
        if len(batch) < 200:
            return rows, None
    return rows, before


def _filters(service: str, errors: bool, own: bool) -> h.Element:
    return h.form(".filters", method="get", action="/console/requests")[
        h.label[
            "Service ",
            h.select(name="service")[
                h.option(value="")["all"], [h.option(value=name, selected=name == service)[name] for name in _SERVICES]
            ],
        ],
        h.label[h.input(type="checkbox", name="errors", value="1", checked=errors), " only errors"],
        h.label[h.input(type="checkbox", name="own", value="1", checked=own), " also this console's own calls"],
        h.button(".button", type="submit")["Show"],
    ]


def request_table(backend: Backend, rows: Sequence[Mapping[str, Any]], *, brief: bool = False) -> h.Element:
    """Rows of the journal."""
    now = backend.clock.now()
    columns = ("When", "Call", "Result", "Took") if brief else ("When", "Call", "Result", "Took", "Resource", "Caller")
    lines = [
        (
            time_of(now, row["at"]),
            h.span(".time")[f"{row['service']}:{row['operation']}"],
            h.span(".state.bad")[row["error"]] if row["error"] else h.span(".state.good")[str(row["status"])],
            span(row["duration_ms"] / 1000),
            h.span(".arn")[row["resource"] or "—"],
            h.span(".arn", title=f"{row['user_agent']}, request {row['request_id']}")[row["principal"] or "—"],
        )[: len(columns)]
        for row in rows
    ]
    nothing = "No call was kept. Calls of clients show here within half a second."
    return table(columns, lines, numbers=("Took",), key="" if brief else "calls-table", nothing=nothing)


async def tasks(backend: Backend, _asked: Asked) -> Page:
    """Background work and its last errors."""
    now = backend.clock.now()
    known = sorted(backend.tasks(), key=lambda task: (not task["broken"], not task["failures_in_a_row"], task["name"]))
    rows = [
        (
            task["name"],
            state("BROKEN" if task["broken"] else "FAILING" if task["failures_in_a_row"] else "OK"),
            count(task["activations"]),
            time_of(now, task["last_started"]),
            "—" if task["next_wake"] is None else f"in {span(max(0.0, task['next_wake'] - now))}",
            count(task["failures_in_a_row"]),
            h.code[task["last_error"]] if task["last_error"] else "—",
        )
        for task in known
    ]
    columns = ("Task", "State", "Runs", "Last run", "Next run", "Failures in a row", "Last error")
    numbers = ("Runs", "Failures in a row")
    content = panel("Tasks", table(columns, rows, numbers=numbers, key="tasks-table", nothing="No tasks are known."))
    lead = "What this server does by itself: each task reads what is due and does it; a failure is tried again, backing off."
    return Page("Tasks", lead, "/console/tasks", content)
