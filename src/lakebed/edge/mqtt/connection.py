"""One MQTT connection: bytes in, packets handled in order, bytes out.

Everything but the rules runs synchronously inside ``data_received``: a PUBLISH is authorised and offered to subscribers
at once, so what a client subscribes before it publishes it receives. The PUBLISH packets of one read become one batch for
``DeviceGate.ingest``; at most one batch is with the gate, and reading stops while more than AWS's 100 messages wait
behind it. PUBACKs follow the batch in one write. Output is collected and written once for each turn of the loop; a
consumer that does not read loses QoS 0 messages first and then its connection.

What is not authorised follows AWS: an MQTT 5 client gets the reason (PUBACK, or DISCONNECT where there is no PUBACK), an
MQTT 3.1.1 client loses its connection (https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt5-reason-codes).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, cast

from lakebed.edge.mqtt import limits
from lakebed.edge.mqtt.broker import MessageBroker, PendingWill, QuotaExceededError
from lakebed.edge.mqtt.handshake import Accepted, Refused, accept
from lakebed.edge.mqtt.session import Session, properties_of
from lakebed.edge.mqtt.tree import Options
from lakebed.ports.devices import ClientInfo, ConnectionInfo, DeviceIdentity, IngestUnavailableError, PublishedMessage
from lakebed.wire.mqtt.decode import Decoder
from lakebed.wire.mqtt.encode import encode, pubacks, publish
from lakebed.wire.mqtt.packets import (
    V5,
    V311,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from lakebed.wire.mqtt.properties import Properties
from lakebed.wire.mqtt.reasons import MqttError, Reason
from lakebed.wire.mqtt.topics import shared

_TOPICS_REMEMBERED = 512


class Connection(asyncio.Protocol):
    """A socket; ``session`` is there once CONNECT was accepted."""

    identity: DeviceIdentity

    def __init__(
        self,
        broker: MessageBroker,
        sockets: set[Connection],
        *,
        signed: DeviceIdentity | None = None,
        http: Callable[[], asyncio.Protocol] | None = None,
    ) -> None:
        """``signed`` is who was authenticated before (WebSocket); ``http`` takes over where a client speaks HTTP."""
        self.broker, self.gate, self.clock = broker, broker.gate, broker.k.clock
        self._sockets, self._signed, self._http = sockets, signed, http
        self.session: Session | None = None
        self.client_id = ""
        self.receive_maximum = limits.IN_FLIGHT_MAX
        self.heard_at = self.opened_at = self.clock.monotonic()
        self.silence_seconds = limits.CONNECT_WITHIN_SECONDS
        self._accepted: Accepted | None = None
        self._session_id, self._connected_at, self._number = "", 0.0, 0
        self._version = V311
        self._decoder = Decoder(limits.PACKET_BYTES_MAX)
        self._packet_bytes_max = 1 << 28
        self._aliases: dict[int, str] = {}
        self._good_topics: set[str] = set()
        self._pending: list[PublishedMessage] = []
        self._acks: list[int] = []
        self._pending_bytes = 0
        self._is_ingesting = self._is_paused = self._ended = self._flushing = False
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._messages_in = self._messages_out = 0
        self._transport: asyncio.Transport

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's TLS transport is one by behaviour, not by class
        self._sockets.add(self)
        if len(self._sockets) > limits.CONNECTIONS_MAX:
            self._ended = True
            self._transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._sockets.discard(self)
        self.end(Reason.UNSPECIFIED, "CONNECTION_LOST")

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        if self._http is not None and data[:1].isalpha():  # CONNECT begins with 0x10
            self._become_http(data, self._http())
            return
        self._http = None
        self.heard_at = self.clock.monotonic()
        now = self.clock.now()
        try:
            for packet in self._decoder.feed(data):
                if type(packet) is Publish:
                    self._published(packet, now)
                else:
                    self._handle(packet, now)
                if self.is_ended:
                    break
            failure = self._decoder.failure
            if failure is not None and not self.is_ended:
                raise failure
            self.broker.commit()
        except MqttError as wrong:
            self._fail(wrong)
        except (sqlite3.Error, OSError) as failure:
            self.broker.store.forget_uncommitted()
            self.broker.k.log.warning("message not stored", client=self.client_id, exc=failure)
            self._pending.clear()
            self._acks.clear()
            self.end(Reason.SERVER_UNAVAILABLE, "SERVER_ERROR")
            return
        if self._pending and not self._is_ingesting:
            self._is_ingesting = True
            self.broker.spawn(self._ingest())

    def _become_http(self, data: bytes, protocol: asyncio.Protocol) -> None:
        self._ended = True
        self._sockets.discard(self)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    # Out

    @property
    def is_ended(self) -> bool:
        """Whether nothing is read or sent any more."""
        return self._ended

    def send(self, wire: bytes) -> None:
        """Queue bytes for one write at the end of this turn of the loop."""
        self._out.append(wire)
        self._out_bytes += len(wire)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def deliver(self, message: Publish) -> bool:
        if self._ended:
            return False
        if self._out_bytes > limits.OUTBOUND_BYTES_DROP and not message.qos:
            return False
        wire = publish(message, self._version)
        if len(wire) > self._packet_bytes_max:
            return False
        self._messages_out += 1
        self.send(wire)
        return True

    def may_receive(self, topic: str) -> bool:
        return self.gate.may_receive(self.identity, self.client_id, topic)

    def _flush(self) -> None:
        self._flushing = False
        if self._out and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()
        # What the peer has not taken yet still counts against it.
        self._out_bytes = self._transport.get_write_buffer_size() if not self._transport.is_closing() else 0
        if self._out_bytes > limits.OUTBOUND_BYTES_MAX:
            self.end(Reason.QUOTA_EXCEEDED, "THROTTLED")
            self._transport.abort()

    def end(self, reason: Reason, event: str, *, will: bool = True) -> None:
        if self._ended:
            return
        self._ended = True
        if self._version == V5 and self.session is not None and reason is not Reason.SUCCESS:
            self._out.append(encode(Disconnect(reason), V5))
        self._flush()
        self._transport.close()
        session, accepted = self.session, self._accepted
        if session is None or accepted is None:
            return
        pending = None
        if will and accepted.will is not None:
            pending = PendingWill(self.clock.now() + accepted.will_delay, self.identity, self.client_id, accepted.will)
        if session.dropped:
            self.broker.k.log.warning("messages not delivered", client=self.client_id, messages=session.dropped)
            self.broker.k.meters.drop(session.scope.arn("iot", "client/*"), session.dropped)
            session.dropped = 0
        session.ended_by = event
        self.broker.connection_ended(self, session, pending)
        facts: dict[str, Any] = {
            "sessionIdentifier": self._session_id,
            "clientInitiatedDisconnect": event == "CLIENT_INITIATED_DISCONNECT",
            "disconnectReason": event,
            "versionNumber": self._number,
        }
        said = self.broker.announce(self.identity, self.client_id, "presence/disconnected", facts)
        if said is not None:
            self.broker.commit()
            self.broker.ingest_later(self.identity, self.client_id, [said])

    def _fail(self, wrong: MqttError) -> None:
        """Bytes that are not MQTT, or packets that may not be sent now."""
        if self.session is None and self._decoder.version is not None:
            self.send(encode(Connack(False, wrong.reason), self._decoder.version))
        elif self.session is None and wrong.reason is Reason.UNSUPPORTED_VERSION:
            self.send(encode(Connack(False, wrong.reason), V311))
        self.broker.k.log.info("mqtt error", client=self.client_id, reason=wrong.reason.name, detail=wrong.message)
        self.end(wrong.reason, "CLIENT_ERROR")

    # In

    def _handle(self, packet: Packet, now: float) -> None:
        match packet:
            case Connect():
                self._connect(packet, now)
            case Puback():
                if self.session is not None:
                    self.session.acknowledge(packet.packet_id, now)
            case Pingreq():
                self.send(encode(Pingresp(), self._version))
            case Subscribe():
                self._subscribe(packet)
            case Unsubscribe():
                self._unsubscribe(packet)
            case Disconnect():
                self._disconnect(packet)
            case _:
                raise MqttError(Reason.PROTOCOL_ERROR, "a client may not send this packet")

    def _connect(self, packet: Connect, now: float) -> None:
        if self.session is not None:
            raise MqttError(Reason.PROTOCOL_ERROR, "second CONNECT")
        self._version = packet.version
        try:
            identity = self._signed or self._identify()
            accepted = accept(self.gate, packet, identity, self.broker.k.ids)
            self.identity, self.client_id = accepted.identity, accepted.client_id
            session, present = self.broker.open_session(
                self,
                accepted.identity.scope,
                accepted.client_id,
                clean=packet.clean_start,
                expiry_seconds=accepted.expiry_seconds,
            )
        except Refused as refusal:
            return self._refuse(refusal.reason)
        except QuotaExceededError:
            return self._refuse(Reason.QUOTA_EXCEEDED)
        self._accepted, self.session = accepted, session
        self._connected_at, self._session_id = now, self.broker.k.ids.uuid()
        self.silence_seconds = accepted.keep_alive * 1.5
        self.receive_maximum = packet.properties.get("receive_maximum", limits.IN_FLIGHT_MAX)
        self._packet_bytes_max = packet.properties.get("maximum_packet_size", 1 << 28)
        self._number = self.broker.version(session.scope, self.client_id)
        self.send(encode(Connack(present, Reason.SUCCESS, accepted.properties), self._version))
        session.attach(self)
        session.pump(now)
        facts = {
            "sessionIdentifier": self._session_id,
            "ipAddress": self.identity.source_ip,
            "versionNumber": self._number,
        }
        self._announce("presence/connected", facts)
        return None

    def _identify(self) -> DeviceIdentity | None:
        """Who the client certificate belongs to."""
        wire = self._transport.get_extra_info("ssl_object")
        peer = self._transport.get_extra_info("peername") or ("",)
        return self.gate.identify(wire.getpeercert(binary_form=True) if wire is not None else None, str(peer[0]))

    def _refuse(self, reason: Reason) -> None:
        self.send(encode(Connack(False, reason), self._version))
        self.end(reason, "AUTH_ERROR")

    def _published(self, packet: Publish, now: float) -> None:
        session, topic = self.session, packet.topic
        assert session is not None, "the decoder wants CONNECT first"
        properties = properties_of(packet.properties)
        if packet.properties:
            topic = self._resolve_alias(packet.properties, topic)
        if topic not in self._good_topics:
            self._check_topic(topic)
        if packet.qos == 2:
            raise MqttError(Reason.QOS_NOT_SUPPORTED, "QoS 2 is not supported")
        if len(packet.payload) > limits.PAYLOAD_BYTES_MAX:
            raise MqttError(Reason.PACKET_TOO_LARGE, f"payload is larger than {limits.PAYLOAD_BYTES_MAX} bytes")
        self._messages_in += 1
        if (limits.is_reserved(topic) and not self.gate.answers(topic)) or not self.gate.may_publish(
            self.identity, self.client_id, topic, retain=packet.retain
        ):
            self._forbid(packet, topic, Reason.NOT_AUTHORIZED)
            return
        message = PublishedMessage(topic, packet.payload, packet.qos, packet.retain, now, properties)
        try:
            self.broker.accept(session.scope, message, session)
        except QuotaExceededError:
            self._forbid(packet, topic, Reason.QUOTA_EXCEEDED)
            return
        self._pending.append(message)
        self._pending_bytes += len(packet.payload)
        if packet.qos:
            self._acks.append(packet.packet_id)
        if not self._is_paused and (
            len(self._pending) >= limits.IN_FLIGHT_MAX or self._pending_bytes > limits.INBOUND_BYTES_MAX
        ):
            self._is_paused = True
            self._transport.pause_reading()

    def _resolve_alias(self, properties: Properties, topic: str) -> str:
        alias = properties.get("topic_alias")
        if alias is None:
            return topic
        if not 0 < alias <= limits.TOPIC_ALIASES_MAX:
            raise MqttError(Reason.TOPIC_ALIAS_INVALID, "topic alias is out of range")
        if topic:
            self._aliases[alias] = topic
            return topic
        known = self._aliases.get(alias)
        if known is None:
            raise MqttError(Reason.PROTOCOL_ERROR, "topic alias is unknown")
        return known

    def _check_topic(self, topic: str) -> None:
        if (fault := limits.topic_fault(topic)) is not None:
            raise MqttError(Reason.TOPIC_NAME_INVALID, fault)
        if len(self._good_topics) >= _TOPICS_REMEMBERED:
            self._good_topics.clear()
        self._good_topics.add(topic)

    def _forbid(self, packet: Publish, topic: str, reason: Reason) -> None:
        self.broker.k.log.info("publish refused", client=self.client_id, topic=topic, reason=reason.name)
        if self._version == V5 and packet.qos:
            self.send(encode(Puback(packet.packet_id, reason), V5))
        else:
            self.end(reason, "AUTH_ERROR")

    def _subscribe(self, packet: Subscribe) -> None:
        session = self.session
        assert session is not None, "the decoder wants CONNECT first"
        if len(packet.subscriptions) > limits.FILTERS_PER_PACKET_MAX:
            raise MqttError(Reason.QUOTA_EXCEEDED, f"more than {limits.FILTERS_PER_PACKET_MAX} filters in a SUBSCRIBE")
        identifier = packet.properties.get("subscription_identifier", [0])[0]
        reasons: list[int] = []
        granted: list[tuple[str, Options, bool]] = []
        new = 0
        for wanted in packet.subscriptions:
            reason = self._judge(wanted, session, new)
            reasons.append(reason)
            if reason < 0x80:
                is_new = wanted.topic_filter not in session.subscriptions
                new += is_new
                options = Options(reason, wanted.no_local, wanted.retain_as_published, identifier)
                sends = wanted.retain_handling == 0 or (wanted.retain_handling == 1 and is_new)
                granted.append((wanted.topic_filter, options, sends))
        self.broker.subscribe(session, [(name, options) for name, options, _ in granted])
        self.send(encode(Suback(packet.packet_id, tuple(reasons)), self._version))
        for name, options, sends in granted:
            if sends:
                self.broker.offer_retained(session, name, options)
        if granted:
            self._announce("subscriptions/subscribed", {"topics": [name for name, _, _ in granted]})

    def _judge(self, wanted: Subscription, session: Session, new: int) -> int:
        """The reason code for one filter: the granted QoS, or why not."""
        if wanted.qos == 2:
            raise MqttError(Reason.QOS_NOT_SUPPORTED, "QoS 2 is not supported")
        if limits.filter_fault(wanted.topic_filter) is not None:
            return Reason.TOPIC_FILTER_INVALID
        if shared(wanted.topic_filter) is not None and wanted.no_local:
            raise MqttError(Reason.PROTOCOL_ERROR, "no local on a shared subscription")
        is_new = wanted.topic_filter not in session.subscriptions
        if is_new and len(session.subscriptions) + new >= limits.SUBSCRIPTIONS_MAX:
            return Reason.QUOTA_EXCEEDED
        if not self.gate.may_subscribe(self.identity, self.client_id, wanted.topic_filter):
            return Reason.NOT_AUTHORIZED
        return wanted.qos

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        session = self.session
        assert session is not None, "the decoder wants CONNECT first"
        if len(packet.topic_filters) > limits.FILTERS_PER_PACKET_MAX:
            raise MqttError(
                Reason.QUOTA_EXCEEDED, f"more than {limits.FILTERS_PER_PACKET_MAX} filters in an UNSUBSCRIBE"
            )
        had = [name for name in packet.topic_filters if name in session.subscriptions]
        reasons = tuple(
            Reason.SUCCESS if name in had else Reason.NO_SUBSCRIPTION_EXISTED for name in packet.topic_filters
        )
        self.broker.unsubscribe(session, had)
        self.send(encode(Unsuback(packet.packet_id, reasons), self._version))
        if had:
            self._announce("subscriptions/unsubscribed", {"topics": had})

    def _disconnect(self, packet: Disconnect) -> None:
        session = self.session
        assert session is not None, "the decoder wants CONNECT first"
        expiry = packet.properties.get("session_expiry_interval")
        if expiry is not None:
            if expiry and not session.expiry_seconds:
                raise MqttError(Reason.PROTOCOL_ERROR, "session expiry was zero at CONNECT")
            session.expiry_seconds = min(expiry, limits.SESSION_EXPIRY_MAX)
        with_will = packet.reason == Reason.DISCONNECT_WITH_WILL
        self.end(Reason.SUCCESS, "CLIENT_INITIATED_DISCONNECT", will=with_will)

    def _announce(self, kind: str, facts: dict[str, Any]) -> None:
        if kind.startswith("subscriptions"):
            facts["sessionIdentifier"] = self._session_id
        said = self.broker.announce(self.identity, self.client_id, kind, facts)
        if said is not None:
            self._pending.append(said)

    # Rules

    async def _ingest(self) -> None:
        """Hand batch after batch to the gate, in order, until nothing waits."""
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                acks, self._acks = self._acks, []
                self._pending_bytes = 0
                with self.clock.working():
                    await self.gate.ingest(self.identity, self.client_id, batch)
                if acks and not self._ended:
                    self.send(pubacks(acks))
                if self._is_paused and not self._ended:
                    self._is_paused = False
                    self.heard_at = self.clock.monotonic()
                    self._transport.resume_reading()
        except IngestUnavailableError as failure:
            self.broker.k.log.warning("messages not taken", client=self.client_id, exc=failure)
            self.end(Reason.SERVER_BUSY, "SERVER_ERROR")
        except Exception as failure:
            self.broker.k.log.warning("ingest failed", client=self.client_id, exc=failure)
            self.end(Reason.UNSPECIFIED, "SERVER_ERROR")
        finally:
            self._is_ingesting = False
            self._pending_bytes = 0

    def told(self, known: ClientInfo) -> ClientInfo:
        accepted = self._accepted
        assert accepted is not None
        peer, own = (self._transport.get_extra_info(end) or ("", 0) for end in ("peername", "sockname"))
        return known._replace(
            certificate_id=self.identity.certificate_id,
            source=(str(peer[0]), int(peer[1])),
            target=(str(own[0]), int(own[1])),
            keep_alive_seconds=accepted.keep_alive,
            connected_at=self._connected_at,
        )

    def info(self) -> ConnectionInfo:
        session, accepted = self.session, self._accepted
        assert session is not None
        assert accepted is not None
        return ConnectionInfo(
            session.scope,
            self.client_id,
            self.identity.certificate_id,
            self.identity.source_ip,
            "mqtt5" if self._version == V5 else "mqtt3.1.1",
            self._connected_at,
            accepted.keep_alive,
            tuple(session.subscriptions),
            self._messages_in,
            self._messages_out,
        )
