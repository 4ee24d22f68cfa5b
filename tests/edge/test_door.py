"""The front door as clients see it: unmodified SDKs, raw sockets, streams, limits, drain."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lakebed.ports.house import Addresses
from tests.edge.conftest import Fragment
from tests.edge.probe import PIECE, PROBES


def refused(call: Any, *args: Any, **kwargs: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    told = caught.value.response
    return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Message"]


def ask(fragment: Fragment, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    where = fragment.p.addresses
    connection = http.client.HTTPConnection(where.http_host, where.http_port, timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


async def test_sdk_calls_with_three_protocols(fragment: Fragment) -> None:
    who = await fragment.run(fragment.client("sts").get_caller_identity)
    assert who["Arn"] == "arn:aws:iam::000000000000:root"
    assert who["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert (await fragment.run(fragment.client("kinesis").list_streams))["StreamNames"] == []
    put = await fragment.run(fragment.client("s3").put_object, Bucket="b", Key="a/b c+d", Body=b"hello")
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    assert "x-amz-id-2" in put["ResponseMetadata"]["HTTPHeaders"]
    assert PROBES["s3"].bodies["b/a/b c+d"] == (5, "5d41402abc4b2a76b9719d911017c592")
    assert PROBES["s3"].contexts[-1].endpoint == fragment.url


async def test_what_is_not_built_is_named(fragment: Fragment) -> None:
    client = fragment.client
    _, status, message = await fragment.run(refused, client("kinesis").create_stream, StreamName="x", ShardCount=1)
    assert (status, "kinesis" in message, "CreateStream" in message) == (501, True, True)
    _, status, message = await fragment.run(refused, client("redshift").describe_clusters)
    assert (status, "redshift" in message, "DescribeClusters" in message) == (501, True, True)
    _, status, message = await fragment.run(refused, client("kafka").list_clusters_v2)
    assert (status, "kafka" in message, "ListClustersV2" in message) == (501, True, True)
    _, status, message = await fragment.run(
        refused,
        client("kinesis").put_record,
        StreamName="x",
        Data=b"1",
        PartitionKey="1",
        SequenceNumberForOrdering="0",
    )
    assert (status, "SequenceNumberForOrdering" in message) == (501, True)


async def test_a_bug_is_told_without_the_host(fragment: Fragment) -> None:
    code, status, message = await fragment.run(refused, fragment.client("kinesis").describe_limits)
    assert (code, status, "somewhere" in message) == ("InternalFailure", 500, False)
    assert any(line["event"] == "internal failure" and "somewhere" in line["error"] for line in fragment.k.log.tail)


async def test_bodies_are_limited_unless_streamed(fragment: Fragment) -> None:
    code, status, _ = await fragment.run(
        refused, fragment.client("kinesis").put_record, StreamName="x", Data=b"1" * (1 << 20), PartitionKey="1"
    )
    assert (code, status) == ("RequestEntityTooLargeException", 413)
    big = b"y" * (5 << 20)
    await fragment.run(fragment.client("s3").put_object, Bucket="b", Key="big", Body=big)
    assert PROBES["s3"].bodies["b/big"][0] == len(big)


async def test_a_slow_reader_holds_the_stream_back(fragment: Fragment) -> None:
    """A gigabyte nobody reads: the handler is asked for little more than what the socket's buffers take."""
    signed = fragment.client("s3").generate_presigned_url("get_object", {"Bucket": "b", "Key": "16384"})
    reader, writer = await asyncio.open_connection(
        fragment.p.addresses.http_host, fragment.p.addresses.http_port, limit=65536
    )
    writer.write(f"GET {signed.partition(fragment.url)[2]} HTTP/1.1\r\nHost: {fragment.url[7:]}\r\n\r\n".encode())
    assert b"200" in await reader.readline()
    for _ in range(200):
        await asyncio.to_thread(lambda: None)
    assert PROBES["s3"].pieces_sent * len(PIECE) < 64 << 20
    writer.close()


async def test_virtual_hosts_are_rewritten_after_the_signature(fragment: Fragment) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    port = fragment.p.addresses.http_port
    request = AWSRequest("PUT", f"http://buck.localhost:{port}/k%20y", data=b"body")
    S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    headers = dict(request.headers.items()) | {"Host": f"buck.localhost:{port}"}
    status, _, body = await fragment.run(ask, fragment, "PUT", "/k%20y", b"body", **headers)
    assert status == 200, body
    assert "buck/k y" in PROBES["s3"].bodies


async def test_console_admin_and_aws_are_told_apart(fragment: Fragment) -> None:
    assert (await fragment.run(ask, fragment, "GET", "/console/x"))[2] == b"console"
    assert (await fragment.run(ask, fragment, "GET", "/", Accept="text/html,*/*"))[2] == b"console"
    status, _, body = await fragment.run(ask, fragment, "GET", "/")
    assert (status, b"AccessDenied" in body or b"MissingAuth" in body) == (403, True), body
    assert (await fragment.run(ask, fragment, "GET", "/_lakebed/health"))[0] == 200
    # A bucket called console is reached by whoever signs.
    await fragment.run(fragment.client("s3").put_object, Bucket="console", Key="x", Body=b"1")
    assert "console/x" in PROBES["s3"].bodies


