"""Links that only the journal of requests tells: what a function's own calls wrote to.

A function that starts a query, puts records or sends messages does so as any client; meters see the target, not the
source. The journal names the caller, a session of the function's role that carries the function's name
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html), so the flow gets those links from there:
every ten seconds at most, from a bounded number of rows, remembered while the server runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from lakebed.console.backend import Backend, FlowView, RequestsView
from lakebed.kernel.clock import Clock
from lakebed.kernel.scope import Scope

_WRITES = {
    ("athena", "StartQueryExecution"), ("firehose", "PutRecord"), ("firehose", "PutRecordBatch"), ("kinesis", "PutRecord"),
    ("kinesis", "PutRecords"), ("s3", "PutObject"), ("sns", "Publish"), ("sns", "PublishBatch"), ("sqs", "SendMessage"),
    ("sqs", "SendMessageBatch"),
}  # fmt: skip
_ROWS, _SECONDS, _LINKS_MAX = 1000, 10.0, 500


class FlowWithCallers:
    """The flow view, with the links of functions' calls added."""

    def __init__(self, flow: FlowView, requests: RequestsView, clock: Clock) -> None:
        self._flow, self._requests, self._clock = flow, requests, clock
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._read_at = float("-inf")

    def __call__(self, scope: Scope) -> dict[str, Any]:
        if self._clock.monotonic() - self._read_at >= _SECONDS:
            self._read_at = self._clock.monotonic()
            self._read(scope)
        flow = self._flow(scope)
        known = {(link["source"], link["target"]) for link in flow["links"]}
        added = [
            {"source": source, "target": target, "records": 0, "label": "calls"}
            for source, target in self._seen
            if (source, target) not in known and source in flow["resources"] and target in flow["resources"]
        ]
        return {**flow, "links": [*flow["links"], *added]}

    def _read(self, scope: Scope) -> None:
        for row in self._requests(limit=_ROWS):
            link = link_of(row, scope)
            if link is not None:
                self._seen[link] = None
        while len(self._seen) > _LINKS_MAX:
            self._seen.popitem(last=False)


def link_of(row: Mapping[str, Any], scope: Scope) -> tuple[str, str] | None:
    """The function and the resource of a call that wrote, where a function made it."""
    if (row["service"], row["operation"]) not in _WRITES or row["error"] or not row["resource"]:
        return None
    kind, *session = row["principal"].rpartition(":")[2].split("/")
    if kind != "assumed-role" or len(session) != 2:
        return None
    target = row["resource"].partition("/")[0] if row["service"] == "s3" else row["resource"]
    return Scope(row["account"], row["region"], scope.partition).arn("lambda", f"function:{session[1]}"), target


def with_callers(backend: Backend) -> FlowView:
    """The backend's flow view, completed."""
    return FlowWithCallers(backend.flow, backend.requests, backend.clock)
