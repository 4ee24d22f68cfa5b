"""Runs that compute column statistics, and their settings and schedules, table by table.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-column-statistics.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.glue import model
from lakebed.services.glue.model import Table, folded
from lakebed.services.glue.provider.desk import Desk, catalog_arn, table_arns
from lakebed.services.glue.statistics.runs import SERVICE, Statistics, columns_of, role_arn
from lakebed.services.glue.statistics.schedule import SCHEDULE_TASK, next_time
from lakebed.wire.aws.pages import sealed

_PAGE = 100
_REFUSED = ("SecurityConfiguration",)
_WANTED = ("ColumnNameList", "SampleSize")
Body = dict[str, Any]


class StatisticsRunOperations(Desk):
    """Everything on runs and their settings."""

    def __init__(self, statistics: Statistics) -> None:
        super().__init__(statistics.catalogue)
        self._statistics = statistics

    @operation("StartColumnStatisticsTaskRun", resource=table_arns, refused=_REFUSED)
    async def start_run(self, ctx: Context, req: api.StartColumnStatisticsTaskRunRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StartColumnStatisticsTaskRun.html"""
        table, wanted = self._named(ctx, req), self._wanted(ctx, req)
        with self.k.db.tx() as tx:
            return {"ColumnStatisticsTaskRunId": self._statistics.queue(tx, table, wanted)}

    @operation("StopColumnStatisticsTaskRun", resource=table_arns)
    async def stop_run(self, ctx: Context, req: api.StopColumnStatisticsTaskRunRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StopColumnStatisticsTaskRun.html"""
        self._statistics.stop(self._named(ctx, req))
        return {}

    @operation("GetColumnStatisticsTaskRun", resource=catalog_arn)
    async def get_run(self, ctx: Context, req: api.GetColumnStatisticsTaskRunRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetColumnStatisticsTaskRun.html"""
        found = self._statistics.runs.find(ctx.scope, req["ColumnStatisticsTaskRunId"])
        if found is None:
            raise api.EntityNotFoundException("The run does not exist.")
        return {"ColumnStatisticsTaskRun": found}

    @operation("GetColumnStatisticsTaskRuns", resource=table_arns)
    async def get_runs(self, ctx: Context, req: api.GetColumnStatisticsTaskRunsRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetColumnStatisticsTaskRuns.html"""
        limit, (before,) = req.get("MaxResults", _PAGE), model.read_token(req.get("NextToken"), tuple[int], (0,))
        try:
            table = self._named(ctx, req)
        except api.EntityNotFoundException:  # the operation knows no such error
            return {"ColumnStatisticsTaskRuns": []}
        found = self._statistics.runs.of_table(table, before, limit + 1)
        result: Body = {"ColumnStatisticsTaskRuns": [body for _, body in found[:limit]]}
        return _paged(result, [number for number, _ in found], limit)

    @operation("ListColumnStatisticsTaskRuns", resource=catalog_arn)
    async def list_runs(self, ctx: Context, req: api.ListColumnStatisticsTaskRunsRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_ListColumnStatisticsTaskRuns.html"""
        limit, (before,) = req.get("MaxResults", _PAGE), model.read_token(req.get("NextToken"), tuple[int], (0,))
        found = self._statistics.runs.ids(ctx.scope, before, limit + 1)
        result: Body = {"ColumnStatisticsTaskRunIds": [run_id for _, run_id in found[:limit]]}
        return _paged(result, [number for number, _ in found], limit)

    @operation("CreateColumnStatisticsTaskSettings", resource=table_arns, refused=(*_REFUSED, "Tags"))
    async def create_settings(self, ctx: Context, req: api.CreateColumnStatisticsTaskSettingsRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateColumnStatisticsTaskSettings.html"""
        table = self._named(ctx, req)
        if self._statistics.settings.find(table) is not None:
            raise api.AlreadyExistsException("The table has settings already.")
        body = {
            "DatabaseName": table.database, "TableName": table.name, "CatalogID": table.scope.account,
            "SettingSource": "TABLE", **self._wanted(ctx, req),
        }  # fmt: skip
        self._put(table, body, req.get("Schedule"), scheduled=True)
        return {}

    @operation("UpdateColumnStatisticsTaskSettings", resource=table_arns, refused=_REFUSED)
    async def update_settings(self, ctx: Context, req: api.UpdateColumnStatisticsTaskSettingsRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateColumnStatisticsTaskSettings.html"""
        table = self._named(ctx, req)
        known = self._settings(table)
        was = known.get("Schedule") or {}
        expression = req.get("Schedule", was.get("ScheduleExpression"))
        running = "Schedule" in req or was.get("State") == "SCHEDULED"
        self._put(table, {**known, **self._wanted(ctx, req)}, expression, scheduled=running)
        return {}

    @operation("GetColumnStatisticsTaskSettings", resource=table_arns)
    async def get_settings(self, ctx: Context, req: api.GetColumnStatisticsTaskSettingsRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetColumnStatisticsTaskSettings.html"""
        return {"ColumnStatisticsTaskSettings": self._settings(self._named(ctx, req))}

    @operation("DeleteColumnStatisticsTaskSettings", resource=table_arns)
    async def delete_settings(self, ctx: Context, req: api.DeleteColumnStatisticsTaskSettingsRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteColumnStatisticsTaskSettings.html"""
        table = self._named(ctx, req)
        self._settings(table)
        with self.k.db.tx() as tx:
            self._statistics.settings.delete(tx, table)
        return {}

    @operation("StartColumnStatisticsTaskRunSchedule", resource=table_arns)
    async def start_schedule(self, ctx: Context, req: api.StartColumnStatisticsTaskRunScheduleRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StartColumnStatisticsTaskRunSchedule.html"""
        return self._switch(ctx, req, scheduled=True)

    @operation("StopColumnStatisticsTaskRunSchedule", resource=table_arns)
    async def stop_schedule(self, ctx: Context, req: api.StopColumnStatisticsTaskRunScheduleRequest) -> Body:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StopColumnStatisticsTaskRunSchedule.html"""
        return self._switch(ctx, req, scheduled=False)

    def _named(self, ctx: Context, req: Mapping[str, Any]) -> Table:
        scope: Scope = self.scope(ctx, {"CatalogId": req.get("CatalogID", ctx.scope.account)})
        return self.catalogue.table(scope, folded(req["DatabaseName"]), req["TableName"])

    def _wanted(self, ctx: Context, req: Request | Mapping[str, Any]) -> Body:
        """Role, columns and sample of a request; the caller may pass the role."""
        wanted = {name: req[name] for name in _WANTED if name in req}
        if "SampleSize" in wanted and not 0 < wanted["SampleSize"] <= 100:
            raise api.InvalidInputException("SampleSize is a percentage above 0.")
        if "Role" in req:
            wanted["Role"] = role_arn(ctx.scope, req["Role"])
            self._statistics.p.identity.check_pass_role(ctx.principal, wanted["Role"], SERVICE)
        return wanted

    def _settings(self, table: Table) -> Body:
        found = self._statistics.settings.find(table)
        if found is None:
            raise api.EntityNotFoundException("The table has no settings for column statistics.")
        return found

    def _switch(self, ctx: Context, req: Mapping[str, Any], *, scheduled: bool) -> Body:
        table = self._named(ctx, req)
        known = self._settings(table)
        if "Schedule" not in known:
            raise api.InvalidInputException("The settings have no schedule.")
        self._put(table, known, known["Schedule"]["ScheduleExpression"], scheduled=scheduled)
        return {}

    def _put(self, table: Table, body: Body, expression: str | None, *, scheduled: bool) -> None:
        columns_of(table, body.get("ColumnNameList"))
        due = None
        if expression:
            due = next_time(expression, self.k.clock.now())
            state = "SCHEDULED" if scheduled else "NOT_SCHEDULED"
            schedule = {"ScheduleExpression": expression, "State": state}
            body = {**body, "Schedule": schedule, "ScheduleType": "CRON"}
        with self.k.db.tx() as tx:
            self._statistics.settings.put(tx, table, body, due if scheduled else None)
            tx.after_commit(lambda: self.k.tasks.poke(SCHEDULE_TASK))


def _paged(result: Body, numbers: list[int], limit: int) -> Body:
    if len(numbers) > limit:
        result["NextToken"] = sealed((numbers[limit - 1],))
    return result
