"""HTTPS for devices with certificates, on the MQTT door's port: publishing, shadows, and temporary credentials.

The door only carries: who the certificate belongs to and what may be done is the gate's (``DeviceGate.https``). Requests
without a certificate are told so; signed requests belong to the HTTP door.
https://docs.aws.amazon.com/iot/latest/developerguide/http.html
"""

from __future__ import annotations

from typing import Any

from lakebed.edge.aws.asgi import read_head
from lakebed.edge.mqtt import limits
from lakebed.ports.devices import DeviceGate


async def serve(gate: DeviceGate, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One request, as an ASGI application."""
    request = read_head(scope)
    pieces: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limits.PAYLOAD_BYTES_MAX:
            await _answer(send, 413, b'{"message":"The request is too large."}')
            return
        pieces.append(piece)
        more = message.get("more_body", False)
    request.body = b"".join(pieces)
    identity = gate.identify(scope["state"].get("certificate"), str(scope["client"][0]))
    if identity is None:
        await _answer(send, 403, b'{"message":"A registered, active client certificate is needed."}')
        return
    status, body = await gate.https(identity, request)
    await _answer(send, status, body)


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
