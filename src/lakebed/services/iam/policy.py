"""Policy evaluation: pure, from compiled statements and a request to a verdict. No store, no service, no clock.

A document is compiled once (``compile_document``) into statements; ``evaluate`` asks them about a request. Who combines
several documents (identity, boundary, session, resource) is ``decision``: an explicit deny anywhere wins; within one
account identity *or* resource policy suffices, across accounts both must allow; a permissions boundary and session
policies only narrow.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import msgspec

from lakebed.kernel.scope import Principal
from lakebed.services.iam.conditions import Condition, compile_conditions
from lakebed.services.iam.patterns import Facts, FactsOf, Pattern


class PolicyError(ValueError):
    """A document that is not a policy; the text says why."""


class Grade(IntEnum):
    """How closely a statement names the caller: its account delegates, its role is limited by session and boundary."""

    NONE = 0
    ACCOUNT = 1
    ROLE = 2
    DIRECT = 3


class Request:
    """What is asked. Facts are collected on first use: most statements have no condition."""

    __slots__ = ("_facts", "_make", "action", "principal", "resource")

    def __init__(self, principal: Principal, action: str, resource: str, make: FactsOf) -> None:
        self.principal, self.action, self.resource = principal, action.lower(), resource
        self._make = make
        self._facts: Facts | None = None

    def facts(self) -> Facts:
        """Condition keys in lower case."""
        if self._facts is None:
            self._facts = self._make()
        return self._facts


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, compiled. ``principals`` None: the statement is an identity's own."""

    sid: str
    allows: bool
    actions: tuple[Pattern, ...]
    not_actions: bool
    resources: tuple[Pattern, ...]
    not_resources: bool
    principals: tuple[tuple[str, str], ...] | None
    not_principals: bool
    conditions: tuple[Condition, ...]

    def grade(self, request: Request) -> Grade:
        """How this statement applies to the request, NONE where it does not."""
        action, resource, facts = request.action, request.resource, request.facts
        if any(pattern.matches(action) for pattern in self.actions) is self.not_actions:
            return Grade.NONE
        if self.resources and any(pattern.matches(resource, facts) for pattern in self.resources) is self.not_resources:
            return Grade.NONE
        grade = Grade.DIRECT
        if self.principals is not None:
            named = max((_named(entry, request.principal) for entry in self.principals), default=Grade.NONE)
            grade = (Grade.DIRECT if named is Grade.NONE else Grade.NONE) if self.not_principals else named
        if grade and all(condition.holds(facts) for condition in self.conditions):
            return grade
        return Grade.NONE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one or several documents say: ``denied`` explicitly, or allowed up to a grade."""

    denied: bool
    allowed: Grade


_SILENT = Verdict(False, Grade.NONE)


def evaluate(statements: Sequence[Statement], request: Request) -> Verdict:
    """The verdict of statements taken together."""
    best = Grade.NONE
    for statement in statements:
        grade = statement.grade(request)
        if grade:
            if not statement.allows:
                return Verdict(True, Grade.NONE)
            best = max(best, grade)
    return Verdict(False, best) if best else _SILENT


@dataclass(frozen=True, slots=True)
class Documents:
    """All that speaks on one request. ``boundary`` and ``resource`` None: there is none. ``resource_rules``: nobody may
    what the resource's own policy does not allow, at least by naming the account (the policies of KMS keys)."""

    identity: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    sessions: Sequence[Sequence[Statement]] = ()
    resource: Sequence[Statement] | None = None
    resource_rules: bool = False


