"""What the query editor does: run, explain, stop, watch, save under a name, save as a view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend

RUN, STOP = "/console/athena/run", "/console/athena/stop"
_DONE = ("SUCCEEDED", "FAILED", "CANCELLED")


async def run(backend: Backend, form: Mapping[str, str]) -> str:
    """Start the query of the form, and go to where it is shown."""
    return await _start(backend, form, _text(form))


async def explain(backend: Backend, form: Mapping[str, str]) -> str:
    """Ask for the plan of the query of the form."""
    return await _start(backend, form, f"EXPLAIN {_text(form)}")


async def view(backend: Backend, form: Mapping[str, str]) -> str:
    """Make, or make anew, a view of the query of the form."""
    name = ".".join('"' + part.replace('"', '""') + '"' for part in form.get("name", "").split("."))
    return await _start(backend, form, f"CREATE OR REPLACE VIEW {name} AS\n{_text(form)}")


async def save(backend: Backend, form: Mapping[str, str]) -> str:
    """Keep the query of the form under a name, for everyone in the workgroup."""
    params = {
        "Name": form.get("name", ""),
        "Database": form.get("database") or "default",
        "QueryString": _text(form),
        "WorkGroup": form.get("workgroup") or "primary",
    }
    saved = await backend.call("athena", "CreateNamedQuery", params, backend.scope)
    return to("athena", saved=saved["NamedQueryId"], database=form.get("database"), workgroup=form.get("workgroup"))


async def forget(backend: Backend, form: Mapping[str, str]) -> str:
    """Delete a saved query."""
    await backend.call("athena", "DeleteNamedQuery", {"NamedQueryId": form.get("saved", "")}, backend.scope)
    return to("athena", workgroup=form.get("workgroup"))


def _text(form: Mapping[str, str]) -> str:
    """What was selected in the editor, else all of it."""
    return (form.get("selection") or form.get("sql", "")).strip().removesuffix(";")


async def _start(backend: Backend, form: Mapping[str, str], sql: str) -> str:
    params: dict[str, Any] = {"QueryString": sql, "WorkGroup": form.get("workgroup") or "primary"}
    if values := [line.strip() for line in form.get("parameters", "").splitlines() if line.strip()]:
        params["ExecutionParameters"] = values
    if form.get("database"):
        params["QueryExecutionContext"] = {"Database": form["database"]}
    if form.get("output"):
        params["ResultConfiguration"] = {"OutputLocation": form["output"]}
    started = await backend.call("athena", "StartQueryExecution", params, backend.scope)
    query = started["QueryExecutionId"]
    if form.get("table") and form.get("shown") == "catalog":
        return to("catalog/table", database=form.get("database"), table=form["table"], query=query)
    return to("athena", query=query, database=form.get("database"))


async def stop(backend: Backend, form: Mapping[str, str]) -> str:
    """Stop the query of the form."""
    query = form.get("query", "")
    await backend.call("athena", "StopQueryExecution", {"QueryExecutionId": query}, backend.scope)
    return to("athena", query=query)


async def state(backend: Backend, asked: Asked) -> Response:
    """A query's state, for the page that waits."""
    params = {"QueryExecutionId": asked.get("query")}
    one = (await backend.call("athena", "GetQueryExecution", params, backend.scope))["QueryExecution"]
    at = one["Status"]
    return JSONResponse(
        {
            "state": at["State"],
            "done": at["State"] in _DONE,
            "seconds": round(backend.clock.now() - at["SubmissionDateTime"], 1),
            "scanned": one["Statistics"].get("DataScannedInBytes", 0),
        },
        headers={"Cache-Control": "no-store"},
    )


async def output_location(backend: Backend, workgroup: dict[str, Any]) -> str:
    """Where results go when nobody says: the workgroup's place, else a prefix of the first bucket."""
    place = workgroup.get("Configuration", {}).get("ResultConfiguration", {}).get("OutputLocation", "")
    if place:
        return str(place)
    buckets = (await backend.call("s3", "ListBuckets", {}, backend.scope)).get("Buckets", [])
    return f"s3://{buckets[0]['Name']}/athena-results/" if buckets else ""
