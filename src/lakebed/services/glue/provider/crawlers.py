"""Crawlers: made, told, started, stopped; their history and metrics.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-crawling.html
"""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.glue import model as glue_model
from lakebed.services.glue.crawlers import model
from lakebed.services.glue.crawlers.checks import Checks
from lakebed.services.glue.crawlers.desk import Crawlers
from lakebed.services.glue.crawlers.model import Crawl, Crawler
from lakebed.services.glue.provider.desk import Desk
from lakebed.services.glue.store import DatabaseStore
from lakebed.wire.aws.pages import sealed

_PAGE, _CRAWLERS_MAX = 100, 1000
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "GT": operator.gt, "GE": operator.ge, "LT": operator.lt, "LE": operator.le, "EQ": operator.eq, "NE": operator.ne,
}  # fmt: skip


def crawler_arn(scope: Scope, req: Request) -> str:
    """The crawler a request names."""
    return scope.arn("glue", f"crawler/{req.get('Name') or req.get('CrawlerName') or '*'}")


def _crawler_arns(scope: Scope, req: Request) -> list[str]:
    """Each that is asked for."""
    names = req.get("CrawlerNames") or req.get("CrawlerNameList") or ["*"]
    return [scope.arn("glue", f"crawler/{name}") for name in names]


class CrawlerOperations(Desk):
    """Everything on crawlers but their schedules."""

    def __init__(self, crawlers: Crawlers, checks: Checks, desk: Desk, tags: DatabaseStore) -> None:
        super().__init__(desk.catalogue)
        self._crawlers, self._checks, self._tags = crawlers, checks, tags
        self._store = crawlers.store

    @operation("CreateCrawler", resource=crawler_arn, refused=("CrawlerSecurityConfiguration",))
    async def create_crawler(self, ctx: Context, req: api.CreateCrawlerRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateCrawler.html"""
        scope = self.scope(ctx, req)
        body = self._checks.body(ctx.principal, scope, req, None, "CreateCrawler")
        if self._store.find(scope, req["Name"]) is not None:
            raise api.AlreadyExistsException(f"Crawler with name {req['Name']} already exists")
        if self._store.count(scope) >= _CRAWLERS_MAX:
            raise api.ResourceNumberLimitExceededException(f"An account has at most {_CRAWLERS_MAX} crawlers")
        made = Crawler(scope, req["Name"], body, 1, ctx.now, ctx.now)
        if req.get("Schedule"):
            made = self._crawlers.set_schedule(made, req["Schedule"], on=True)
        with self.k.db.tx() as tx:
            self._crawlers.put(made)
            self._tags.set_tags(tx, scope, made.arn, req.get("Tags") or {})
        return {}

    @operation("UpdateCrawler", resource=crawler_arn, refused=("CrawlerSecurityConfiguration",))
    async def update_crawler(self, ctx: Context, req: api.UpdateCrawlerRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateCrawler.html"""
        scope = self.scope(ctx, req)
        known = self._crawlers.require(scope, req["Name"])
        if known.state != model.READY:
            raise api.CrawlerRunningException(f"Crawler with name {known.name} is running")
        body = self._checks.body(ctx.principal, scope, req, known.body, "UpdateCrawler")
        made = msgspec.structs.replace(known, body=body, version=known.version + 1, updated=ctx.now)
        if "Schedule" in req:
            made = self._crawlers.set_schedule(made, req["Schedule"], on=True)
        with self.k.db.tx() as tx:
            if body["Targets"] != known.body["Targets"]:
                self._store.forget(tx, known)
            self._crawlers.put(made)
        return {}

    @operation("DeleteCrawler", resource=crawler_arn)
    async def delete_crawler(self, ctx: Context, req: api.DeleteCrawlerRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteCrawler.html"""
        known = self._crawlers.require(ctx.scope, req["Name"])
        if known.state != model.READY:
            raise api.CrawlerRunningException(f"Crawler with name {known.name} is running")
        with self.k.db.tx() as tx:
            self._store.delete(tx, known)
            self._tags.set_tags(tx, ctx.scope, known.arn, {})
        return {}

    @operation("GetCrawler", resource=crawler_arn)
    async def get_crawler(self, ctx: Context, req: api.GetCrawlerRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetCrawler.html"""
        return {"Crawler": self._crawlers.require(ctx.scope, req["Name"]).shown(ctx.now)}

    @operation("GetCrawlers", resource=_crawler_arns)
    async def get_crawlers(self, ctx: Context, req: api.GetCrawlersRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetCrawlers.html"""
        found, token = self._page(ctx, req)
        return {"Crawlers": [one.shown(ctx.now) for one in found], **token}

    @operation("BatchGetCrawlers", resource=_crawler_arns)
    async def batch_get_crawlers(self, ctx: Context, req: api.BatchGetCrawlersRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_BatchGetCrawlers.html"""
        found = {name: self._store.find(ctx.scope, name) for name in req["CrawlerNames"]}
        return {
            "Crawlers": [one.shown(ctx.now) for one in found.values() if one is not None],
            "CrawlersNotFound": [name for name, one in found.items() if one is None],
        }

    @operation("ListCrawlers", resource=_crawler_arns)
    async def list_crawlers(self, ctx: Context, req: api.ListCrawlersRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_ListCrawlers.html"""
        found, token = self._page(ctx, req)
        wanted = (req.get("Tags") or {}).items()
        names = [one.name for one in found if wanted <= self._tags.tags(ctx.scope, one.arn).items()]
        return {"CrawlerNames": names, **token}

    def _page(self, ctx: Context, req: Mapping[str, Any]) -> tuple[list[Crawler], dict[str, str]]:
        limit = min(req.get("MaxResults", _PAGE), _PAGE)
        after = glue_model.read_token(req.get("NextToken"), str, "")
        found = self._store.after(ctx.scope, after, limit + 1)
        return found[:limit], {"NextToken": sealed(found[limit - 1].name)} if len(found) > limit else {}

    @operation("StartCrawler", resource=crawler_arn)
    async def start_crawler(self, ctx: Context, req: api.StartCrawlerRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StartCrawler.html"""
        self._crawlers.start(self._crawlers.require(ctx.scope, req["Name"]))
        return {}

    @operation("StopCrawler", resource=crawler_arn)
    async def stop_crawler(self, ctx: Context, req: api.StopCrawlerRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_StopCrawler.html"""
        known = self._crawlers.require(ctx.scope, req["Name"])
        if known.state == model.READY:
            raise api.CrawlerNotRunningException(f"Crawler with name {known.name} isn't running")
        if known.state == model.STOPPING:
            raise api.CrawlerStoppingException(f"Crawler with name {known.name} is stopping")
        self._crawlers.put(msgspec.structs.replace(known, state=model.STOPPING))
        return {}

    @operation("ListCrawls", resource=crawler_arn)
    async def list_crawls(self, ctx: Context, req: api.ListCrawlsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_ListCrawls.html"""
        crawler = self._crawlers.require(ctx.scope, req["CrawlerName"])
        limit, start = req.get("MaxResults", 20), glue_model.read_token(req.get("NextToken"), tuple[int], (0,))[0]
        wanted = [
            one for one in self._store.crawls(crawler) if all(_wanted(one, each) for each in req.get("Filters", ()))
        ]
        result: dict[str, Any] = {"Crawls": [one.shown(crawler.name) for one in wanted[start : start + limit]]}
        if len(wanted) > start + limit:
            result["NextToken"] = sealed((start + limit,))
        return result

    @operation("GetCrawlerMetrics", resource=_crawler_arns)
    async def get_crawler_metrics(self, ctx: Context, req: api.GetCrawlerMetricsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetCrawlerMetrics.html"""
        if req.get("CrawlerNameList"):
            asked = [self._store.find(ctx.scope, name) for name in req["CrawlerNameList"]]
            found, token = [one for one in asked if one is not None], dict[str, str]()
        else:
            found, token = self._page(ctx, req)
        return {"CrawlerMetricsList": [self._metrics(one, ctx.now) for one in found], **token}

    def _metrics(self, crawler: Crawler, now: float) -> dict[str, Any]:
        ended = [one for one in self._store.crawls(crawler) if one.ended is not None]
        seconds = [(one.ended or one.started) - one.started for one in ended]
        median = statistics.median(seconds) if seconds else 0.0
        running = now - crawler.started if crawler.started is not None else None
        told: dict[str, Any] = {
            "CrawlerName": crawler.name, "StillEstimating": running is not None and not seconds,
            "TimeLeftSeconds": max(median - running, 0.0) if running is not None else 0.0,
            "LastRuntimeSeconds": seconds[0] if seconds else 0.0, "MedianRuntimeSeconds": median,
        }  # fmt: skip
        last = ended[0].body if ended else {}
        for member in ("created", "updated", "deleted"):
            told[f"Tables{member.capitalize()}"] = last.get(member, 0)
        return told


def _wanted(crawl: Crawl, each: Mapping[str, Any]) -> bool:
    name, value = each.get("FieldName", ""), each.get("FieldValue", "")
    compare = _COMPARED[each.get("FilterOperator", "EQ")]
    if name == "CRAWL_ID":
        return compare(crawl.id, value)
    if name == "STATE":
        return compare(crawl.state, value)
    try:
        number = float(value)
    except ValueError:
        raise api.InvalidInputException(f"Filter {name} needs a number") from None
    if name == "DPU_HOUR":
        return compare((crawl.ended - crawl.started) * model.DPU if crawl.ended is not None else 0.0, number)
    moment = crawl.started if name == "START_TIME" else crawl.ended
    return moment is not None and compare(moment, number / 1000)
