"""Logs: groups, their streams, and events, the newest first, by stream or by a filter pattern over a stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import htpy as h
from starlette.responses import JSONResponse, Response

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import ago, count, instant, moment, size
from lakebed.console.parts import cost, empty, facts, live, pages, panel, table, time_of
from lakebed.console.prices import logs as price
from lakebed.console.shell import Page

CURRENT = "/console/logs"
_GROUPS, _STREAMS, _EVENTS, _SEARCHES = 50, 50, 200, 5
_HOURS = (("1", "1 hour"), ("24", "1 day"), ("168", "1 week"), ("all", "all of it"))


async def groups(backend: Backend, asked: Asked) -> Page:
    """All log groups of the region."""
    params: dict[str, Any] = {"limit": _GROUPS} | ({"nextToken": asked.get("token")} if asked.get("token") else {})
    answer = await backend.call("logs", "DescribeLogGroups", params, backend.scope)
    lead = "What functions and programs wrote."
    found = answer.get("logGroups", [])
    if not found:
        text = "A function's output appears here at its first run; any client can write too:"
        command = (
            "aws logs create-log-group --log-group-name app\n"
            "aws logs create-log-stream --log-group-name app --log-stream-name one"
        )
        return Page("Logs", lead, CURRENT, empty(f"No log group in {backend.scope.region}", text, command))
    rows = [
        (
            h.a(href=to("logs/group", group=one["logGroupName"]))[one["logGroupName"]],
            size(one.get("storedBytes", 0)),
            f"{one['retentionInDays']} days" if one.get("retentionInDays") else "for ever",
            time_of(backend.clock.now(), one["creationTime"] / 1000),
        )
        for one in found
    ]
    following = asked.again(token=answer["nextToken"]) if answer.get("nextToken") else None
    content = panel(
        "Log groups",
        table(("Group", "Stored", "Kept", "Made"), rows, numbers=("Stored",), key="groups-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
    )
    return Page("Logs", lead, CURRENT, content)


async def group(backend: Backend, asked: Asked) -> Page:
    """A group's streams, the one with the newest event first."""
    name = asked.get("group")
    told = await backend.call("logs", "DescribeLogGroups", {"logGroupNamePrefix": name, "limit": 50}, backend.scope)
    here: dict[str, Any] = next((one for one in told.get("logGroups", []) if one["logGroupName"] == name), {})
    params: dict[str, Any] = {"logGroupName": name, "orderBy": "LastEventTime", "descending": True, "limit": _STREAMS}
    if asked.get("token"):
        params["nextToken"] = asked.get("token")
    answer = await backend.call("logs", "DescribeLogStreams", params, backend.scope)
    now = backend.clock.now()
    rows = [
        (
            h.a(href=to("logs/events", group=name, stream=one["logStreamName"]))[one["logStreamName"]],
            time_of(now, _seconds(one.get("lastEventTimestamp"))),
            time_of(now, _seconds(one.get("firstEventTimestamp"))),
        )
        for one in answer.get("logStreams", [])
    ]
    following = asked.again(token=answer["nextToken"]) if answer.get("nextToken") else None
    stored = here.get("storedBytes", 0)
    content = [
        panel(
            "Group",
            facts(
                [
                    ("ARN", h.code[here.get("logGroupArn", "—")]),
                    ("Stored", f"{size(stored)}  ({count(stored)} bytes)"),
                    ("Kept", f"{here['retentionInDays']} days" if here.get("retentionInDays") else "for ever"),
                    cost(price(stored), "to take in what is stored"),
                ]
            ),
        ),
        panel(
            "Streams",
            table(("Stream", "Last event", "First event"), rows, key="log-streams", nothing="No stream yet."),
            pages(asked.again(token=None) if asked.get("token") else None, following),
        ),
    ]
    actions = h.a(".button", href=to("logs/events", group=name))["Search all streams"]
    return Page(name, "Its streams, the newest first.", CURRENT, content, actions, crumbs=(("Logs", CURRENT),))


async def events(backend: Backend, asked: Asked) -> Page:
    """Events of one stream, or of the group through a filter pattern."""
    name, stream = asked.get("group"), asked.get("stream")
    if stream and not asked.get("pattern"):
        found, older, newer = await _of_stream(backend, asked)
        paging = pages(newer, older, "Older events")
    else:
        found, further = await _filtered(backend, asked)
        paging = pages(asked.again(token=None) if asked.get("token") else None, further, "Search on")
    hours = asked.get("hours") or "24"
    form = h.form(".filters", method="get", action="/console/logs/events")[
        h.input(type="hidden", name="group", value=name),
        h.input(type="hidden", name="stream", value=stream) if stream else None,
        h.label(".wide")["Filter pattern ", h.input(
            type="search", name="pattern", value=asked.get("pattern"), placeholder="ERROR")],
        h.label["of the last ", h.select(name="hours")[
            [h.option(value=value, selected=value == hours)[text] for value, text in _HOURS]]],
        h.button(".button", type="submit")["Search"],
    ]  # fmt: skip
    newcomers = live(to("logs/tail.json", group=name, stream=stream), TAIL)
    note = "the newest first" + ("" if stream else "; a search reads on from the oldest, page by page")
    content = [form, panel("Events", newcomers, event_lines(backend, found), paging, note=note)]
    crumbs = (("Logs", CURRENT), (name, to("logs/group", group=name)))
    return Page(stream or "Search", "What was written.", CURRENT, content, crumbs=crumbs)


