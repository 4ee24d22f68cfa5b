"""A function's versions and aliases, layers, address and concurrency, and what its run time would have cost."""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.backend import Backend
from lakebed.console.figures import count, size, span
from lakebed.console.parts import facts, panel, state, table
from lakebed.console.prices import LAMBDA_MILLION, lambda_time, requests
from lakebed.kernel.errors import AwsError

_VERSIONS, _DAYS = 50, 30
_DAY = 86_400


async def billed(backend: Backend, name: str, memory_mb: int) -> tuple[float, str]:
    """(dollars, of what): requests and memory for the run time that CloudWatch knows of."""
    now = backend.clock.now()
    sums = []
    for metric in ("Invocations", "Duration"):
        params = {
            "Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [{"Name": "FunctionName", "Value": name}],
            "StartTime": now - _DAYS * _DAY, "EndTime": now + 60, "Period": _DAY, "Statistics": ["Sum"],
        }  # fmt: skip
        answer = await backend.call("cloudwatch", "GetMetricStatistics", params, backend.scope)
        sums.append(sum(point["Sum"] for point in answer.get("Datapoints", [])))
    runs, milliseconds = sums
    amount = requests(runs, LAMBDA_MILLION) + lambda_time(milliseconds, memory_mb)
    return (
        amount,
        f"{count(runs)} runs of {span(milliseconds / 1000)} in all at {memory_mb} MB, the last {_DAYS} days; starts not counted",
    )


async def more(backend: Backend, name: str, told: dict[str, Any]) -> list[h.Node]:
    """The panels."""
    named = {"FunctionName": name}
    urls = (await backend.call("lambda", "ListFunctionUrlConfigs", named, backend.scope))["FunctionUrlConfigs"]
    reserved = (await backend.call("lambda", "GetFunctionConcurrency", named, backend.scope)).get(
        "ReservedConcurrentExecutions"
    )
    layers = [h.div[h.code[one["Arn"]], f"  {size(one.get('CodeSize', 0))}"] for one in told.get("Layers") or []]
    failing = (told.get("DeadLetterConfig") or {}).get("TargetArn")
    details: list[tuple[str, h.Node]] = [
        ("Address", [h.div[h.code[one["FunctionUrl"]], f"  {one['AuthType']}"] for one in urls] or "none"),
        ("Layers", layers or "none"),
        ("Runs at once", f"at most {reserved}" if reserved is not None else "as many as the account may"),
        ("Kept warm", await _provisioned(backend, named)),
        ("Asynchronous failures", h.code[failing] if failing else await _destinations(backend, named)),
    ]
    return [panel("How it is reached and run", facts(details)), await _versions(backend, named)]


async def _provisioned(backend: Backend, named: dict[str, str]) -> h.Node:
    answer = await backend.call("lambda", "ListProvisionedConcurrencyConfigs", named, backend.scope)
    return [
        h.div[
            one["FunctionArn"].rpartition(":")[2],
            f": {one.get('AvailableProvisionedConcurrentExecutions', 0)} of ",
            f"{one.get('RequestedProvisionedConcurrentExecutions', 0)} ",
            state(one["Status"]),
        ]
        for one in answer.get("ProvisionedConcurrencyConfigs", [])
    ] or "none"


async def _destinations(backend: Backend, named: dict[str, str]) -> h.Node:
    try:
        told = await backend.call("lambda", "GetFunctionEventInvokeConfig", named, backend.scope)
    except AwsError as failure:
        if failure.error_code != "ResourceNotFoundException":
            raise
        return "dropped after two more tries"
    target = (told.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
    return [f"{told.get('MaximumRetryAttempts', 2)} more tries, then ", h.code[target] if target else "dropped"]


async def _versions(backend: Backend, named: dict[str, str]) -> h.Element:
    params = {**named, "MaxItems": _VERSIONS}
    versions = (await backend.call("lambda", "ListVersionsByFunction", params, backend.scope)).get("Versions", [])
    aliases = (await backend.call("lambda", "ListAliases", params, backend.scope)).get("Aliases", [])
    pointing: dict[str, list[str]] = {}
    for one in aliases:
        rest = (one.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        share = 1 - sum(rest.values())
        pointing.setdefault(one["FunctionVersion"], []).append(one["Name"] + (f" ({share:.0%})" if rest else ""))
        for version, weight in rest.items():
            pointing.setdefault(version, []).append(f"{one['Name']} ({weight:.0%})")
    rows = [
        (
            h.code[one["Version"]],
            ", ".join(pointing.get(one["Version"], [])) or "—",
            one.get("Runtime", "—"),
            size(one["CodeSize"]),
            f"{one['MemorySize']} MB",
            one.get("Description") or "—",
            one["LastModified"],
        )
        for one in versions
    ]
    columns = ("Version", "Aliases", "Runtime", "Code", "Memory", "Description", "Made")
    return panel("Versions and aliases", table(columns, rows, numbers=("Code", "Memory")))
