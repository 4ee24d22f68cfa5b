"""STS's operations. https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lakebed.api import sts as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.identity import Credentials, RoleFacts
from lakebed.ports.service import Context, Request, operation

_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")
_PACKED_MAX = 2_048
_TAGS_MAX = 50
_CHAINED_SECONDS_MAX = 3_600


def _role(_: Scope, request: Request) -> str:
    return str(request["RoleArn"])


class Sts:
    """Temporary credentials."""

    def __init__(self, p: Ports) -> None:
        self.p = p

    @operation("GetCallerIdentity", action=None)
    async def get_caller_identity(self, ctx: Context, _: Any) -> api.GetCallerIdentityResponse:
        """No permission is needed, and none can be withheld."""
        return {"UserId": ctx.principal.user_id, "Account": ctx.principal.account, "Arn": ctx.principal.arn}

    @operation("GetAccessKeyInfo", resource=lambda *_: "*")
    async def get_access_key_info(self, _: Context, req: api.GetAccessKeyInfoRequest) -> api.GetAccessKeyInfoResponse:
        account = self.p.identity.account_of_key(req["AccessKeyId"])
        if account is None:
            raise AwsError("ValidationError", "The specified access key does not exist.")
        return {"Account": account}

    @operation("GetSessionToken", action=None, refused=("SerialNumber", "TokenCode", "MinimumSessionTokenSize"))
    async def get_session_token(self, ctx: Context, req: api.GetSessionTokenRequest) -> api.GetSessionTokenResponse:
        if ctx.principal.kind not in ("user", "root") or ctx.principal.access_key_id.startswith("ASIA"):
            raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", status=403)
        longest = 3_600 if ctx.principal.is_root else 129_600
        seconds = min(req.get("DurationSeconds", 43_200), longest)
        return {"Credentials": _told(self.p.identity.issue_session(ctx.principal, seconds=seconds))}

    # The trust policy decides, together with the caller's own policies where it names only an account: that is one
    # decision of the identity port, so the edge is asked for none.
    @operation(
        "AssumeRole",
        action=None,
        resource=_role,
        refused=("SerialNumber", "TokenCode", "ProvidedContexts", "TransitiveTagKeys", "SourceIdentity",
                 "MinimumSessionTokenSize"),
    )  # fmt: skip
    async def assume_role(self, ctx: Context, req: api.AssumeRoleRequest) -> api.AssumeRoleResponse:
        _check(req)
        tags = _tags(req.get("Tags", ()))
        conditions: dict[str, str | Sequence[str]] = {"sts:RoleSessionName": req["RoleSessionName"]}
        if "ExternalId" in req:
            conditions["sts:ExternalId"] = req["ExternalId"]
        if tags:
            conditions["aws:TagKeys"] = list(tags)
            conditions |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        role = self.p.identity.assumable_role(ctx.principal, req["RoleArn"], conditions=conditions)
        seconds = _seconds(ctx.principal, role, req.get("DurationSeconds", 3_600))
        policies = self._session_policies(req, role)
        session = _session(role, req["RoleSessionName"], policies, tags)
        answer: api.AssumeRoleResponse = {
            "Credentials": _told(self.p.identity.issue_session(session, seconds=seconds)),
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        }
        packed = sum(map(len, policies)) + sum(len(key) + len(value) for key, value in tags.items())
        if packed:
            answer["PackedPolicySize"] = max(1, round(100 * packed / _PACKED_MAX))
        return answer

    def _session_policies(self, req: api.AssumeRoleRequest, role: RoleFacts) -> tuple[str, ...]:
        texts = []
        if "Policy" in req:
            self.p.identity.check_session_policy(req["Policy"])
            texts.append(req["Policy"])
        for entry in req.get("PolicyArns", ()):
            text = self.p.identity.managed_policy(entry.get("arn", ""), role.account)
            if text is None:
                raise AwsError("ValidationError", f"The policy {entry.get('arn', '')} does not exist.")
            texts.append(text)
        if len(req.get("PolicyArns", ())) > 10:
            raise AwsError("ValidationError", "At most 10 managed policies may be given as session policies.")
        return tuple(texts)


def _check(req: api.AssumeRoleRequest) -> None:
    for member, pattern in (("RoleSessionName", _NAME), ("ExternalId", _EXTERNAL)):
        value = req.get(member)
        if isinstance(value, str) and not pattern.fullmatch(value):
            raise AwsError(
                "ValidationError",
                f"1 validation error detected: Value '{value}' at '{member[0].lower()}{member[1:]}' failed to satisfy"
                f" constraint: Member must satisfy regular expression pattern: {pattern.pattern.partition('{')[0]}*",
            )
    if not _ARN.fullmatch(req["RoleArn"]):
        raise AwsError("ValidationError", f"{req['RoleArn']} is invalid")


def _seconds(caller: Principal, role: RoleFacts, wanted: int) -> int:
    if wanted > role.session_seconds_max:
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if caller.kind == "role" and wanted > _CHAINED_SECONDS_MAX:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    return wanted


def _tags(listed: Sequence[api.Tag]) -> dict[str, str]:
    tags = {tag["Key"]: tag["Value"] for tag in listed}
    if len({key.lower() for key in tags}) != len(listed):
        raise AwsError(
            "InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if len(tags) > _TAGS_MAX:
        raise AwsError("ValidationError", f"At most {_TAGS_MAX} session tags may be given.")
    return tags


def _session(role: RoleFacts, name: str, policies: tuple[str, ...], tags: dict[str, str]) -> Principal:
    return Principal(
        account=role.account,
        arn=f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{name}",
        kind="role",
        user_id=f"{role.role_id}:{name}",
        identity_arn=role.arn,
        session_policies=policies,
        tags={**role.tags, **tags},
    )


def _told(credentials: Credentials) -> api.Credentials:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expires_at,
    }
