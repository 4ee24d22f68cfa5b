"""IAM's resources as frozen values, and the rules that need no store: names, paths, tags, pages.

Quotas: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
Identifiers: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from lakebed.api import iam as api
from lakebed.kernel.scope import Scope

POLICY_SIZE_MAX = 6_144
TRUST_SIZE_MAX = 2_048
USER_INLINE_SIZE_MAX = 2_048
ROLE_INLINE_SIZE_MAX = 10_240
VERSIONS_MAX = 5
ATTACHED_MAX = 10
KEYS_MAX = 2
TAGS_MAX = 50
USERS_MAX = 5_000
ROLES_MAX = 1_000
POLICIES_MAX = 1_500
PAGE_DEFAULT = 100
USER, ROLE = "user", "role"

_Item = TypeVar("_Item")


class Entity(msgspec.Struct, frozen=True):
    """A user or a role. ``trust``, ``description`` and ``session_seconds_max`` belong to roles."""

    kind: str
    name: str
    path: str
    id: str
    created: float
    boundary: str = ""
    tags: dict[str, str] = {}
    trust: str = ""
    description: str | None = None
    session_seconds_max: int = 3600

    def arn(self, scope: Scope) -> str:
        """``arn:aws:iam::<account>:user/<path><name>``."""
        return scope.global_arn("iam", f"{self.kind}{self.path}{self.name}")


class Policy(msgspec.Struct, frozen=True):
    """A managed policy; the documents of its versions are rows of their own."""

    name: str
    path: str
    id: str
    arn: str
    created: float
    updated: float
    default_version: int = 1
    newest_version: int = 1
    description: str | None = None
    tags: dict[str, str] = {}


class Version(msgspec.Struct, frozen=True):
    """One version of a managed policy."""

    number: int
    created: float
    document: str


class Key(msgspec.Struct, frozen=True):
    """A long-lived access key without its secret; ``owner`` is a user's id or the account."""

    id: str
    account: str
    owner: str
    status: str
    created: float
    sealed: bytes
    last_used: float | None
    last_service: str
    last_region: str


def tags_of(listed: Sequence[api.Tag] | None) -> dict[str, str]:
    """Tags as a mapping; InvalidInput for a key given twice or in AWS's own name space."""
    tags: dict[str, str] = {}
    folded: set[str] = set()
    for tag in listed or ():
        if tag["Key"].lower() in folded:
            raise api.InvalidInputException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        if tag["Key"].lower().startswith("aws:"):
            raise api.InvalidInputException("System tags cannot be added/updated/deleted.")
        folded.add(tag["Key"].lower())
        tags[tag["Key"]] = tag["Value"]
    return _bounded(tags)


def with_tags(have: Mapping[str, str], listed: Sequence[api.Tag]) -> dict[str, str]:
    """``have`` with new tags; a key that differs only in case is replaced."""
    new = tags_of(listed)
    folded = {key.lower() for key in new}
    return _bounded({**{key: value for key, value in have.items() if key.lower() not in folded}, **new})


def without_tags(have: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """``have`` without the named keys."""
    folded = {key.lower() for key in keys}
    return {key: value for key, value in have.items() if key.lower() not in folded}


def _bounded(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAGS_MAX:
        raise api.LimitExceededException(f"The number of tags has reached the maximum limit of {TAGS_MAX}.", status=409)
    return tags


def tag_list(tags: Mapping[str, str]) -> list[api.Tag]:
    """Tags as the API tells them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def page(
    items: Sequence[_Item], names: Sequence[str], marker: str | None, limit: int | None
) -> tuple[list[_Item], str | None]:
    """The page behind ``marker`` and the next marker. ``names`` are the items' sort keys, in their order."""
    chosen = [item for item, name in zip(items, names, strict=True) if marker is None or name > marker]
    size = limit or PAGE_DEFAULT
    if len(chosen) <= size:
        return chosen, None
    first = len(items) - len(chosen)
    return chosen[:size], names[first + size - 1]
