"""Key policies: what a new key gets, what a customer's own must be, and grants as statements beside it.

Nobody may what the key's policy does not allow, not even root: a statement that names the account hands the decision to
IAM. A grant that fits a request is added to the policy as one more statement for the time of the decision, so that an
explicit deny anywhere still wins.

https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lakebed.api import kms as api
from lakebed.kernel.scope import Scope
from lakebed.services.kms.model import Grant

POLICY_BYTES_MAX = 32_768
_USES = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey")


@lru_cache(maxsize=256)
def default_policy(scope: Scope) -> str:
    """The account's IAM decides."""
    root = scope.global_arn("iam", "root")
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": root},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}, indent=2)


def managed_policy(scope: Scope, service: str) -> str:
    """Of a key AWS manages: everyone of the account, but only through the service; its owner may look at it."""
    through = {
        "StringEquals": {
            "kms:CallerAccount": scope.account,
            "kms:ViaService": f"{service}.{scope.region}.amazonaws.com",
        }
    }
    use = {
        "Sid": f"Allow access through {service} for all principals in the account that are authorized to use {service}",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": list(_USES),
        "Resource": "*",
        "Condition": through,
    }
    look = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": {"AWS": scope.global_arn("iam", "root")},
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-2", "Statement": [use, look]})


def check_policy(text: str) -> str:
    """Raise unless ``text`` is a key policy."""
    if len(text.encode("utf-8", "surrogatepass")) > POLICY_BYTES_MAX:
        raise api.LimitExceededException("The key policy document exceeds the limit of 32768 bytes.")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed() from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements or not all(_is_statement(one) for one in statements):
        raise _malformed()
    return text


def _is_statement(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and one.get("Effect") in ("Allow", "Deny")
        and ("Principal" in one or "NotPrincipal" in one)
        and _is_texts(one.get("Action", one.get("NotAction")))
        and _is_texts(one.get("Resource", one.get("NotResource")))
        and _is_principal(one.get("Principal", one.get("NotPrincipal")))
        and isinstance(one.get("Condition", {}), dict)
    )


def _is_principal(value: Any) -> bool:
    return value == "*" or (isinstance(value, dict) and bool(value) and all(_is_texts(one) for one in value.values()))


def _is_texts(value: Any) -> bool:
    listed = [value] if isinstance(value, str) else value
    return isinstance(listed, list) and bool(listed) and all(isinstance(one, str) for one in listed)


def _malformed() -> api.MalformedPolicyDocumentException:
    return api.MalformedPolicyDocumentException("The new key policy is malformed.")


def with_grants(policy: str, action: str, grants: Sequence[Grant]) -> str:
    """The policy of this moment: the key's own, and a statement for each principal a fitting grant names."""
    if not grants:
        return policy
    return _with_grantees(policy, f"kms:{action}", tuple(sorted({grant.grantee for grant in grants})))


@lru_cache(maxsize=1024)
def _with_grantees(policy: str, action: str, grantees: tuple[str, ...]) -> str:
    document = json.loads(policy)
    own = document["Statement"]
    added = {"Effect": "Allow", "Principal": {"AWS": list(grantees)}, "Action": action, "Resource": "*"}
    document["Statement"] = [*(own if isinstance(own, list) else [own]), added]
    return json.dumps(document)
