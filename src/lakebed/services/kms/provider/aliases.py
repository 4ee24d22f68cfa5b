"""Aliases: names of keys that may be moved from one key to another.

https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html. Both the alias and the key ask for the permission.
"""

from __future__ import annotations

import msgspec

from lakebed.api import kms as api
from lakebed.ports.service import Context, operation
from lakebed.services.kms import model
from lakebed.services.kms.keyring import Ask
from lakebed.services.kms.model import Alias, Key
from lakebed.services.kms.provider.desk import Desk, limit, page, start


class AliasOperations(Desk):
    """Operations on aliases."""

    @operation("CreateAlias", action=None)
    async def create_alias(self, ctx: Context, req: api.CreateAliasRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html"""
        name = req["AliasName"]
        model.check_alias_name(name)
        self._authorise(ctx, name)
        key = self.managed_by_caller(ctx, req["TargetKeyId"])
        model.check_not_pending(key)
        if self.ring.aliases.find(ctx.scope, name) is not None:
            raise api.AlreadyExistsException(f"An alias with the name {ctx.scope.arn('kms', name)} already exists")
        if self.ring.aliases.count(key) >= model.ALIASES_MAX:
            raise api.LimitExceededException(f"{key.arn} has {model.ALIASES_MAX} aliases")
        with self.k.db.tx() as tx:
            self.ring.aliases.put(tx, Alias(ctx.scope, name, key.id, ctx.now, ctx.now))

    @operation("UpdateAlias", action=None)
    async def update_alias(self, ctx: Context, req: api.UpdateAliasRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateAlias.html"""
        alias = self._require(ctx, req["AliasName"])
        key = self.managed_by_caller(ctx, req["TargetKeyId"])
        model.check_not_pending(key)
        before = self.ring.keys.find(ctx.scope, alias.key)
        if before is not None:
            self.ring.authorise(self.asking(ctx), before, Ask("UpdateAlias"))
            _check_alike(before, key)
        if alias.key != key.id and self.ring.aliases.count(key) >= model.ALIASES_MAX:
            raise api.LimitExceededException(f"{key.arn} has {model.ALIASES_MAX} aliases")
        with self.k.db.tx() as tx:
            self.ring.aliases.put(tx, msgspec.structs.replace(alias, key=key.id, changed=ctx.now))

    @operation("DeleteAlias", action=None)
    async def delete_alias(self, ctx: Context, req: api.DeleteAliasRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteAlias.html"""
        alias = self._require(ctx, req["AliasName"])
        key = self.ring.keys.find(ctx.scope, alias.key)
        if key is not None:
            self.ring.authorise(self.asking(ctx), key, Ask("DeleteAlias"))
        with self.k.db.tx() as tx:
            self.ring.aliases.delete(tx, alias)

    @operation("ListAliases")
    async def list_aliases(self, ctx: Context, req: api.ListAliasesRequest) -> api.ListAliasesResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListAliases.html"""
        key_id = None
        if req.get("KeyId"):
            who = model.named(ctx.scope, req["KeyId"], alias=False)
            if self.ring.keys.find(who.scope, who.id) is None or who.scope.account != ctx.scope.account:
                raise api.NotFoundException(f"Key '{who.arn}' does not exist")
            key_id = who.id
        size = limit(req, 50, 100)
        found = self.ring.aliases.after(ctx.scope, key_id, start(req, str, ""), size + 1)
        shown, more = page(found, size, lambda alias: alias.name)
        listed: list[api.AliasListEntry] = [
            {
                "AliasName": alias.name,
                "AliasArn": alias.arn,
                "TargetKeyId": alias.key,
                "CreationDate": alias.made,
                "LastUpdatedDate": alias.changed,
            }
            for alias in shown
        ]
        return {"Aliases": listed, **more}  # type: ignore[typeddict-item]

    def _authorise(self, ctx: Context, name: str) -> None:
        facts = self.asking(ctx).facts
        self.p.identity.authorise(ctx.principal, f"kms:{ctx.operation}", ctx.scope.arn("kms", name), conditions=facts)

    def _require(self, ctx: Context, name: str) -> Alias:
        model.check_alias_name(name)
        self._authorise(ctx, name)
        alias = self.ring.aliases.find(ctx.scope, name)
        if alias is None:
            raise api.NotFoundException(f"Alias {ctx.scope.arn('kms', name)} is not found.")
        return alias


def _check_alike(before: Key, after: Key) -> None:
    """An alias moves between keys of one kind and use."""
    if before.usage != after.usage or (before.spec == model.SYMMETRIC) != (after.spec == model.SYMMETRIC):
        raise model.invalid(
            f"Alias cannot be changed from a key of {before.spec} for {before.usage} to one of {after.spec} for {after.usage}"
        )
