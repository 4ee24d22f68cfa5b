"""Prefix expressions and timestamp patterns, and buffers by properties."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.api import firehose as api
from lakebed.kernel.segment import LogRecord
from lakebed.services.firehose import frames, prefix
from lakebed.services.firehose.buffers import Buffers, Hints, restored

AT = datetime(2018, 8, 7, 9, 5, 3, 120_000, tzinfo=UTC)
MOMENT = prefix.Moment(AT, {"k": "v"}, "processing-failed", lambda: "RANDOM")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy/MM/dd/HH", "2018/08/07/09"),
        ("yy-M-d", "18-8-7"),
        ("D 'at' h a", "219 at 9 AM"),
        ("EEEE, MMM", "Tuesday, Aug"),
        ("HH:mm:ss.SSS", "09:05:03.120"),
        ("yyyy-MM-dd'T'HHX", "2018-08-07T09Z"),
        ("YYYY-'W'ww", "2018-W32"),
        ("''yyyy''", "'2018'"),
    ],
)
def test_timestamp_patterns(pattern: str, text: str) -> None:
    assert prefix.format_time(pattern, AT) == text


def test_offsets_of_time_zones() -> None:
    there = AT.astimezone(ZoneInfo("Asia/Kolkata"))
    assert prefix.format_time("XXX xx Z", there) == "+05:30 +0530 +0530"


@pytest.mark.parametrize(
    ("own", "errors", "evaluated", "evaluated_error"),
    [
        ("", "", "2018/08/07/09/", "processing-failed/2018/08/07/09/"),
        ("a/", "", "a/2018/08/07/09/", "a/processing-failed/2018/08/07/09/"),
        ("", "e/", "2018/08/07/09/", "e/processing-failed/2018/08/07/09/"),
        ("", "e/!{firehose:error-output-type}/", "2018/08/07/09/", "e/processing-failed/"),
        (
            "x=!{timestamp:yyyy}/!{firehose:random-string}-",
            "e/!{firehose:error-output-type}/!{timestamp:dd}/",
            "x=2018/RANDOM-",
            "e/processing-failed/07/",
        ),
    ],
)
def test_pairs_of_prefixes(own: str, errors: str, evaluated: str, evaluated_error: str) -> None:
    prefix.check_pair(own, errors, partitioned=False)
    assert prefix.evaluate(own, MOMENT) == evaluated
    assert prefix.evaluate_error(errors, own, MOMENT) == evaluated_error


@given(st.text(max_size=40))
def test_any_text_is_a_prefix_or_refused(text: str) -> None:
    try:
        pieces = prefix.parse(text)
    except api.InvalidArgumentException:
        return
    if not any(piece.namespace for piece in pieces):
        assert prefix.evaluate(text, MOMENT) == text + "2018/08/07/09/"


LANES = st.sampled_from(["data", "data:a", "backup", "error:processing-failed"])


@given(
    st.lists(st.tuples(LANES, st.integers(0, 50), st.integers(0, 3)), max_size=60),
    st.integers(1, 7),
    st.integers(1, 100),
    st.data(),
)
def test_buffers_partition_the_log_and_restart_where_they_were(
    sent: list[tuple[str, int, int]], step: int, size: int, data: st.DataObject
) -> None:
    """Whatever is flushed when, and restarted where: each record ends up in exactly one buffer, in order."""
    log, now = [], 0.0
    for offset, (lane, length, wait) in enumerate(sent):
        now += wait
        log.append(LogRecord(offset, now, frames.head(lane, now) + b"x" * length))

    def hints(_lane: str) -> Hints:
        return Hints(size, 5.0)

    seen: dict[str, list[int]] = {}
    buffers = Buffers(0, {})

    def deliver() -> None:
        for buffer in list(buffers.sealed):
            inside = [
                offset for offset in range(buffer.first, buffer.upto) if frames.lane_of(log[offset].data) == buffer.lane
            ]
            assert len(inside) == buffer.records
            seen.setdefault(buffer.lane, []).extend(inside)
            buffers.done(buffer)

    while buffers.scanned < len(log):
        part = log[buffers.scanned : buffers.scanned + step]
        buffers.take(part, hints)
        buffers.seal_due(part[-1].arrived, hints)
        if data.draw(st.booleans()):
            deliver()
        if data.draw(st.booleans()):
            buffers = restored(buffers.watermark(), buffers.delivered, list(buffers.sealed))
    buffers.seal_due(1e9, hints)
    deliver()
    assert buffers.watermark() == len(log)
    for lane in {lane for lane, _, _ in sent}:
        assert seen[lane] == [offset for offset, (name, _, _) in enumerate(sent) if name == lane]
