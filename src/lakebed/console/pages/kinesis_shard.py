"""A shard's records, from some time on, and live: ``<lb-tail>`` asks every two seconds and puts new ones on top.

Reading here is reading: GetRecords counts in the stream's meters and in the shard's five reads a second, as in any client.
"""

from __future__ import annotations

from typing import Any

import htpy as h
from starlette.responses import JSONResponse, Response

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment, span
from lakebed.console.pages.kinesis import CURRENT
from lakebed.console.parts import facts, live, notice, pages, panel, table
from lakebed.console.shell import Page

_RECORDS, _DATA_CHARACTERS = 50, 600
_SINCE = (("60", "1 minute"), ("600", "10 minutes"), ("3600", "1 hour"), ("86400", "1 day"), ("", "the beginning"))
_COLUMNS = ("Arrived", "Partition key", "Data", "Sequence number")


async def page(backend: Backend, asked: Asked) -> Page:
    """Records of one shard."""
    name, shard = asked.get("stream"), asked.get("shard")
    iterator = asked.get("iterator") or await _iterator(backend, asked)
    params = {"ShardIterator": iterator, "Limit": _RECORDS}
    answer = await backend.call("kinesis", "GetRecords", params, backend.scope)
    following = answer.get("NextShardIterator")
    behind = answer.get("MillisBehindLatest", 0) / 1000
    links = [
        h.a(href=asked.again(since=seconds or "all", iterator=None), aria_current=_chosen(asked, seconds))[text]
        for seconds, text in _SINCE
    ]
    content = [
        panel(
            "From when on",
            h.nav(".choices", aria_label="From when on")[links],
            facts(
                [
                    ("Shown", f"{count(len(answer['Records']))} records"),
                    ("Behind the newest", span(behind) if behind else "nothing: this is the end"),
                    ("Shard", h.code[shard] if following else [h.code[shard], " (closed, read to its end)"]),
                ]
            ),
        ),
        panel(
            "Records",
            live(to("kinesis/tail.json", stream=name, shard=shard), _COLUMNS)
            if following
            else notice("info", "The shard is closed. ", "Its children go on."),
            h.div(".records")[
                table(_COLUMNS, [_row(record) for record in answer["Records"]], nothing="No record in this stretch.")
            ],
            pages(
                asked.again(iterator=None) if asked.get("iterator") else None,
                asked.again(iterator=following) if following and answer["Records"] else None,
                "Newer records",
            ),
            note="in the order of the shard; the newest are read live above",
        ),
    ]
    crumbs = (("Kinesis", CURRENT), (name, to("kinesis/stream", stream=name)))
    return Page(shard, "The records of this shard, as any reader gets them.", CURRENT, content, crumbs=crumbs)


def _chosen(asked: Asked, seconds: str) -> str | None:
    return "true" if (asked.get("since") or "86400") == (seconds or "all") else None


async def _iterator(backend: Backend, asked: Asked) -> str:
    params: dict[str, Any] = {"StreamName": asked.get("stream"), "ShardId": asked.get("shard")}
    seconds = 86400 if not asked.get("since") else asked.number("since")
    if asked.get("since") == "latest":
        params["ShardIteratorType"] = "LATEST"
    elif seconds is None:
        params["ShardIteratorType"] = "TRIM_HORIZON"
    else:
        params |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": backend.clock.now() - seconds}
    answer = await backend.call("kinesis", "GetShardIterator", params, backend.scope)
    return str(answer["ShardIterator"])


async def tail(backend: Backend, asked: Asked) -> Response:
    """``kinesis/tail.json``: records since the last time, and the iterator to come back with."""
    iterator = asked.get("iterator") or await _iterator(backend, Asked(asked.path, {**asked.query, "since": "latest"}))
    params = {"ShardIterator": iterator, "Limit": _RECORDS}
    answer = await backend.call("kinesis", "GetRecords", params, backend.scope)
    rows = [_row(record) for record in answer["Records"]]
    return JSONResponse(
        {"iterator": answer.get("NextShardIterator"), "rows": rows}, headers={"Cache-Control": "no-store"}
    )


def _row(record: dict[str, Any]) -> tuple[str, str, str, str]:
    return (
        moment(record["ApproximateArrivalTimestamp"]),
        record["PartitionKey"],
        _text(record["Data"]),
        record["SequenceNumber"],
    )


def _text(data: bytes) -> str:
    """Data as text where it is text, else its first bytes."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return f"{count(len(data))} bytes: {data[:48].hex(' ')}"
    return text if len(text) <= _DATA_CHARACTERS else f"{text[:_DATA_CHARACTERS]}… ({count(len(data))} bytes)"
