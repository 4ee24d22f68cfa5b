"""Keys themselves: made, described, listed, disabled, deleted, and their policies and tags.

https://docs.aws.amazon.com/kms/latest/developerguide/create-keys.html
"""

from __future__ import annotations

import asyncio

import msgspec

from lakebed.api import kms as api
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.kms import asymmetric, model, policy
from lakebed.services.kms.keyring import Ask
from lakebed.services.kms.model import AWS_MANAGED, SPECS, Key
from lakebed.services.kms.provider.desk import Desk, limit, page, start

_CUSTOM = ("CustomKeyStoreId", "XksKeyId")
_PER_USE = {model.ENCRYPT: "EncryptionAlgorithms", model.SIGN: "SigningAlgorithms", model.MAC: "MacAlgorithms",
            model.AGREE: "KeyAgreementAlgorithms"}  # fmt: skip


class KeyOperations(Desk):
    """Operations on keys that use no material."""

    @operation("CreateKey", action=None, refused=_CUSTOM)
    async def create_key(self, ctx: Context, req: api.CreateKeyRequest) -> api.CreateKeyResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html"""
        spec = req.get("KeySpec") or req.get("CustomerMasterKeySpec") or model.SYMMETRIC
        tags = model.with_tags({}, req.get("Tags") or [])
        self._authorise_creation(ctx, req, spec, tags)
        if req.get("Origin", "AWS_KMS") != "AWS_KMS":
            raise not_built("kms", "CreateKey", f"Origin {req['Origin']}")
        if req.get("MultiRegion"):
            raise not_built("kms", "CreateKey", "MultiRegion")
        if spec not in SPECS:
            raise model.not_built_spec("CreateKey", spec)
        usage = model.check_spec(spec, req.get("KeyUsage"))
        document = policy.check_policy(req["Policy"]) if req.get("Policy") else policy.default_policy(ctx.scope)
        key = Key(ctx.scope, self.k.ids.uuid(), ctx.now, document, spec, usage, req.get("Description", ""), tags=tags)
        if not req.get("BypassPolicyLockoutSafetyCheck"):
            self._check_not_locked_out(ctx, key)
        secret = await self._material(spec)
        with self.k.db.tx() as tx:
            self.ring.add(tx, key, secret)
        return {"KeyMetadata": self._metadata(key)}

    async def _material(self, spec: str) -> bytes:
        if size := asymmetric.secret_bytes(spec):
            return self.k.ids.secret(size)
        with self.k.clock.working():
            return await asyncio.to_thread(asymmetric.make_pair, spec)

    def _authorise_creation(self, ctx: Context, req: api.CreateKeyRequest, spec: str, tags: dict[str, str]) -> None:
        facts = dict(self.asking(ctx).facts)
        facts |= {
            "kms:KeySpec": spec,
            "kms:KeyUsage": req.get("KeyUsage") or model.ENCRYPT,
            "kms:KeyOrigin": req.get("Origin", "AWS_KMS"),
            "kms:MultiRegion": "true" if req.get("MultiRegion") else "false",
            "kms:CallerAccount": ctx.principal.account,
            "kms:BypassPolicyLockoutSafetyCheck": "true" if req.get("BypassPolicyLockoutSafetyCheck") else "false",
        }
        if tags:
            facts |= {f"aws:RequestTag/{name}": value for name, value in tags.items()} | {"aws:TagKeys": list(tags)}
            self.p.identity.authorise(ctx.principal, "kms:TagResource", "*", conditions=facts)
        self.p.identity.authorise(ctx.principal, "kms:CreateKey", "*", conditions=facts)

    def _check_not_locked_out(self, ctx: Context, key: Key) -> None:
        """The caller must be able to change the new policy, or nobody might be."""
        try:
            self.ring.authorise(self.asking(ctx), key, Ask("PutKeyPolicy"))
        except AwsError:
            raise api.MalformedPolicyDocumentException(
                "The new key policy will not allow you to update the key policy in the future."
            ) from None

    @operation("DescribeKey", action=None)
    async def describe_key(self, ctx: Context, req: api.DescribeKeyRequest) -> api.DescribeKeyResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html"""
        self.make_managed(ctx.scope, req["KeyId"])
        return {"KeyMetadata": self._metadata(self.key(ctx, req["KeyId"]))}

    def make_managed(self, scope: Scope, name: str) -> None:
        """Naming the alias of a service's key is a use of it."""
        service = name.removeprefix(AWS_MANAGED)
        if service != name and service in _SERVICES:
            self.ring.managed(scope, service)

    @operation("ListKeys", refused=("ResourceOwners",))
    async def list_keys(self, ctx: Context, req: api.ListKeysRequest) -> api.ListKeysResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeys.html"""
        size = limit(req, 100, 1000)
        found = self.ring.keys.after(ctx.scope, start(req, str, ""), size + 1)
        shown, more = page(found, size, lambda key: key.id)
        return {"Keys": [{"KeyId": key.id, "KeyArn": key.arn} for key in shown], **more}  # type: ignore[typeddict-item]

    @operation("EnableKey", action=None)
    async def enable_key(self, ctx: Context, req: api.EnableKeyRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKey.html"""
        self._put(model.with_state(self.managed_by_caller(ctx, req["KeyId"]), model.ENABLED))

    @operation("DisableKey", action=None)
    async def disable_key(self, ctx: Context, req: api.DisableKeyRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKey.html"""
        self._put(model.with_state(self.managed_by_caller(ctx, req["KeyId"]), model.DISABLED))

    @operation("ScheduleKeyDeletion", action=None)
    async def schedule_key_deletion(
        self, ctx: Context, req: api.ScheduleKeyDeletionRequest
    ) -> api.ScheduleKeyDeletionResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html"""
        days = req.get("PendingWindowInDays", 30)
        if not 7 <= days <= 30:
            raise model.invalid(f"PendingWindowInDays must be between 7 and 30, not {days}")
        facts = {"kms:ScheduleKeyDeletionPendingWindowInDays": str(days)}
        key = self._put(model.scheduled(self.managed_by_caller(ctx, req["KeyId"], facts), ctx.now, days))
        return {
            "KeyId": key.arn,
            "DeletionDate": key.deletion,
            "KeyState": key.state,
            "PendingWindowInDays": key.window_days,
        }

    @operation("CancelKeyDeletion", action=None)
    async def cancel_key_deletion(
        self, ctx: Context, req: api.CancelKeyDeletionRequest
    ) -> api.CancelKeyDeletionResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html"""
        return {"KeyId": self._put(model.cancelled(self.managed_by_caller(ctx, req["KeyId"]), ctx.now)).arn}

    @operation("UpdateKeyDescription", action=None)
    async def update_key_description(self, ctx: Context, req: api.UpdateKeyDescriptionRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateKeyDescription.html"""
        key = self.managed_by_caller(ctx, req["KeyId"])
        model.check_not_pending(key)
        self._put(msgspec.structs.replace(key, description=req["Description"]))

    @operation("GetKeyPolicy", action=None)
    async def get_key_policy(self, ctx: Context, req: api.GetKeyPolicyRequest) -> api.GetKeyPolicyResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html"""
        key = self.managed_by_caller(ctx, req["KeyId"])
        _check_policy_name(req.get("PolicyName", "default"))
        return {"Policy": key.policy, "PolicyName": "default"}

    @operation("PutKeyPolicy", action=None)
    async def put_key_policy(self, ctx: Context, req: api.PutKeyPolicyRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html"""
        bypass = "true" if req.get("BypassPolicyLockoutSafetyCheck") else "false"
        key = self.managed_by_caller(ctx, req["KeyId"], {"kms:BypassPolicyLockoutSafetyCheck": bypass})
        _check_policy_name(req.get("PolicyName", "default"))
        changed = msgspec.structs.replace(key, policy=policy.check_policy(req["Policy"]))
        if bypass == "false":
            self._check_not_locked_out(ctx, changed)
        self._put(changed)

    @operation("ListKeyPolicies", action=None)
    async def list_key_policies(self, ctx: Context, req: api.ListKeyPoliciesRequest) -> api.ListKeyPoliciesResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyPolicies.html. There is one, `default`."""
        self.managed_by_caller(ctx, req["KeyId"])
        limit(req, 100, 1000)
        start(req, str, "")
        return {"PolicyNames": ["default"], "Truncated": False}

    @operation("TagResource", action=None)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_TagResource.html"""
        facts = {f"aws:RequestTag/{tag['TagKey']}": tag["TagValue"] for tag in req["Tags"]}
        names = [tag["TagKey"] for tag in req["Tags"]]
        key = self.managed_by_caller(ctx, req["KeyId"], {**facts, "aws:TagKeys": names})
        model.check_not_pending(key)
        self._put(msgspec.structs.replace(key, tags=model.with_tags(key.tags, req["Tags"])))

    @operation("UntagResource", action=None)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_UntagResource.html"""
        key = self.managed_by_caller(ctx, req["KeyId"], {"aws:TagKeys": req["TagKeys"]})
        model.check_not_pending(key)
        tags = {name: value for name, value in key.tags.items() if name not in req["TagKeys"]}
        self._put(msgspec.structs.replace(key, tags=tags))

    @operation("ListResourceTags", action=None)
    async def list_resource_tags(self, ctx: Context, req: api.ListResourceTagsRequest) -> api.ListResourceTagsResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListResourceTags.html"""
        key, size = self.managed_by_caller(ctx, req["KeyId"]), limit(req, 50, 50)
        after = start(req, str, "")
        found = [item for item in sorted(key.tags.items()) if item[0] > after]
        shown, more = page(found, size, lambda item: item[0])
        return {"Tags": [{"TagKey": name, "TagValue": value} for name, value in shown], **more}  # type: ignore[typeddict-item]

    def _put(self, key: Key) -> Key:
        with self.k.db.tx() as tx:
            self.ring.keys.put(tx, key)
            tx.after_commit(self.ring.poke)
        return key

    def _metadata(self, key: Key) -> api.KeyMetadata:
        told: api.KeyMetadata = {
            "AWSAccountId": key.scope.account,
            "KeyId": key.id,
            "Arn": key.arn,
            "CreationDate": key.made,
            "Enabled": key.state == model.ENABLED,
            "Description": key.description,
            "KeyUsage": key.usage,
            "KeyState": key.state,
            "Origin": "AWS_KMS",
            "KeyManager": "AWS" if key.service else "CUSTOMER",
            "CustomerMasterKeySpec": key.spec,
            "KeySpec": key.spec,
            "MultiRegion": False,
        }
        told[_PER_USE[key.usage]] = list(key.algorithms)  # type: ignore[literal-required]
        if key.state == model.PENDING:
            told["DeletionDate"] = key.deletion
        if key.spec == model.SYMMETRIC and (current := self.ring.keys.material(key, key.version)) is not None:
            told["CurrentKeyMaterialId"] = current.id
        return told


_SERVICES = frozenset(
    {"s3", "sqs", "sns", "kinesis", "firehose", "lambda", "glue", "secretsmanager", "ssm", "dynamodb", "kafka", "rds"}
)


def _check_policy_name(name: str) -> None:
    if name != "default":
        raise api.NotFoundException("No such policy exists")
