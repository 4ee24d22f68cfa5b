"""The grammar of policy documents, checked when one is stored; MalformedPolicyDocument in AWS's words.

Identity policies name resources and no principal; trust policies name principals and no resource. What passes here
compiles in ``policy.compile_document``.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from lakebed.api import iam as api
from lakebed.services.iam import policy

_VERSIONS = ("2012-10-17", "2008-10-17")
_DOCUMENT_KEYS = {"Version", "Id", "Statement"}
_STATEMENT_KEYS = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "NotPrincipal",
}  # fmt: skip
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_SID = re.compile(r"[A-Za-z0-9]*")
_ACCOUNT = re.compile(r"\d{12}")
_PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")


def check_identity(text: str, size_max: int) -> None:
    """Raise MalformedPolicyDocument unless ``text`` may be an identity policy (also: boundary, session policy)."""
    for statement in _statements(text, size_max):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise _malformed("Policy document should not specify a principal.")
        if ("Resource" in statement) == ("NotResource" in statement):
            raise _malformed("Policy statement must contain resources.")
        for resource in _texts(statement.get("Resource", statement.get("NotResource"))):
            _check_resource(resource)


def check_trust(text: str, size_max: int, exists: Callable[[str], bool]) -> None:
    """Raise unless ``text`` may be a trust policy; ``exists`` tells whether an ARN of a user or role is known."""
    for statement in _statements(text, size_max):
        for name in ("Resource", "NotResource"):
            if name in statement:
                raise _malformed(f"Has prohibited field {name}")
        if ("Principal" in statement) == ("NotPrincipal" in statement):
            raise _malformed("Missing required field Principal")
        if any(not action.lower().startswith("sts:") for action in _texts(statement.get("Action", ()))):
            raise _malformed("AssumeRole policy may only specify STS AssumeRole actions.")
        _check_principals(statement.get("Principal", statement.get("NotPrincipal")), exists)


def _statements(text: str, size_max: int) -> list[dict[str, Any]]:
    if len(re.sub(r"\s", "", text)) > size_max:
        raise api.LimitExceededException(f"Cannot exceed quota for PolicySize: {size_max}", status=409)
    try:
        document = msgspec.json.decode(text)
        policy.compile_document(text)
    except (msgspec.DecodeError, RecursionError, policy.PolicyError):
        raise _malformed("Syntax errors in policy.") from None
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS or not document.keys() <= _DOCUMENT_KEYS:
        raise _malformed("Syntax errors in policy.")
    listed = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    if not listed:
        raise _malformed("Syntax errors in policy.")
    sids = [statement["Sid"] for statement in listed if statement.get("Sid")]
    if len(set(sids)) != len(sids):
        raise _malformed("Statement IDs (SID) in a single policy must be unique.")
    for statement in listed:
        _check_statement(statement)
    return listed


def _check_statement(statement: dict[str, Any]) -> None:
    if not statement.keys() <= _STATEMENT_KEYS or not _SID.fullmatch(str(statement.get("Sid", ""))):
        raise _malformed("Syntax errors in policy.")
    if ("Action" in statement) == ("NotAction" in statement):
        raise _malformed("Policy statement must contain actions.")
    actions = _texts(statement.get("Action", statement.get("NotAction")))
    if not actions:
        raise _malformed("Policy statement must contain actions.")
    for action in actions:
        if action != "*" and not _ACTION.fullmatch(action):
            if ":" not in action:
                raise _malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            raise _malformed(f"Action {action} is not valid.")


def _check_resource(resource: str) -> None:
    if resource == "*":
        return
    parts = resource.split(":", 5)
    if parts[0] != "arn" or len(parts) < 3:
        raise _malformed(f'Resource {resource} must be in ARN format or "*".')
    if not re.fullmatch(r"aws[a-z-]*|\*", parts[1]):
        raise _malformed(f'Partition "{parts[1]}" is not valid for resource "{resource}".')


def _check_principals(element: Any, exists: Callable[[str], bool]) -> None:
    if element == "*":
        return
    for kind, values in element.items():
        if kind not in _PRINCIPAL_KINDS:
            raise _malformed(f'Invalid principal in policy: "{kind}"')
        for value in _texts(values):
            if not _principal_is_known(kind, value, exists):
                raise _malformed(f'Invalid principal in policy: "{kind}":"{value}"')


def _principal_is_known(kind: str, value: str, exists: Callable[[str], bool]) -> bool:
    if kind == "Service":
        return re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?", value) is not None
    if kind != "AWS" or value == "*" or _ACCOUNT.fullmatch(value):
        return True
    parts = value.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not _ACCOUNT.fullmatch(parts[4]):
        return value.startswith(("AIDA", "AROA"))
    return parts[5] == "root" or parts[2] == "sts" or exists(value)


def _texts(values: Any) -> list[str]:
    return [values] if isinstance(values, str) else list(values or ())


def _malformed(message: str) -> api.MalformedPolicyDocumentException:
    return api.MalformedPolicyDocumentException(message)
