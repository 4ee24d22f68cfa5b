"""Kinesis: streams, and one stream with its shards, its readers and how far they are behind."""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment, rate, span
from lakebed.console.parts import cost, empty, facts, pages, panel, state, table, tiles, time_of
from lakebed.console.prices import kinesis_month, kinesis_on_demand, kinesis_puts
from lakebed.console.shell import Page
from lakebed.console.traffic import meter_of, meters_of, tiles_of

CURRENT = "/console/kinesis"
_STREAMS, _SHARDS = 50, 100
_HASHES = 1 << 128


async def streams(backend: Backend, asked: Asked) -> Page:
    """All streams of the region."""
    params: dict[str, Any] = {"Limit": _STREAMS}
    if asked.get("token"):
        params["NextToken"] = asked.get("token")
    answer = await backend.call("kinesis", "ListStreams", params, backend.scope)
    lead = "Streams of records, in order within each shard, kept for a day or longer, read by many."
    found = answer.get("StreamSummaries") or [{"StreamName": name} for name in answer.get("StreamNames", [])]
    if not found:
        text = "A stream takes records from devices and programs and keeps them for its readers. Make one, and put a record:"
        command = (
            "aws kinesis create-stream --stream-name clicks --shard-count 2\n"
            "aws kinesis put-record --stream-name clicks --partition-key a --data aGVsbG8="
        )
        return Page("Kinesis", lead, CURRENT, empty(f"No stream in {backend.scope.region}", text, command))
    meters, rows = meters_of(backend), []
    for one in found:
        meter = meters.get(one.get("StreamARN", ""), {})
        lag = meter.get("lagSeconds")
        rows.append(
            (
                h.a(href=to("kinesis/stream", stream=one["StreamName"]))[one["StreamName"]],
                state(one.get("StreamStatus", "ACTIVE")),
                one.get("StreamModeDetails", {}).get("StreamMode", "—"),
                count(meter.get("recordsIn", 0)),
                rate(meter.get("rateIn", 0.0)),
                "—" if lag is None else span(lag),
                time_of(backend.clock.now(), meter.get("lastIn")),
            )
        )
    columns = ("Stream", "State", "Mode", "Records in", "Rate now", "Lag", "Last record")
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = panel(
        "Streams",
        table(columns, rows, numbers=("Records in", "Rate now", "Lag"), key="streams-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
        note="records since this house was made",
    )
    return Page("Kinesis", lead, CURRENT, content)


async def stream(backend: Backend, asked: Asked) -> Page:
    """One stream."""
    name = asked.get("stream")
    answer = await backend.call("kinesis", "DescribeStreamSummary", {"StreamName": name}, backend.scope)
    summary = answer["StreamDescriptionSummary"]
    arn, shards = summary["StreamARN"], summary["OpenShardCount"]
    meter = meter_of(backend, arn)
    mode = summary.get("StreamModeDetails", {}).get("StreamMode", "—")
    encryption, key = summary.get("EncryptionType", "NONE"), summary.get("KeyId", "")
    if mode == "ON_DEMAND":
        amount = kinesis_on_demand(meter["bytesIn"], meter["bytesOut"])
        price = cost(amount, "a month of a stream on demand, plus what went in and out so far")
    else:
        amount = kinesis_month(shards) + kinesis_puts(meter["recordsIn"], meter["bytesIn"])
        price = cost(amount, f"a month of {shards} shards, plus the puts so far")
    details = facts(
        [
            ("ARN", h.code[arn]),
            ("State", state(summary["StreamStatus"])),
            ("Mode", mode),
            ("Open shards", count(shards)),
            ("Kept for", f"{summary['RetentionPeriodHours']} h"),
            ("Encryption", [encryption, [" by ", h.code[key]] if key else None]),
            ("Made", moment(summary["StreamCreationTimestamp"])),
            price,
        ]
    )
    content: list[h.Node] = [h.div[tiles(tiles_of(backend, arn))], panel("Stream", details)]
    content += [await _shards(backend, asked, name), await _readers(backend, arn)]
    lead = "What comes in, where it is kept, who reads it."
    return Page(name, lead, CURRENT, content, crumbs=(("Kinesis", CURRENT),))


async def _shards(backend: Backend, asked: Asked, name: str) -> h.Element:
    token = asked.get("token")
    params: dict[str, Any] = {"MaxResults": _SHARDS} | ({"NextToken": token} if token else {"StreamName": name})
    answer = await backend.call("kinesis", "ListShards", params, backend.scope)
    rows = []
    for shard in answer["Shards"]:
        low, high = int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])
        closed = "EndingSequenceNumber" in shard["SequenceNumberRange"]
        parents = [shard[member] for member in ("ParentShardId", "AdjacentParentShardId") if shard.get(member)]
        rows.append(
            (
                h.a(href=to("kinesis/shard", stream=name, shard=shard["ShardId"]))[shard["ShardId"]],
                state("CLOSED" if closed else "OPEN"),
                h.span(title=f"{low} to {high}")[f"{low / _HASHES:.1%} to {(high + 1) / _HASHES:.1%}"],
                ", ".join(parents) or "—",
                h.code[shard["SequenceNumberRange"]["StartingSequenceNumber"]],
            )
        )
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    return panel(
        "Shards",
        _map(name, answer["Shards"]),
        table(
            ("Shard", "State", "Part of the hash keys", "Came from", "First sequence number"), rows, key="shards-table"
        ),
        pages(asked.again(token=None) if token else None, following),
        note="open a shard to see its records",
    )


