"""Event patterns: every match type by example, and what is no pattern."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.wire.aws.patterns import EVENTBRIDGE, SNS, PatternError, compile_text


def matches(pattern: Any, event: Any) -> bool:
    return compile_text(json.dumps(pattern))(event)


EVENT = {
    "source": "aws.s3",
    "detail": {"state": "Running", "n": 5, "ip": "10.0.0.7", "tags": ["a", "b"], "none": None, "yes": True,
               "list": [{"k": 1, "v": "x"}, {"k": 2, "v": "y"}], "path": "dir/file.png"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"state": ["Running"]}, True),
        ({"state": ["running"]}, False),
        ({"state": [{"equals-ignore-case": "RUNNING"}]}, True),
        ({"state": [{"prefix": "Run"}]}, True),
        ({"state": [{"prefix": {"equals-ignore-case": "rUN"}}]}, True),
        ({"path": [{"suffix": ".png"}]}, True),
        ({"path": [{"suffix": {"equals-ignore-case": ".PNG"}}]}, True),
        ({"path": [{"wildcard": "dir/*.png"}]}, True),
        ({"path": [{"wildcard": "*/f*e*"}]}, True),
        ({"path": [{"wildcard": "dir/\\*.png"}]}, False),
        ({"state": [{"anything-but": "Stopped"}]}, True),
        ({"state": [{"anything-but": ["Running", "x"]}]}, False),
        ({"state": [{"anything-but": {"prefix": "Run"}}]}, False),
        ({"state": [{"anything-but": {"prefix": ["S", "T"]}}]}, True),
        ({"path": [{"anything-but": {"suffix": ".png"}}]}, False),
        ({"state": [{"anything-but": {"equals-ignore-case": ["running"]}}]}, False),
        ({"path": [{"anything-but": {"wildcard": "dir/*"}}]}, False),
        ({"missing": [{"anything-but": "x"}]}, False),
        ({"n": [{"numeric": [">", 0, "<=", 5]}]}, True),
        ({"n": [{"numeric": ["=", 6]}]}, False),
        ({"n": [{"anything-but": 5}]}, False),
        ({"ip": [{"cidr": "10.0.0.0/24"}]}, True),
        ({"ip": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"none": [None]}, True),
        ({"yes": [True]}, True),
        ({"yes": [1]}, False),
        ({"missing": [{"exists": False}]}, True),
        ({"state": [{"exists": False}]}, False),
        ({"missing": {"deep": [{"exists": False}]}}, True),
        ({"tags": ["b"]}, True),
        ({"tags": [{"prefix": "c"}]}, False),
        ({"list": {"k": [1], "v": ["x"]}}, True),
        ({"list": {"k": [1], "v": ["y"]}}, False),
        ({"$or": [{"n": [6]}, {"state": ["Running"]}]}, True),
        ({"$or": [{"n": [6]}, {"state": ["Stopped"]}]}, False),
    ],
)
def test_match_types(condition: Any, expected: bool) -> None:
    assert matches({"source": ["aws.s3"], "detail": condition}, EVENT) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "{", "[]", "{}", '{"a": "b"}', '{"a": []}', '{"a": {}}', '{"a": [{"prefix": 1}]}', '{"a": [{"nonsense": 1}]}',
        '{"a": [{"numeric": [">"]}]}', '{"a": [{"numeric": [">", 9e9]}]}', '{"a": [{"cidr": "x"}]}', '{"a": [["b"]]}',
        '{"a": [{"wildcard": "a**b"}]}', '{"a": [{"wildcard": "a\\\\b"}]}', '{"a": [{"exists": "x"}]}',
        '{"a": [{"anything-but": []}]}', '{"a": [{"anything-but": {"numeric": 1}}]}', '{"a": [{"prefix": "a", "suffix": "b"}]}',
        '{"a":' * 60 + '["x"]' + "}" * 60, json.dumps({f"k{n}": {"$or": [{"a": [1]}, {"b": [2]}]} for n in range(11)}),
    ],
)  # fmt: skip
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_text(pattern)


def test_a_dialect_bounds_the_language() -> None:
    assert compile_text('{"a": [{"wildcard": "x*"}]}', EVENTBRIDGE)({"a": "xy"})
    with pytest.raises(PatternError, match="Unrecognized match type wildcard"):
        compile_text('{"a": [{"wildcard": "x*"}]}', SNS)


@given(st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=6), st.text("abc", max_size=40))
def test_a_wildcard_means_what_a_regular_expression_does(pieces: list[str], text: str) -> None:
    import re

    pattern = "*".join(pieces)
    expected = re.fullmatch(".*".join(map(re.escape, pieces)), text) is not None
    assert matches({"a": [{"wildcard": pattern}]}, {"a": text}) is expected


def test_many_stars_stay_quick() -> None:
    matcher = compile_text(json.dumps({"a": [{"wildcard": "*a" * 200 + "*b"}]}))
    assert not matcher({"a": "a" * 20_000})