async def test_journal_has_a_row_for_every_call(fragment: Fragment) -> None:
    await fragment.run(fragment.client("kinesis").put_record, StreamName="x", Data=b"1", PartitionKey="1")
    await fragment.run(refused, fragment.client("kinesis", secret="wrong").list_streams)
    row, *_ = [entry for entry in fragment.journal.read() if entry["operation"] == "PutRecord"]
    assert (row["service"], row["status"], row["error"]) == ("kinesis", 200, "")
    assert row["resource"] == "arn:aws:kinesis:us-east-1:000000000000:stream/x"
    assert row["principal"] == "arn:aws:iam::000000000000:root"
    failed, *_ = fragment.journal.read(errors=True)
    assert (failed["error"], failed["status"]) == ("InvalidSignatureException", 400)


async def test_close_lets_a_running_request_finish(fragment: Fragment) -> None:
    running = asyncio.create_task(
        fragment.run(fragment.client("kinesis").list_streams, ExclusiveStartStreamName="wait")
    )
    probe = PROBES["kinesis"]
    await probe.waiting.wait()
    closing = asyncio.create_task(fragment.door.close())
    await asyncio.to_thread(lambda: None)
    probe.gate.set()
    assert (await running)["StreamNames"] == []
    await closing
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", int(fragment.url.rpartition(":")[2]) or 1)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"a%d: %s\r\n" % (n, b"y" * 1000) for n in range(80)) + b"\r\n",
            431,
        ),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET //double HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 403),
    ],
)
async def test_heads_are_bounded(fragment: Fragment, head: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection(fragment.p.addresses.http_host, fragment.p.addresses.http_port)
    writer.write(head)
    line = await reader.readline()
    assert line.split()[1] == str(status).encode(), line
    writer.close()


async def test_continue_is_said_before_the_body_is_sent(fragment: Fragment) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("PUT", f"{fragment.url}/b/continued", data=b"12345")
    S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    where = fragment.p.addresses
    reader, writer = await asyncio.open_connection(where.http_host, where.http_port)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = [
        "PUT /b/continued HTTP/1.1",
        f"Host: {fragment.url[7:]}",
        *lines,
        "Expect: 100-continue",
        "Content-Length: 5",
    ]
    writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
    assert b"100" in await reader.readline()
    await reader.readline()
    writer.write(b"12345")
    assert b"200" in await reader.readline()
    writer.close()


async def test_loopback_decides_like_the_door(fragment: Fragment) -> None:
    from lakebed.kernel.errors import AwsError
    from tests.harness import ROOT, SCOPE

    result = await fragment.loopback.call("sts", "GetCallerIdentity", {}, ROOT, SCOPE)
    assert result["Arn"] == ROOT.arn
    with pytest.raises(AwsError) as caught:
        await fragment.loopback.call("kinesis", "PutRecord", {"Data": b"1", "PartitionKey": ""}, ROOT, SCOPE)
    assert caught.value.error_code == "ValidationException"
    assert json.dumps(fragment.journal.read(limit=1)[0]["error"]) == '"ValidationException"'


async def test_a_slow_head_is_cut_off(fragment: Fragment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakebed.edge.http1.HEAD_SECONDS_MAX", 0.05)
    reader, writer = await asyncio.open_connection(fragment.p.addresses.http_host, fragment.p.addresses.http_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"408"
    writer.close()


async def test_connections_are_capped(tmp_path: Any) -> None:
    made = Fragment(tmp_path / "data", connections_max=1)
    await made.harness.start()
    await made.door.open()
    where = made.p.addresses
    first = await asyncio.open_connection(where.http_host, where.http_port)
    second = await asyncio.open_connection(where.http_host, where.http_port)
    assert (await asyncio.wait_for(second[0].readline(), 5)).split()[1] == b"503"
    for _, writer in (first, second):
        writer.close()
    await made.door.close()
    await made.harness.stop()


async def test_anonymous_calls_stop_at_the_door_except_for_s3(fragment: Fragment) -> None:
    target = {"X-Amz-Target": "Kinesis_20131202.ListStreams", "Content-Type": "application/x-amz-json-1.1"}
    status, _, body = await fragment.run(ask, fragment, "POST", "/", b"{}", **target)
    assert (status, json.loads(body)["__type"]) == (400, "MissingAuthenticationTokenException")
    status, _, body = await fragment.run(ask, fragment, "POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15")
    assert status in (403, 405)
    status, _, body = await fragment.run(ask, fragment, "HEAD", "/b/k")
    assert (status, body) == (403, b"")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:4566"),
        ("0.0.0.0", "http://127.0.0.1:4566"),
        ("::", "http://[::1]:4566"),
        ("::1", "http://[::1]:4566"),
        ("lake.example", "http://lake.example:4566"),
    ],
)
def test_the_url_of_a_door_can_be_reached(host: str, url: str) -> None:
    assert Addresses(http_host=host, http_port=4566).http_url == url
