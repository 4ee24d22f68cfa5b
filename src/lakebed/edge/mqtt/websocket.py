"""MQTT over WebSocket: who asks (SigV4, for ``iotdevicegateway``), and the connection that follows.

A presigned URL or signed headers name a principal of IAM, whose policies then decide about every packet as IoT policies
do for a certificate; AWS's clients may add the session token after signing.
https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html#mqtt-ws
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from lakebed.edge.aws import authenticate
from lakebed.edge.aws.asgi import read_head
from lakebed.edge.websocket import HandshakeError, WebSocket, handshake
from lakebed.kernel.clock import Clock
from lakebed.kernel.errors import AwsError
from lakebed.ports.devices import DeviceIdentity
from lakebed.ports.house import Ports
from lakebed.wire.aws.sigv4 import EMPTY_SHA256, Claim

PATH = "/mqtt"
_SIGNING_NAME = "iotdevicegateway"


def admit(scope: MutableMapping[str, Any], p: Ports, clock: Clock) -> tuple[DeviceIdentity, bytes]:
    """The caller of an upgrade request and the head of its answer; HandshakeError where it is refused."""
    request = read_head(scope)
    head = handshake(request.headers, "mqtt")
    try:
        claim = authenticate.read_claim(request)
        if not isinstance(claim, Claim) or claim.service != _SIGNING_NAME:
            raise HandshakeError(403, f"MQTT over WebSocket must be signed (SigV4) for {_SIGNING_NAME}.")
        caller = authenticate.identify(claim, p, clock)
        authenticate.verify(caller, request, request.raw_path, clock, EMPTY_SHA256)
    except AwsError as refused:
        raise HandshakeError(403, refused.message) from None
    p.identity.note_use(caller.principal, _SIGNING_NAME, caller.scope.region)
    return DeviceIdentity(caller.scope, "", str(scope["client"][0]), caller.principal), head


def upgrade(
    scope: MutableMapping[str, Any], p: Ports, clock: Clock, connect: Callable[[DeviceIdentity], asyncio.Protocol]
) -> tuple[bytes, asyncio.Protocol]:
    """What answers an upgrade request, and what then owns the socket."""
    identity, head = admit(scope, p, clock)
    return head, WebSocket(connect(identity))
