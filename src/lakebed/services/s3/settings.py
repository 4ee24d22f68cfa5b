"""``[services.s3]``: the quotas an administrator may move.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/BucketRestrictions.html
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class S3Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of S3 in this house."""

    buckets_max: Annotated[int, Meta(ge=1, description="Buckets one account may own.")] = 1000
    object_bytes_max: Annotated[int, Meta(ge=1, description="Largest body of PutObject and of one part.")] = 5 << 30
    uploads_max: Annotated[int, Meta(ge=1, description="Unfinished multipart uploads of one bucket.")] = 10_000
    object_ownership: Annotated[
        Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"],
        Meta(
            description="Ownership of new buckets that ask for none. `ObjectWriter`: ACLs as AWS had them until 2023."
        ),
    ] = "BucketOwnerEnforced"
    block_public_access: Annotated[
        bool, Meta(description="Whether new buckets begin with all four public access blocks, as on AWS since 2023.")
    ] = True
