"""Home: is it well, where is it, what is in it, what happened last, how to begin."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import htpy as h

from lakebed.console.asked import Asked
from lakebed.console.backend import Backend
from lakebed.console.figures import count, span
from lakebed.console.pages.server import request_table
from lakebed.console.parts import facts, notice, panel, table, time_of
from lakebed.console.shell import Page
from lakebed.kernel.errors import AwsError

# What to count: what it is called, the page it is on, the call, the member that lists it.
_KINDS: Sequence[tuple[str, str, str, str, Mapping[str, Any], str]] = (
    ("S3 buckets", "s3", "s3", "ListBuckets", {}, "Buckets"),
    ("Kinesis streams", "kinesis", "kinesis", "ListStreams", {}, "StreamNames"),
    ("Delivery streams", "firehose", "firehose", "ListDeliveryStreams", {}, "DeliveryStreamNames"),
    ("IoT rules", "iot", "iot", "ListTopicRules", {}, "rules"),
    ("Lambda functions", "lambda", "lambda", "ListFunctions", {}, "Functions"),
    ("SQS queues", "sqs", "sqs", "ListQueues", {}, "QueueUrls"),
    ("Databases", "catalog", "glue", "GetDatabases", {}, "DatabaseList"),
    ("Log groups", "logs", "logs", "DescribeLogGroups", {}, "logGroups"),
    ("IAM roles", "iam", "iam", "ListRoles", {}, "Roles"),
)


async def page(backend: Backend, _asked: Asked) -> Page:
    """The first page."""
    counted = await asyncio.gather(*(_count(backend, kind) for kind in _KINDS))
    status = backend.status()
    empty = not any(found for _, _, found in counted if isinstance(found, int))
    content = [
        _health(backend, status),
        _begin(status) if empty else None,
        panel(
            "What exists",
            h.div(".counts")[
                [
                    h.a(".tile", href=f"/console/{path}")[
                        h.span(".value")[found if isinstance(found, str) else count(found)], h.span(".label")[name]
                    ]
                    for name, path, found in counted
                ]
            ],
            note=f"in {backend.scope.region}; a + means there are more",
        ),
        _doors(status),
        h.div(".grid2")[_recent(backend), _work(backend)],
        None if empty else _begin(status),
    ]
    lead = "The state of this Lakebed: what runs, where it listens, what it holds."
    return Page("Home", lead, "/console", content)


async def _count(
    backend: Backend, kind: tuple[str, str, str, str, Mapping[str, Any], str]
) -> tuple[str, str, int | str]:
    name, path, service, operation, params, member = kind
    try:
        answer = await backend.call(service, operation, params, backend.scope)
    except AwsError as failure:
        return name, path, failure.error_code
    listed = len(answer.get(member) or [])
    more = any(answer.get(token) for token in ("NextToken", "nextToken", "NextMarker", "HasMoreStreams", "IsTruncated"))
    more = more or bool(answer.get("HasMoreDeliveryStreams"))
    return name, path, f"{listed}+" if more else listed


def _health(backend: Backend, status: Mapping[str, Any]) -> h.Node:
    broken = [task["name"] for task in backend.tasks() if task["broken"]]
    failing = [task["name"] for task in backend.tasks() if task["failures_in_a_row"]]
    if broken:
        return notice("error", "Something is broken. ", f"These tasks found a bug and stopped: {', '.join(broken)}. ",
                      h.a(href="/console/tasks")["See the tasks"])  # fmt: skip
    if failing:
        return notice("error", "Some work fails and is tried again: ", f"{', '.join(failing)}. ",
                      h.a(href="/console/tasks")["See the tasks"])  # fmt: skip
    up = status.get("uptime_seconds")
    return notice("good", "All is well. ", f"Up for {span(up)}; no task fails." if up is not None else "No task fails.")


def _doors(status: Mapping[str, Any]) -> h.Node:
    if not status:
        return None
    http = status["http"]
    lines = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in status["environment"].items())
    commands = "\n".join([lines, "aws s3 ls", "", "# or, for the shell you are in:", status["env_command"]])
    return panel(
        "Doors",
        facts(
            [
                ("All AWS HTTP APIs", h.code[http]),
                ("MQTT over TLS", h.code[status["mqtt"]] if status["mqtt"] else "closed"),
                ("Root certificate for devices", h.code[status["mqtt_ca"]]),
                ("Data directory", h.code[status["data"]]),
            ]
        ),
        h.pre("#doors-shell", tabindex="0")[commands],
        note="point any AWS client here",
        actions=h.button(".button", type="button", data_copy="doors-shell")["Copy"],
    )


def _recent(backend: Backend) -> h.Element:
    rows = [row for row in backend.requests(limit=200) if row["user_agent"] != "lakebed-loopback"][:8]
    more = h.a(href="/console/requests")["All requests"]
    return panel("Recent requests", request_table(backend, rows, brief=True), actions=more)


def _work(backend: Backend) -> h.Element:
    tasks = sorted(backend.tasks(), key=lambda task: -(task["last_started"] or 0))[:8]
    now = backend.clock.now()
    rows = [(task["name"], time_of(now, task["last_started"]), count(task["activations"])) for task in tasks]
    return panel(
        "Latest background work",
        table(("Task", "Last run", "Runs"), rows, numbers=("Runs",), nothing="Nothing has run yet."),
        actions=h.a(href="/console/tasks")["All tasks"],
    )


def _begin(status: Mapping[str, Any]) -> h.Element:
    url = status.get("http", "http://127.0.0.1:4566")
    return panel(
        "Getting started",
        h.ol(".steps")[
            h.li["Let a year of real flights go from devices to a report:", h.pre(tabindex="0")["lakebed demo"]],
            h.li[
                "Or point the clients you have here; nothing else in your code changes:",
                h.pre(tabindex="0")[f"export AWS_ENDPOINT_URL={url}\naws s3 mb s3://landing"],
            ],
            h.li[
                "Then follow your records on ", h.a(href="/console/pipelines")["Pipelines"], " and ask them questions in ",
                h.a(href="/console/athena")["Athena"], ".",
            ],
        ],
    )  # fmt: skip
