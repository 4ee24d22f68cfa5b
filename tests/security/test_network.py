"""No way out: the server opens no connection that a client could direct."""

# ruff: noqa: E501 - tables of attacks are kept whole

from __future__ import annotations

import ast
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.security.stage import ALPHA, MARK, REGION, Stage

SOURCE = Path(__file__).resolve().parents[2] / "src" / "lakebed"
CLIENTS = {
    "http.client",
    "urllib.request",
    "socket",
    "ssl",
    "smtplib",
    "ftplib",
    "telnetlib",
    "httpx",
    "requests",
    "aiohttp",
    "boto3",
    "xmlrpc",
}
# Who may import one, and what for.
ALLOWED = {
    "edge/listener.py": "its own listening socket", "edge/http1.py": "the listening side", "edge/mqtt": "the MQTT listener and its TLS",
    "kernel/outward.py": "endpoints that users name (SNS, Firehose): public addresses only, unless a setting says more",
    "engines/run_python": "a socket pair to its own workers", "cli": "the command line asks its own server",
}  # fmt: skip
DIALS = {
    "open_connection",
    "create_connection",
    "urlopen",
    "HTTPConnection",
    "HTTPSConnection",
    "getaddrinfo",
    "gethostbyname",
    "sock_connect",
}
DIALS_ALLOWED = {
    "engines/run_python/worker_process.py": "wraps its end of a socket pair",
    "kernel/outward.py": "see above",
    "engines/run_python/fence.py": "a function's bytes to Lakebed's own door", "cli": "the command line asks its own server",
}  # fmt: skip


def test_only_listed_modules_know_of_the_network() -> None:
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            imported: list[str] = []
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            if any(
                one in CLIENTS or one.split(".")[0] in CLIENTS - {"http.client", "urllib.request"} for one in imported
            ):
                assert any(name == allowed or name.startswith(f"{allowed}/") for allowed in ALLOWED), (name, imported)
            called = node.func if isinstance(node, ast.Call) else None
            dialled = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            if dialled in DIALS:
                assert any(name == allowed or name.startswith(f"{allowed}/") for allowed in DIALS_ALLOWED), (
                    name,
                    dialled,
                )


@pytest.fixture
def canary() -> Iterator[tuple[int, list[Any]]]:
    listener, heard = socket.create_server(("127.0.0.1", 0)), list[Any]()

    def listen() -> None:
        while True:
            try:
                heard.append(listener.accept()[1])
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    yield listener.getsockname()[1], heard
    listener.close()


def test_no_operation_dials_what_it_is_given(stage: Stage, canary: tuple[int, list[Any]]) -> None:
    """Every member that takes a URL, a host or an endpoint, given a canary's."""
    port, heard = canary
    url, n = f"http://127.0.0.1:{port}/x", stage.names
    hose = {"RoleARN": n["firehose_role"], "BucketARN": f"arn:aws:s3:::{n['bucket']}"}
    firehose, iot, sns = stage.client("firehose"), stage.client("iot"), stage.client("sns")
    attempts: list[tuple[Any, dict[str, Any]]] = [
        (firehose.create_delivery_stream, {"DeliveryStreamName": "ssrf", "HttpEndpointDestinationConfiguration": {
            "EndpointConfiguration": {"Url": url.replace("http:", "https:")}, "S3Configuration": hose}}),
        (firehose.create_delivery_stream, {"DeliveryStreamName": "ssrf", "SplunkDestinationConfiguration": {
            "HECEndpoint": url, "HECEndpointType": "Raw", "HECToken": "x", "S3Configuration": hose}}),
        (firehose.create_delivery_stream, {"DeliveryStreamName": "ssrf", "ElasticsearchDestinationConfiguration": {
            "RoleARN": n["firehose_role"], "ClusterEndpoint": url, "IndexName": "x", "S3Configuration": hose}}),
        (iot.create_topic_rule, {"ruleName": "ssrf", "topicRulePayload": {"sql": "SELECT * FROM 'ssrf'", "actions": [{"http": {"url": url}}]}}),
        (iot.create_topic_rule, {"ruleName": "ssrf2", "topicRulePayload": {"sql": "SELECT * FROM 'ssrf'", "actions": [
            {"sqs": {"roleArn": n["iot_role"], "queueUrl": f"http://127.0.0.1:{port}/{ALPHA}/{MARK}-queue"}}]}}),
        (iot.create_topic_rule_destination, {"destinationConfiguration": {"httpUrlConfiguration": {"confirmationUrl": url}}}),
        (sns.subscribe, {"TopicArn": f"arn:aws:sns:{REGION}:{ALPHA}:{MARK}-topic", "Protocol": "http", "Endpoint": url}),
        (stage.client("sqs").send_message, {"QueueUrl": f"http://127.0.0.1:{port}/{ALPHA}/nothing", "MessageBody": "x"}),
        (stage.client("lambda").create_function, {"FunctionName": "ssrf", "Role": n["role"], "PackageType": "Image",
                                                  "Code": {"ImageUri": f"127.0.0.1:{port}/x:latest"}}),
        (stage.client("s3").put_bucket_notification_configuration, {"Bucket": n["bucket"], "NotificationConfiguration": {
            "TopicConfigurations": [{"TopicArn": f"arn:aws:sns:{REGION}:{ALPHA}:{MARK}-topic", "Events": ["s3:ObjectCreated:*"]}]}}),
        (stage.client("s3").copy_object, {"Bucket": n["bucket"], "Key": "ssrf", "CopySource": f"127.0.0.1:{port}/x"}),
        (stage.client("glue").create_table, {"DatabaseName": f"{MARK}_db", "TableInput": {
            "Name": "ssrf", "StorageDescriptor": n["descriptor"] | {"Location": url}}}),
    ]  # fmt: skip
    for call, given in attempts:
        with contextlib.suppress(ClientError):
            call(**given)
    stage.client("iot-data").publish(topic="ssrf", payload=b"{}", qos=1)
    stage.query(f"SELECT * FROM {MARK}_db.ssrf")
    assert heard == []
