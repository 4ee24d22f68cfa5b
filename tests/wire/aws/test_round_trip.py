"""Random parameters through botocore's serialiser and our parser, random results through ours and botocore's parser."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakebed.wire.aws.codec import codec
from lakebed.wire.aws.model import Shape
from tests.harness import _model, _request, _response

OPERATIONS = [
    ("kinesis", "PutRecords"), ("kinesis", "DescribeStream"), ("kinesis", "GetRecords"), ("firehose", "CreateDeliveryStream"),
    ("sqs", "ReceiveMessage"), ("sqs", "SendMessageBatch"), ("glue", "CreateTable"), ("glue", "GetTables"),
    ("athena", "GetQueryResults"), ("logs", "FilterLogEvents"), ("iam", "CreateRole"), ("iam", "ListRoles"),
    ("sts", "AssumeRole"), ("lambda", "CreateFunction"), ("lambda", "ListEventSourceMappings"), ("iot", "CreateTopicRule"),
    ("iot", "ListThings"), ("iot-data", "ListRetainedMessages"), ("s3", "ListObjectsV2"), ("s3", "ListObjectVersions"),
    ("s3", "DeleteObjects"), ("s3", "PutBucketNotificationConfiguration"), ("s3", "GetBucketNotificationConfiguration"),
    ("s3", "CompleteMultipartUpload"), ("s3", "PutBucketLifecycleConfiguration"), ("s3", "HeadObject"),
    ("cloudwatch", "PutMetricData"), ("redshift", "DescribeClusters"),
]  # fmt: skip
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=12
)
_WORD = st.text("abcdefXYZ0189-_.", min_size=1, max_size=12)


def _values(shape: Shape, depth: int, *, header: bool = False) -> st.SearchStrategy[Any]:
    kind = shape.type
    if shape.document or shape.get("jsonvalue"):
        return st.just({"a": [1, "x"]})
    if kind in ("string", "character"):
        return st.sampled_from(shape.get("enum")) if shape.get("enum") else _WORD if header else _TEXT
    if kind == "boolean":
        return st.booleans()
    if kind in ("integer", "long", "short", "byte"):
        return st.integers(-100, 100) if kind == "byte" else st.integers(-30000, 30000)
    if kind in ("float", "double"):
        return st.floats(-1e6, 1e6, allow_nan=False, width=32)
    if kind == "blob":
        return st.binary(max_size=20)
    if kind == "timestamp":
        return st.integers(1, 2_000_000_000).map(float)
    if kind == "list":
        return st.lists(_values(shape.part("member"), depth - 1, header=header), min_size=1, max_size=2)
    if kind == "map":
        key = shape.part("key")
        keys = st.sampled_from(key.get("enum")) if key.get("enum") else _WORD.map(str.lower)
        return st.dictionaries(keys, _values(shape.part("value"), depth - 1, header=header), min_size=1, max_size=2)
    return _structures(shape, depth - 1)


def _structures(shape: Shape, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    required = set(shape.get("required", ()))
    members = {
        name: _values(member, depth, header=bool(member.get("location")))
        for name, member in shape.members.items()
        if (depth > 0 or member.type not in ("structure", "list", "map"))
        and member.get("location") != "statusCode"
        and not member.get("eventstream")
    }
    if shape.get("union"):
        return st.sampled_from(sorted(members)).flatmap(lambda name: members[name].map(lambda value: {name: value}))
    labels = {name for name, member in shape.members.items() if member.get("location") == "uri"}
    members |= dict.fromkeys(labels, _WORD)
    kept = {name: value for name, value in members.items() if name in required | labels}
    return st.fixed_dictionaries(kept, optional={name: value for name, value in members.items() if name not in kept})


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=1e-6)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _pruned(value: Any) -> Any:
    """Without empty structures and lists, which a form cannot say."""
    if isinstance(value, dict):
        pairs = {key: _pruned(item) for key, item in value.items()}
        return {key: item for key, item in pairs.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in map(_pruned, value) if item not in ({}, [])]
    return value


QUIET = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@QUIET
@given(data=st.data())
def test_requests(service: str, operation: str, data: st.DataObject) -> None:
    wire = codec(service)
    shape = wire.model.input(operation)
    assert shape is not None
    params = data.draw(_structures(shape, 4))
    request = _request(_model(service), operation, params)
    match = wire.identify(request)
    assert match is not None
    assert match.operation == operation
    parsed = wire.parse(match, request)
    if wire.protocol == "query":
        parsed, params = _pruned(parsed), _pruned(params)
    assert _same(parsed, params), (request, params)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@QUIET
@given(data=st.data())
def test_results(service: str, operation: str, data: st.DataObject) -> None:
    from lakebed.wire.aws.codec import Match

    wire = codec(service)
    shape = wire.model.output(operation)
    result = data.draw(_structures(shape, 4)) if shape else {}
    if operation == "HeadObject":
        result.pop("Expires", None)  # botocore parses it as a date besides
        result.setdefault("Metadata", {})
    response = wire.serialise(Match(operation, wire.protocol), result, "request-id")
    read = asyncio.run(_response(_model(service), operation, response))
    assert _same(read, result), (response, result)
