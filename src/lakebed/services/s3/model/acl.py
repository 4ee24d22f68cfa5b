"""Access control lists: canned ones, grants, and which permission an action needs.

An ACL is an owner and grants to accounts (by canonical id) or to the groups AllUsers, AuthenticatedUsers and LogDelivery.
It has a say only where the bucket's ownership is not BucketOwnerEnforced. Refused: grants by e-mail address, which
nobody has here (AWS ended them too).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model.errors import invalid_argument, invalid_request, malformed_xml

ENFORCED, PREFERRED, WRITER = "BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"
OWNERSHIPS = (ENFORCED, PREFERRED, WRITER)
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
_PUBLIC = (ALL_USERS, AUTHENTICATED_USERS)
_PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
_GRANTS_MAX = 100
HEADERS = {
    "GrantFullControl": "FULL_CONTROL",
    "GrantRead": "READ",
    "GrantReadACP": "READ_ACP",
    "GrantWrite": "WRITE",
    "GrantWriteACP": "WRITE_ACP",
}
_CANNED: Mapping[str, Sequence[tuple[str, str]]] = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED_USERS, "READ"),),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
    "aws-exec-read": (),
}
_CANONICAL = re.compile(r"[0-9a-f]{64}")
_GRANTEE = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*"?([^",]*)"?\s*', re.IGNORECASE)

# What a permission on a bucket, and on an object, lets its grantee do.
_ON_BUCKET = {
    "s3:ListBucket": "READ", "s3:ListBucketVersions": "READ", "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE", "s3:DeleteObject": "WRITE", "s3:AbortMultipartUpload": "WRITE",
    "s3:GetBucketAcl": "READ_ACP", "s3:PutBucketAcl": "WRITE_ACP",
}  # fmt: skip
_ON_OBJECT = {
    "s3:GetObject": "READ", "s3:GetObjectVersion": "READ", "s3:GetObjectAttributes": "READ",
    "s3:GetObjectVersionAttributes": "READ", "s3:GetObjectAcl": "READ_ACP", "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP", "s3:PutObjectVersionAcl": "WRITE_ACP",
}  # fmt: skip


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """``grantee`` is a canonical id or a group's URI."""

    grantee: str
    permission: str

    @property
    def is_public(self) -> bool:
        """Whether it names everybody."""
        return self.grantee in _PUBLIC


class Acl(msgspec.Struct, frozen=True):
    """``owner`` is a canonical id."""

    owner: str
    grants: tuple[Grant, ...]

    @property
    def is_public(self) -> bool:
        """Whether a grant names everybody."""
        return any(grant.is_public for grant in self.grants)


decode = msgspec.msgpack.Decoder(Acl).decode


def private(owner: str) -> Acl:
    """Full control of the owner and of nobody else."""
    return Acl(owner, (Grant(owner, "FULL_CONTROL"),))


def needed(action: str) -> tuple[str, bool] | None:
    """The permission that an action needs and whether it is one on the object; None where no ACL can give it."""
    if action in _ON_OBJECT:
        return _ON_OBJECT[action], True
    return (_ON_BUCKET[action], False) if action in _ON_BUCKET else None


def permits(acl: Acl, caller: str, permission: str, *, anonymous: bool, ignore_public: bool) -> bool:
    """Whether an ACL grants ``permission`` to the account of canonical id ``caller``."""
    for grant in acl.grants:
        if grant.permission not in (permission, "FULL_CONTROL"):
            continue
        if grant.grantee == caller and not anonymous:
            return True
        if grant.is_public and not ignore_public and (grant.grantee == ALL_USERS or not anonymous):
            return True
    return False


def is_given(request: Mapping[str, Any]) -> bool:
    """Whether a request says anything of an ACL."""
    return bool(request.get("ACL") or request.get("AccessControlPolicy")) or any(request.get(name) for name in HEADERS)


