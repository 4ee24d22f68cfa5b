"""Crawlers' life: made, changed, started, stopped, scheduled; what the API and the schedules share.

https://docs.aws.amazon.com/glue/latest/dg/monitor-data-warehouse-schedule.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.inspection import Classifier
from lakebed.services.glue.crawlers import model
from lakebed.services.glue.crawlers.model import Crawl, Crawler
from lakebed.services.glue.crawlers.store import ClassifierStore, CrawlerStore
from lakebed.wire.aws import schedule

SCHEDULE_TASK = "glue:crawler-schedules"
CRAWL_TASKS = ("glue:crawls-1", "glue:crawls-2")


class Crawlers:
    """All crawlers of the house."""

    def __init__(self, k: Kernel) -> None:
        self.k, self.store, self.classifier_store = k, CrawlerStore(k.db), ClassifierStore(k.db)

    def require(self, scope: Scope, name: str) -> Crawler:
        """EntityNotFoundException where there is none."""
        found = self.store.find(scope, name)
        if found is None:
            raise api.EntityNotFoundException(f"Crawler entry with name {name} does not exist")
        return found

    def role_arn(self, crawler: Crawler) -> str:
        """The role, by name or ARN."""
        return role_arn(crawler.scope, crawler.body["Role"])

    def classifiers(self, crawler: Crawler) -> list[Classifier]:
        """Its custom classifiers in order; one that was deleted meanwhile is left out."""
        found = [self.classifier_store.find(crawler.scope, name) for name in crawler.body.get("Classifiers", ())]
        return [{**one.body, "kind": one.kind} for one in found if one is not None]

    def start(self, crawler: Crawler) -> None:
        """Queue a crawl; CrawlerRunningException while there is one."""
        if crawler.state != model.READY:
            raise api.CrawlerRunningException(f"Crawler with name {crawler.name} has already started")
        crawl_id, now = self.k.ids.uuid(), self.k.clock.now()
        made = msgspec.structs.replace(crawler, state=model.RUNNING, crawl_id=crawl_id, started=now)
        with self.k.db.tx() as tx:
            self.store.put(tx, made)
            self.store.put_crawl(tx, made, Crawl(crawl_id, "RUNNING", now, None, {}))
            self.k.runs.add(tx, model.RUN_KIND, crawl_id, crawler.scope, {"crawler": crawler.name})
            tx.after_commit(self._poke)

    def start_due(self, crawler: Crawler) -> None:
        """What the schedule says: a crawl, unless one runs; and the next time."""
        made = msgspec.structs.replace(crawler, next_run=next_run(crawler.body["Schedule"], self.k.clock.now()))
        with self.k.db.tx() as tx:
            self.store.put(tx, made)
            if made.state == model.READY:
                self.start(made)

    def set_schedule(self, crawler: Crawler, expression: str, *, on: bool) -> Crawler:
        """The crawler under another schedule, or with the same one on or off."""
        body: dict[str, Any] = {**crawler.body, "Schedule": expression}
        due = next_run(expression, self.k.clock.now()) if expression else None
        state = model.SCHEDULED if on and expression else model.NOT_SCHEDULED
        return msgspec.structs.replace(crawler, body=body, schedule_state=state, next_run=due if on else None)

    def put(self, crawler: Crawler) -> None:
        """Store it; schedules look again."""
        with self.k.db.tx() as tx:
            self.store.put(tx, crawler)
            tx.after_commit(lambda: self.k.tasks.poke(SCHEDULE_TASK))

    def _poke(self) -> None:
        for name in CRAWL_TASKS:
            self.k.tasks.poke(name)


def role_arn(scope: Scope, role: str) -> str:
    """A role given by name, by path and name, or by ARN."""
    return role if role.startswith("arn:") else scope.global_arn("iam", f"role/{role.lstrip('/')}")


def next_run(expression: str, now: float) -> float | None:
    """InvalidInputException for what is no cron expression."""
    try:
        found = schedule.parse(expression)
    except schedule.ScheduleError:
        found = None
    if not isinstance(found, schedule.Cron):
        raise api.InvalidInputException(f"Schedule expression {expression} is invalid: a cron expression is needed")
    return found.after(now)
