"""Rotation: new material for a key, by the calendar or on demand; what older material encrypted still opens.

https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
"""

from __future__ import annotations

from lakebed.api import kms as api
from lakebed.ports.service import Context, operation
from lakebed.services.kms import model
from lakebed.services.kms.model import Key, Material
from lakebed.services.kms.provider.desk import Desk, limit, page, start

_DAYS_DEFAULT = 365


class RotationOperations(Desk):
    """Operations on the versions of a key's material."""

    @operation("EnableKeyRotation", action=None)
    async def enable_key_rotation(self, ctx: Context, req: api.EnableKeyRotationRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html"""
        days = req.get("RotationPeriodInDays", _DAYS_DEFAULT)
        key = self.managed_by_caller(ctx, req["KeyId"], {"kms:RotationPeriodInDays": str(days)})
        self._put(model.with_rotation(self._rotatable(key), ctx.now, days))

    @operation("DisableKeyRotation", action=None)
    async def disable_key_rotation(self, ctx: Context, req: api.DisableKeyRotationRequest) -> None:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKeyRotation.html"""
        self._put(model.with_rotation(self._rotatable(self.managed_by_caller(ctx, req["KeyId"])), ctx.now, 0))

    @operation("RotateKeyOnDemand", action=None)
    async def rotate_key_on_demand(
        self, ctx: Context, req: api.RotateKeyOnDemandRequest
    ) -> api.RotateKeyOnDemandResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html"""
        key = model.rotated(self._rotatable(self.managed_by_caller(ctx, req["KeyId"])), ctx.now, on_demand=True)
        with self.k.db.tx() as tx:
            self.ring.add(tx, key, self.k.ids.secret(32), "ON_DEMAND")
        return {"KeyId": key.arn}

    @operation("GetKeyRotationStatus", action=None)
    async def get_key_rotation_status(
        self, ctx: Context, req: api.GetKeyRotationStatusRequest
    ) -> api.GetKeyRotationStatusResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyRotationStatus.html"""
        key = self.key(ctx, model.named(ctx.scope, req["KeyId"], alias=False).arn)
        model.check_rotates(key)
        waits = key.state == model.PENDING
        told: api.GetKeyRotationStatusResponse = {
            "KeyId": key.arn,
            "KeyRotationEnabled": bool(key.rotates) and not waits,
        }
        if key.rotates and not waits:
            told |= {"RotationPeriodInDays": key.rotation_days, "NextRotationDate": key.rotates}
        return told

    @operation("ListKeyRotations", action=None)
    async def list_key_rotations(self, ctx: Context, req: api.ListKeyRotationsRequest) -> api.ListKeyRotationsResponse:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyRotations.html"""
        key, size = self.managed_by_caller(ctx, req["KeyId"]), limit(req, 100, 1000)
        model.check_rotates(key)
        first = 0 if req.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL" else 1
        found = self.ring.keys.materials(key, max(first, start(req, int, 0)), size + 1)
        shown, more = page(found, size, lambda one: one.version)
        return {"Rotations": [_entry(key, one) for one in shown], **more}  # type: ignore[typeddict-item]

    def _rotatable(self, key: Key) -> Key:
        model.check_usable(key)
        model.check_rotates(key)
        return key

    def _put(self, key: Key) -> None:
        with self.k.db.tx() as tx:
            self.ring.keys.put(tx, key)
            tx.after_commit(self.ring.poke)


def _entry(key: Key, one: Material) -> api.RotationsListEntry:
    entry: api.RotationsListEntry = {
        "KeyId": key.arn,
        "KeyMaterialId": one.id,
        "KeyMaterialState": "CURRENT" if one.version == key.version else "NON_CURRENT",
    }
    if one.cause:
        entry |= {"RotationDate": one.made, "RotationType": one.cause}
    return entry
