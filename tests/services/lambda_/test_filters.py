"""Event filter patterns, case by case as the documentation tells them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lakebed.kernel.errors import AwsError
from lakebed.ports.queues import QueueMessage
from lakebed.ports.streams import StreamRecord
from lakebed.services.lambda_.sources import filters


def passes(pattern: Any, body: Any) -> bool:
    text = body if isinstance(body, str) else json.dumps(body)
    patterns = filters.check([json.dumps({"body": pattern})], queue=True)
    return filters.passes_message(patterns, QueueMessage("id", "r", text, "", {}, {}))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ({"a": ["x", "y"]}, {"a": "y"}, {"a": "z"}),
        ({"a": ["x"]}, {"a": ["w", "x"]}, {"b": "x"}),
        ({"a": [None]}, {"a": None}, {"a": ""}),
        ({"a": [""]}, {"a": ""}, {"a": None}),
        ({"a": [1]}, {"a": 1.0}, {"a": True}),
        ({"a": [True]}, {"a": True}, {"a": 1}),
        ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "y"}, {"a": "x", "b": "z"}),
        ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, {"a": "x"}),
        ({"a": {"b": ["x"]}}, {"a": [{"b": "y"}, {"b": "x"}]}, {"a": []}),
        ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "y"}, {"a": "y"}),
        ({"a": [{"prefix": "ab"}]}, {"a": "abc"}, {"a": "cab"}),
        ({"a": [{"suffix": ".png"}]}, {"a": "x.png"}, {"a": 1}),
        ({"a": [{"equals-ignore-case": "Ann"}]}, {"a": "aNN"}, {"a": "Bob"}),
        ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "z"}, {"a": "y"}),
        ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": "z"}, {"a": "xz"}),
        ({"a": [{"anything-but": "x"}]}, {"a": 5}, {}),
        ({"a": [{"numeric": ["=", 5]}]}, {"a": 5}, {"a": "5"}),
        ({"a": [{"numeric": [">", 1, "<=", 5]}]}, {"a": 5}, {"a": 1}),
        ({"a": [{"exists": True}]}, {"a": None}, {"b": 1}),
        ({"a": [{"exists": False}]}, {"b": 1}, {"a": 1}),
        ({"a": {"b": [{"exists": False}]}}, {"c": 1}, {"a": {"b": 1}}),
        (["plain"], "plain", "other"),
        ([{"prefix": "pl"}], "plain", {"a": "plain"}),
        ({"a": ["x"]}, {"a": "x"}, "not json"),
    ],
)
def test_operators(pattern: Any, yes: Any, no: Any) -> None:
    assert passes(pattern, yes)
    assert not passes(pattern, no)


@pytest.mark.parametrize(
    "pattern",
    [
        "", "[]", "1", '{"body": "x"}', '{"body": []}', '{"body": {}}', '{"body": {"a": "x"}}', '{"messageId": ["x"]}',
        '{"body": {"a": [{"numeric": ["~", 1]}]}}',
        '{"body": {"a": [{"numeric": [">"]}]}}', '{"body": {"a": [{"exists": "x"}]}}', '{"body": {"a": [[1]]}}',
        '{"body": {"$or": {}}}', '{"body": ' + '{"a": ' * 60 + '["x"]' + "}" * 61,
    ],
)  # fmt: skip
def test_bad_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(AwsError, match="Invalid filter pattern"):
        filters.check([pattern], queue=True)


def test_several_patterns_are_alternatives_and_none_lets_everything_pass() -> None:
    message = QueueMessage("id", "r", '{"a": 1}', "", {}, {})
    assert filters.passes_message((), message)
    assert filters.passes_message(filters.check(["{}"], queue=True), message)
    assert filters.passes_message(filters.check(['{"body": {"a": [2]}}', '{"body": {"a": [1]}}'], queue=True), message)
    with pytest.raises(AwsError, match="at most"):
        filters.check(["{}"] * 11, queue=True)


def test_stream_metadata_and_data() -> None:
    record = StreamRecord(0, "49", "key-1", b'{"a": 1}', 0.0)
    for pattern, wanted in (
        ({"partitionKey": [{"prefix": "key"}]}, True),
        ({"partitionKey": ["key-1"], "data": {"a": [2]}}, False),
        ({"$or": [{"data": {"a": [1]}}, {"partitionKey": ["x"]}]}, True),
    ):
        assert filters.passes_record(filters.check([json.dumps(pattern)], queue=False), record) is wanted


@given(some.recursive(
    some.none() | some.booleans() | some.integers(-9, 9) | some.text(max_size=3),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner, max_size=3),
    max_leaves=10,
))  # fmt: skip
def test_any_document_is_judged_without_an_error(document: Any) -> None:
    assert passes({"a": {"b": [{"anything-but": "x"}, {"exists": False}]}}, document) in (True, False)
