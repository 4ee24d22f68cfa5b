"""RestoreObject: a readable copy of an archived version, for some days.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html. Refused by name: SELECT (S3 Select), OutputLocation.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.errors import not_built
from lakebed.ports.service import Context, operation
from lakebed.services.s3.access import caller
from lakebed.services.s3.model import archives
from lakebed.services.s3.provider.request import object_arn
from lakebed.services.s3.state import Core

_REFUSED = ("Type", "SelectParameters", "OutputLocation", "Description")


class RestoreOperations:
    """Copies of what is archived."""

    def __init__(self, core: Core) -> None:
        self.core, self.k, self.access = core, core.k, core.access

    @operation("RestoreObject", action=None, resource=object_arn)
    async def restore_object(self, ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html"""
        version_id, wanted = req.get("VersionId"), req.get("RestoreRequest") or {}
        bucket = self.access.bucket(ctx, req, "s3:RestoreObject", req["Key"])
        for refused in _REFUSED:
            if wanted.get(refused) is not None:
                raise not_built("s3", "RestoreObject", f"RestoreRequest.{refused}")
        version = self.core.reading.require(ctx.principal, bucket, req["Key"], version_id, "POST")
        restore = archives.restored(version, wanted, ctx.now)
        begins = restore.ready > ctx.now
        with self.k.db.tx() as tx:
            self.core.objects.put_facts(tx, version, msgspec.structs.replace(version.facts, restore=restore))
            self.core.restores.put(tx, version, restore.ready if begins else restore.until)
            if begins:
                self.core.writing.announce(tx, bucket, version, caller(ctx), "s3:ObjectRestore:Post")
            tx.after_commit(lambda: self.k.tasks.poke("s3.restores"))
        return {}
