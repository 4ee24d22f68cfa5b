"""Crawlers: what they look at, how their runs went and what changed, with a way to start and stop them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment, span
from lakebed.console.parts import act, button, empty, facts, pages, panel, state, table, time_of
from lakebed.console.shell import Page

CURRENT = "/console/crawlers"
_CRAWLERS, _RUNS = 50, 20


async def listing(backend: Backend, asked: Asked) -> Page:
    """All crawlers of the region."""
    params: dict[str, Any] = {"MaxResults": _CRAWLERS}
    if asked.get("token"):
        params["NextToken"] = asked.get("token")
    answer = await backend.call("glue", "GetCrawlers", params, backend.scope)
    lead = "Each looks through data and keeps the catalog's tables as it finds them."
    if not answer.get("Crawlers"):
        text = "A crawler finds tables, columns and partitions in what lies in S3. Make one, and start it:"
        command = (
            "aws glue create-crawler --name landing --role ROLE --database-name lake \\\n"
            "  --targets S3Targets=[{Path=s3://landing/}]\naws glue start-crawler --name landing"
        )
        return Page("Crawlers", lead, CURRENT, empty(f"No crawler in {backend.scope.region}", text, command))
    rows = []
    for one in answer["Crawlers"]:
        last = one.get("LastCrawl", {})
        rows.append(
            (
                h.a(href=to("crawlers/crawler", crawler=one["Name"]))[one["Name"]],
                state(one["State"]),
                h.code[", ".join(_targets(one["Targets"])) or "—"],
                one.get("DatabaseName", "—"),
                one.get("Schedule", {}).get("ScheduleExpression", "on demand"),
                state(last["Status"]) if last else "never ran",
                time_of(backend.clock.now(), last.get("StartTime")),
            )
        )
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    columns = ("Crawler", "State", "Looks at", "Tables go to", "When", "Last run", "Begun")
    content = panel(
        "Crawlers",
        table(columns, rows, key="crawlers-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    return Page("Crawlers", lead, CURRENT, content)


def _targets(targets: Mapping[str, Any]) -> list[str]:
    found = [one["Path"] for one in targets.get("S3Targets", [])]
    found += [f"{one['ConnectionName']}: {one.get('Path', '')}" for one in targets.get("JdbcTargets", [])]
    found += [f"{one['DatabaseName']}: {', '.join(one['Tables'])}" for one in targets.get("CatalogTargets", [])]
    return found


async def crawler(backend: Backend, asked: Asked) -> Page:
    """One crawler."""
    name = asked.get("crawler")
    told = (await backend.call("glue", "GetCrawler", {"Name": name}, backend.scope))["Crawler"]
    runs = await backend.call("glue", "ListCrawls", {"CrawlerName": name, "MaxResults": _RUNS}, backend.scope)
    last, policy = told.get("LastCrawl", {}), told.get("SchemaChangePolicy", {})
    details: list[tuple[str, h.Node]] = [
        ("State", state(told["State"])),
        ("Role", h.code[told["Role"]]),
        ("Tables go to", h.a(href=to("catalog", database=told["DatabaseName"]))[told["DatabaseName"]]
         if told.get("DatabaseName") else "—"),
        ("Named with", told.get("TablePrefix") or "no prefix"),
        ("When", told.get("Schedule", {}).get("ScheduleExpression", "on demand")),
        ("Changed tables", policy.get("UpdateBehavior", "—")),
        ("Tables that are gone", policy.get("DeleteBehavior", "—")),
        ("Reads again", told.get("RecrawlPolicy", {}).get("RecrawlBehavior", "CRAWL_EVERYTHING")),
        ("Classifiers", ", ".join(told.get("Classifiers", [])) or "the built-in ones"),
    ]  # fmt: skip
    if last.get("LogGroup"):
        where = to("logs/events", group=last["LogGroup"], stream=last.get("LogStream"))
        details.append(("Log", h.a(href=where)[last["LogGroup"]]))
    rows = [
        (
            moment(one["StartTime"]),
            state(one["State"]),
            span(max(0.0, one["EndTime"] - one["StartTime"])) if one.get("EndTime") else "—",
            h.span(".line")[one.get("ErrorMessage") or one.get("Summary") or "—"],
        )
        for one in runs.get("Crawls", [])
    ]
    is_ready = told["State"] == "READY"
    verb, label = ("start", "Start") if is_ready else ("stop", "Stop")
    content = [
        panel("Crawler", facts(details), act(backend.token, f"crawlers/{verb}", button(label, primary=is_ready), crawler=name)),
        panel("Looks at", table(("Target",), [(h.code[one],) for one in _targets(told["Targets"])])),
        panel("Runs", table(("Begun", "State", "Took", "What changed"), rows, nothing="It never ran."),
              note=f"the newest {count(_RUNS)}"),
    ]  # fmt: skip
    crumbs = (("Crawlers", CURRENT),)
    return Page(name, "What it looks at, and what its runs changed.", CURRENT, content, crumbs=crumbs)


async def start(backend: Backend, form: Mapping[str, str]) -> str:
    """Begin a run."""
    await backend.call("glue", "StartCrawler", {"Name": form.get("crawler", "")}, backend.scope)
    return to("crawlers/crawler", crawler=form.get("crawler"))


async def stop(backend: Backend, form: Mapping[str, str]) -> str:
    """End the run under way."""
    await backend.call("glue", "StopCrawler", {"Name": form.get("crawler", "")}, backend.scope)
    return to("crawlers/crawler", crawler=form.get("crawler"))
