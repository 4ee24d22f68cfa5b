"""Access keys of users, and of root itself. https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html

The secret is told once and kept sealed (``vault``). Without a UserName the caller's own keys are meant.
"""

from __future__ import annotations

import base64

from lakebed.api import iam as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import GLOBAL_REGION, Scope
from lakebed.kernel.vault import Vault
from lakebed.ports.service import Context, operation
from lakebed.services.iam import model
from lakebed.services.iam.model import USER, Key
from lakebed.services.iam.provider.holders import Holders, arn_of, paged

_user = arn_of(USER, "UserName")


class AccessKeys:
    """Operations on access keys."""

    def __init__(self, holders: Holders, vault: Vault) -> None:
        self.holders, self.vault, self.k, self.keys = holders, vault, holders.k, holders.keys

    def _owner(self, ctx: Context, name: str | None) -> tuple[str, str]:
        """(owner id, user name) the request means."""
        if name is not None:
            user = self.holders.require(ctx, USER, name)
            return user.id, user.name
        if ctx.principal.is_root:
            return ctx.scope.account, ""
        _, caller = self.holders.identity.entity(ctx.principal.identity_arn)
        if caller is None or caller.kind != USER:
            raise api.NoSuchEntityException("Must specify userName when calling with non-User credentials", status=400)
        return caller.id, caller.name

    def _require(self, ctx: Context, owner: str, key_id: str) -> Key:
        key = self.keys.find(key_id)
        if key is None or key.owner != owner or key.account != ctx.scope.account:
            raise api.NoSuchEntityException(f"The Access Key with id {key_id} cannot be found.", status=404)
        return key

    @operation("CreateAccessKey", resource=_user)
    async def create_access_key(self, ctx: Context, req: api.CreateAccessKeyRequest) -> api.CreateAccessKeyResponse:
        owner, name = self._owner(ctx, req.get("UserName"))
        scope = ctx.scope.at_global()
        if len(self.keys.of(scope, owner)) >= model.KEYS_MAX:
            raise api.LimitExceededException(f"Cannot exceed quota for AccessKeysPerUser: {model.KEYS_MAX}", status=409)
        key_id = f"AKIA{self.k.ids.token(16)}"
        secret = base64.b64encode(self.k.ids.secret(30)).decode()
        key = Key(key_id, scope.account, owner, "Active", ctx.now, self.vault.seal(secret, key_id), None, "N/A", "N/A")
        with self.k.db.tx() as tx:
            self.keys.add(tx, scope, key)
            self.holders.changed(tx)
        return {
            "AccessKey": {
                "UserName": name,
                "AccessKeyId": key_id,
                "Status": "Active",
                "SecretAccessKey": secret,
                "CreateDate": ctx.now,
            }
        }

    @operation("ListAccessKeys", resource=_user)
    async def list_access_keys(self, ctx: Context, req: api.ListAccessKeysRequest) -> api.ListAccessKeysResponse:
        owner, name = self._owner(ctx, req.get("UserName"))
        chosen, more = paged(self.keys.of(ctx.scope.at_global(), owner), lambda key: key.id, req)
        told: list[api.AccessKeyMetadata] = [
            {"UserName": name, "AccessKeyId": key.id, "Status": key.status, "CreateDate": key.created} for key in chosen
        ]
        return {"AccessKeyMetadata": told, **more}  # type: ignore[typeddict-item]

    @operation("UpdateAccessKey", resource=_user)
    async def update_access_key(self, ctx: Context, req: api.UpdateAccessKeyRequest) -> None:
        owner, _ = self._owner(ctx, req.get("UserName"))
        if req["Status"] not in ("Active", "Inactive"):
            raise api.InvalidInputException(f"Status {req['Status']} cannot be set: keys are Active or Inactive.")
        key = self._require(ctx, owner, req["AccessKeyId"])
        with self.k.db.tx() as tx:
            self.keys.set_status(tx, ctx.scope.at_global(), key.id, req["Status"])
            self.holders.changed(tx)

    @operation("DeleteAccessKey", resource=_user)
    async def delete_access_key(self, ctx: Context, req: api.DeleteAccessKeyRequest) -> None:
        owner, _ = self._owner(ctx, req.get("UserName"))
        key = self._require(ctx, owner, req["AccessKeyId"])
        with self.k.db.tx() as tx:
            self.keys.delete(tx, ctx.scope.at_global(), key.id)
            self.holders.changed(tx)

    @operation("GetAccessKeyLastUsed")
    async def last_used(self, ctx: Context, req: api.GetAccessKeyLastUsedRequest) -> api.GetAccessKeyLastUsedResponse:
        """An unknown key is told like a stranger's: the operation has no error of its own.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
        """
        key = self.keys.find(req["AccessKeyId"])
        if key is None or key.account != ctx.scope.account:
            raise AwsError(
                "AccessDenied",
                f"User: {ctx.principal.arn} is not authorized to perform: iam:GetAccessKeyLastUsed on resource: "
                f"access key {req['AccessKeyId']}",
                status=403,
            )
        when, service, region = self.holders.identity.uses.get(
            key.id, (key.last_used, key.last_service, key.last_region)
        )
        used: api.AccessKeyLastUsed = {"ServiceName": service, "Region": region}
        if when is not None:
            used["LastUsedDate"] = when
        user = self.holders.entities.by_id(Scope(key.account, GLOBAL_REGION), key.owner)
        return {"UserName": user.name if user else "", "AccessKeyLastUsed": used}
