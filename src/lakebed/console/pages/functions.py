"""Lambda: functions, and one with its configuration, what starts it, its last log lines and its errors."""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, size
from lakebed.console.pages.functions_more import billed, more
from lakebed.console.pages.functions_try import trying
from lakebed.console.pages.logs import TAIL, event_lines, matching, newest
from lakebed.console.parts import cost, empty, facts, live, mapping, pages, panel, state, table, tiles, time_of
from lakebed.console.shell import Page
from lakebed.console.traffic import meter_of, tiles_of
from lakebed.kernel.errors import AwsError

CURRENT = "/console/lambda"
_FUNCTIONS, _LINES = 50, 60
_SECRET = ("SECRET", "PASSWORD", "TOKEN", "KEY", "CREDENTIAL")


async def listing(backend: Backend, asked: Asked) -> Page:
    """All functions of the region."""
    params: dict[str, Any] = {"MaxItems": _FUNCTIONS} | ({"Marker": asked.get("token")} if asked.get("token") else {})
    answer = await backend.call("lambda", "ListFunctions", params, backend.scope)
    lead = "Functions of yours, run when something happens, each as its role."
    if not answer["Functions"]:
        text = "A function is a zip of Python with a handler and a role. Make one:"
        command = (
            "aws lambda create-function --function-name hello --runtime python3.12 --handler app.handler \\\n"
            "  --role arn:aws:iam::000000000000:role/hello --zip-file fileb://app.zip"
        )
        return Page("Lambda", lead, CURRENT, empty(f"No function in {backend.scope.region}", text, command))
    rows = []
    for one in answer["Functions"]:
        meter = meter_of(backend, one["FunctionArn"])
        rows.append(
            (
                h.a(href=to("lambda/function", function=one["FunctionName"]))[one["FunctionName"]],
                one.get("Runtime", one.get("PackageType", "—")),
                state(one.get("State", "Active")),
                size(one["CodeSize"]),
                count(meter["recordsOut"]),
                count(meter["errors"]),
                time_of(backend.clock.now(), meter["lastIn"]),
            )
        )
    columns = ("Function", "Runtime", "State", "Code", "Runs that ended well", "Errors", "Last run")
    following = asked.again(token=answer["NextMarker"]) if answer.get("NextMarker") else None
    content = panel(
        "Functions",
        table(columns, rows, numbers=columns[3:6], key="functions-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
        note="runs since this house was made",
    )
    return Page("Lambda", lead, CURRENT, content)


async def function(backend: Backend, asked: Asked) -> Page:
    """One function."""
    name = asked.get("function")
    told = await backend.call("lambda", "GetFunctionConfiguration", {"FunctionName": name}, backend.scope)
    arn = told["FunctionArn"]
    amount, how = await billed(backend, name, told["MemorySize"])
    details = [
        ("ARN", h.code[arn]),
        ("State", state(told.get("State", "Active"))),
        ("Runtime", told.get("Runtime", "—")),
        ("Handler", h.code[told.get("Handler", "—")]),
        ("Role", h.code[told["Role"]]),
        ("Code", f"{size(told['CodeSize'])}, SHA-256 {told['CodeSha256']}"),
        ("Memory", f"{told['MemorySize']} MB"),
        ("Stops after", f"{told['Timeout']} s"),
        ("Changed", told["LastModified"]),
        cost(amount, how),
    ]
    group = told.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{name}"
    variables = told.get("Environment", {}).get("Variables", {})
    content = [
        tiles(tiles_of(backend, arn)),
        panel("Function", facts(details)),
        trying(backend, name),
        await _triggers(backend, name),
        *await more(backend, name, told),
        panel("Log, live", live(to("logs/tail.json", group=group), TAIL), note=f"from {group}, as it is written"),
        await _lines(backend, "Last log lines", group, ""),
        await _lines(backend, "Recent errors", group, "?ERROR ?Error ?Traceback ?\"Task timed out\""),
        panel("Environment", mapping({key: _hidden(key, value) for key, value in variables.items()}),
              note="values that look secret are not shown") if variables else None,
    ]  # fmt: skip
    lead = "How it is set, what starts it, what it said last."
    return Page(name, lead, CURRENT, content, crumbs=(("Lambda", CURRENT),))


def _hidden(name: str, value: str) -> str:
    return "•••" if any(word in name.upper() for word in _SECRET) else value


async def _triggers(backend: Backend, name: str) -> h.Element:
    params = {"FunctionName": name, "MaxItems": 100}
    answer = await backend.call("lambda", "ListEventSourceMappings", params, backend.scope)
    rows = [
        (
            h.code[one.get("EventSourceArn", "—")],
            state(one["State"]),
            count(one.get("BatchSize", 0)),
            f"{one.get('MaximumBatchingWindowInSeconds', 0)} s",
            one.get("LastProcessingResult", "—"),
        )
        for one in answer["EventSourceMappings"]
    ]
    columns = ("Event source", "State", "Batch", "Window", "Last result")
    nothing = "No queue or stream is mapped to it; it is invoked by name."
    return panel("What starts it", table(columns, rows, numbers=("Batch", "Window"), nothing=nothing))


async def _lines(backend: Backend, title: str, group: str, pattern: str) -> h.Element:
    """The newest log lines, or those of the last day that match."""
    link = h.a(href=to("logs/events", group=group, pattern=pattern))["All of them"]
    try:
        if pattern:
            found = await matching(backend, group, pattern, 86400, _LINES)
        else:
            found = await newest(backend, group, _LINES)
    except AwsError as failure:
        text = "It has not logged yet." if failure.error_code == "ResourceNotFoundException" else failure.message
        return panel(title, h.p(".nothing")[text])
    note = f"of the last day, from {group}" if pattern else f"the newest, from {group}"
    return panel(title, event_lines(backend, found), note=note, actions=link)
