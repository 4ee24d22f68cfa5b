"""Logs: CloudWatch Logs as other services write to it. Built by services/logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lakebed.kernel.scope import Principal, Scope


class Logs(Protocol):
    """Groups and streams are made on the first write, as Lambda's own agent does."""

    def write(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[float, str]]) -> None:
        """Append (epoch seconds, message) pairs. Never raises for a user's mistake: a log line must not fail its cause."""
        ...

    def deliver(
        self, principal: Principal, scope: Scope, group: str, stream: str, events: Sequence[tuple[float, str]],
        *, source_arn: str | None = None,
    ) -> None:  # fmt: skip
        """``write`` for a service that delivers to a group somebody named: the group must exist, and a resource policy of
        its account must let ``principal`` write there. Durable when this returns; errors are CloudWatch Logs'."""
        ...
