"""Cross-origin configuration of a bucket; ``browsers`` applies it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/enabling-cors-examples.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import s3 as api
from lakebed.ports.service import Context, operation
from lakebed.services.s3.model import cors
from lakebed.services.s3.model.errors import missing
from lakebed.services.s3.provider.request import bucket_arn
from lakebed.services.s3.state import Core


class CorsOperations:
    """Which pages may use a bucket from a browser."""

    def __init__(self, core: Core) -> None:
        self.k, self.access, self.buckets = core.k, core.access, core.buckets

    @operation("PutBucketCors", action=None, resource=bucket_arn)
    async def put_bucket_cors(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketCORS")
        rules = cors.parse_configuration(req["CORSConfiguration"].get("CORSRules") or ())
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "cors", msgspec.msgpack.encode(rules))

    @operation("GetBucketCors", action=None, resource=bucket_arn)
    async def get_bucket_cors(self, ctx: Context, req: dict[str, Any]) -> api.GetBucketCorsOutput:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketCors.html"""
        bucket = self.access.bucket(ctx, req, "s3:GetBucketCORS")
        if not bucket.cors:
            raise missing("NoSuchCORSConfiguration", "The CORS configuration does not exist", bucket.name)
        return {"CORSRules": cors.configuration(cors.rules_of(bucket.cors))}  # type: ignore[typeddict-item]  # by members

    @operation("DeleteBucketCors", action=None, resource=bucket_arn)
    async def delete_bucket_cors(self, ctx: Context, req: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketCors.html"""
        bucket = self.access.bucket(ctx, req, "s3:PutBucketCORS")
        with self.k.db.tx() as tx:
            self.buckets.put(tx, bucket.name, "cors", None)
