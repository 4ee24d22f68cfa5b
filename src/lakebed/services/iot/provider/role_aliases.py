"""Role aliases. https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html

Devices exchange their certificate for the role's credentials at the credential provider endpoint (``https``).
"""

from __future__ import annotations

from lakebed.api import iot as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.alias_store import AliasStore, RoleAlias
from lakebed.services.iot.state import Core, tags_of

_PAGE = 25
_SECONDS, _SECONDS_MIN, _SECONDS_MAX = 3600, 900, 43_200
_TRUSTED = "credentials.iot.amazonaws.com"


def alias_arn(scope: Scope, req: Request) -> str:
    """The alias an operation is on."""
    return scope.arn("iot", f"rolealias/{req['roleAlias']}")


class RoleAliasOperations:
    """See the module."""

    def __init__(self, core: Core, aliases: AliasStore) -> None:
        self.core, self.aliases = core, aliases

    @operation("CreateRoleAlias", resource=alias_arn)
    async def create_role_alias(self, ctx: Context, req: api.CreateRoleAliasRequest) -> api.CreateRoleAliasResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_CreateRoleAlias.html"""
        name, arn, tags = req["roleAlias"], alias_arn(ctx.scope, dict(req)), tags_of(req.get("tags"))
        self.core.p.identity.check_pass_role(ctx.principal, req["roleArn"], _TRUSTED)
        made = RoleAlias(
            name, req["roleArn"], _seconds(req.get("credentialDurationSeconds", _SECONDS)), ctx.now, ctx.now
        )
        with self.aliases.db.tx() as tx:
            if self.aliases.alias(ctx.scope, name) is not None:
                raise api.ResourceAlreadyExistsException(f"Role alias {name} already exists")
            self.aliases.put(tx, ctx.scope, made)
            self.core.store.put_tags(tx, ctx.scope, arn, tags)
        return {"roleAlias": name, "roleAliasArn": arn}

    @operation("DescribeRoleAlias", resource=alias_arn)
    async def describe_role_alias(
        self, ctx: Context, req: api.DescribeRoleAliasRequest
    ) -> api.DescribeRoleAliasResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeRoleAlias.html"""
        found = self._require(ctx.scope, req["roleAlias"])
        return {
            "roleAliasDescription": {
                "roleAlias": found.name,
                "roleAliasArn": alias_arn(ctx.scope, dict(req)),
                "roleArn": found.role_arn,
                "owner": ctx.scope.account,
                "credentialDurationSeconds": found.seconds,
                "creationDate": found.created,
                "lastModifiedDate": found.modified,
            }
        }

    @operation("UpdateRoleAlias", resource=alias_arn)
    async def update_role_alias(self, ctx: Context, req: api.UpdateRoleAliasRequest) -> api.UpdateRoleAliasResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UpdateRoleAlias.html"""
        found = self._require(ctx.scope, req["roleAlias"])
        role = req.get("roleArn", found.role_arn)
        self.core.p.identity.check_pass_role(ctx.principal, role, _TRUSTED)
        seconds = _seconds(req.get("credentialDurationSeconds", found.seconds))
        with self.aliases.db.tx() as tx:
            self.aliases.put(tx, ctx.scope, found._replace(role_arn=role, seconds=seconds, modified=ctx.now))
        return {"roleAlias": found.name, "roleAliasArn": alias_arn(ctx.scope, dict(req))}

    @operation("DeleteRoleAlias", resource=alias_arn)
    async def delete_role_alias(self, ctx: Context, req: api.DeleteRoleAliasRequest) -> api.DeleteRoleAliasResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DeleteRoleAlias.html"""
        found = self._require(ctx.scope, req["roleAlias"])
        with self.aliases.db.tx() as tx:
            self.aliases.delete(tx, ctx.scope, found.name)
            self.core.store.delete_tags(tx, ctx.scope, alias_arn(ctx.scope, dict(req)))
        return {}

    @operation("ListRoleAliases")
    async def list_role_aliases(self, ctx: Context, req: api.ListRoleAliasesRequest) -> api.ListRoleAliasesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListRoleAliases.html"""
        limit = req.get("pageSize", _PAGE)
        ascending = bool(req.get("ascendingOrder", False))
        found = self.aliases.aliases(ctx.scope, req.get("marker", ""), limit + 1, ascending=ascending)
        answer: api.ListRoleAliasesResponse = {"roleAliases": [one.name for one in found[:limit]]}
        if len(found) > limit:
            answer["nextMarker"] = found[limit - 1].name
        return answer

    def _require(self, scope: Scope, name: str) -> RoleAlias:
        found = self.aliases.alias(scope, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Role alias {name} does not exist")
        return found


def _seconds(asked: int) -> int:
    if not _SECONDS_MIN <= asked <= _SECONDS_MAX:
        raise api.InvalidRequestException(f"credentialDurationSeconds must be {_SECONDS_MIN} to {_SECONDS_MAX}.")
    return asked
