"""Policy evaluation: AWS's tables as cases, and the decision against an independent model by properties."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.scope import Principal
from lakebed.services.iam.facts import facts_of
from lakebed.services.iam.patterns import Pattern
from lakebed.services.iam.policy import Documents, PolicyError, Request, compile_document, decide, evaluate

USER = Principal(
    "111111111111",
    "arn:aws:iam::111111111111:user/ann",
    "user",
    "AIDA1",
    "arn:aws:iam::111111111111:user/ann",
    tags={"team": "red"},
)
ROLE = Principal(
    "111111111111", "arn:aws:sts::111111111111:assumed-role/r/s", "role", "AROA1:s", "arn:aws:iam::111111111111:role/r"
)
ROOT = Principal(
    "111111111111", "arn:aws:iam::111111111111:root", "root", "111111111111", "arn:aws:iam::111111111111:root"
)
SERVICE = Principal("111111111111", "s3.amazonaws.com", "service", "s3.amazonaws.com")
NOW = 1_750_000_000.0


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def asks(who: Principal, action: str, resource: str, **given_: Any) -> Request:
    return Request(who, action, resource, lambda: facts_of(who, NOW, given_.get("conditions", {})))


def allowed(
    text: str,
    who: Principal = USER,
    action: str = "s3:GetObject",
    resource: str = "arn:aws:s3:::b/k",
    **conditions: Any,
) -> bool:
    verdict = evaluate(compile_document(text), asks(who, action, resource, conditions=conditions))
    return not verdict.denied and bool(verdict.allowed)


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", True),
        ("arn:aws:s3:::b", "arn:aws:s3:::b/x", False),
        ("arn:aws:sqs:*:111111111111:q?", "arn:aws:sqs:eu-west-1:111111111111:q1", True),
        ("arn:aws:sqs:*:q", "arn:aws:sqs:eu-west-1:111111111111:q", False),
        ("arn:aws:iam::*:role/*", "arn:aws:iam::1:role/a/b", True),
        ("arn:aws:s3:::${aws:username}/*", "arn:aws:s3:::ann/k", True),
        ("arn:aws:s3:::${aws:username}/*", "arn:aws:s3:::bob/k", False),
        ("arn:aws:s3:::${aws:nothing}*", "arn:aws:s3:::x", False),
        ("arn:aws:s3:::${aws:nothing, 'dflt'}", "arn:aws:s3:::dflt", True),
        ("arn:aws:s3:::a${*}b", "arn:aws:s3:::axxb", False),
        ("arn:aws:s3:::a${*}b", "arn:aws:s3:::a*b", True),
        ("*", "anything at all", True),
    ],
)
def test_patterns(pattern: str, value: str, matches: bool) -> None:
    assert Pattern(pattern, arn=True).matches(value, lambda: facts_of(USER, NOW, {})) is matches


def test_a_fact_with_a_star_matches_only_itself() -> None:
    assert not Pattern("${k}").matches("anything", lambda: {"k": ("*",)})
    assert Pattern("${k}").matches("*", lambda: {"k": ("*",)})


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_patterns_are_shell_patterns(pattern: str, value: str) -> None:
    assert Pattern(pattern).matches(value) == fnmatch.fnmatchcase(value, pattern)


def test_runs_of_stars_do_not_explode() -> None:
    assert not Pattern("a" + "*a" * 30 + "**********b").matches("a" * 60)


@pytest.mark.parametrize(
    ("operator", "wanted", "have", "holds"),
    [
        ("StringEquals", "a", "a", True), ("StringEquals", ["b", "a"], "a", True), ("StringEquals", "A", "a", False),
        ("StringNotEquals", ["a", "b"], "a", False), ("StringNotEquals", ["a", "b"], "c", True),
        ("StringNotEquals", "a", None, True), ("StringEquals", "a", None, False),
        ("StringEqualsIfExists", "a", None, True), ("StringEqualsIgnoreCase", "A", "a", True),
        ("StringLike", "a*", "abc", True), ("StringNotLike", "a*", "abc", False),
        ("NumericLessThan", "5", "4.5", True), ("NumericLessThan", 5, "5", False),
        ("NumericGreaterThanEquals", "5", "5", True), ("NumericEquals", "x", "x", False),
        ("NumericNotEquals", "5", "6", True),
        ("DateLessThan", "2025-06-15T15:06:40Z", "2025-06-15T15:06:39Z", True),
        ("DateGreaterThan", "1749999999", "2025-06-15T15:06:40Z", True),
        ("Bool", "true", "True", True), ("Bool", True, "false", False), ("Bool", "false", None, False),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True), ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", True), ("IpAddress", "10.0.0.0/8", "::1", False),
        ("ArnLike", "arn:aws:s3:::b*", "arn:aws:s3:::bucket", True),
        ("ArnNotEquals", "arn:aws:s3:::b", "arn:aws:s3:::b", False),
        ("Null", "true", None, True), ("Null", "true", "x", False), ("Null", "false", "x", True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a"], ["a", "c"], False), ("ForAllValues:StringEquals", ["a"], None, True),
        ("ForAnyValue:StringEquals", ["a"], ["c", "a"], True), ("ForAnyValue:StringEquals", ["a"], ["c"], False),
        ("ForAnyValue:StringEquals", ["a"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
        ("ForAllValues:StringNotEquals", ["a"], ["b", "a"], False),
    ],
)  # fmt: skip
def test_operators(operator: str, wanted: Any, have: Any, holds: bool) -> None:
    text = document(allow(Condition={operator: {"My:Key": wanted}}))
    assert allowed(text, **({} if have is None else {"my:kEY": have})) is holds


def test_keys_and_operators_are_anded() -> None:
    text = document(allow(Condition={"StringEquals": {"a": "1", "b": "2"}, "NumericEquals": {"c": "3"}}))
    assert allowed(text, a="1", b="2", c="3")
    assert not allowed(text, a="1", b="2", c="4")
    assert not allowed(text, a="1", b="x", c="3")


def test_global_keys() -> None:
    assert allowed(document(allow(Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})))
    assert allowed(document(allow(Condition={"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}})))
    assert allowed(
        document(allow(Condition={"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111111111111:role/r"}})), ROLE
    )


@pytest.mark.parametrize(
    ("principal", "who", "same", "cross"),
    [
        ("*", USER, True, False), ({"AWS": "*"}, ROLE, True, False), ({"AWS": USER.arn}, USER, True, False),
        ({"AWS": "111111111111"}, USER, False, False), ({"AWS": ROOT.arn}, ROLE, False, False),
        ({"AWS": ROLE.identity_arn}, ROLE, True, False), ({"AWS": ROLE.arn}, ROLE, True, False),
        ({"AWS": "arn:aws:iam::111111111111:user/bob"}, USER, False, False),
        ({"Service": "s3.amazonaws.com"}, SERVICE, True, True), ({"Service": "sqs.amazonaws.com"}, SERVICE, False, False),
        ("*", SERVICE, True, True), ({"AWS": ["x", USER.arn]}, USER, True, False),
    ],
)  # fmt: skip
def test_resource_policies_name_callers(principal: Any, who: Principal, same: bool, cross: bool) -> None:
    """Alone, within the account and across: there the caller's own policies must allow as well."""
    resource = compile_document(document({**allow(), "Principal": principal}))
    request = asks(who, "s3:GetObject", "arn:aws:s3:::b/k")
    assert (not decide(Documents(resource=resource), request, same_account=True)) is same
    assert (not decide(Documents(resource=resource), request, same_account=False)) is cross
    if who.kind != "service":
        both = Documents(identity=compile_document(document(allow())), resource=resource)
        named = bool(evaluate(resource, request).allowed)
        assert (not decide(both, request, same_account=False)) is named


