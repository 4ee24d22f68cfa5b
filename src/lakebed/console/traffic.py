"""What moved through one resource since the server started, as the pages of single resources show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.console.backend import Backend
from lakebed.console.figures import ago, count, rate, size, span

_STILL: Mapping[str, Any] = {
    "recordsIn": 0, "recordsOut": 0, "bytesIn": 0, "bytesOut": 0, "errors": 0, "dropped": 0, "lastIn": None,
    "lastOut": None, "lagSeconds": None, "waiting": None, "rateIn": 0.0, "rateOut": 0.0, "historyIn": [],
}  # fmt: skip


def meters_of(backend: Backend) -> Mapping[str, Mapping[str, Any]]:
    """Meters by ARN."""
    found: Mapping[str, Mapping[str, Any]] = backend.flow(backend.scope)["resources"]
    return found


def meter_of(backend: Backend, arn: str) -> Mapping[str, Any]:
    """The meter of a resource, zeros where nothing moved."""
    return meters_of(backend).get(arn, _STILL)


def tiles_of(backend: Backend, arn: str) -> list[tuple[str, str, str]]:
    """Headline figures of a resource that records pass through."""
    meter, now = meter_of(backend, arn), backend.clock.now()
    lag = "—" if meter["lagSeconds"] is None else span(meter["lagSeconds"])
    waiting = "nothing known" if meter["waiting"] is None else f"{count(meter['waiting'])} waiting"
    return [
        ("Came in", count(meter["recordsIn"]), f"{size(meter['bytesIn'])}; last {ago(now, meter['lastIn'])}"),
        ("Went out", count(meter["recordsOut"]), f"{size(meter['bytesOut'])}; last {ago(now, meter['lastOut'])}"),
        ("Rate now", rate(meter["rateIn"]), "records in, mean of 10 s"),
        ("Lag", lag, waiting),
        ("Errors", count(meter["errors"]), f"{count(meter['dropped'])} dropped on purpose"),
    ]