def _map(name: str, shards: list[dict[str, Any]]) -> h.Element | None:
    """The hash keys from least to greatest, and which open shard of this page takes which part."""
    spans = sorted(
        (int(one["HashKeyRange"]["StartingHashKey"]), int(one["HashKeyRange"]["EndingHashKey"]) + 1, one["ShardId"])
        for one in shards
        if "EndingSequenceNumber" not in one["SequenceNumberRange"]
    )
    if not spans:
        return None
    parts = [
        h.a(
            href=to("kinesis/shard", stream=name, shard=shard),
            title=f"{shard}: {(high - low) / _HASHES:.1%} of the hash keys",
            style=f"left:{low / _HASHES:.3%};width:{(high - low) / _HASHES:.3%}",
        )[shard.removeprefix("shardId-").lstrip("0") or "0"]
        for low, high, shard in spans
    ]
    return h.div(".shards", role="group", aria_label="Shard map: hash keys by open shard")[parts]


async def _readers(backend: Backend, arn: str) -> h.Element:
    """Registered consumers, and who was seen to read."""
    answer = await backend.call("kinesis", "ListStreamConsumers", {"StreamARN": arn, "MaxResults": 100}, backend.scope)
    now, flow = backend.clock.now(), backend.flow(backend.scope)
    rows: list[tuple[h.Node, ...]] = [
        (one["ConsumerName"], "enhanced fan-out", state(one["ConsumerStatus"]), "—", "—",
         time_of(now, one["ConsumerCreationTimestamp"]))
        for one in answer.get("Consumers", [])
    ]  # fmt: skip
    for link in flow["links"]:
        if link["source"] == arn:
            meter = flow["resources"].get(link["target"], {})
            lag = meter.get("lagSeconds")
            seen = count(int(link.get("records") or 0))
            rows.append((h.code[link["target"]], "reads", state("OK"), seen, "—" if lag is None else span(lag),
                         time_of(now, meter.get("lastIn"))))  # fmt: skip
    columns = ("Reader", "How", "State", "Records taken", "Lag", "Last")
    nothing = "Nobody reads this stream. A delivery stream, a Lambda mapping or any client of GetRecords can."
    return panel("Readers", table(columns, rows, numbers=("Records taken", "Lag"), nothing=nothing))