def test_not_action_not_resource_not_principal() -> None:
    assert not allowed(document({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}))
    assert allowed(document({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::other/*"}))
    assert not allowed(document({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}))
    only = document({"Effect": "Deny", "Action": "*", "Resource": "*", "NotPrincipal": {"AWS": USER.arn}})
    assert evaluate(compile_document(only), asks(ROLE, "s3:x", "y")).denied
    assert not evaluate(compile_document(only), asks(USER, "s3:x", "y")).denied


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"Statement": [1]}', '{"Statement": {"Effect": "Perhaps"}}',
                                  document(allow(Condition={"Sometimes": {"a": "b"}})), "[" * 100_000])  # fmt: skip
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(PolicyError):
        compile_document(text)


ACTIONS, RESOURCES = ["s3:GetObject", "s3:PutObject", "sqs:SendMessage"], ["arn:aws:s3:::a/1", "arn:aws:s3:::b/1"]
statements = st.builds(
    lambda effect, action, resource: {"Effect": effect, "Action": action, "Resource": resource},
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["*", "s3:*", "s3:Get*", *ACTIONS]),
    st.sampled_from(["*", "arn:aws:s3:::a/*", *RESOURCES]),
)
documents = st.lists(statements, max_size=4)


def says(listed: list[dict[str, Any]] | None, action: str, resource: str) -> tuple[bool, bool]:
    """(denied, allowed): the model, written down again in the plainest way."""
    hits = [
        s["Effect"]
        for s in listed or []
        if fnmatch.fnmatchcase(action, s["Action"]) and fnmatch.fnmatchcase(resource, s["Resource"])
    ]
    return "Deny" in hits, "Allow" in hits


@settings(max_examples=400, deadline=None)
@given(documents, st.none() | documents, st.none() | documents, st.none() | documents, st.sampled_from(ACTIONS),
       st.sampled_from(RESOURCES), st.booleans())  # fmt: skip
def test_decision_against_the_model(
    identity: Any, boundary: Any, session: Any, resource: Any, action: str, arn: str, same: bool
) -> None:
    made = Documents(
        identity=compile_document(document(*identity)),
        boundary=None if boundary is None else compile_document(document(*boundary)),
        sessions=() if session is None else (compile_document(document(*session)),),
        resource=None
        if resource is None
        else compile_document(document(*({**s, "Principal": {"AWS": ROLE.identity_arn}} for s in resource))),
    )
    parts = [says(listed, action, arn) for listed in (identity, boundary, session, resource)]
    narrowed = (boundary is None or parts[1][1]) and (session is None or parts[2][1])
    if any(denied for denied, _ in parts):
        expected = False
    elif same:
        expected = (parts[0][1] or parts[3][1]) and narrowed
    else:
        expected = parts[0][1] and parts[3][1] and narrowed
    assert (not decide(made, asks(ROLE, action, arn), same_account=same)) is expected
