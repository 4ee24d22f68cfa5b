"""The task of restored copies: at the first moment one is there, at the second it is gone; both are events.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html. What an archived version is (its bytes) does not
move; ``Facts.restore`` says when it may be read, so a read asks nothing of this task.
"""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.services.s3.model.shapes import Caller
from lakebed.services.s3.store.buckets import Buckets
from lakebed.services.s3.store.objects import ObjectRows
from lakebed.services.s3.store.restores import Due, Restores
from lakebed.services.s3.work import service_principal
from lakebed.services.s3.writing import Writing

_BATCH = 100


class Restoring:
    """The task."""

    name = "s3.restores"
    period = 86_400.0

    def __init__(self, k: Kernel, buckets: Buckets, objects: ObjectRows, restores: Restores, writing: Writing) -> None:
        self._k, self._buckets, self._objects, self._restores = k, buckets, objects, restores
        self._writing = writing

    async def activate(self) -> float | None:
        """What is due, some at a time."""
        with self._k.db.tx() as tx:
            for row in self._restores.due(self._k.clock.now(), _BATCH):
                self._see_to(tx, row)
        return self._restores.next_due()

    def _see_to(self, tx: Tx, row: Due) -> None:
        bucket = self._buckets.find(row.bucket)
        version = self._objects.version(row.bucket, row.key, row.version_id)
        restore = version.facts.restore if version is not None else None
        if bucket is None or version is None or restore is None:
            self._restores.remove(tx, row)
            return
        caller = Caller(service_principal(bucket.account), self._k.ids.token(16))
        if row.due < restore.until:
            self._restores.put(tx, version, restore.until)
            self._writing.announce(
                tx, bucket, version, caller, "s3:ObjectRestore:Completed", {"expires": restore.until}
            )
            return
        self._restores.remove(tx, row)
        self._objects.put_facts(tx, version, msgspec.structs.replace(version.facts, restore=None))
        self._writing.announce(tx, bucket, version, caller, "s3:ObjectRestore:Delete")
