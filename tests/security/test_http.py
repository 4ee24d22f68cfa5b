"""The HTTP door by hand: smuggling, desynchronisation, odd forms, and which address every door is bound to."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.security.stage import Stage


def raw(stage: Stage, data: bytes, *, seconds: float = 3.0) -> bytes:
    """Everything the server says to these bytes, until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", stage.server.http_port), timeout=seconds) as connection:
        connection.settimeout(0.2)
        connection.sendall(data)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def signed_head(stage: Stage, method: str, path: str, body: bytes = b"", **more: str) -> list[tuple[str, str]]:
    """Headers of a valid S3 request of ALPHA's root."""
    request = AWSRequest(method, f"{stage.url}{path}", data=body, headers=more)
    S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    return [("Host", f"127.0.0.1:{stage.server.http_port}"), *request.headers.items()]


def compose(
    method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"", version: str = "HTTP/1.1"
) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {path} {version}\r\n{head}\r\n".encode() + body


GET_NOTHING = b"GET /smuggled-bucket/key HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Content-Length : 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        b"X: a\r\n Content-Length: 5\r\n",
        b"X: a\nContent-Length: 5\nTransfer-Encoding: chunked\n",
        b"X: \x00\r\n",
        b"X\x00: a\r\n",
        b": a\r\n",
    ],
)  # fmt: skip
def test_ambiguous_framing_ends_the_connection(stage: Stage, framing: bytes) -> None:
    """Never are two requests seen where another server might see one."""
    answer = raw(stage, b"POST /x/y HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n0\r\n\r\n" + GET_NOTHING)
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


@pytest.mark.parametrize(
    "chunks",
    [
        b"5;\x00\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
    ],
)
def test_broken_chunks_end_the_connection(stage: Stage, chunks: bytes) -> None:
    head = b"POST /x/y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = raw(stage, head + chunks + GET_NOTHING)
    assert b"smuggled-bucket" not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1, answer


def test_chunk_extensions_are_not_data(stage: Stage) -> None:
    head = signed_head(stage, "PUT", f"/{stage.names['bucket']}/chunked", b"hello")
    head = [(name, value) for name, value in head if name.lower() != "content-length"]
    body = b'5;ext=1;x="a b"\r\nhello\r\n0\r\n\r\n'
    answer = raw(
        stage, compose("PUT", f"/{stage.names['bucket']}/chunked", [*head, ("Transfer-Encoding", "chunked")], body)
    )
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert stage.client("s3").get_object(Bucket=stage.names["bucket"], Key="chunked")["Body"].read() == b"hello"


def test_an_early_refusal_ends_a_connection_that_waits_for_continue(stage: Stage) -> None:
    """Else the next request of that client, or of another behind the same proxy, would be read as this one's body."""
    head = (
        b"PUT /alphamark-bucket/x HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\nExpect: 100-continue\r\n"
        b"Authorization: AWS4-HMAC-SHA256 Credential=nobody/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, "
        b"Signature="
        + b"0" * 64
        + b"\r\nx-amz-date: 20260101T000000Z\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n\r\n"
    )
    answer = raw(stage, head + GET_NOTHING)
    assert answer.startswith(b"HTTP/1.1 403"), answer
    assert b"connection: close" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_an_unread_body_is_not_the_next_request(stage: Stage) -> None:
    head = b"PUT /alphamark-bucket/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(GET_NOTHING)
    answer = raw(stage, head + GET_NOTHING)
    assert answer.count(b"HTTP/1.1 ") == 1, answer


def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    one = compose(
        "GET",
        f"/{stage.names['bucket']}/alphamark-key",
        signed_head(stage, "GET", f"/{stage.names['bucket']}/alphamark-key"),
    )
    answer = raw(stage, one + GET_NOTHING + one)
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"403", b"200"] or statuses == [b"200", b"404", b"200"], statuses


