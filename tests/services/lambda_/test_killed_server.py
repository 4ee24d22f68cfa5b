"""A real server is killed with SIGKILL while a queue feeds a function: every message has its effect in the end."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.crash.rig import Server

pytestmark = pytest.mark.slow
MESSAGES = 40
CODE = """
import boto3
s3 = boto3.client("s3")
def handler(event, context):
    for record in event.get("Records", [{"body": event.get("later")}]):
        s3.put_object(Bucket="effects", Key=record["body"], Body=b"x")
"""


def package() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", CODE)
    return packed.getvalue()


def prepare(server: Server) -> str:
    """Role, bucket, function, queue, mapping; the queue's URL."""
    iam: Any = server.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = {"Effect": "Allow", "Action": ["s3:PutObject", "sqs:*"], "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    role = iam.create_role(RoleName="fn", AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": [policy]}
    iam.put_role_policy(RoleName="fn", PolicyName="p", PolicyDocument=json.dumps(document))
    server.client("s3").create_bucket(Bucket="effects")
    functions: Any = server.client("lambda")
    functions.create_function(
        FunctionName="fn", Runtime="python3.12", Role=role, Handler="app.handler", Code={"ZipFile": package()},
        Timeout=3, MemorySize=256,
    )  # fmt: skip
    queues: Any = server.client("sqs")
    url: str = queues.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "3"})["QueueUrl"]
    source = "arn:aws:sqs:us-east-1:000000000000:q"
    functions.create_event_source_mapping(EventSourceArn=source, FunctionName="fn", BatchSize=1)
    return url


def effects(server: Server) -> set[str]:
    return {one["Key"] for one in server.client("s3").list_objects_v2(Bucket="effects").get("Contents", ())}


def wait_for(server: Server, wanted: set[str], seconds: float) -> set[str]:
    """What is still missing after at most ``seconds``."""
    until = time.monotonic() + seconds
    while (missing := wanted - effects(server)) and time.monotonic() < until:
        time.sleep(0.1)
    return missing


def test_kill_in_the_middle(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.start()
    try:
        url = prepare(server)
        for number in range(MESSAGES):
            server.client("sqs").send_message(QueueUrl=url, MessageBody=f"m{number}")
        for number in range(5):
            event = json.dumps({"later": f"e{number}"}).encode()
            server.client("lambda").invoke(FunctionName="fn", InvocationType="Event", Payload=event)
        server.kill()
        server.start()
        wanted = {f"m{number}" for number in range(MESSAGES)} | {f"e{number}" for number in range(5)}
        missing = wait_for(server, wanted, 25.0)
        assert not missing, server.tail()
    finally:
        server.stop()
