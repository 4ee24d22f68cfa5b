"""MQTT control packets as values.

One set of types serves both versions: ``properties`` is simply empty in 3.1.1, where the codec writes none. Reason codes
are MQTT 5's; the encoder turns them into 3.1.1's few where that version has a place for one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from lakebed.wire.mqtt.properties import NO_PROPERTIES, Properties
from lakebed.wire.mqtt.reasons import Reason

V311 = 4
V5 = 5


class Publish(NamedTuple):
    """An application message on the wire. ``topic`` may be empty in MQTT 5 where a topic alias stands for it."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties = NO_PROPERTIES


class Puback(NamedTuple):
    """The answer to a QoS 1 PUBLISH."""

    packet_id: int
    reason: int = Reason.SUCCESS
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Will:
    """The message a client leaves behind for the case that its connection ends without a DISCONNECT."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet of a client. ``clean_start`` is 3.1.1's clean session."""

    version: int
    client_id: str
    clean_start: bool = True
    keep_alive: int = 0
    will: Will | None = None
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Connack:
    """The server's answer to CONNECT."""

    session_present: bool = False
    reason: int = Reason.SUCCESS
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One filter of a SUBSCRIBE with its options; 3.1.1 has only ``qos``."""

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A request for messages."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Suback:
    """One reason for each filter of a SUBSCRIBE."""

    packet_id: int
    reasons: tuple[int, ...]
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The end of subscriptions."""

    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Unsuback:
    """One reason for each filter of an UNSUBSCRIBE (on the wire in MQTT 5 only)."""

    packet_id: int
    reasons: tuple[int, ...] = ()
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Pingreq:
    """A sign of life."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """Its answer."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The orderly end; a server sends it in MQTT 5 only."""

    reason: int = Reason.SUCCESS
    properties: Properties = field(default_factory=Properties)


@dataclass(frozen=True, slots=True)
class Auth:
    """MQTT 5 enhanced authentication."""

    reason: int = Reason.SUCCESS
    properties: Properties = field(default_factory=Properties)


Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
