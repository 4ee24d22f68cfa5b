"""Metrics: CloudWatch as other services publish to it. Built by services/cloudwatch.

Publishing is cheap and never fails its cause: points are added up in memory by series and minute and written at most
once a second. They describe the work, they are not its account, so a crash may lose the last second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope

Point = tuple[str, Mapping[str, str], float, str]


class Metrics(Protocol):
    """Names, dimensions and units are AWS's own (``Invocations`` of ``AWS/Lambda`` by ``FunctionName`` in ``Count``)."""

    def put(self, scope: Scope, namespace: str, points: Sequence[Point], *, at: float | None = None) -> None:
        """Record (name, dimensions, value, unit) points at epoch second ``at`` (now). Bounded: past 20,000 series at once
        further ones of that second are dropped."""
        ...

    def set_alarm_state(self, scope: Scope, name: str, state: str, reason: str) -> None:
        """As SetAlarmState; AwsError ResourceNotFound where there is no such alarm. Permission is the caller's to ask."""
        ...


class Unpublished:
    """Where CloudWatch is not part of the house (a test of one service): points go nowhere."""

    def put(self, scope: Scope, namespace: str, points: Sequence[Point], *, at: float | None = None) -> None:
        """Nobody looks."""

    def set_alarm_state(self, scope: Scope, name: str, state: str, reason: str) -> None:
        """There is no alarm."""
        del scope, state, reason
        raise AwsError("ResourceNotFound", f"The alarm {name} does not exist", status=404)