@pytest.mark.parametrize(
    ("method", "path", "version", "expected"),
    [
        ("GET", "http://evil.example/alphamark-bucket/alphamark-key", "HTTP/1.1", b"403"),
        ("GET", "http://169.254.169.254/latest/meta-data/", "HTTP/1.1", b"4"),
        ("CONNECT", "127.0.0.1:22", "HTTP/1.1", b"4"),
        ("GET", "*", "HTTP/1.1", b"4"),
        ("GET", "//evil.example/x", "HTTP/1.1", b"4"),
        ("GET", "/alphamark-bucket/alphamark-key", "HTTP/1.0", b"403"),
        ("GET", "/alphamark-bucket/alphamark-key", "HTTP/0.9", b"4"),
        ("PRI", "*", "HTTP/2.0", b"4"),
        ("TRACE", "/alphamark-bucket/alphamark-key", "HTTP/1.1", b"4"),
        ("GET", "/alphamark-bucket/\x00", "HTTP/1.1", b"4"),
        ("GET", "/alphamark-bucket/alphamark-key HTTP/1.1\r\nX: y", "HTTP/1.1", b"4"),
    ],
)  # fmt: skip
def test_forms_of_the_request_line(stage: Stage, method: str, path: str, version: str, expected: bytes) -> None:
    answer = raw(stage, compose(method, path, [("Host", "x")], version=version))
    assert answer == b"" or answer.split(b" ", 2)[1].startswith(expected), answer
    assert b"alpha's content" not in answer


def test_absolute_form_signs_as_its_path(stage: Stage) -> None:
    path = f"/{stage.names['bucket']}/alphamark-key"
    answer = raw(stage, compose("GET", f"http://evil.example{path}", signed_head(stage, "GET", path)))
    assert answer.startswith(b"HTTP/1.1 200"), (
        "the Host header, which is signed, counts; the authority in the line does not"
    )


def test_http_1_0_closes(stage: Stage) -> None:
    answer = raw(
        stage, compose("GET", "/x/y", [("Host", "x"), ("Connection", "keep-alive")], version="HTTP/1.0") + GET_NOTHING
    )
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("name", ["authorization", "host", "x-amz-date", "x-amz-content-sha256"])
def test_a_second_header_of_a_signed_name(stage: Stage, name: str) -> None:
    path = f"/{stage.names['bucket']}/alphamark-key"
    head = signed_head(stage, "GET", path)
    for extra in ([(name, "evil")], [(name, {k.lower(): v for k, v in head}[name])]):
        for order in ([*head, *extra], [*extra, *head]):
            answer = raw(stage, compose("GET", path, order))
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), (name, answer[:200])


@pytest.mark.parametrize("text", ["text/html\r\nSet-Cookie: a=b", "a\x00b", "a\n\nevil", "a\x01", "\x7f"])
def test_no_header_is_split(stage: Stage, text: str) -> None:
    s3, key = stage.client("s3"), {"Bucket": stage.names["bucket"], "Key": "alphamark-key"}
    for member in ("ContentType", "ContentDisposition", "CacheControl", "ContentLanguage", "ContentEncoding"):
        with pytest.raises(ClientError) as refused:
            s3.get_object(**key, **{f"Response{member}": text})
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert "set-cookie" not in refused.value.response["ResponseMetadata"]["HTTPHeaders"]


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += family(int(status.parent.name))
    return found


def open_sockets(pids: list[int]) -> set[str]:
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = descriptor.readlink().name
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    return inodes


def bound(pids: list[int]) -> set[tuple[str, int]]:
    """Addresses these processes listen on, TCP and UDP."""
    inodes, found = open_sockets(pids), set()
    for table, listening in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] == listening:
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_every_door_is_on_loopback(stage: Stage) -> None:
    found = bound(family(stage.server.address["pid"]))
    assert {port for _, port in found} == {stage.server.http_port, stage.server.mqtt_port}
    assert {address for address, _ in found} == {"0100007F"}
