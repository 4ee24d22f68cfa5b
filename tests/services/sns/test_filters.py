"""The filter grammar, example by example, and its limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.services.sns import filters

MATCHES = [
    ({"a": ["x", "y"]}, {"a": "y"}, True),
    ({"a": ["x"]}, {"a": "X"}, False),
    ({"a": ["x"]}, {}, False),
    ({"a": ["x"], "b": [1]}, {"a": "x", "b": 1}, True),
    ({"a": ["x"], "b": [1]}, {"a": "x", "b": 2}, False),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": [1.0]}, {"a": 1}, True),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {}, False),
    ({"a": ["x"]}, {"a": ["z", "x"]}, True),
    ({"a": [{"prefix": "ba"}]}, {"a": "ball"}, True),
    ({"a": [{"suffix": "ll"}]}, {"a": "ball"}, True),
    ({"a": [{"suffix": "la"}]}, {"a": "ball"}, False),
    ({"a": [{"equals-ignore-case": "TENNIS"}]}, {"a": "tennis"}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}, True),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}, False),
    ({"a": [{"anything-but": ["x"]}]}, {}, False),
    ({"a": [{"anything-but": ["x"]}]}, {"a": ["x", "z"]}, True),
    ({"a": [{"anything-but": ["x"]}]}, {"a": ["x"]}, False),
    ({"a": [{"anything-but": [100, 500]}]}, {"a": 101}, True),
    ({"a": [{"anything-but": {"prefix": "order-"}}]}, {"a": "order-1"}, False),
    ({"a": [{"anything-but": {"suffix": "ball"}}]}, {"a": "tennis"}, True),
    ({"a": [{"numeric": ["=", 3.015e2]}]}, {"a": 301.5}, True),
    ({"a": [{"numeric": [">", 0, "<=", 150]}]}, {"a": 150}, True),
    ({"a": [{"numeric": [">", 0, "<=", 150]}]}, {"a": 0}, False),
    ({"a": [{"numeric": ["<", 5]}]}, {"a": "4"}, False),
    ({"a": [{"exists": True}]}, {"a": ""}, True),
    ({"a": [{"exists": False}]}, {"a": ""}, False),
    ({"a": [{"exists": False}]}, {}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.0.255"}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.1.0"}, False),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "no address"}, False),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "y"}, True),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "y"}, False),
    ({"c": [1], "$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "x"}, False),
]
INSIDE = [
    ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, True),
    ({"a": {"b": ["x"]}}, {"a": "x"}, False),
    ({"a": {"b": [{"exists": False}]}}, {}, True),
    ({"a": {"b": ["x"], "c": [1]}}, {"a": [{"b": "y", "c": 1}, {"b": "x", "c": 1}]}, True),
    ({"a": {"$or": [{"b": ["x"]}, {"c": ["y"]}]}}, {"a": {"c": "y"}}, True),
    ({"a": [["x"]]}, {"a": "x"}, "Match value"),
]
WRONG = [
    ("nothing", "failed to parse JSON"),
    ("[]", "failed to parse JSON"),
    ('{"a": "x"}', "must be an object or an array"),
    ('{"a": []}', "Empty arrays"),
    ('{"a": {"b": ["x"]}}', "does not support nested"),
    ('{"a": [{"like": "x"}]}', "Unrecognized match type like"),
    ('{"a": [{"prefix": "x", "suffix": "y"}]}', "Only one key"),
    ('{"a": [{"prefix": 1}]}', "must be a string"),
    ('{"a": [{"exists": "yes"}]}', "true or false"),
    ('{"a": [{"numeric": ["~", 1]}]}', "Unrecognized numeric"),
    ('{"a": [{"numeric": ["<", "1"]}]}', "must be numeric"),
    ('{"a": [{"numeric": [">", 5, "<", 1]}]}', "Bottom must be less"),
    ('{"a": [{"numeric": ["<", 5, ">", 1]}]}', "Bad numeric range"),
    ('{"a": [{"numeric": ["=", 1e10]}]}', "between"),
    ('{"a": [{"cidr": "10.0.0/99"}]}', "CIDR"),
    ('{"a": [{"anything-but": []}]}', "anything-but"),
    ('{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}', "more than 5 keys"),
    (json.dumps({"a": list(range(20)), "b": list(range(8))}), "too complex"),
]


@pytest.mark.parametrize(("policy", "message", "passes"), MATCHES)
@pytest.mark.parametrize("of_body", [False, True])
def test_conditions(policy: dict[str, Any], message: dict[str, Any], passes: bool, of_body: bool) -> None:
    made = filters.parse(json.dumps(policy), of_body=of_body)
    assert made is not None
    assert made(message) is passes


@pytest.mark.parametrize(("policy", "message", "passes"), INSIDE)
def test_bodies(policy: dict[str, Any], message: dict[str, Any], passes: bool | str) -> None:
    if isinstance(passes, str):
        with pytest.raises(filters.FilterError, match=passes):
            filters.parse(json.dumps(policy), of_body=True)
        return
    made = filters.parse(json.dumps(policy), of_body=True)
    assert made is not None
    assert made(message) is passes


@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(filters.FilterError, match=reason):
        filters.parse(text, of_body=False)


def test_attributes_as_values() -> None:
    attributes = {
        "s": {"DataType": "String", "StringValue": "x"},
        "l": {"DataType": "String.Array", "StringValue": '["a", 1, null]'},
        "n": {"DataType": "Number", "StringValue": "1e2"},
        "b": {"DataType": "Binary", "BinaryValue": b"x"},
    }
    assert filters.values_of(attributes) == {"s": "x", "l": ["a", 1, None], "n": 100, "b": b"x"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", "$or", "prefix", "numeric"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "$or", "prefix", "anything-but", "numeric", "exists"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(json_values, json_values, st.booleans())
def test_any_policy_is_taken_or_refused_and_any_message_is_judged(policy: Any, message: Any, of_body: bool) -> None:
    try:
        made = filters.parse(json.dumps(policy), of_body=of_body)
    except filters.FilterError:
        return
    if made is not None:
        assert made(message) in (True, False)
