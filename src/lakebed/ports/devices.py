"""The seam between the MQTT door (edge/mqtt) and AWS IoT Core's knowledge (services/iot).

Neither side imports the other. services/iot *implements* ``DeviceGate``: who a certificate belongs to, what its
policies allow, and what rules do with a message. edge/mqtt *implements* ``Broker`` (deliver a message to
subscribers, retained messages, who is connected) and ``CertificateAuthority`` (keys and certificates). house.py makes
both first, hands them to services/iot, and then opens the listener with the gate: ``await door.open(gate)``.

The truth about a message: a device's PUBLISH is authorised (``may_publish``), delivered to subscribers by the broker
itself, and handed to ``ingest`` in the order in which the connection sent it; PUBACK follows ``ingest``. What services
publish (iot-data Publish, republish actions, shadow answers) goes to ``Broker.publish``, which delivers and retains
but never calls ``ingest``: services/iot runs rules on those messages itself where AWS does, so no loop by accident.

Identifiers: AWS's certificateId is the SHA-256 of the certificate's DER in lower-case hex
(https://docs.aws.amazon.com/iot/latest/developerguide/x509-client-certs.html); policy decisions follow
https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from lakebed.kernel.scope import Principal, Scope
from lakebed.wire.aws.message import HttpRequest


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who holds a connection. ``certificate_id`` is empty where a SigV4 caller (WebSocket) connects,
    who is ``principal`` then."""

    scope: Scope
    certificate_id: str
    source_ip: str
    principal: Principal | None = None


@dataclass(frozen=True, slots=True)
class ConnectAttributes:
    """What policy conditions on ``iot:Connect`` may ask: ``iot:ConnectAttributes`` PersistentConnect and LastWill."""

    persistent: bool = False
    will_topic: str | None = None
    will_retain: bool = False
    username: str | None = None


class MessageProperties(NamedTuple):
    """The MQTT 5 properties that travel from publisher to subscriber; all absent for MQTT 3.1.1.

    ``message_expiry`` is in seconds from the time of publication; ``payload_is_text`` is the payload format indicator.
    """

    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    message_expiry: int | None = None
    payload_is_text: bool | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


NO_PROPERTIES = MessageProperties()


