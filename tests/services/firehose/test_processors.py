"""Processors that open records, and what objects are compressed with."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.services.firehose import expansion, packing
from lakebed.services.firehose.transform import SourceRecord
from tests.services.firehose.conftest import ARN, FUNCTION, House, processor

OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=9)), max_size=3))


def processors(**kinds: dict[str, str]) -> dict[str, Any]:
    listed = [
        {"Type": kind, "Parameters": [{"ParameterName": key, "ParameterValue": value} for key, value in given.items()]}
        for kind, given in kinds.items()
    ]
    return {"Enabled": True, "Processors": listed}


@given(OBJECTS, st.sampled_from(["", " ", "\n", "\r\n\t"]))
def test_json_values_come_apart_as_they_were(objects: list[dict[str, Any]], between: str) -> None:
    steps = expansion.steps_of({"RecordDeAggregation": {"SubRecordType": "JSON"}})
    texts = [json.dumps(each, ensure_ascii=False) for each in objects]
    found = expansion.expanded([SourceRecord(between.join(texts).encode(), 1.0, 0)], steps)
    assert [each.record.data.decode() for each in found] == texts
    assert [each.record.sub for each in found] == list(range(len(texts)))


def test_what_does_not_open_fails_alone() -> None:
    steps = expansion.steps_of({"Decompression": {"CompressionFormat": "GZIP"}})
    bomb = gzip.compress(bytes(20 << 20))
    batch = [gzip.compress(b"a") + gzip.compress(b"b"), b"no gzip", gzip.compress(b"cut")[:-3], bomb]
    found = expansion.expanded([SourceRecord(data, 1.0, place) for place, data in enumerate(batch)], steps)
    assert found[0].record.data == b"ab"
    failures = [each.failure for each in found[1:]]
    assert [failure.code for failure in failures if failure] == [
        "Decompression.Failed", "Decompression.Failed", "Decompression.TooLarge",
    ]  # fmt: skip


@pytest.mark.parametrize("delimiter", ["####", base64.b64encode(b"####").decode()])
def test_delimiters_are_taken_in_base64_and_plain(delimiter: str) -> None:
    steps = expansion.steps_of({"RecordDeAggregation": {"SubRecordType": "DELIMITED", "Delimiter": delimiter}})
    found = expansion.expanded([SourceRecord(b"a####b########c", 1.0, 0)], steps)
    assert [each.record.data for each in found] == [b"a", b"b", b"c"]


async def test_log_messages_are_extracted_and_failures_kept_as_they_came(house: House) -> None:
    await house.create(
        ProcessingConfiguration=processors(
            Decompression={"CompressionFormat": "GZIP"}, CloudWatchLogProcessing={"DataMessageExtraction": "true"}
        ),
        ErrorOutputPrefix="bad/!{firehose:error-output-type}/",
        Prefix="good/!{timestamp:yyyy}/",
    )
    events = [{"id": "1", "timestamp": 1, "message": "first"}, {"id": "2", "timestamp": 2, "message": "second\n"}]
    payload = gzip.compress(json.dumps({"messageType": "DATA_MESSAGE", "logEvents": events}).encode())
    control = gzip.compress(json.dumps({"messageType": "CONTROL_MESSAGE", "logEvents": []}).encode())
    await house.put(payload, control, b"plain")
    await house.clock.advance(60)
    assert list(house.buckets.under("good/").values()) == [b"first\nsecond\n"]
    (told,) = (json.loads(body) for body in house.buckets.under("bad/decompression-failed/").values())
    assert base64.b64decode(told["rawData"]) == b"plain"
    assert told["errorCode"] == "Decompression.Failed"


async def test_records_are_opened_before_the_function_and_the_flow_is_counted(house: House) -> None:
    opening = processors(RecordDeAggregation={"SubRecordType": "JSON"})
    transforming = processor(BufferIntervalInSeconds="0")
    opening["Processors"] += transforming["Processors"]
    await house.create(ProcessingConfiguration=opening)
    await house.put(b'{"a":1}{"a":2}')
    await house.clock.advance(61)
    (event,) = house.functions.events
    assert [base64.b64decode(record["data"]) for record in event["records"]] == [b'{"a":1}', b'{"a":2}']
    links: Any = house.harness.kernel.meters.snapshot()["links"]
    assert {"source": ARN, "target": FUNCTION, "records": 2} in links


PIECES = [b"some text " * 100, b"", b"more", bytes(300_000)]


def test_packers_give_files_that_others_read() -> None:
    cramjam = pytest.importorskip("cramjam")
    whole = b"".join(PIECES)
    made = {}
    for form in packing.EXTENSIONS:
        packer = packing.packer(form)
        again = packing.packer(form)
        if packer is None or again is None:
            continue
        made[form] = b"".join([packer.compress(piece) for piece in PIECES]) + packer.flush()
        assert made[form] == b"".join([again.compress(piece) for piece in PIECES]) + again.flush()
    assert gzip.decompress(made["GZIP"]) == whole
    with zipfile.ZipFile(io.BytesIO(made["ZIP"])) as archive:
        assert archive.testzip() is None
        (name,) = archive.namelist()
        assert archive.read(name) == whole
    assert bytes(cramjam.snappy.decompress(made["Snappy"])) == whole
    blocks, at = b"", 0
    while at < len(made["HADOOP_SNAPPY"]):
        plain = int.from_bytes(made["HADOOP_SNAPPY"][at : at + 4], "big")
        size = int.from_bytes(made["HADOOP_SNAPPY"][at + 4 : at + 8], "big")
        block = bytes(cramjam.snappy.decompress_raw(made["HADOOP_SNAPPY"][at + 8 : at + 8 + size]))
        assert len(block) == plain
        blocks, at = blocks + block, at + 8 + size
    assert blocks == whole


@pytest.mark.parametrize(("form", "extension"), [("ZIP", ".zip"), ("Snappy", ".snappy"), ("HADOOP_SNAPPY", ".hsnappy")])
async def test_objects_have_the_extension_of_their_compression(house: House, form: str, extension: str) -> None:
    await house.create(CompressionFormat=form)
    await house.put(b"x")
    await house.clock.advance(60)
    (key,) = house.buckets.under("")
    assert key.endswith(extension)