async def _of_stream(backend: Backend, asked: Asked) -> tuple[list[dict[str, Any]], str | None, str | None]:
    params: dict[str, Any] = {
        "logGroupName": asked.get("group"),
        "logStreamName": asked.get("stream"),
        "limit": _EVENTS,
        "startFromHead": False,
    }
    if asked.get("token"):
        params["nextToken"] = asked.get("token")
    answer = await backend.call("logs", "GetLogEvents", params, backend.scope)
    found = answer.get("events", [])
    older = answer.get("nextBackwardToken") if found and answer.get("nextBackwardToken") != asked.get("token") else None
    return (
        found,
        asked.again(token=older) if older else None,
        asked.again(token=None) if asked.get("token") else None,
    )


async def _filtered(backend: Backend, asked: Asked) -> tuple[list[dict[str, Any]], str | None]:
    params: dict[str, Any] = {"logGroupName": asked.get("group"), "limit": _EVENTS}
    if asked.get("stream"):
        params["logStreamNames"] = [asked.get("stream")]
    if asked.get("pattern"):
        params["filterPattern"] = asked.get("pattern")
    if asked.get("hours") != "all":
        params["startTime"] = int((backend.clock.now() - (asked.number("hours") or 24) * 3600) * 1000)
    if asked.get("token"):
        params["nextToken"] = asked.get("token")
    answer = await backend.call("logs", "FilterLogEvents", params, backend.scope)
    following = answer.get("nextToken")
    return answer.get("events", []), asked.again(token=following) if following else None


async def newest(backend: Backend, name: str, limit: int) -> list[dict[str, Any]]:
    """A group's newest events: the ends of its newest streams."""
    params: dict[str, Any] = {"logGroupName": name, "orderBy": "LastEventTime", "descending": True, "limit": 3}
    found: list[dict[str, Any]] = []
    for one in (await backend.call("logs", "DescribeLogStreams", params, backend.scope)).get("logStreams", []):
        params = {"logGroupName": name, "logStreamName": one["logStreamName"], "limit": limit, "startFromHead": False}
        found += (await backend.call("logs", "GetLogEvents", params, backend.scope)).get("events", [])
    return sorted(found, key=lambda one: int(one["timestamp"]))[-limit:]


async def matching(backend: Backend, name: str, pattern: str, seconds: float, limit: int) -> list[dict[str, Any]]:
    """The newest events of a stretch that match, as far as a bounded search gets."""
    params: dict[str, Any] = {
        "logGroupName": name,
        "filterPattern": pattern,
        "startTime": int((backend.clock.now() - seconds) * 1000),
        "limit": 10_000,
    }
    found: list[dict[str, Any]] = []
    for _ in range(_SEARCHES):
        answer = await backend.call("logs", "FilterLogEvents", params, backend.scope)
        found = [*found, *answer.get("events", [])][-limit:]
        if not answer.get("nextToken"):
            break
        params = {**params, "nextToken": answer["nextToken"]}
    return found


def event_lines(backend: Backend, found: Sequence[dict[str, Any]]) -> h.Element:
    """Events as a table, the newest first."""
    now = backend.clock.now()
    rows = []
    for one in sorted(found, key=lambda one: int(one["timestamp"]))[::-1]:
        at = one["timestamp"] / 1000
        when = h.span(".when", title=f"{moment(at)}, {ago(now, at)}")[instant(now, at)]
        rows.append((when, h.span(".line")[one["message"].rstrip("\n")]))
    return table(("When", "Message"), rows, nothing="No event in this stretch.")


TAIL = ("When", "Message")
_TAIL_EVENTS = 100


async def tail(backend: Backend, asked: Asked) -> Response:
    """``logs/tail.json``: a group's events since the last time, from now on at first.

    The iterator is the newest event's time and the ids of those at it: a later one of the same millisecond is not missed.
    """
    now, (since, told) = backend.clock.now(), _since(asked.get("iterator"))
    if since is None:
        return _tail(f"{int(now * 1000)}:", [])
    params: dict[str, Any] = {"logGroupName": asked.get("group"), "startTime": since, "limit": _TAIL_EVENTS}
    if asked.get("stream"):
        params["logStreamNames"] = [asked.get("stream")]
    answer = await backend.call("logs", "FilterLogEvents", params, backend.scope)
    fresh = [one for one in answer.get("events", []) if one["eventId"] not in told]
    if not fresh:
        return _tail(asked.get("iterator"), [])
    newest_at = max(one["timestamp"] for one in fresh)
    ids = [one["eventId"] for one in fresh if one["timestamp"] == newest_at]
    if newest_at == since:
        ids = [*told, *ids]
    rows = [(instant(now, one["timestamp"] / 1000), one["message"].rstrip("\n")) for one in fresh]
    return _tail(f"{newest_at}:{','.join(ids[-_TAIL_EVENTS:])}", rows)


def _since(iterator: str) -> tuple[int | None, Sequence[str]]:
    at, _, ids = iterator.partition(":")
    return (int(at), ids.split(",")) if at.isascii() and at.isdigit() and len(at) < 16 else (None, ())


def _tail(iterator: str, rows: Sequence[tuple[str, str]]) -> Response:
    return JSONResponse({"iterator": iterator, "rows": rows}, headers={"Cache-Control": "no-store"})


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
