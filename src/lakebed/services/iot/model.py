"""What IoT Core keeps, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lakebed.kernel.scope import Scope

ACTIVE, INACTIVE, REVOKED = "ACTIVE", "INACTIVE", "REVOKED"


class Thing(NamedTuple):
    """A registry entry."""

    name: str
    id: str
    attributes: Mapping[str, str]
    version: int
    type: str = ""


class ThingType(NamedTuple):
    """What things have in common; ``deprecated`` is when new things could no longer have it."""

    name: str
    id: str
    description: str
    searchable: Sequence[str]
    created: float
    deprecated: float | None


class Certificate(NamedTuple):
    """A device certificate."""

    scope: Scope
    id: str
    pem: str
    status: str
    mode: str
    created: float
    modified: float
    not_before: float
    not_after: float
    common_name: str
    serial_number: str
    version: int
    authority: str = ""

    @property
    def arn(self) -> str:
        """As policies are attached to it."""
        return self.scope.arn("iot", f"cert/{self.id}")


class PolicyVersion(NamedTuple):
    """One version of a policy."""

    name: str
    version: int
    document: str
    is_default: bool
    created: float
    generation: str


class Rule(NamedTuple):
    """A topic rule; ``payload`` is the API's TopicRulePayload."""

    scope: Scope
    name: str
    payload: Mapping[str, Any]
    topic_filter: str
    is_disabled: bool
    created: float

    @property
    def arn(self) -> str:
        """The rule's ARN."""
        return self.scope.arn("iot", f"rule/{self.name}")
