"""Global condition keys: what a policy's Condition and variables may ask about the caller and the moment.

The edge adds what only it knows (aws:SourceIp, aws:SecureTransport, aws:UserAgent, aws:RequestedRegion); services add
their own keys (s3:prefix, iam:PassedToService).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from lakebed.kernel.scope import Principal

_TYPES = {"root": "Account", "user": "User", "role": "AssumedRole", "anonymous": "Anonymous", "service": "Service"}


def facts_of(principal: Principal, now: float, given: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Every condition key of a request in lower case, each with its values."""
    facts: dict[str, tuple[str, ...]] = {
        "aws:currenttime": (datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now)),),
        "aws:principaltype": (_TYPES.get(principal.kind, "User"),),
    }
    if principal.kind == "service":
        facts["aws:principalisawsservice"] = ("true",)
        facts["aws:principalservicename"] = (principal.arn,)
    elif principal.kind != "anonymous":
        facts["aws:principalisawsservice"] = ("false",)
        facts["aws:principalarn"] = (principal.identity_arn or principal.arn,)
        facts["aws:principalaccount"] = (principal.account,)
        facts["aws:userid"] = (principal.user_id,)
        if principal.kind == "user":
            facts["aws:username"] = (principal.arn.rpartition("/")[2],)
        for key, value in principal.tags.items():
            facts[f"aws:principaltag/{key.lower()}"] = (value,)
    for key, values in given.items():
        facts[key.lower()] = (values,) if isinstance(values, str) else tuple(values)
    return facts