class PublishedMessage(NamedTuple):
    """A message as a device sent it; ``received_at`` is epoch seconds of Lakebed's world.

    ``topic`` is whole: ``$aws/rules/<rule>/...`` (basic ingest) reaches ``ingest`` with its prefix and is delivered to
    no subscriber. Lifecycle events of the broker (``$aws/events/presence/...``, ``$aws/events/subscriptions/...``)
    come the same way, as messages of the identity that caused them.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    received_at: float
    properties: MessageProperties = NO_PROPERTIES


class DeviceGate(Protocol):
    """What services/iot decides for the broker. Every ``may_*`` is called often and never awaits: cache inside."""

    def identify(self, certificate_der: bytes | None, source_ip: str) -> DeviceIdentity | None:
        """The identity behind a verified client certificate; None where it is unknown or not ACTIVE."""
        ...

    def may_connect(self, identity: DeviceIdentity, client_id: str, attributes: ConnectAttributes) -> bool:
        """``iot:Connect`` on ``client/<client_id>``."""
        ...

    def may_publish(self, identity: DeviceIdentity, client_id: str, topic: str, *, retain: bool) -> bool:
        """``iot:Publish`` on ``topic/<topic>``, and ``iot:RetainPublish`` where ``retain``."""
        ...

    def answers(self, topic: str) -> bool:
        """Whether a device may ask something of a service by publishing to this ``$aws/`` topic (shadows, jobs)."""
        ...

    def may_subscribe(self, identity: DeviceIdentity, client_id: str, topic_filter: str) -> bool:
        """``iot:Subscribe`` on ``topicfilter/<topic_filter>``; a shared filter comes whole, ``$share/<group>/...``."""
        ...

    def may_receive(self, identity: DeviceIdentity, client_id: str, topic: str) -> bool:
        """``iot:Receive`` on ``topic/<topic>``, asked at each delivery."""
        ...

    async def ingest(self, identity: DeviceIdentity, client_id: str, messages: Sequence[PublishedMessage]) -> None:
        """Run the rules on messages of one connection, in order; return when all that Lakebed promises is durable.

        One rule failing is that rule's business (error action, log). Raise ``IngestUnavailableError`` only when nothing
        can be promised now: the broker then acknowledges none of the batch and closes the connection, so devices send
        the QoS 1 messages again. At most one call is in flight for a connection; batches are bounded by the broker.
        """
        ...

    async def https(self, identity: DeviceIdentity, request: HttpRequest) -> tuple[int, bytes]:
        """Status and JSON body of an HTTPS request made with a client certificate."""
        ...


class Attempt(NamedTuple):
    """What became of a message a rule was tried on: whether its topic is one of FROM's, and what the actions would get
    (None: WHERE does not hold, or nothing is selected)."""

    is_of_topic: bool
    payload: bytes | None = None


class Rules(Protocol):
    """Rules of IoT Core, for who wants to try one."""

    def attempt(self, principal: Principal, scope: Scope, sql: str, topic: str, payload: bytes) -> Attempt:
        """What a rule of this SQL would make of this message. Nothing is done and no function is called.

        SqlParseException where it is no rule's SQL, InvalidRequestException where an expression cannot cope with the
        message or wants ``aws_lambda``. ``principal`` needs iot:CreateTopicRule, and iam:PassRole for the roles named.
        """
        ...


class IngestUnavailableError(Exception):
    """Lakebed cannot promise to keep these messages now (overload, disk full); the device must try again."""


class ConnectionInfo(NamedTuple):
    """A live connection, for the console and DescribeThing-like views."""

    scope: Scope
    client_id: str
    certificate_id: str
    source_ip: str
    protocol: str
    connected_at: float
    keep_alive_seconds: int
    subscriptions: tuple[str, ...]
    messages_in: int
    messages_out: int


class ClientInfo(NamedTuple):
    """What is known of a client that is connected, or that left a session (GetConnection, ListSubscriptions)."""

    is_connected: bool
    is_clean: bool
    certificate_id: str
    source: tuple[str, int]
    target: tuple[str, int]
    keep_alive_seconds: int
    connected_at: float | None
    disconnected_at: float | None
    disconnect_reason: str
    expiry_seconds: int
    subscriptions: tuple[tuple[str, int], ...]


class RetainedMessage(NamedTuple):
    """What a topic retains. ``stored_at`` is epoch seconds (GetRetainedMessage reports milliseconds)."""

    topic: str
    payload: bytes
    qos: int
    stored_at: float
    properties: MessageProperties = NO_PROPERTIES


class BrokerAddress(NamedTuple):
    """Where devices connect: the bound truth, not the configured wish. Absent listeners are None, never a guess."""

    host: str
    tls_port: int | None
    plain_port: int | None


class Broker(Protocol):
    """What services/iot may ask of the MQTT door."""

    @property
    def address(self) -> BrokerAddress:
        """Host and ports actually bound."""
        ...

    async def publish(
        self,
        scope: Scope,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
    ) -> None:
        """Deliver to subscribers of the scope and retain where asked; never calls ``ingest``.

        For QoS 1 it returns when sessions that are offline have the message durably queued. An empty payload with
        ``retain`` clears what is retained. Topic rules and limits are checked: ``ValueError`` says which was broken.
        """
        ...

    def connect(self, identity: DeviceIdentity) -> asyncio.Protocol:
        """MQTT for one who was authenticated otherwise than by a certificate (a signed WebSocket): give it a transport."""
        ...

    def retained(self, scope: Scope, topic: str) -> RetainedMessage | None:
        """The message a topic retains (GetRetainedMessage)."""
        ...

    def retained_topics(self, scope: Scope, *, after: str = "", limit: int = 200) -> Sequence[RetainedMessage]:
        """Retained messages in topic order, after ``after`` (ListRetainedMessages)."""
        ...

    def connections(self, scope: Scope | None = None) -> Sequence[ConnectionInfo]:
        """Live connections, of one scope or of all."""
        ...

    def client(self, scope: Scope, client_id: str) -> ClientInfo | None:
        """A client that is connected or has a persistent session."""
        ...

    def disconnect(
        self, scope: Scope, client_id: str, *, clean_session: bool = False, prevent_will: bool = False
    ) -> bool:
        """End a client's connection (iot-data DeleteConnection); False where it is not connected."""
        ...

    def revoke(self, certificate_id: str) -> int:
        """End every connection of a certificate that is no longer ACTIVE; says how many."""
        ...


class CertificateFacts(NamedTuple):
    """What an X.509 certificate says of itself."""

    certificate_id: str
    subject: str
    issuer: str
    serial_number: str
    not_before: float
    not_after: float
    is_authority: bool
    common_name: str


class IssuedCertificate(NamedTuple):
    """A certificate Lakebed's authority signed; the private key is empty for a CSR (it never left the device)."""

    pem: str
    facts: CertificateFacts
    public_key_pem: str
    private_key_pem: str


class CertificateAuthority(Protocol):
    """Keys and certificates for devices. Malformed input is ``ValueError`` with a sentence fit for a client."""

    @property
    def root_pem(self) -> str:
        """The authority's own certificate: what devices use as their CA file."""
        ...

    async def create_keys_and_certificate(self) -> IssuedCertificate:
        """A new RSA 2048 key pair and a certificate for it (CreateKeysAndCertificate)."""
        ...

    async def sign_csr(self, csr_pem: str) -> IssuedCertificate:
        """A certificate for a signing request (CreateCertificateFromCsr)."""
        ...

    def describe(self, certificate_pem: str) -> CertificateFacts:
        """Parse a certificate (RegisterCertificate, RegisterCACertificate)."""
        ...

    def variables(self, certificate_pem: str) -> Mapping[str, str]:
        """The policy variables ``iot:Certificate.*`` of a certificate: what it says of its subject and issuer."""
        ...

    def encode(self, certificate_der: bytes) -> str:
        """The PEM of a certificate's DER."""
        ...

    def is_issued_by(self, certificate_pem: str, authority_pem: str) -> bool:
        """Whether ``authority_pem``'s key signed ``certificate_pem`` (registration of device and CA certificates)."""
        ...

    def trust(self, certificate_pem: str) -> None:
        """Let the TLS listener accept this CA's devices, or this very certificate, from the next handshake on.

        services/iot calls it for each registered CA and each certificate registered without one, also at boot. What is
        no longer registered is refused by ``identify``, not by TLS.
        """
        ...
