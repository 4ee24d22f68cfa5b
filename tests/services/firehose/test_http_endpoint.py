"""HTTP endpoints: a real TLS server on this machine, which an operator allowed; and addresses that nobody did."""

from __future__ import annotations

import asyncio
import base64
import datetime
import gzip
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lakebed.kernel import outward
from lakebed.kernel.errors import AwsError
from tests.services.firehose.conftest import ARN, BUCKET, ROLE, House


def certificate(directory: Path) -> Path:
    """A certificate for 127.0.0.1, its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "endpoint")])
    now = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=9000))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = directory / "endpoint.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + made.public_bytes(serialization.Encoding.PEM)
    )  # fmt: skip
    return path


class Endpoint:
    """Answers as it is told, and remembers what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.status, self.answer = 200, ""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        asked = json.loads(body)
        self.requests.append((headers | {":line": lines[0]}, asked))
        answer = self.answer or json.dumps({"requestId": asked["requestId"], "timestamp": 1})
        told = f"Content-Type: application/json\r\nContent-Length: {len(answer)}"
        writer.write(f"HTTP/1.1 {self.status} X\r\n{told}\r\n\r\n{answer}".encode())
        await writer.drain()
        writer.close()

    def records(self) -> list[bytes]:
        return [base64.b64decode(record["data"]) for _, asked in self.requests for record in asked["records"]]


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    made = Endpoint()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[House]:
    """A house whose operator allows the endpoint's network."""
    house = House.__new__(House)
    from tests.harness import Harness

    real = Harness.add

    def add(self: Harness, *factories: Any) -> None:
        self.kernel.settings.services["firehose"] = {
            "http_endpoint_networks": ["127.0.0.0/8"], "http_endpoint_ca_file": str(tmp_path / "endpoint.pem"),
        }  # fmt: skip
        real(self, *factories)

    Harness.add = add  # type: ignore[method-assign]
    try:
        house.__init__(tmp_path / "data")  # type: ignore[misc]
    finally:
        Harness.add = real  # type: ignore[method-assign]
    yield await house.start()
    await house.harness.stop()


async def create(house: House, port: int, **more: Any) -> None:
    await house.call(
        "CreateDeliveryStream",
        DeliveryStreamName="d",
        HttpEndpointDestinationConfiguration={
            "EndpointConfiguration": {
                "Url": f"https://127.0.0.1:{port}/take?all=1", "Name": "e", "AccessKey": "top secret",
            },
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
            "RetryOptions": {"DurationInSeconds": 30},
            "S3Configuration": {"RoleARN": ROLE, "BucketARN": BUCKET},
            "RequestConfiguration": {
                "ContentEncoding": "GZIP",
                "CommonAttributes": [{"AttributeName": "where", "AttributeValue": "köln"}],
            },
            **more,
        },
    )  # fmt: skip


async def test_records_reach_the_endpoint(open_house: House, endpoint: Endpoint) -> None:
    house = open_house
    await create(house, endpoint.port)
    await house.put(b"a", b"b")
    await house.clock.advance(60)
    assert endpoint.records() == [b"a", b"b"]
    ((headers, asked),) = endpoint.requests
    assert headers[":line"] == "POST /take?all=1 HTTP/1.1"
    assert headers["x-amz-firehose-request-id"] == asked["requestId"]
    assert headers["x-amz-firehose-source-arn"] == ARN
    assert headers["x-amz-firehose-access-key"] == "top secret"
    assert headers["x-amz-firehose-protocol-version"] == "1.0"
    assert json.loads(headers["x-amz-firehose-common-attributes"]) == {"commonAttributes": {"where": "köln"}}
    assert not house.buckets.objects
    described = await house.call("DescribeDeliveryStream", DeliveryStreamName="d")
    assert "top secret" not in str(described)
    stored = house.harness.kernel.db.all("SELECT destination FROM firehose_stream")
    assert "top secret" not in stored[0]["destination"]
    assert house.meter()["recordsOut"] == 2


async def test_failures_are_tried_for_the_retry_duration_then_backed_up(open_house: House, endpoint: Endpoint) -> None:
    house = open_house
    await create(house, endpoint.port)
    endpoint.status, endpoint.answer = 500, '{"errorMessage": "not now"}'
    await house.put(b"a")
    await house.clock.advance(60)
    await house.clock.advance(29)
    assert not house.buckets.objects
    await house.clock.advance(2)
    (body,) = house.buckets.under("http-endpoint-failed/").values()
    told = json.loads(body)
    assert base64.b64decode(told["rawData"]) == b"a"
    assert told["errorCode"] == "HttpEndpoint.DestinationException"
    ids = {asked["requestId"] for _, asked in endpoint.requests}
    assert len(ids) == 1
    assert len(endpoint.requests) >= 4
    endpoint.status, endpoint.answer = 200, ""
    await house.put(b"b")
    await house.clock.advance(60)
    assert endpoint.records()[-1] == b"b"


@pytest.mark.parametrize(
    ("status", "answer", "tries"), [(413, "{}", 1), (200, '{"requestId": "other", "timestamp": 1}', 2)]
)
async def test_what_counts_as_failure(
    open_house: House, endpoint: Endpoint, status: int, answer: str, tries: int
) -> None:
    await create(open_house, endpoint.port)
    endpoint.status, endpoint.answer = status, answer
    await open_house.put(b"a")
    await open_house.clock.advance(100)
    assert len(open_house.buckets.under("http-endpoint-failed/")) == 1
    assert len(endpoint.requests) >= tries


async def test_all_data_is_backed_up_once(open_house: House, endpoint: Endpoint) -> None:
    await create(open_house, endpoint.port, S3BackupMode="AllData")
    endpoint.status = 500
    await open_house.put(b"a")
    await open_house.clock.advance(400)
    assert list(open_house.buckets.objects.values()) == [b"a"]


async def test_the_update_changes_the_endpoint_and_keeps_the_rest(open_house: House, endpoint: Endpoint) -> None:
    await create(open_house, 9)
    await open_house.call(
        "UpdateDestination", DeliveryStreamName="d", CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        HttpEndpointDestinationUpdate={
            "EndpointConfiguration": {"Url": f"https://127.0.0.1:{endpoint.port}/", "AccessKey": "other"}},
    )  # fmt: skip
    await open_house.put(b"a")
    await open_house.clock.advance(60)
    assert endpoint.requests[0][0]["x-amz-firehose-access-key"] == "other"


async def test_inner_addresses_are_refused(house: House, endpoint: Endpoint) -> None:
    await create(house, endpoint.port)
    await house.put(b"a")
    await house.clock.advance(100)
    assert not endpoint.requests
    (body,) = house.buckets.under("http-endpoint-failed/").values()
    assert json.loads(body)["errorCode"] == "HttpEndpoint.AddressRefused"


@pytest.mark.parametrize("address", [
    "10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "224.0.0.1", "0.0.0.0", "100.64.0.1",
])  # fmt: skip
async def test_names_that_lead_inside_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    async def resolve(*_: Any, **__: Any) -> Any:
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))
        return [good, (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(AwsError, match="not a public address"):
        await outward.post("https://rebind.example/", {}, b"", outward.Doors())


@pytest.mark.parametrize("url", [
    "http://example.com/", "https://user@example.com/", "https:///x", "https://example.com/a b", "https://e.com/#f",
    "https://e.com:99999/",
])  # fmt: skip
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"is not valid|must"):
        outward.check_url(url)
