"""EXPLAIN and EXPLAIN ANALYZE: plans in the forms Athena prints them.

What is told is the plan that runs here, in Trino's names; VALIDATE answers whether the statement would run, IO which tables
it reads and writes. https://docs.aws.amazon.com/athena/latest/ug/athena-explain-statement.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.lake.statements import Statement, classify
from lakebed.ports.sql import Output, SqlFailure, SqlJob
from lakebed.services.athena.queries import Work

Body = dict[str, Any]
Node = Mapping[str, Any]
_INNER = ("query", "ctas", "insert", "unload", "create_view")


async def explain(work: Work, statement: Statement) -> tuple[list[str], Body]:
    """The lines of the plan, and what the execution keeps."""
    inner, facts = classify(statement.sql), statement.facts
    if inner.kind not in _INNER:
        raise SqlFailure("NOT_SUPPORTED", f"EXPLAIN of {inner.substatement} is not supported")
    if facts["analyze"] and inner.kind != "query":
        raise SqlFailure("NOT_SUPPORTED", f"EXPLAIN ANALYZE of {inner.substatement} is not built in Lakebed")
    job = await work.prepared(inner.sql, Output(work.scratch))
    if facts["type"] == "VALIDATE":
        await work.p.sql.describe(job)
        return ["true"], {"rows": 1}
    if facts["type"] == "IO":
        width = len(await work.p.sql.describe(job))
        return _json(_io(job, inner, width)), {"rows": 1}
    told = await work.p.sql.explain(job, analyze=facts["analyze"])
    columns = [column.name for column in told.columns]
    root: Node = {"name": "Output", "columns": columns, "children": [told.plan], "rows": told.plan.get("rows", 0)}
    if inner.kind in ("ctas", "insert", "unload"):
        root = {"name": "TableWriter", "table": inner.name, "children": [root], "rows": 1}
    form = facts["format"]
    lines = _json(_tree(root, "0")) if form == "JSON" else _graphviz(root) if form == "GRAPHVIZ" else _text(root, facts)
    return lines, {"rows": len(lines), "scanned": told.scanned_bytes if facts["analyze"] else 0}


def _json(value: Any) -> list[str]:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode().split("\n")


def _tree(node: Node, place: str) -> Body:
    return {
        "id": place, "name": node["name"], "descriptor": _descriptor(node), "outputs": [],
        "estimates": [{"outputRowCount": node.get("rows", 0)}],
        "children": [_tree(child, f"{place}.{at}") for at, child in enumerate(node.get("children", []))],
    }  # fmt: skip


def _descriptor(node: Node) -> dict[str, str]:
    made = {}
    if node.get("table"):
        made["table"] = f"awsdatacatalog:{node['table']}"
    if node.get("columns"):
        made["columnNames"] = ", ".join(node["columns"])
    return made


def _label(node: Node) -> str:
    inner = ", ".join(f"{name} = {value}" for name, value in _descriptor(node).items())
    return f"{node['name']}[{inner}]"


def _text(root: Node, facts: Mapping[str, Any]) -> list[str]:
    lines = [] if facts["type"] == "LOGICAL" and not facts["analyze"] else ["Fragment 0 [SINGLE]"]
    margin = "    " if lines else ""

    def walk(node: Node, head: str, tail: str) -> None:
        lines.append(f"{margin}{head}{_label(node)}")
        children = list(node.get("children", []))
        bar = "│   " if children else "    "
        if facts["analyze"]:
            lines.append(
                f"{margin}{tail}{bar}CPU: {node.get('milliseconds', 0)}.00ms, Output: {node.get('rows', 0)} rows"
            )
        else:
            lines.append(f"{margin}{tail}{bar}Estimates: {{rows: {node.get('rows', 0)}}}")
        for at, child in enumerate(children):
            last = at == len(children) - 1
            walk(child, tail + ("└─ " if last else "├─ "), tail + ("   " if last else "│  "))

    walk(root, "", "")
    return lines


def _graphviz(root: Node) -> list[str]:
    lines, count = ["digraph logical_plan {", "subgraph cluster_0 {", 'label = "SINGLE"'], 0

    def walk(node: Node) -> str:
        nonlocal count
        count += 1
        own, text = f"plannode_{count}", _label(node).replace('"', "'")
        lines.append(f'{own}[label="{{{text}}}", style="rounded, filled", shape=record];')
        lines.extend([f"{own} -> {walk(child)};" for child in node.get("children", [])])
        return own

    walk(root)
    return [*lines, "}", "}"]


def _io(job: SqlJob, inner: Statement, width: int) -> Body:
    inputs = [
        {
            "table": {"catalog": "awsdatacatalog", "schemaTable": {"schema": each.database, "table": each.name}},
            "constraint": {"none": False, "columnConstraints": []},
            "estimate": {"outputSizeInBytes": sum(file.size for file in each.files)},
        }
        for each in job.relations
        if not each.view_sql
    ]
    made: Body = {"inputTableColumnInfos": inputs, "estimate": {"outputColumns": width}}
    if inner.kind in ("ctas", "insert"):
        schema = {"schema": inner.database or job.database, "table": inner.name}
        made["outputTable"] = {"catalog": "awsdatacatalog", "schemaTable": schema}
    return made


def stage(plan: Node, scanned: int, rows: int) -> Body:
    """GetQueryRuntimeStatistics' OutputStage of a plan: one stage, since one process runs it."""

    def node(each: Node, place: str) -> Body:
        children = [node(child, f"{place}.{at}") for at, child in enumerate(each.get("children", []))]
        return {"Name": each["name"], "Identifier": _label(each), "Children": children, "RemoteSources": []}

    def spent(each: Node) -> int:
        return int(each.get("milliseconds", 0)) + sum(spent(child) for child in each.get("children", []))

    def read(each: Node) -> int:
        own = int(each.get("rows", 0)) if each["name"] == "TableScan" else 0
        return own + sum(read(child) for child in each.get("children", []))

    return {
        "StageId": 0, "State": "FINISHED", "OutputRows": rows, "InputRows": read(plan), "InputBytes": scanned,
        "ExecutionTime": spent(plan), "QueryStagePlan": node({"name": "Output", "children": [plan]}, "0"), "SubStages": [],
    }  # fmt: skip
