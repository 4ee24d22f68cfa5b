"""Costs: what all that happened here since the house was made would have cost on AWS, by service and by resource.

Reckoned from the meters of the pipelines and from the queries that are still listed, at list prices without free tiers
(``prices``); what is not metered is named on the page rather than guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import htpy as h

from lakebed.console import prices
from lakebed.console.asked import Asked
from lakebed.console.backend import Backend
from lakebed.console.figures import count, dollars, size
from lakebed.console.parts import empty, notice, panel, table, tiles
from lakebed.console.shell import Page
from lakebed.console.traffic import meters_of
from lakebed.services.athena import price_usd

CURRENT = "/console/costs"
_ROWS, _QUERY_PAGES = 200, 5
Meter = Mapping[str, Any]


def _queue(meter: Meter) -> float:
    return prices.requests(meter["recordsIn"] + 2 * meter["recordsOut"], prices.SQS_MILLION)


def _topic(meter: Meter) -> float:
    return prices.requests(meter["recordsIn"], prices.SNS_MILLION)


def _stream(meter: Meter) -> float:
    return prices.kinesis_puts(meter["recordsIn"], meter["bytesIn"])


def _delivery(meter: Meter) -> float:
    return prices.firehose(meter["recordsIn"], meter["bytesIn"])


def _function(meter: Meter) -> float:
    return prices.requests(meter["recordsOut"] + meter["errors"], prices.LAMBDA_MILLION)


def _rule(meter: Meter) -> float:
    triggered = prices.requests(meter["recordsIn"], prices.IOT_RULE_MILLION)
    return triggered + prices.requests(meter["recordsOut"], prices.IOT_ACTION_MILLION)


# By the service and the kind of resource in an ARN: what it is called, what is counted, how.
_KINDS: dict[tuple[str, str], tuple[str, str, Callable[[Meter], float]]] = {
    ("sqs", ""): ("SQS", "send, receive and delete of each message, unbatched", _queue),
    ("sns", ""): ("SNS", "messages published", _topic),
    ("kinesis", "stream"): ("Kinesis", "payload units; shard hours come on top", _stream),
    ("firehose", "deliverystream"): ("Firehose", "data taken in, 5 KB a record at least", _delivery),
    ("lambda", "function"): ("Lambda", "requests; run time comes on top", _function),
    ("iot", "rule"): ("IoT Core", "rules triggered and actions taken", _rule),
}


async def page(backend: Backend, asked: Asked) -> Page:
    """By service, then by resource."""
    del asked
    lead = "What all this would have cost on AWS since this house was made."
    rows: list[tuple[float, str, str, str, str]] = []
    for arn, meter in meters_of(backend).items():
        service, name = arn.split(":")[2], arn.split(":", 5)[5]
        kind = name.replace("/", ":").partition(":")[0] if service not in ("sqs", "sns") else ""
        if (known := _KINDS.get((service, kind))) is not None:
            rows.append(
                (
                    known[2](meter),
                    known[0],
                    arn,
                    f"{count(meter['recordsIn'])} records, {size(meter['bytesIn'])}",
                    known[1],
                )
            )
    queries, asked_for = await _queries(backend)
    for group, (amount, number, scanned) in queries.items():
        rows.append(
            (
                amount,
                "Athena",
                group,
                f"{count(number)} queries, {size(scanned)} scanned",
                "$5 per TB, 10 MB a query at least",
            )
        )
    if not rows:
        text = "Prices appear as soon as something flows. The demonstration takes a minute:"
        return Page("Costs", lead, CURRENT, empty("Nothing happened yet", text, "lakebed demo --keep"))
    rows.sort(reverse=True)
    by_service: dict[str, float] = {}
    for amount, service, *_ in rows:
        by_service[service] = by_service.get(service, 0.0) + amount
    shares = sorted(by_service.items(), key=lambda one: -one[1])
    content = [
        tiles([("Together", dollars(sum(by_service.values())), "list prices, no free tier"),
               *((service, dollars(amount), "") for service, amount in shares[:5])]),
        panel(
            "By resource",
            table(
                ("Service", "Resource", "What happened", "Counted", "On AWS"),
                [(service, h.code[arn], what, how, dollars(amount)) for amount, service, arn, what, how in rows[:_ROWS]],
                numbers=("On AWS",),
                key="costs-table",
            ),
            note=f"the newest {count(asked_for)} queries count for Athena" if asked_for else "",
        ),
        notice("info", "Not in here: ", "storage and requests of S3, Kinesis shard hours, the run time of "
            "functions (each trial shows its own) and log ingestion: the pages of buckets, streams and log groups tell those."),
    ]  # fmt: skip
    return Page("Costs", lead, CURRENT, content)


async def _queries(backend: Backend) -> tuple[dict[str, tuple[float, int, int]], int]:
    """Price, number and bytes of the newest queries by workgroup, and how many were looked at."""
    found: dict[str, tuple[float, int, int]] = {}
    looked = 0
    groups = await backend.call("athena", "ListWorkGroups", {"MaxResults": 50}, backend.scope)
    for name in (one["Name"] for one in groups.get("WorkGroups", [])):
        params: dict[str, Any] = {"WorkGroup": name, "MaxResults": 50}
        for _ in range(_QUERY_PAGES):
            listed = await backend.call("athena", "ListQueryExecutions", params, backend.scope)
            ids = listed.get("QueryExecutionIds", [])
            if ids:
                told = await backend.call("athena", "BatchGetQueryExecution", {"QueryExecutionIds": ids}, backend.scope)
                for one in told["QueryExecutions"]:
                    scanned = one["Statistics"].get("DataScannedInBytes", 0)
                    price = price_usd(scanned, one.get("StatementType", ""), state=one["Status"]["State"])
                    amount, number, size_bytes = found.get(name, (0.0, 0, 0))
                    found[name] = (amount + price, number + 1, size_bytes + scanned)
                looked += len(ids)
            if not listed.get("NextToken"):
                break
            params = params | {"NextToken": listed["NextToken"]}
    return found, looked
