"""The crawls' background work: schedules start crawls on the clock, runners do them, one each.

A crawl that was running when the house died is claimed again at the next boot and done anew: it only puts into the catalog
what it finds. Its end, the crawler's state and its history are one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.runs import LeaseLostError, Run
from lakebed.ports.house import Ports
from lakebed.ports.sql import SqlFailure
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.crawlers import model
from lakebed.services.glue.crawlers.crawl import Crawling
from lakebed.services.glue.crawlers.desk import CRAWL_TASKS, SCHEDULE_TASK, Crawlers
from lakebed.services.glue.crawlers.model import Crawl, Crawler, Outcome
from lakebed.services.glue.crawlers.publish import Publisher
from lakebed.services.glue.crawlers.vaulted import Connections
from lakebed.services.glue.crawlers.walk import Walk

_ERROR_CHARS_MAX = 2000
_DUE_AT_ONCE = 100


class StoppedError(Exception):
    """StopCrawler was called."""


class Schedules:
    """Starts what is due."""

    name = SCHEDULE_TASK
    period = 3600.0

    def __init__(self, crawlers: Crawlers) -> None:
        self._crawlers = crawlers

    async def activate(self) -> float | None:
        """When the next one is due."""
        for crawler in self._crawlers.store.due(self._crawlers.k.clock.now(), _DUE_AT_ONCE):
            self._crawlers.start_due(crawler)
        return self._crawlers.store.next_due()


class Runner:
    """Does one crawl at a time; several of them work beside each other."""

    period = 60.0

    def __init__(
        self, number: int, crawlers: Crawlers, catalogue: Catalogue, p: Ports, connections: Connections
    ) -> None:
        self.name = CRAWL_TASKS[number]
        self._k: Kernel = catalogue.k
        self._crawlers, self._catalogue, self._p, self._connections = crawlers, catalogue, p, connections

    async def activate(self) -> float | None:
        """The oldest crawl that waits."""
        run = self._k.runs.claim(model.RUN_KIND)
        if run is None:
            return None
        async with self._k.runs.held(run):
            await self._run(run)
        return self._k.clock.now()

    async def _run(self, run: Run) -> None:
        crawler = self._crawlers.store.find(run.scope, run.body["crawler"])
        if crawler is None or crawler.crawl_id != run.id:
            with suppress(LeaseLostError), self._k.db.tx() as tx:
                self._k.runs.end(tx, run)
            return
        lines: list[str] = []
        publisher: Publisher | None = None
        state, error = "COMPLETED", ""
        self._log(crawler, [f"BENCHMARK : Running Start Crawl for Crawler {crawler.name}"])
        try:
            principal = self._p.identity.service_session(
                self._crawlers.role_arn(crawler), "glue.amazonaws.com", session_name="AWS-Crawler"
            )
            publisher = Publisher(self._catalogue, self._p, crawler, principal, lines.append)
            walking = Walk(self._p, principal, self._crawlers.classifiers(crawler), lambda: self._pulse(crawler))
            rooms = (self._catalogue, self._p, self._crawlers.store, self._connections)
            self._pulse(crawler)
            await Crawling(rooms, crawler, principal, walking, publisher).run()
            lines.append("BENCHMARK : Finished writing to Catalog")
        except StoppedError:
            state = "STOPPED"
        except AwsError as wrong:
            state, error = "FAILED", f"{wrong.message} (Error Code: {wrong.error_code})"
        except SqlFailure as failure:
            state, error = "FAILED", f"Internal Service Exception: {failure.message}"
        self._end(run, crawler, (state, error), publisher.outcome if publisher else Outcome(), lines)

    def _pulse(self, crawler: Crawler) -> None:
        present = self._crawlers.store.find(crawler.scope, crawler.name)
        if present is None or present.state == model.STOPPING or present.crawl_id != crawler.crawl_id:
            raise StoppedError

    def _end(self, run: Run, crawler: Crawler, ended: tuple[str, str], outcome: Outcome, lines: Sequence[str]) -> None:
        state, error = ended
        now, started = self._k.clock.now(), crawler.started or run.queued_at
        body = {"error": error[:_ERROR_CHARS_MAX], "summary": outcome.summary(), **msgspec.to_builtins(outcome)}
        status = {"COMPLETED": "SUCCEEDED", "STOPPED": "CANCELLED", "FAILED": "FAILED"}[state]
        last = {"Status": status, "LogGroup": model.LOG_GROUP, "LogStream": crawler.log_stream, "MessagePrefix": run.id,
                "StartTime": started}  # fmt: skip
        if error:
            last["ErrorMessage"] = error[:_ERROR_CHARS_MAX]
        with suppress(LeaseLostError), self._k.db.tx() as tx:
            present = self._crawlers.store.find(run.scope, crawler.name)
            self._k.runs.end(tx, run)
            if present is not None and present.crawl_id == run.id:
                made = msgspec.structs.replace(present, state=model.READY, crawl_id="", started=None, last=last)
                self._crawlers.store.put(tx, made)
                self._crawlers.store.put_crawl(tx, made, Crawl(run.id, state, started, now, body))
        closing = [f"ERROR : {error}"] if error else []
        self._log(crawler, [*lines, *closing, "BENCHMARK : Crawler has finished running and is in state READY"])

    def _log(self, crawler: Crawler, lines: Sequence[str]) -> None:
        now = self._k.clock.now()
        events = [(now, f"[{crawler.crawl_id}] {line}") for line in lines]
        self._p.logs.write(crawler.scope, model.LOG_GROUP, crawler.log_stream, events)
