"""DeleteObject and DeleteObjects.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html. Refused: MFA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import s3 as api
from lakebed.kernel.db import Tx
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import caller
from lakebed.services.s3.model import conditions
from lakebed.services.s3.model.errors import malformed_xml, precondition_failed
from lakebed.services.s3.model.names import key_bytes
from lakebed.services.s3.model.shapes import Bucket
from lakebed.services.s3.provider.request import object_arn
from lakebed.services.s3.state import Core

_DELETE_MAX, _DELETE_BATCH = 1000, 100


class DeleteOperations:
    """Removing objects and versions."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access = core, core.k, core.access

    @operation("DeleteObject", action=None, resource=object_arn, refused=("MFA",))
    async def delete_object(self, ctx: Context, req: dict[str, Any]) -> api.DeleteObjectOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html"""
        version_id = req.get("VersionId")
        bucket = self.access.bucket(ctx, req, _delete_action(version_id), req["Key"])
        bypass = self._bypasses(ctx, bucket, req["Key"], req)
        wanted = {
            "ETag": req.get("IfMatch"),
            "LastModifiedTime": req.get("IfMatchLastModifiedTime"),
            "Size": req.get("IfMatchSize"),
        }
        with self.k.db.tx() as tx:
            self._check_delete(bucket, req["Key"], version_id, wanted)
            done = self.core.writing.delete(tx, bucket, req["Key"], version_id, caller(ctx), bypass=bypass)
        answer: api.DeleteObjectOutput = {}
        if done.marker:
            answer["DeleteMarker"] = True
        if done.version_id is not None:
            answer["VersionId"] = done.version_id
        return answer

    def _bypasses(self, ctx: Context, bucket: Bucket, key: str, req: Mapping[str, Any]) -> bool:
        """Whether the request asks to pass over governance, and may."""
        if not req.get("BypassGovernanceRetention"):
            return False
        self.access.check(ctx.principal, bucket, "s3:BypassGovernanceRetention", key)
        return True

    @operation("DeleteObjects", action=None, refused=("MFA",))
    async def delete_objects(self, ctx: Context, req: dict[str, Any]) -> api.DeleteObjectsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
        entries = req["Delete"].get("Objects") or ()
        if not 0 < len(entries) <= _DELETE_MAX:
            raise malformed_xml()
        bucket, _ = self.access.find(req["Bucket"])
        self.access.check_owner(bucket, req.get("ExpectedBucketOwner"))
        deleted: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for start in range(0, len(entries), _DELETE_BATCH):
            with self.k.db.tx() as tx:
                for entry in entries[start : start + _DELETE_BATCH]:
                    self._delete_one(tx, ctx, req, entry, (deleted, errors))
            await self.core.removal.remove_due()
        answer: dict[str, Any] = {"Errors": errors} if errors else {}
        if not req["Delete"].get("Quiet") and deleted:
            answer["Deleted"] = deleted
        return answer  # type: ignore[return-value]  # built by members

    def _delete_one(
        self,
        tx: Tx,
        ctx: Context,
        req: Mapping[str, Any],
        entry: Mapping[str, Any],
        told: tuple[list[Any], list[Any]],
    ) -> None:
        """One key of DeleteObjects; what came of it goes to ``told``, the deleted and the errors."""
        named = {name: entry[name] for name in ("Key", "VersionId") if entry.get(name) is not None}
        version_id, key = entry.get("VersionId"), entry["Key"]
        try:
            bucket = self.access.bucket(ctx, {"Bucket": req["Bucket"], **named}, _delete_action(version_id), key)
            bypass = self._bypasses(ctx, bucket, key, req)
            self._check_delete(bucket, key, version_id, entry)
            done = self.core.writing.delete(tx, bucket, key, version_id, caller(ctx), bypass=bypass)
        except AwsError as failure:
            told[1].append({**named, "Code": failure.error_code, "Message": failure.message})
            return
        marker = {"DeleteMarker": True, "DeleteMarkerVersionId": done.version_id} if done.marker else {}
        told[0].append({**named, **marker})

    def _check_delete(self, bucket: Bucket, key: str, version_id: str | None, wanted: Mapping[str, Any]) -> None:
        """Conditions of a delete: the object must still be what the client saw; an absent one satisfies none."""
        etag, modified, size = wanted.get("ETag"), wanted.get("LastModifiedTime"), wanted.get("Size")
        if etag is None and modified is None and size is None:
            return
        raw, objects = key_bytes(key), self.core.objects
        found = objects.version(bucket.name, raw, version_id) if version_id else objects.current(bucket.name, raw)
        conditions.check_write(etag or "*", None, key, found)
        assert found is not None
        if (modified is not None and int(modified) != int(found.modified)) or (size is not None and size != found.size):
            raise precondition_failed("If-Match-Size" if modified is None else "If-Match-Last-Modified-Time")


def _delete_action(version_id: str | None) -> str:
    return "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject"
