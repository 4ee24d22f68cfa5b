"""What a registry keeps, and which earlier versions a new one must get along with. Pure.

https://docs.aws.amazon.com/glue/latest/dg/schema-registry.html#schema-registry-compatibility
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lakebed.kernel.scope import Scope

DEFAULT_REGISTRY = "default-registry"
# Which way: a BACKWARD reader is the new schema, a FORWARD reader an old one.
_NEW_READS_OLD = ("BACKWARD", "BACKWARD_ALL", "FULL", "FULL_ALL")
_OLD_READS_NEW = ("FORWARD", "FORWARD_ALL", "FULL", "FULL_ALL")


class Registry(msgspec.Struct, frozen=True):
    """A registry."""

    scope: Scope
    name: str
    description: str
    created: float
    updated: float

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("glue", f"registry/{self.name}")


class Schema(msgspec.Struct, frozen=True):
    """A schema: the versions under one name. ``next_version`` is never used twice."""

    scope: Scope
    registry: str
    name: str
    id: int
    data_format: str
    compatibility: str
    description: str
    checkpoint: int
    latest: int
    next_version: int
    created: float
    updated: float

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("glue", f"schema/{self.registry}/{self.name}")

    def shown(self) -> dict[str, Any]:
        """As GetSchema tells it."""
        return {
            "RegistryName": self.registry,
            "RegistryArn": self.scope.arn("glue", f"registry/{self.registry}"),
            "SchemaName": self.name,
            "SchemaArn": self.arn,
            "Description": self.description,
            "DataFormat": self.data_format,
            "Compatibility": self.compatibility,
            "SchemaCheckpoint": self.checkpoint,
            "LatestSchemaVersion": self.latest,
            "NextSchemaVersion": self.next_version,
            "SchemaStatus": "AVAILABLE",
            "CreatedTime": iso(self.created),
            "UpdatedTime": iso(self.updated),
        }


class Version(msgspec.Struct, frozen=True):
    """A version. ``canonical`` is what tells whether two definitions are the same."""

    id: str
    number: int
    definition: str
    canonical: str
    status: str
    created: float


def iso(epoch: float) -> str:
    """Times of this part of Glue are texts."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def pairs(schema: Schema, versions: Sequence[Version], new: str) -> list[tuple[str, str]]:
    """(reader, writer) definitions that must get along before ``new`` may be a version; the versions in ascending order.

    ``_ALL`` modes look at every available version from the checkpoint on, the others at the last.
    """
    usable = [one for one in versions if one.status == "AVAILABLE" and one.number >= schema.checkpoint]
    earlier = usable if schema.compatibility.endswith("_ALL") else usable[-1:]
    found = []
    for one in earlier:
        if schema.compatibility in _NEW_READS_OLD:
            found.append((new, one.definition))
        if schema.compatibility in _OLD_READS_NEW:
            found.append((one.definition, new))
    return found


def numbers(text: str) -> range | None:
    """``5`` or ``5-8`` -> the version numbers, both ends included; None for a range that is upside down."""
    first, _, last = text.partition("-")
    low, high = int(first), int(last or first)
    return range(low, high + 1) if low <= high else None
