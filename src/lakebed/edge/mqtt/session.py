"""A session: what a client id owns beyond one connection.

QoS 1 messages wait in ``waiting`` and are in flight by packet identifier, at most 100 (AWS's limit, or the receive
maximum an MQTT 5 client asked for). In a persistent session each of them is also a row, written before the publisher's
PUBACK; while the client is away only the rows and two counters remain. The packet identifier follows from the sequence
number, so that a message sent again after a restart keeps its identifier.

Messages are not sent again on a living connection ([MQTT-4.4.0-1]); AWS's hourly retry exists for 3.1.1 and is a
deviation. A queue beyond its bound takes no more messages: the newest are dropped and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from lakebed.edge.mqtt import limits
from lakebed.edge.mqtt.store import Queued, SessionStore
from lakebed.edge.mqtt.tree import Options
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import NO_PROPERTIES, MessageProperties, PublishedMessage
from lakebed.wire.mqtt.packets import Publish
from lakebed.wire.mqtt.properties import NO_PROPERTIES as NO_WIRE_PROPERTIES
from lakebed.wire.mqtt.properties import Properties


class Outlet(Protocol):
    """What a session needs of its connection."""

    receive_maximum: int

    def may_receive(self, topic: str) -> bool:
        """The policy's word on a delivery."""
        ...

    def deliver(self, message: Publish) -> bool:
        """Send; False where the message was dropped instead."""
        ...


class Session:
    """One client id of one account and region."""

    def __init__(self, scope: Scope, client_id: str, store: SessionStore, expiry_seconds: int = 0) -> None:
        self.scope, self.client_id, self._store = scope, client_id, store
        self.expiry_seconds = expiry_seconds
        self.is_stored = False
        self.outlet: Outlet | None = None
        self.disconnected_at: float | None = None
        self.subscriptions: dict[str, Options] = {}
        self.queued = 0
        self.queued_bytes = 0
        self.last_sequence = 0
        self.sent_through = 0
        self.dropped = 0
        self.ended_by = ""  # the lifecycle event's reason of the last connection's end
        self._waiting: deque[Queued] = deque()
        self._in_flight: dict[int, Queued] = {}

    @property
    def expires_at(self) -> float | None:
        """When it ends; None while it is connected."""
        return None if self.disconnected_at is None else self.disconnected_at + self.expiry_seconds

    def attach(self, outlet: Outlet) -> None:
        """The client is here (again)."""
        self.outlet, self.disconnected_at = outlet, None
        if self.is_stored:
            self._waiting = deque(self._store.queue(self.scope, self.client_id))
            self._recount()

    def detach(self, now: float) -> None:
        """The client is gone. What is stored needs no memory."""
        self.outlet, self.disconnected_at = None, now
        if self.is_stored:
            self._waiting.clear()
            self._in_flight.clear()

    def offer(
        self, message: PublishedMessage, options: Iterable[Options], now: float, *, retained: bool = False
    ) -> None:
        """Deliver a message at the best QoS of the matching subscriptions, once."""
        qos, keeps_retain = 0, retained
        identifiers: tuple[int, ...] = ()
        for wanted in options:
            qos = max(qos, wanted.qos)
            keeps_retain = keeps_retain or (wanted.retain_as_published and message.retain)
            if wanted.identifier:
                identifiers = (*identifiers, wanted.identifier)
        if not qos or not message.qos:
            if self.outlet is None:
                return
            properties = _wire(message.properties, identifiers, message.received_at, now)
            if (
                properties is None
                or not self.outlet.may_receive(message.topic)
                or not self.outlet.deliver(
                    Publish(message.topic, message.payload, 0, keeps_retain, properties=properties)
                )
            ):
                self.dropped += 1
            return
        if self.outlet is None and not self.is_stored:
            return
        self._queue(message, keeps_retain, identifiers, now)

    def _queue(self, message: PublishedMessage, retain: bool, identifiers: tuple[int, ...], now: float) -> None:
        size = len(message.payload)
        if self.queued >= limits.QUEUED_MAX or self.queued_bytes + size > limits.QUEUED_BYTES_MAX:
            self.dropped += 1
            return
        self.last_sequence += 1
        queued = Queued(
            self.last_sequence,
            message.topic,
            message.payload,
            retain,
            message.received_at,
            message.properties,
            identifiers,
        )
        self.queued += 1
        self.queued_bytes += size
        if self.is_stored:
            self._store.enqueue(self.scope, self.client_id, queued)
        if self.outlet is not None:
            self._waiting.append(queued)
            self.pump(now)

    def pump(self, now: float) -> None:
        """Send what waits while the window is open."""
        outlet = self.outlet
        if outlet is None:
            return
        while self._waiting and len(self._in_flight) < min(outlet.receive_maximum, limits.IN_FLIGHT_MAX):
            queued = self._waiting.popleft()
            properties = _wire(queued.properties, queued.identifiers, queued.received_at, now)
            again = queued.sequence <= self.sent_through
            self.sent_through = max(self.sent_through, queued.sequence)
            packet_id = packet_id_of(queued.sequence)
            if (
                properties is None
                or not outlet.may_receive(queued.topic)
                or not outlet.deliver(
                    Publish(queued.topic, queued.payload, 1, queued.retain, again, packet_id, properties)
                )
            ):
                self.dropped += 1
                self._done(queued)
                continue
            self._in_flight[packet_id] = queued

    def acknowledge(self, packet_id: int, now: float) -> None:
        """PUBACK; an unknown identifier is ignored (its message may have been dropped with an earlier connection)."""
        queued = self._in_flight.pop(packet_id, None)
        if queued is not None:
            self._done(queued)
            self.pump(now)

    def make_stored(self, expiry_seconds: int) -> None:
        """Keep the session beyond its connection from now on; what it holds already becomes rows."""
        self.expiry_seconds = expiry_seconds
        self._store.save_session(self.scope, self.client_id, expiry_seconds, self.disconnected_at)
        if not self.is_stored:
            self.is_stored = True
            self._store.subscribe(self.scope, self.client_id, list(self.subscriptions.items()))
            for queued in (*self._in_flight.values(), *self._waiting):
                self._store.enqueue(self.scope, self.client_id, queued)
            self._store.commit()

    def _done(self, queued: Queued) -> None:
        self.queued -= 1
        self.queued_bytes -= len(queued.payload)
        if self.is_stored:
            self._store.acknowledged(self.scope, self.client_id, queued.sequence)

    def _recount(self) -> None:
        self.queued = len(self._waiting)
        self.queued_bytes = sum(len(queued.payload) for queued in self._waiting)
        self._in_flight.clear()


