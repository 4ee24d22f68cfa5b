"""Bucket policies as documents: whether one is well formed, fits the bucket, and is public.

The decision itself is IAM's (``ports.identity``). https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
and, for "public", .../userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError

POLICY_BYTES_MAX = 20 << 10
_STATEMENT_KEYS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip
# Condition keys that tie an Allow to someone in particular, so that "Principal: *" is not public.
_NARROWING_KEYS = {
    "aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce",
    "aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid",
    "s3:dataaccesspointarn", "s3:dataaccesspointaccount", "s3:x-amz-server-side-encryption-aws-kms-key-id",
}  # fmt: skip


def malformed(message: str) -> AwsError:
    """A policy that IAM would not read."""
    return AwsError("MalformedPolicy", message, status=400)


def as_list(value: Any) -> list[Any]:
    """IAM lets a single value stand for a list of one."""
    return value if isinstance(value, list) else [value]


def statements(text: str) -> list[dict[str, Any]]:
    """The statements of a policy text that is already accepted."""
    return as_list(msgspec.json.decode(text)["Statement"])


def check(text: str, arn: str) -> None:
    """Raise MalformedPolicy unless ``text`` is a policy about this bucket or access point."""
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise AwsError("PolicyTooLarge", "The policy exceeds the maximum allowed document size.", status=400)
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise malformed("This policy contains invalid Json") from None
    if not isinstance(document, dict):
        raise malformed("Policies must be valid JSON and the first byte must be '{'")
    if document.get("Version") not in ("2012-10-17", "2008-10-17", None):
        raise malformed("The policy must contain a valid version string")
    if unknown := set(document) - {"Version", "Id", "Statement"}:
        raise malformed(f"Unknown field {sorted(unknown)[0]}")
    listed = as_list(document.get("Statement"))
    if not listed or not all(isinstance(entry, dict) for entry in listed):
        raise malformed("Missing required field Statement")
    for entry in listed:
        _check_statement(entry, arn)


def _check_statement(entry: dict[str, Any], arn: str) -> None:
    if unknown := set(entry) - _STATEMENT_KEYS:
        raise malformed(f"Unknown field {sorted(unknown)[0]}")
    if entry.get("Effect") not in ("Allow", "Deny"):
        raise malformed("Missing required field Effect" if "Effect" not in entry else "Invalid effect")
    for one, other in (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in entry) == (other in entry):
            raise malformed(
                f"Missing required field {one}" if one not in entry else f"{one} and {other} cannot both be"
            )
    principal = entry.get("Principal", entry.get("NotPrincipal"))
    if principal != "*" and not (
        isinstance(principal, dict) and principal and set(principal) <= {"AWS", "Service", "Federated", "CanonicalUser"}
    ):
        raise malformed("Invalid principal in policy")
    if not isinstance(entry.get("Condition", {}), dict):
        raise malformed("Conditions must be an object")
    for action in as_list(entry.get("Action", entry.get("NotAction"))):
        if not isinstance(action, str) or not (action == "*" or action.lower().startswith("s3:")):
            raise malformed("Policy has invalid action")
    for resource in as_list(entry.get("Resource", entry.get("NotResource"))):
        if not isinstance(resource, str) or not _is_about(resource, arn):
            raise malformed("Policy has invalid resource")


def _is_about(resource: str, arn: str) -> bool:
    """A resource pattern may name this bucket and its keys, with wildcards."""
    if resource == "*":
        return True
    if resource == arn or resource.startswith(f"{arn}/"):
        return True
    named, _, _ = resource.partition("/")
    return ("*" in named or "?" in named) and named.startswith("arn:")


def is_public(text: str | None) -> bool:
    """Whether a statement allows everybody, with no condition that ties it to somebody."""
    if text is None:
        return False
    for entry in statements(text):
        if entry["Effect"] != "Allow":
            continue
        principal = entry.get("Principal", "*")  # an Allow with NotPrincipal allows nearly everybody
        everybody = principal == "*" or "*" in as_list(principal.get("AWS", []))
        keys = {key.lower() for operator in entry.get("Condition", {}).values() for key in operator}
        if everybody and not keys & _NARROWING_KEYS:
            return True
    return False


def denials(text: str | None) -> str | None:
    """What a policy forbids, without what it allows."""
    if text is None:
        return None
    kept = [entry for entry in statements(text) if entry["Effect"] == "Deny"]
    return msgspec.json.encode({"Version": "2012-10-17", "Statement": kept}).decode() if kept else None


def with_grant(text: str | None, action: str) -> str:
    """A policy with one statement more: what an ACL was found to grant the caller on the resource of this request."""
    document = msgspec.json.decode(text) if text is not None else {"Version": "2012-10-17", "Statement": []}
    granted = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    return msgspec.json.encode(document | {"Statement": [*as_list(document["Statement"]), granted]}).decode()