def decide(documents: Documents, request: Request, *, same_account: bool) -> str:
    """Empty where the request is allowed, else the reason in AWS's words (without the action's name at its end)."""
    identity = evaluate(documents.identity, request)
    resource = evaluate(documents.resource, request) if documents.resource is not None else _SILENT
    boundary = evaluate(documents.boundary, request) if documents.boundary is not None else None
    sessions = [evaluate(statements, request) for statements in documents.sessions]
    for verdict, kind in (
        (identity, "an identity-based policy"),
        (resource, "a resource-based policy"),
        *(((boundary, "a permissions boundary"),) if boundary is not None else ()),
        *((verdict, "a session policy") for verdict in sessions),
    ):
        if verdict.denied:
            return f"with an explicit deny in {kind}"
    if documents.resource_rules and not resource.allowed:
        return "because no resource-based policy allows the"
    if same_account and resource.allowed is Grade.DIRECT:
        return ""
    if request.principal.kind in ("service", "anonymous"):
        return "" if resource.allowed else "because no resource-based policy allows the"
    root = request.principal.is_root
    by_resource = same_account and resource.allowed is Grade.ROLE
    if not (identity.allowed or root or by_resource):
        return "because no identity-based policy allows the"
    if boundary is not None and not boundary.allowed:
        return "because no permissions boundary allows the"
    if any(not verdict.allowed for verdict in sessions):
        return "because no session policy allows the"
    if not same_account and not resource.allowed:
        return "because no resource-based policy allows the"
    return ""


def _named(entry: tuple[str, str], caller: Principal) -> Grade:
    kind, value = entry
    if value == "*" and kind in ("*", "AWS"):
        return Grade.ROLE if caller.kind == "role" else Grade.DIRECT
    if kind == "Service":
        return Grade.DIRECT if caller.kind == "service" and value in (caller.arn, caller.user_id) else Grade.NONE
    if kind != "AWS" or caller.kind in ("anonymous", "service"):
        return Grade.NONE
    if value == caller.arn or (caller.kind == "user" and value in (caller.identity_arn, caller.user_id)):
        return Grade.DIRECT
    if caller.kind == "role" and value in (caller.identity_arn, caller.user_id.partition(":")[0]):
        return Grade.ROLE
    if value == caller.account or (value.endswith(":root") and value.split(":")[4:5] == [caller.account]):
        return Grade.DIRECT if caller.is_root else Grade.ACCOUNT
    return Grade.NONE


@lru_cache(maxsize=4096)
def compile_document(text: str) -> tuple[Statement, ...]:
    """The statements of a policy document; PolicyError where it is none. Checks of AWS's grammar are in ``documents``."""
    try:
        document: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise PolicyError("Syntax errors in policy.") from None
    if not isinstance(document, dict) or "Statement" not in document:
        raise PolicyError("Syntax errors in policy.")
    statements = document["Statement"]
    variables = document.get("Version") == "2012-10-17"
    return tuple(
        _statement(entry, variables) for entry in (statements if isinstance(statements, list) else [statements])
    )


def _statement(entry: Any, variables: bool) -> Statement:
    if not isinstance(entry, dict) or entry.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError("Syntax errors in policy.")
    not_actions, not_resources, not_principals = (f"Not{name}" in entry for name in ("Action", "Resource", "Principal"))
    actions = _texts(entry.get("NotAction" if not_actions else "Action", ()))
    resources = _texts(entry.get("NotResource" if not_resources else "Resource", ()))
    principals = entry.get("NotPrincipal" if not_principals else "Principal")
    try:
        conditions = compile_conditions(entry.get("Condition", {}))
    except (ValueError, TypeError):
        raise PolicyError("Syntax errors in policy.") from None
    return Statement(
        sid=str(entry.get("Sid", "")),
        allows=entry["Effect"] == "Allow",
        actions=tuple(Pattern(text, fold=True, variables=False) for text in actions),
        not_actions=not_actions,
        resources=tuple(Pattern(text, arn=True, variables=variables) for text in resources),
        not_resources=not_resources,
        principals=None if principals is None else _principals(principals),
        not_principals=not_principals,
        conditions=conditions,
    )


def _principals(element: Any) -> tuple[tuple[str, str], ...]:
    if element == "*":
        return (("*", "*"),)
    if not isinstance(element, Mapping) or not element:
        raise PolicyError("Syntax errors in policy.")
    return tuple((str(kind), value) for kind, values in element.items() for value in _texts(values))


def _texts(values: Any) -> Sequence[str]:
    listed = [values] if isinstance(values, str) else values
    if not isinstance(listed, list | tuple) or not all(isinstance(value, str) for value in listed):
        raise PolicyError("Syntax errors in policy.")
    return listed