def of_request(request: Mapping[str, Any], owner: str, bucket_owner: str) -> Acl:
    """The ACL a request asks for: a canned one, one of grant headers, or a document; private where it says nothing."""
    chosen = request.get("ACL")
    headers = {member: request[member] for member in HEADERS if request.get(member)}
    document = request.get("AccessControlPolicy")
    if bool(chosen) + bool(headers) + (document is not None) > 1:
        if chosen and headers:
            raise invalid_request("Specifying both Canned ACLs and Header Grants is not allowed")
        raise AwsError("UnexpectedContent", "This request does not support content", status=400)
    if document is not None:
        return _of_document(document, owner)
    if headers:
        return _checked(Acl(owner, tuple(_header_grants(headers))))
    return _of_canned(chosen or "private", owner, bucket_owner)


def _of_canned(name: str, owner: str, bucket_owner: str) -> Acl:
    grants = [Grant(owner, "FULL_CONTROL")]
    if name in ("bucket-owner-read", "bucket-owner-full-control"):
        if bucket_owner != owner:
            grants.append(Grant(bucket_owner, "READ" if name == "bucket-owner-read" else "FULL_CONTROL"))
    elif name in _CANNED:
        grants += [Grant(grantee, permission) for grantee, permission in _CANNED[name]]
    else:
        raise invalid_argument("Invalid canned ACL", "x-amz-acl", name)
    return Acl(owner, tuple(grants))


def _header_grants(headers: Mapping[str, str]) -> list[Grant]:
    found = []
    for member, text in headers.items():
        for entry in text.split(","):
            match = _GRANTEE.fullmatch(entry)
            if match is None:
                raise invalid_argument("Argument format not recognized", f"x-amz-{_dashed(member)}", text)
            found.append(Grant(_grantee(match[1].lower(), match[2]), HEADERS[member]))
    return found


def _dashed(member: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", member).lower()


def _grantee(kind: str, value: str) -> str:
    if kind == "emailaddress":
        raise AwsError(
            "UnresolvableGrantByEmailAddress",
            "The e-mail address you provided does not match any account on record.",
            status=400,
        )
    if kind == "uri" and value not in (*_PUBLIC, LOG_DELIVERY):
        raise invalid_argument("Invalid group uri", "uri", value)
    if kind == "id" and not _CANONICAL.fullmatch(value):
        raise invalid_argument("Invalid id", "id", value)
    return value


def _of_document(document: Mapping[str, Any], owner: str) -> Acl:
    named = (document.get("Owner") or {}).get("ID")
    if named is None:
        raise malformed_xml()
    if named != owner:
        raise AwsError("AccessDenied", "Access Denied", status=403)
    grants = []
    for entry in document.get("Grants") or ():
        grantee, permission = entry.get("Grantee") or {}, entry.get("Permission")
        if permission not in _PERMISSIONS:
            raise malformed_xml()
        kind = {"CanonicalUser": "id", "Group": "uri", "AmazonCustomerByEmail": "emailaddress"}.get(
            grantee.get("Type", ""), ""
        )
        value = grantee.get({"id": "ID", "uri": "URI"}.get(kind, "EmailAddress"))
        if not kind or value is None:
            raise malformed_xml()
        grants.append(Grant(_grantee(kind, value), permission))
    return _checked(Acl(owner, tuple(grants)))


def _checked(acl: Acl) -> Acl:
    if len(acl.grants) > _GRANTS_MAX:
        raise invalid_request(f"An access control list takes at most {_GRANTS_MAX} grants.")
    return acl


def told(acl: Acl) -> dict[str, Any]:
    """Owner and grants as GetBucketAcl and GetObjectAcl tell them."""
    grants = []
    for grant in acl.grants:
        group = grant.grantee.startswith("http")
        grantee = {"URI": grant.grantee, "Type": "Group"} if group else {"ID": grant.grantee, "Type": "CanonicalUser"}
        grants.append({"Grantee": grantee, "Permission": grant.permission})
    return {"Owner": {"ID": acl.owner}, "Grants": grants}
