"""Log events: put, read along a stream, filtered across a group.

Pages follow AWS: at most 10,000 events and 1 MB, a token for either direction of a stream that repeats itself at the end.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lakebed.api import logs as api
from lakebed.ports.service import Context, operation
from lakebed.services.logs import model
from lakebed.services.logs.model import FIRST, LAST, PAGE_EVENTS_MAX, Event, Group, Place
from lakebed.services.logs.pattern import compile_pattern
from lakebed.services.logs.provider.desk import Desk, group_arn, stream_arn


class EventOperations(Desk):
    """Everything on events."""

    @operation("PutLogEvents", resource=stream_arn)
    async def put_log_events(self, ctx: Context, req: api.PutLogEventsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html"""
        group = self.group(ctx, req)
        stream = self.journal.stream(group, req["logStreamName"])
        accepted = model.accept(req["logEvents"], self.journal.now(), group.retention_days)
        self.journal.append(group, stream, accepted.events)
        result: dict[str, Any] = {"nextSequenceToken": f"{self.journal.now():056d}"}
        if accepted.rejected:
            result["rejectedLogEventsInfo"] = accepted.rejected
        return result

    @operation("GetLogEvents", resource=stream_arn)
    async def get_log_events(self, ctx: Context, req: api.GetLogEventsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html"""
        group = self.group(ctx, req)
        stream = self.journal.stream(group, req["logStreamName"])
        direction, start = ("f", FIRST) if req.get("startFromHead", False) else ("b", LAST)
        if "nextToken" in req:
            direction, start = model.read_token(req["nextToken"])
        first, last = _between(req.get("startTime"), req.get("endTime"))
        found, _ = self.journal.page(
            ("stream_id", stream.id),
            start,
            (first, last - 1),
            limit=req.get("limit", PAGE_EVENTS_MAX),
            backward=direction == "b",
        )
        found = found[::-1] if direction == "b" else found
        # Without events both tokens stand where this page began; for the tail of an empty stream that is its head.
        place = FIRST if start == LAST else start
        before = Place(found[0].timestamp, found[0].id - 1) if found else place
        behind = found[-1].place if found else place
        return {
            "events": [
                {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested}
                for event in found
            ],
            "nextForwardToken": model.token_of("f", behind),
            "nextBackwardToken": model.token_of("b", before),
        }

    @operation("FilterLogEvents", resource=group_arn)
    async def filter_log_events(self, ctx: Context, req: api.FilterLogEventsRequest) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""
        group = self.group(ctx, req)
        direction, start = ("f", FIRST) if req.get("startFromHead", True) else ("b", LAST)
        if "nextToken" in req:
            direction, start = model.read_token(req["nextToken"])
        names: dict[int, str] = {}
        found, behind = self.journal.page(
            ("group_id", group.id),
            start,
            _between(req.get("startTime"), req.get("endTime")),
            limit=req.get("limit", PAGE_EVENTS_MAX),
            backward=direction == "b",
            wanted=self._wanted(group, req, names),
        )
        result: dict[str, Any] = {"events": [_shown(event, names) for event in found], "searchedLogStreams": []}
        if behind is not None:
            result["nextToken"] = model.token_of(direction, behind)
        return result

    def _wanted(self, group: Group, req: api.FilterLogEventsRequest, names: dict[int, str]) -> Callable[[Event], bool]:
        """The test an event must pass; it fills in the names of streams it meets (one that is gone is not met)."""
        matches = compile_pattern(req.get("filterPattern", ""))
        prefix, only = req.get("logStreamNamePrefix"), req.get("logStreamNames")
        if prefix is not None and only is not None:
            raise api.InvalidParameterException("logStreamNamePrefix and logStreamNames cannot both be given.")
        for name in only or ():
            self.journal.stream(group, name)

        def wanted(event: Event) -> bool:
            if event.stream_id not in names:
                names.update({event.stream_id: ""} | self.journal.streams.named([event.stream_id]))
            name = names[event.stream_id]
            if (
                not name
                or (only is not None and name not in only)
                or (prefix is not None and not name.startswith(prefix))
            ):
                return False
            return matches(event.message)

        return wanted


def _between(start: int | None, end: int | None) -> tuple[int, int]:
    """Times as the store can compare them."""
    return min(start or 0, LAST.timestamp), min(LAST.timestamp if end is None else end, LAST.timestamp)


def _shown(event: Event, names: dict[int, str]) -> dict[str, Any]:
    return {
        "logStreamName": names[event.stream_id],
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingested,
        "eventId": model.event_id(event),
    }
