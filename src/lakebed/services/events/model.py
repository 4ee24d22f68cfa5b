"""Buses, rules, targets, events, archives and replays as values.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-what-is.html
https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from lakebed.api import events as api
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope

SERVICE = "events.amazonaws.com"
DEFAULT = "default"
ENABLED, ENABLED_ALL, DISABLED = "ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", "DISABLED"
RULES_MAX, TARGETS_MAX, BUSES_MAX, TAGS_MAX = 300, 5, 100, 50
HOPS_MAX = 5


class Bus(msgspec.Struct, frozen=True):
    """An event bus. ``statements`` are those of its policy."""

    scope: Scope
    name: str
    made: float
    changed: float = 0.0
    description: str = ""
    statements: list[dict[str, Any]] = []
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("events", f"event-bus/{self.name}")

    @property
    def policy(self) -> str | None:
        """Its policy's JSON, None where it has none."""
        return json.dumps({"Version": "2012-10-17", "Statement": self.statements}) if self.statements else None


class Rule(msgspec.Struct, frozen=True):
    """A rule: which events of a bus go to its targets, and when it fires by itself."""

    scope: Scope
    bus: str
    name: str
    made: float
    pattern: str = ""
    schedule: str = ""
    state: str = ENABLED
    description: str = ""
    role: str = ""
    creator: str = ""
    tags: dict[str, str] = {}
    due: float | None = None

    @property
    def arn(self) -> str:
        """Its ARN; the default bus is not named in it."""
        return rule_arn(self.scope, self.bus, self.name)

    @property
    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self.state != DISABLED


class Target(msgspec.Struct, frozen=True):
    """Where a rule's events go. ``settings`` is the member of the API, without Id and Arn."""

    id: str
    arn: str
    settings: dict[str, Any] = {}

    @property
    def role(self) -> str:
        """The role deliveries are made as, or empty."""
        return str(self.settings.get("RoleArn", ""))

    @property
    def dead_letters(self) -> str:
        """ARN of the queue for what cannot be delivered, or empty."""
        return str((self.settings.get("DeadLetterConfig") or {}).get("Arn", ""))

    @property
    def attempts_max(self) -> int:
        """How often a delivery is repeated."""
        return int((self.settings.get("RetryPolicy") or {}).get("MaximumRetryAttempts", 185))

    @property
    def age_max(self) -> int:
        """How long a delivery is tried, in seconds."""
        return int((self.settings.get("RetryPolicy") or {}).get("MaximumEventAgeInSeconds", 86_400))


class Event(msgspec.Struct, frozen=True):
    """An event. ``detail`` is JSON text as it came; ``replay`` the name of the replay it comes from."""

    scope: Scope
    id: str
    source: str
    detail_type: str
    detail: str
    time: float
    resources: list[str] = []
    ingested: float = 0.0
    replay: str = ""
    hops: int = 0

    def head(self) -> dict[str, Any]:
        """The members before the detail."""
        told: dict[str, Any] = {
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": self.scope.account,
            "time": timestamp(self.time),
            "region": self.scope.region,
            "resources": self.resources,
        }
        return told | {"replay-name": self.replay} if self.replay else told

    def text(self) -> str:
        """The event as targets get it. The detail's own text stays: numbers are not written anew."""
        return f'{json.dumps(self.head(), ensure_ascii=False, separators=(",", ":"))[:-1]},"detail":{self.detail}}}'

    def document(self) -> dict[str, Any]:
        """The event as patterns and paths see it."""
        return {**self.head(), "detail": json.loads(self.detail)}


class Archive(msgspec.Struct, frozen=True):
    """An archive of a bus; ``days`` 0: for ever."""

    scope: Scope
    name: str
    bus: str
    made: float
    pattern: str = ""
    description: str = ""
    days: int = 0

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("events", f"archive/{self.name}")


class Replay(msgspec.Struct, frozen=True):
    """A replay of an archive. (``at``, ``number``) is the place of the last event that was put again."""

    scope: Scope
    name: str
    archive: str
    bus: str
    begin: float
    end: float
    started: float
    description: str = ""
    rules: list[str] = []
    state: str = "RUNNING"
    reason: str = ""
    ended: float = 0.0
    at: float = 0.0
    number: int = 0

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("events", f"replay/{self.name}")


def timestamp(moment: float) -> str:
    """As events have it: seconds, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rule_arn(scope: Scope, bus: str, name: str) -> str:
    """A rule's ARN."""
    return scope.arn("events", f"rule/{name}" if bus == DEFAULT else f"rule/{bus}/{name}")


def service_principal(scope: Scope) -> Principal:
    """EventBridge, working for an account."""
    return Principal(scope.account, SERVICE, "service", SERVICE)


def bus_place(scope: Scope, text: str | None) -> tuple[Scope, str]:
    """Where a bus is, and its name; from a name or an ARN."""
    if not text:
        return scope, DEFAULT
    if not text.startswith("arn:"):
        return scope, text
    arn = parse(text)
    if arn is None or arn.service != "events" or not arn.resource.startswith("event-bus/"):
        raise invalid(f"Invalid EventBus ARN {text[:256]}")
    return Scope(arn.account, arn.region, arn.partition), arn.resource.removeprefix("event-bus/")


def invalid(message: str) -> AwsError:
    """ValidationException."""
    return AwsError("ValidationException", message)


def no_bus(name: str) -> api.ResourceNotFoundException:
    """As AWS says it."""
    return api.ResourceNotFoundException(f"Event bus {name} does not exist.")


def with_tags(tags: Mapping[str, str], added: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags with more of them."""
    merged = dict(tags) | {str(tag["Key"]): str(tag["Value"]) for tag in added}
    if any(name.lower().startswith("aws:") for name in merged):
        raise invalid("Tag keys must not begin with aws:")
    if len(merged) > TAGS_MAX:
        raise invalid(f"A resource has at most {TAGS_MAX} tags")
    return merged
