"""Schedules of crawlers: cron expressions on the clock.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-scheduler.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import glue as api
from lakebed.ports.service import Context, operation
from lakebed.services.glue.crawlers import model
from lakebed.services.glue.crawlers.desk import Crawlers
from lakebed.services.glue.provider.crawlers import crawler_arn


class CrawlerScheduleOperations:
    """On, off, another."""

    def __init__(self, crawlers: Crawlers) -> None:
        self._crawlers = crawlers

    @operation("StartCrawlerSchedule", resource=crawler_arn)
    async def start_crawler_schedule(self, ctx: Context, req: api.StartCrawlerScheduleRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StartCrawlerSchedule.html"""
        known = self._crawlers.require(ctx.scope, req["CrawlerName"])
        if not known.body.get("Schedule"):
            raise api.NoScheduleException(f"Crawler with name {known.name} has no schedule")
        if known.schedule_state == model.SCHEDULED:
            raise api.SchedulerRunningException(f"The schedule of crawler {known.name} is already running")
        self._crawlers.put(self._crawlers.set_schedule(known, known.body["Schedule"], on=True))
        return {}

    @operation("StopCrawlerSchedule", resource=crawler_arn)
    async def stop_crawler_schedule(self, ctx: Context, req: api.StopCrawlerScheduleRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StopCrawlerSchedule.html"""
        known = self._crawlers.require(ctx.scope, req["CrawlerName"])
        if known.schedule_state != model.SCHEDULED:
            raise api.SchedulerNotRunningException(f"The schedule of crawler {known.name} is not running")
        self._crawlers.put(self._crawlers.set_schedule(known, known.body["Schedule"], on=False))
        return {}

    @operation("UpdateCrawlerSchedule", resource=crawler_arn)
    async def update_crawler_schedule(self, ctx: Context, req: api.UpdateCrawlerScheduleRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateCrawlerSchedule.html"""
        known = self._crawlers.require(ctx.scope, req["CrawlerName"])
        self._crawlers.put(self._crawlers.set_schedule(known, req.get("Schedule", ""), on=True))
        return {}
