"""What a write says of the object to be, checked before its body comes in: owner, ACL, lock, encryption, storage class.

PutObject, CopyObject, CreateMultipartUpload and a browser's form all begin with ``drafted``.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.ports.service import Context
from lakebed.services.s3.datakeys import Sealed
from lakebed.services.s3.model import acl, archives, locks
from lakebed.services.s3.model.acl import Acl
from lakebed.services.s3.model.shapes import Bucket, Facts, canonical_id
from lakebed.services.s3.provider.request import facts_of
from lakebed.services.s3.state import Core


class Draft(NamedTuple):
    """An object to be: everything but its bytes. ``sealed`` where it is encrypted under a key."""

    facts: Facts
    storage_class: str
    sealed: Sealed | None


def drafted(core: Core, ctx: Context, bucket: Bucket, req: Mapping[str, Any]) -> Draft:
    """From the members of a write whose caller may put the object."""
    key, principal = req["Key"], ctx.principal
    owner, own_acl = owned(core, principal, bucket, req)
    facts = facts_of(req)
    if facts.tags and ctx.operation != "CopyObject":
        core.access.check(principal, bucket, "s3:PutObjectTagging", key)
    lock = locks.of_write(req, bucket, ctx.now)
    if req.get("ObjectLockMode"):
        core.access.check(principal, bucket, "s3:PutObjectRetention", key)
    if req.get("ObjectLockLegalHoldStatus"):
        core.access.check(principal, bucket, "s3:PutObjectLegalHold", key)
    kept_in = archives.storage_class(req, ctx.operation)
    sealed = core.keys.seal(principal, bucket, key, req)
    encryption = sealed.encryption if sealed is not None else None
    facts = msgspec.structs.replace(facts, lock=lock, owner=owner, acl=own_acl, encryption=encryption)
    return Draft(facts, kept_in, sealed)


def owned(core: Core, principal: Principal, bucket: Bucket, req: Mapping[str, Any]) -> tuple[str, Acl | None]:
    """The account that will own the object ("" for the bucket's) and its ACL (None: private)."""
    if bucket.ownership == acl.ENFORCED:
        check_disabled(req)
        return "", None
    owner = bucket.account if principal.kind == "service" else principal.account
    if bucket.ownership == acl.PREFERRED and req.get("ACL") == "bucket-owner-full-control":
        owner = bucket.account
    wanted = acl.of_request(req, canonical_id(owner), canonical_id(bucket.account))
    core.access.check_public_acl(bucket, wanted)
    if acl.is_given(req) and owner == bucket.account and wanted != acl.private(canonical_id(owner)):
        core.access.check(principal, bucket, "s3:PutObjectAcl", req["Key"])
    is_private = wanted == acl.private(canonical_id(owner))
    return "" if owner == bucket.account else owner, None if is_private else wanted


def check_disabled(req: Mapping[str, Any], *, also: str = "bucket-owner-full-control") -> None:
    """Where ACLs are disabled (BucketOwnerEnforced) only one that leaves everything to the owner is taken."""
    if req.get("ACL") not in (None, "bucket-owner-full-control", also) or any(req.get(name) for name in acl.HEADERS):
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", status=400)
