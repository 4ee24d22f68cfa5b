"""IoT policies: wildcards against a regular expression, variables, conditions, deny."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.services.iot.policy import MalformedPolicyError, Pattern, compile_policy, decide

text = st.text(st.sampled_from("ab*?/"), max_size=8)


@given(st.text(st.sampled_from("ab*?/"), max_size=6), text)
def test_wildcards(pattern: str, subject: str) -> None:
    oracle = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    assert Pattern.of(pattern).matches(subject, {}) == (re.fullmatch(oracle, subject) is not None)


@given(text, text)
def test_a_variables_value_is_never_a_wildcard(value: str, subject: str) -> None:
    assert Pattern.of("x/${iot:ClientId}").matches(f"x/{subject}", {"iot:ClientId": value}) == (value == subject)
    assert not Pattern.of("x/${iot:Other}*").matches(f"x/{subject}", {"iot:ClientId": value})


def test_many_stars_take_no_time() -> None:
    assert not Pattern.of("*a" * 400 + "b").matches("a" * 5000, {})


def policy(*statements: dict[str, Any]) -> Any:
    return compile_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def allow(action: Any = "iot:*", resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def test_deny_wins_in_any_order() -> None:
    for statements in (
        policy(allow(), allow("iot:Publish", "t/x", "Deny")),
        policy(allow("iot:Publish", "t/x", "Deny"), allow()),
    ):
        assert not decide(statements, "iot:Publish", "t/x", {})
        assert decide(statements, "iot:Publish", "t/y", {})
    assert not decide(policy(allow("iot:Connect")), "iot:Publish", "t", {})


def test_conditions() -> None:
    persistent = policy(
        allow(
            "iot:Connect",
            Condition={"ForAllValues:StringEquals": {"iot:ConnectAttributes": ["PersistentConnect"]}},
        )
    )
    assert decide(persistent, "iot:Connect", "c", {})
    assert decide(persistent, "iot:Connect", "c", {"iot:ConnectAttributes": ["PersistentConnect"]})
    assert not decide(persistent, "iot:Connect", "c", {"iot:ConnectAttributes": ["PersistentConnect", "LastWill"]})
    attached = policy(allow(Condition={"Bool": {"iot:Connection.Thing.IsAttached": ["true"]}}))
    assert decide(attached, "iot:Publish", "t", {"iot:Connection.Thing.IsAttached": "true"})
    assert not decide(attached, "iot:Publish", "t", {"iot:Connection.Thing.IsAttached": "false"})
    assert not decide(attached, "iot:Publish", "t", {})
    named = policy(allow(Condition={"StringLike": {"iot:ClientId": "line-*"}}))
    assert decide(named, "iot:Publish", "t", {"iot:ClientId": "line-1"})
    assert not decide(named, "iot:Publish", "t", {"iot:ClientId": "x"})


@pytest.mark.parametrize(
    "document",
    [
        "", "[]", "{}", '{"Statement": []}', json.dumps({"Version": "1", "Statement": [allow()]}),
        json.dumps({"Statement": [{"Effect": "Maybe", "Action": "iot:*", "Resource": "*"}]}),
        json.dumps({"Statement": [allow("s3:Get")]}), json.dumps({"Statement": [{"Effect": "Allow", "Action": "iot:*"}]}),
        json.dumps({"Statement": [{**allow(), "NotResource": "*"}]}), json.dumps({"Statement": [allow()], "x": "y" * 3000}),
    ],
)  # fmt: skip
def test_malformed(document: str) -> None:
    with pytest.raises(MalformedPolicyError):
        compile_policy(document)


def test_unknown_operators_are_named() -> None:
    with pytest.raises(MalformedPolicyError, match="DateBefore"):
        policy(allow(Condition={"DateBefore": {"aws:CurrentTime": "2030-01-01"}}))
