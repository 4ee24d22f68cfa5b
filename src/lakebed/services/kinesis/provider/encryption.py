"""Server-side encryption of a stream: begin, change the key, end.

https://docs.aws.amazon.com/streams/latest/dev/what-is-sse.html. From the moment the call returns new records are sealed;
earlier ones stay as they were written and are read as before.
"""

from __future__ import annotations

from dataclasses import replace

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.provider.naming import stream_arn
from lakebed.services.kinesis.sealing import Seals
from lakebed.services.kinesis.store import StreamStore


class EncryptionOperations:
    """Operations on encryption. The permission is asked for by ``Access``, in the handler."""

    def __init__(self, k: Kernel, access: Access, store: StreamStore, seals: Seals) -> None:
        self.k, self.access, self.store, self.seals = k, access, store, seals

    @operation("StartStreamEncryption", action=None, resource=stream_arn, refused=("StreamId",))
    async def start_stream_encryption(self, ctx: Context, req: api.StartStreamEncryptionInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html"""
        stream = self.access.stream(ctx, req, "StartStreamEncryption")
        if req["EncryptionType"] != "KMS":
            raise api.InvalidArgumentException("EncryptionType must be KMS.")
        self.seals.check(ctx.principal, stream, req["KeyId"])
        with self.k.db.tx() as tx:
            self.store.update(tx, replace(stream, key_id=req["KeyId"]))

    @operation("StopStreamEncryption", action=None, resource=stream_arn, refused=("StreamId",))
    async def stop_stream_encryption(self, ctx: Context, req: api.StopStreamEncryptionInput) -> None:
        """The key must be the one in use, named as it was; a stream that is not encrypted stays so.

        https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StopStreamEncryption.html
        """
        stream = self.access.stream(ctx, req, "StopStreamEncryption")
        if req["EncryptionType"] != "KMS":
            raise api.InvalidArgumentException("EncryptionType must be KMS.")
        if stream.key_id and req["KeyId"] != stream.key_id:
            raise api.InvalidArgumentException(
                f"Stream {stream.name} under account {stream.scope.account} is not encrypted with KMS key {req['KeyId']}."
            )
        with self.k.db.tx() as tx:
            self.store.update(tx, replace(stream, key_id=""))
