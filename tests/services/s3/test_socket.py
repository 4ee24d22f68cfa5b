"""S3 over a real socket with unmodified boto3: what a client sees of statuses, headers, streams, retries, presigned URLs."""

from __future__ import annotations

import hashlib
import io
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.crash.rig import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("s3") / "data")
    running.start()
    running.client("s3").create_bucket(Bucket="socket")
    yield running
    running.stop()


@pytest.fixture
def s3(server: Server) -> Any:
    return server.client("s3")


def code_of(failure: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = failure.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_objects_and_statuses(s3: Any) -> None:
    s3.put_object(Bucket="socket", Key="a b/ü+%41", Body=b"hello", Metadata={"m": "1"})
    got = s3.get_object(Bucket="socket", Key="a b/ü+%41")
    assert got["Body"].read() == b"hello"
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
    part = s3.get_object(Bucket="socket", Key="a b/ü+%41", Range="bytes=1-2")
    assert part["Body"].read() == b"el"
    assert (part["ResponseMetadata"]["HTTPStatusCode"], part["ContentRange"]) == (206, "bytes 1-2/5")
    with pytest.raises(ClientError) as missing:
        s3.get_object(Bucket="socket", Key="none")
    assert code_of(missing) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as head:
        s3.head_object(Bucket="socket", Key="none")
    assert code_of(head) == ("404", 404)
    with pytest.raises(ClientError) as same:
        s3.get_object(Bucket="socket", Key="a b/ü+%41", IfNoneMatch=got["ETag"])
    assert code_of(same) == ("304", 304)
    told, sent = (one["ResponseMetadata"]["HTTPHeaders"] for one in (same.value.response, got))
    assert (told["etag"], told["last-modified"]) == (got["ETag"], sent["last-modified"])
    assert len(told["x-amz-id-2"]) == len(sent["x-amz-id-2"]) == 64
    with pytest.raises(ClientError) as beyond:
        s3.get_object(Bucket="socket", Key="a b/ü+%41", Range="bytes=9-")
    assert code_of(beyond) == ("InvalidRange", 416)
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="socket")["Contents"]]
    assert "a b/ü+%41" in keys
    s3.delete_object(Bucket="socket", Key="a b/ü+%41")


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_large_files_go_in_parts(s3: Any, algorithm: str) -> None:
    body = os.urandom(20 << 20)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), "socket", "large", Config=config, ExtraArgs={"ChecksumAlgorithm": algorithm})
    assert s3.head_object(Bucket="socket", Key="large")["ETag"].endswith('-3"')
    target = io.BytesIO()
    s3.download_fileobj("socket", "large", target, Config=config)
    assert hashlib.sha256(target.getvalue()).digest() == hashlib.sha256(body).digest()


def test_a_reader_that_goes_away_hurts_nobody(s3: Any) -> None:
    s3.put_object(Bucket="socket", Key="big", Body=os.urandom(16 << 20))
    body = s3.get_object(Bucket="socket", Key="big")["Body"]
    body.read(100)
    body.close()
    assert s3.head_object(Bucket="socket", Key="big")["ContentLength"] == 16 << 20


@pytest.mark.parametrize("style", [{}, {"signature_version": "s3v4"}], ids=["as boto3 comes", "version 4"])
def test_presigned(server: Server, style: dict[str, str]) -> None:
    s3: Any = server.client("s3", **style)
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "socket", "Key": "signed"})
    # Version 2 signs the Content-Type; urllib would add one of its own.
    request = urllib.request.Request(put, data=b"via url", method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": "socket", "Key": "signed"})
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"via url"
    with pytest.raises(urllib.error.HTTPError) as denied:
        urllib.request.urlopen(get.replace("signed", "other"))
    assert denied.value.code == 403


def test_configurations_round_trip(s3: Any) -> None:
    rules = [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}]
    s3.put_bucket_lifecycle_configuration(Bucket="socket", LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket="socket")["Rules"] == rules
    s3.put_bucket_tagging(Bucket="socket", Tagging={"TagSet": [{"Key": "a", "Value": "ü"}]})
    assert s3.get_bucket_tagging(Bucket="socket")["TagSet"] == [{"Key": "a", "Value": "ü"}]
    assert s3.get_bucket_location(Bucket="socket")["LocationConstraint"] is None
    assert s3.get_bucket_acl(Bucket="socket")["Grants"][0]["Grantee"]["Type"] == "CanonicalUser"


def test_paginators_and_batches(s3: Any) -> None:
    for number in range(25):
        s3.put_object(Bucket="socket", Key=f"page/{number % 5}/{number:02d}", Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="socket", Prefix="page/", PaginationConfig={"PageSize": 7}
    )
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert len(keys) == 25
    assert keys == sorted(keys)
    prefixes = s3.list_objects_v2(Bucket="socket", Prefix="page/", Delimiter="/")["CommonPrefixes"]
    assert [entry["Prefix"] for entry in prefixes] == [f"page/{number}/" for number in range(5)]
    done = s3.delete_objects(Bucket="socket", Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(done["Deleted"]) == 25


def test_events_reach_a_real_queue(server: Server, s3: Any) -> None:
    sqs: Any = server.client("sqs")
    url = sqs.create_queue(QueueName="s3-socket")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    with pytest.raises(ClientError) as unproven:
        s3.put_bucket_notification_configuration(Bucket="socket", NotificationConfiguration=configuration)
    assert code_of(unproven)[0] == "InvalidArgument"
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},'
        f'"Action":"sqs:SendMessage","Resource":"{arn}",'
        '"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::socket"}}}]}'
    )
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    s3.put_bucket_notification_configuration(Bucket="socket", NotificationConfiguration=configuration)
    s3.put_object(Bucket="socket", Key="event", Body=b"x")
    bodies: list[str] = []
    while not any("ObjectCreated:Put" in body for body in bodies):
        received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10).get("Messages", [])
        assert received, "no event came"
        bodies += [message["Body"] for message in received]
    assert any("s3:TestEvent" in body for body in bodies)


def test_acknowledged_objects_survive_a_kill(server: Server, s3: Any) -> None:
    bodies = {f"kept/{number}": os.urandom(1000 + number) for number in range(40)}
    for key, body in bodies.items():
        s3.put_object(Bucket="socket", Key=key, Body=body)
    server.kill()
    server.start()
    again = server.client("s3")
    for key, body in bodies.items():
        assert again.get_object(Bucket="socket", Key=key)["Body"].read() == body
