"""The task that begins scheduled runs. A run still under way at its time is a failed attempt, as in AWS.

https://docs.aws.amazon.com/glue/latest/dg/column-stats-schedule.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.services.glue.statistics.runs import Statistics
from lakebed.wire.aws import schedule

SCHEDULE_TASK = "glue:statistics-schedule"
_AT_ONCE = 100


def next_time(expression: str, now: float) -> float | None:
    """When a cron() expression is due; InvalidInputException where it is none."""
    try:
        parsed = schedule.parse(expression)
    except schedule.ScheduleError:
        raise api.InvalidInputException(f"{expression[:100]} is not a cron expression.") from None
    if not isinstance(parsed, schedule.Cron):
        raise api.InvalidInputException("A schedule is a cron expression.")
    return parsed.after(now)


class Scheduled:
    """Begins what is due."""

    name = SCHEDULE_TASK
    period = 3600.0

    def __init__(self, statistics: Statistics) -> None:
        self._statistics, self._k = statistics, statistics.k

    async def activate(self) -> float | None:
        """Due again when the next schedule is."""
        now = self._k.clock.now()
        for scope, body in self._statistics.settings.due(now, _AT_ONCE):
            with self._k.db.tx() as tx:
                self._begin(tx, scope, body, now)
        return self._statistics.settings.next_due()

    def _begin(self, tx: Tx, scope: Scope, body: dict[str, Any], now: float) -> None:
        table = self._statistics.catalogue.table(scope, body["DatabaseName"], body["TableName"])
        attempt: dict[str, Any] = {"Status": "STARTED", "ExecutionTimestamp": now}
        try:
            attempt["ColumnStatisticsTaskRunId"] = self._statistics.queue(tx, table, body)
        except AwsError as refused:
            attempt |= {"Status": "FAILED", "ErrorMessage": refused.message[:2048]}
        due = next_time(body["Schedule"]["ScheduleExpression"], now)
        self._statistics.settings.put(tx, table, {**body, "LastExecutionAttempt": attempt}, due)
