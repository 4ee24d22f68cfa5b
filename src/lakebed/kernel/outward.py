"""One POST to a stranger's URL: to a public address, resolved once, with a bounded answer.

The owner of a delivery stream or a subscription chooses the URL, so it must not reach what only this machine reaches: every
address the name has is checked before any is used, and the connection goes to the address that was checked, under the name
for TLS. Private, loopback and link-local addresses are refused unless an operator allows their network (the setting that
``Doors`` names). No redirect is followed, no proxy used; headers and body of the answer have limits, and so has the time.

Firehose's HTTP endpoints (https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html) and SNS's
subscriptions (https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html) go out here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import httptools

from lakebed.kernel.errors import AwsError

_HEAD_BYTES_MAX, _BODY_BYTES_MAX = 64 << 10, 1 << 20
_WRITE_BYTES = 256 << 10
_PORTS = {"https": 443, "http": 80}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reply(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Doors:
    """What a service may reach: ``networks`` beyond the public internet (allowed by ``setting``), public ``ports`` (none
    given: all), by which schemes, vouched for by whom beyond the usual authorities, and how long it may take."""

    networks: Sequence[Network] = ()
    ca_file: str = ""
    setting: str = ""
    schemes: Sequence[str] = ("https",)
    ports: Sequence[int] = (443,)
    timeout: float = 180.0


def networks(texts: Sequence[str]) -> list[Network]:
    """Networks as settings name them; ValueError where one is none."""
    return [ipaddress.ip_network(text) for text in texts]


def check_url(url: str, schemes: Sequence[str] = ("https",)) -> SplitResult:
    """A URL as an endpoint may have it, taken apart; ValueError says what is wrong with it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("is not valid") from None
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError(f"must be {' or '.join(schemes)}://host[:port]/path without a user")
    if not url.isascii() or any(ord(each) <= 32 or ord(each) == 127 for each in url) or parts.fragment:
        raise ValueError("must not contain spaces, controls or a fragment")
    return parts


async def post(url: str, headers: Mapping[str, str], body: bytes, allowed: Doors) -> Reply:
    """POST and wait; AwsError ``HttpEndpoint.*`` for whatever went wrong on the way."""
    try:
        parts = check_url(url, allowed.schemes)
    except ValueError as wrong:
        raise AwsError("HttpEndpoint.InvalidRequest", f"The URL {wrong}.") from None
    try:
        async with asyncio.timeout(allowed.timeout):
            return await _exchange(parts, headers, body, allowed)
    except TimeoutError:
        raise AwsError(
            "HttpEndpoint.RequestTimeout", f"The endpoint did not respond within {allowed.timeout:g} seconds."
        ) from None
    except ssl.SSLError as failure:
        raise AwsError("HttpEndpoint.SSLHandshakeFailure", f"No TLS connection: {failure.reason}.") from None
    except (OSError, asyncio.IncompleteReadError) as failure:
        raise AwsError("HttpEndpoint.ConnectionFailure", f"No connection: {type(failure).__name__}.") from None


async def _exchange(parts: SplitResult, headers: Mapping[str, str], body: bytes, allowed: Doors) -> Reply:
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    address = await _address(host, port, allowed)
    if parts.scheme == "https":
        context = await asyncio.to_thread(_context, allowed.ca_file)
        reader, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=host)
    else:
        reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(_head(parts, host, port, headers, len(body)))
        for start in range(0, len(body), _WRITE_BYTES):
            writer.write(body[start : start + _WRITE_BYTES])
            await writer.drain()
        return await _read(reader)
    finally:
        writer.close()


async def _address(host: str, port: int, allowed: Doors) -> str:
    """The address to connect to: all that the name has must be permitted, so that none can be slipped in."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise AwsError("HttpEndpoint.UnknownHost", f"{host} has no address.") from None
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        _check_address(ipaddress.ip_address(address.partition("%")[0]), port, allowed)
    if not addresses:
        raise AwsError("HttpEndpoint.UnknownHost", f"{host} has no address.")
    return addresses[0]


def _check_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, allowed: Doors) -> None:
    inner = getattr(address, "ipv4_mapped", None) or address
    if any(inner.version == network.version and inner in network for network in allowed.networks):
        return
    tunnelled = isinstance(inner, ipaddress.IPv6Address) and (inner.sixtofour or inner.teredo or inner in _NAT64)
    if not inner.is_global or inner.is_multicast or tunnelled:
        raise AwsError(
            "HttpEndpoint.AddressRefused",
            f"{inner} is not a public address; {allowed.setting} may allow its network.",
        )
    if allowed.ports and port not in allowed.ports:
        asked = " or ".join(map(str, allowed.ports))
        raise AwsError("HttpEndpoint.AddressRefused", f"Port {port} is refused: endpoints are on port {asked}.")


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    return context


def _head(parts: SplitResult, host: str, port: int, headers: Mapping[str, str], size: int) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    name = f"[{host}]" if ":" in host else host
    lines = [f"POST {path} HTTP/1.1", f"Host: {name}" + ("" if port == _PORTS[parts.scheme] else f":{port}")]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise AwsError("HttpEndpoint.InvalidRequest", "A header contains a line break.")
    lines += [f"Content-Length: {size}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


class _Parts:
    """What httptools tells of an answer."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.head_size = 0
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_size += len(name) + len(value)
        if self.head_size > _HEAD_BYTES_MAX:
            raise ValueError("headers")
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self.body += piece
        if len(self.body) > _BODY_BYTES_MAX:
            raise ValueError("body")

    def on_message_complete(self) -> None:
        self.done = True


async def _read(reader: asyncio.StreamReader) -> Reply:
    parts = _Parts()
    parser = httptools.HttpResponseParser(parts)
    taken = 0
    try:
        while not parts.done:
            piece = await reader.read(64 << 10)
            taken += len(piece)
            if not piece or taken > 2 * (_HEAD_BYTES_MAX + _BODY_BYTES_MAX):
                break
            parser.feed_data(piece)
        status = int(parser.get_status_code())
    except (httptools.HttpParserError, ValueError):
        raise AwsError(
            "HttpEndpoint.InvalidResponseFromDestination", "The response is no HTTP, or too large."
        ) from None
    if (not parts.done and "content-length" in parts.headers) or not status:
        raise AwsError("HttpEndpoint.InvalidResponseFromDestination", "The response ended too early.")
    return Reply(status, parts.headers, bytes(parts.body))
