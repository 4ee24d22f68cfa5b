"""WebSocket between a byte stream and a protocol that knows nothing of it (RFC 6455), for MQTT on the HTTP doors.

``handshake`` judges an upgrade request and gives the 101 head; ``WebSocket`` then owns the socket: it unframes what
comes, frames what the inner protocol writes, answers pings and closes. Only binary messages are taken, and their pieces
are handed on as they come, so that no frame is collected. No extensions (compression) are agreed.

https://www.rfc-editor.org/rfc/rfc6455, https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha1
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from wsproto.connection import Connection

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_UNSUPPORTED_DATA, _GOING_AWAY = 1003, 1001


class HandshakeError(Exception):
    """Why an upgrade is refused, with the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def is_upgrade(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request asks to become a WebSocket."""
    return any(name == b"upgrade" and value.strip().lower() == b"websocket" for name, value in headers)


def handshake(headers: Mapping[str, str], subprotocol: str) -> bytes:
    """The head of the answer that switches protocols; HandshakeError where the request is not right."""
    key = headers.get("sec-websocket-key", "")
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        is_key = False
    if headers.get("sec-websocket-version") != "13" or not is_key:
        raise HandshakeError(400, "The WebSocket handshake is not that of RFC 6455.")
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    if subprotocol not in offered:
        raise HandshakeError(400, f"The WebSocket subprotocol must be {subprotocol}.")
    accepted = base64.b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: " + accepted + b"\r\nsec-websocket-protocol: " + subprotocol.encode() + b"\r\n\r\n"
    )


class WebSocket(asyncio.Protocol):
    """The socket's protocol after the handshake; ``inner`` sees a transport of plain bytes."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        from wsproto.connection import Connection as Frames
        from wsproto.connection import ConnectionType

        self.inner = inner
        self.frames: Connection = Frames(ConnectionType.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        self.inner.connection_made(cast("asyncio.Transport", Framed(self._raw, self.frames)))

    def data_received(self, data: bytes) -> None:
        from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
        from wsproto.utilities import RemoteProtocolError

        try:
            self.frames.receive_data(data)
            for event in self.frames.events():
                if isinstance(event, BytesMessage):
                    self.inner.data_received(bytes(event.data))
                elif isinstance(event, Ping):
                    self._raw.write(self.frames.send(event.response()))
                elif isinstance(event, TextMessage):
                    self._close(_UNSUPPORTED_DATA)
                elif isinstance(event, CloseConnection):
                    self._close(None if event.code is None else int(event.code))
                if self._raw.is_closing():
                    return
        except RemoteProtocolError as wrong:
            self._close(int(wrong.event_hint.code) if isinstance(wrong.event_hint, CloseConnection) else 1002)

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def _close(self, code: int | None) -> None:
        say_goodbye(self._raw, self.frames, code)


class Framed:
    """A transport as the inner protocol uses one: what it writes becomes binary messages."""

    def __init__(self, raw: asyncio.Transport, frames: Connection) -> None:
        self._raw, self._frames = raw, frames

    def write(self, data: bytes) -> None:
        """One binary message."""
        from wsproto.events import BytesMessage

        if not self._raw.is_closing():
            self._raw.write(self._frames.send(BytesMessage(data=data)))

    def close(self) -> None:
        """Say goodbye and close when all is written."""
        say_goodbye(self._raw, self._frames, _GOING_AWAY)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)  # abort, is_closing, pause_reading, get_extra_info, … are the socket's


def say_goodbye(raw: asyncio.Transport, frames: Connection, code: int | None) -> None:
    """A close frame, where none was sent yet, and the end of the socket."""
    from wsproto.events import CloseConnection
    from wsproto.utilities import LocalProtocolError

    if raw.is_closing():
        return
    with suppress(LocalProtocolError):  # closed from our side before
        raw.write(frames.send(CloseConnection(code=1000 if code is None else code)))
    raw.close()
