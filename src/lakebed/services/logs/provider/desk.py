"""How requests name a group (by name or ARN), and the ARNs a permission is asked for.

Groups are ``log-group:<name>:*`` in policies: the star stands for its streams.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import logs as api
from lakebed.kernel.arn import parse
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request
from lakebed.services.logs.journal import Journal
from lakebed.services.logs.model import Group


class Desk:
    """What every provider of CloudWatch Logs starts from."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.k = journal.k

    def group(self, ctx: Context, req: Mapping[str, Any]) -> Group:
        """The group a request names by exactly one of name and identifier."""
        if ("logGroupName" in req) == ("logGroupIdentifier" in req):
            raise api.InvalidParameterException("Exactly one of logGroupName and logGroupIdentifier must be given.")
        return self.journal.group(ctx.scope, group_name(ctx.scope, req))


def name_of(scope: Scope, identifier: str) -> str:
    """The group's name in a name or an ARN of this account and region."""
    parsed = parse(identifier)
    if parsed is None:
        return identifier
    kind, _, name = parsed.resource.partition(":")
    here = (parsed.service, parsed.region, parsed.account) == ("logs", scope.region, scope.account)
    if kind != "log-group" or not here:
        raise api.InvalidParameterException("The log group identifier is not of this account and region.")
    return name.removesuffix(":*")


def group_name(scope: Scope, req: Mapping[str, Any]) -> str:
    """The group a request names, somehow."""
    return name_of(scope, req.get("logGroupName") or req.get("logGroupIdentifier") or "")


def group_arn(scope: Scope, req: Request) -> str:
    """A group as policies name it; ``*`` where a request names none."""
    return scope.arn("logs", f"log-group:{group_name(scope, req) or '*'}:*")


def stream_arn(scope: Scope, req: Request) -> str:
    """A stream."""
    return scope.arn("logs", f"log-group:{group_name(scope, req)}:log-stream:{req['logStreamName']}")


def tagged_arn(scope: Scope, req: Request) -> str:
    """The group a tagging request names by ARN."""
    return scope.arn("logs", f"log-group:{name_of(scope, req['resourceArn'])}:*")
