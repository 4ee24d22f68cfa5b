"""Crawlers, crawls, classifiers and connections as values, and as Glue shows them.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-crawling.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.scope import Scope

LOG_GROUP = "/aws-glue/crawlers"
READY, RUNNING, STOPPING = "READY", "RUNNING", "STOPPING"
SCHEDULED, NOT_SCHEDULED = "SCHEDULED", "NOT_SCHEDULED"
RUN_KIND = "glue-crawl"
DPU = 1.0 / 3600 * 2  # a crawl runs on two DPU: hours of them by its seconds
Body = dict[str, Any]
_SHOWN = (
    "Role", "Targets", "DatabaseName", "Description", "Classifiers", "RecrawlPolicy", "SchemaChangePolicy",
    "LineageConfiguration", "TablePrefix", "Configuration", "CrawlerSecurityConfiguration", "LakeFormationConfiguration",
)  # fmt: skip


class Crawler(msgspec.Struct, frozen=True):
    """``body`` holds the members it was made with, ``Schedule`` the expression; ``last`` its last crawl as Glue tells it."""

    scope: Scope
    name: str
    body: Body
    version: int
    created: float
    updated: float
    schedule_state: str = NOT_SCHEDULED
    last: Body = {}
    state: str = READY
    crawl_id: str = ""
    started: float | None = None
    next_run: float | None = None

    @property
    def arn(self) -> str:
        """What permissions and tags are asked for."""
        return self.scope.arn("glue", f"crawler/{self.name}")

    @property
    def log_stream(self) -> str:
        """Its stream in ``/aws-glue/crawlers``."""
        return self.name

    def shown(self, now: float) -> Body:
        """As GetCrawler tells it."""
        told: Body = {member: self.body[member] for member in _SHOWN if member in self.body}
        told |= {"Name": self.name, "State": self.state, "Version": self.version, "CreationTime": self.created,
                 "LastUpdated": self.updated, "CrawlElapsedTime": 0}  # fmt: skip
        if self.started is not None:
            told["CrawlElapsedTime"] = round((now - self.started) * 1000)
        if self.body.get("Schedule"):
            told["Schedule"] = {"ScheduleExpression": self.body["Schedule"], "State": self.schedule_state}
        if self.last:
            told["LastCrawl"] = self.last
        return told


class Crawl(msgspec.Struct, frozen=True):
    """One run of a crawler. ``body`` has ``error``, ``created``, ``updated``, ``deleted`` and ``summary``."""

    id: str
    state: str
    started: float
    ended: float | None
    body: Body

    def shown(self, crawler: str) -> Body:
        """As ListCrawls tells it."""
        told: Body = {"CrawlId": self.id, "State": self.state, "StartTime": self.started, "LogGroup": LOG_GROUP,
                      "LogStream": crawler, "MessagePrefix": self.id}  # fmt: skip
        if self.ended is not None:
            told["EndTime"] = self.ended
            told["DPUHour"] = round((self.ended - self.started) * DPU, 6)
        if self.body.get("summary"):
            told["Summary"] = self.body["summary"]
        if self.body.get("error"):
            told["ErrorMessage"] = self.body["error"]
        return told


class Classifier(msgspec.Struct, frozen=True):
    """``kind`` is grok, xml, json or csv; ``body`` its members."""

    name: str
    kind: str
    version: int
    created: float
    updated: float
    body: Body

    def shown(self) -> Body:
        """Under the member of its kind."""
        told = {**self.body, "Name": self.name, "Version": self.version, "CreationTime": self.created,
                "LastUpdated": self.updated}  # fmt: skip
        return {KINDS[self.kind]: told}


KINDS = {"grok": "GrokClassifier", "xml": "XMLClassifier", "json": "JsonClassifier", "csv": "CsvClassifier"}


class Connection(msgspec.Struct, frozen=True):
    """``body`` is its ConnectionInput without name and secrets, which lie ``sealed``."""

    scope: Scope
    name: str
    body: Body
    sealed: bytes | None
    created: float
    updated: float
    updated_by: str

    @property
    def arn(self) -> str:
        """What permissions and tags are asked for."""
        return self.scope.arn("glue", f"connection/{self.name}")


class Outcome(msgspec.Struct):
    """What a crawl did to the catalog; counts tables and partitions."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    partitions_created: int = 0
    partitions_updated: int = 0
    partitions_deleted: int = 0

    def summary(self) -> str:
        """As ListCrawls tells it: JSON in JSON, as AWS writes it."""
        tables = {"TABLE": {"addCount": self.created, "updateCount": self.updated, "deleteCount": self.deleted}}
        partitions = {"addCount": self.partitions_created, "updateCount": self.partitions_updated,
                      "deleteCount": self.partitions_deleted}  # fmt: skip
        shown = {name: {key: count for key, count in counts.items() if count}
                 for name, counts in {**tables, "PARTITION": partitions}.items()}  # fmt: skip
        changed = {name: counts for name, counts in shown.items() if counts}
        return msgspec.json.encode(changed).decode() if changed else ""