def packet_id_of(sequence: int) -> int:
    """1 to 65535; unique among the at most 10,000 consecutive messages of a queue."""
    return (sequence - 1) % 65535 + 1


def _wire(
    properties: MessageProperties, identifiers: tuple[int, ...], received_at: float, now: float
) -> Properties | None:
    """The properties as a PUBLISH carries them; None where the message has expired."""
    if properties is NO_PROPERTIES and not identifiers:
        return NO_WIRE_PROPERTIES
    out: Properties = {}
    if properties.message_expiry is not None:
        left = int(received_at + properties.message_expiry - now)
        if left <= 0:
            return None
        out["message_expiry_interval"] = left
    if properties.payload_is_text is not None:
        out["payload_format_indicator"] = int(properties.payload_is_text)
    if properties.content_type is not None:
        out["content_type"] = properties.content_type
    if properties.response_topic is not None:
        out["response_topic"] = properties.response_topic
    if properties.correlation_data is not None:
        out["correlation_data"] = properties.correlation_data
    if properties.user_properties:
        out["user_property"] = list(properties.user_properties)
    if identifiers:
        out["subscription_identifier"] = list(identifiers)
    return out


def properties_of(wire: Properties) -> MessageProperties:
    """What travels on of a PUBLISH's (or a will's) properties."""
    if not wire:
        return NO_PROPERTIES
    indicator = wire.get("payload_format_indicator")
    return MessageProperties(
        wire.get("content_type"),
        wire.get("response_topic"),
        wire.get("correlation_data"),
        wire.get("message_expiry_interval"),
        None if indicator is None else bool(indicator),
        tuple(wire.get("user_property", ())),
    )
