"""Lambda beside the real IAM, SQS, Kinesis and S3, with real workers: permissions decide, records flow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lakebed.engines.run_python import PythonRuntime
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.services import iam, kinesis, lambda_, s3, sqs
from tests.harness import ACCOUNT, Harness
from tests.services.lambda_.fakes import FakeLogs, zipped

ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:fn"
QUEUE, STREAM = f"arn:aws:sqs:us-east-1:{ACCOUNT}:q", f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
S3 = Principal(ACCOUNT, "s3.amazonaws.com", "service", "s3.amazonaws.com")
PRINTS = """
import base64
def handler(event, context):
    for record in event.get("Records", []):
        print("got", record["body"] if "body" in record else base64.b64decode(record["kinesis"]["data"]).decode())
"""


class House:
    def __init__(self, directory: Path) -> None:
        self.harness = Harness(directory)
        ports: Any = self.harness.ports
        ports.logs = self.logs = FakeLogs()
        ports.runtime = self.runtime = PythonRuntime(self.harness.kernel, lambda: "http://127.0.0.1:4566")
        self.harness.add(iam.service, s3.service, sqs.service, lambda_.service, kinesis.service)

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return await self.harness.call(service, operation, **params)

    async def function(self, code: str = PRINTS, *managed: str) -> None:
        await self.call("iam", "CreateRole", RoleName="fn", AssumeRolePolicyDocument=json.dumps(TRUST))
        for policy in managed:
            await self.call("iam", "AttachRolePolicy", RoleName="fn", PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        await self.call(
            "lambda", "CreateFunction", FunctionName="fn", Runtime="python3.11", Handler="app.handler",
            Role=f"arn:aws:iam::{ACCOUNT}:role/fn", Code={"ZipFile": zipped(code)},
        )  # fmt: skip

    def printed(self) -> list[str]:
        return [line.removeprefix("got ") for _, _, line in self.logs.lines if line.startswith("got ")]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path / "data")
    await made.harness.start()
    yield made
    await made.harness.stop()
    await made.runtime.stop()


async def test_queue_mapping(house: House) -> None:
    await house.function(PRINTS, "service-role/AWSLambdaSQSQueueExecutionRole")
    url = (await house.call("sqs", "CreateQueue", QueueName="q"))["QueueUrl"]
    await house.call("lambda", "CreateEventSourceMapping", EventSourceArn=QUEUE, FunctionName="fn")
    for number in range(25):
        attributes = {"n": {"StringValue": str(number), "DataType": "Number"}}
        await house.call("sqs", "SendMessage", QueueUrl=url, MessageBody=str(number), MessageAttributes=attributes)
    await house.harness.clock.advance(1)
    assert sorted(house.printed(), key=int) == [str(number) for number in range(25)]
    counts = await house.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
    assert counts["Attributes"]["ApproximateNumberOfMessages"] == "0"
    assert counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"


async def test_a_role_without_permission_is_told(house: House) -> None:
    await house.function()
    await house.call("sqs", "CreateQueue", QueueName="q")
    with pytest.raises(AwsError, match="does not have permissions to call ReceiveMessage on SQS"):
        await house.call("lambda", "CreateEventSourceMapping", EventSourceArn=QUEUE, FunctionName="fn")


async def test_stream_mapping(house: House) -> None:
    await house.function(PRINTS, "service-role/AWSLambdaKinesisExecutionRole")
    await house.call("kinesis", "CreateStream", StreamName="s", ShardCount=2)
    await house.harness.clock.advance(30)
    for number in range(10):
        await house.call("kinesis", "PutRecord", StreamName="s", PartitionKey="one", Data=f"old{number}".encode())
    await house.call(
        "lambda", "CreateEventSourceMapping", EventSourceArn=STREAM, FunctionName="fn", StartingPosition="TRIM_HORIZON",
        BatchSize=3,
    )  # fmt: skip
    await house.harness.clock.advance(1)
    assert house.printed() == [f"old{number}" for number in range(10)]
    await house.call("kinesis", "PutRecord", StreamName="s", PartitionKey="two", Data=b"new")
    await house.harness.clock.advance(1)
    assert house.printed()[10:] == ["new"]


async def test_services_need_the_functions_policy(house: House) -> None:
    await house.function()
    functions = house.harness.ports.functions
    with pytest.raises(AwsError):
        functions.check_destination(S3, ARN, source_arn="arn:aws:s3:::mine")
    await house.call(
        "lambda", "AddPermission", FunctionName="fn", StatementId="s3", Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::mine", SourceAccount=ACCOUNT,
    )  # fmt: skip
    functions.check_destination(S3, ARN, source_arn="arn:aws:s3:::mine")
    assert (await functions.invoke(S3, ARN, b"{}", source_arn="arn:aws:s3:::mine")).error is None
    for other in ("arn:aws:s3:::other", None):
        with pytest.raises(AwsError):
            functions.check_destination(S3, ARN, source_arn=other)


async def test_identities_need_invoke_function(house: House) -> None:
    await house.function()
    user = (await house.call("iam", "CreateUser", UserName="ann"))["User"]
    ann = Principal(ACCOUNT, user["Arn"], "user", user["UserId"], user["Arn"])
    with pytest.raises(AwsError) as refused:
        await house.harness.call("lambda", "Invoke", caller=ann, FunctionName="fn")
    assert refused.value.http_status == 403
    allow = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ARN}],
    }
    await house.call("iam", "PutUserPolicy", UserName="ann", PolicyName="p", PolicyDocument=json.dumps(allow))
    came = await house.harness.call("lambda", "Invoke", caller=ann, FunctionName="fn")
    assert came["StatusCode"] == 200


async def test_a_role_that_does_not_trust_lambda(house: House) -> None:
    await house.function()
    trust = json.loads(json.dumps(TRUST).replace("lambda.amazonaws.com", "glue.amazonaws.com"))
    await house.call("iam", "UpdateAssumeRolePolicy", RoleName="fn", PolicyDocument=json.dumps(trust))
    with pytest.raises(AwsError, match="cannot be assumed by Lambda"):
        await house.call("lambda", "Invoke", FunctionName="fn")
    with pytest.raises(AwsError):
        await house.call(
            "lambda", "CreateFunction", FunctionName="f2", Runtime="python3.11", Handler="app.handler",
            Role=f"arn:aws:iam::{ACCOUNT}:role/fn", Code={"ZipFile": zipped("x = 1")},
        )  # fmt: skip


async def test_a_role_made_again_gets_credentials_of_its_own(house: House) -> None:
    await house.function("import os\ndef handler(e, c): return os.environ['AWS_ACCESS_KEY_ID']")
    keys = [(await house.call("lambda", "Invoke", FunctionName="fn"))["Payload"].read() for _ in range(2)]
    assert keys[0] == keys[1]
    await house.call("iam", "DeleteRole", RoleName="fn")
    with pytest.raises(AwsError, match="cannot be assumed by Lambda"):
        await house.call("lambda", "Invoke", FunctionName="fn")
    await house.call("iam", "CreateRole", RoleName="fn", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert (await house.call("lambda", "Invoke", FunctionName="fn"))["Payload"].read() != keys[0]


async def test_code_comes_from_a_bucket_and_s3_events_reach_it(house: House) -> None:
    await house.function("def handler(e, c): print('got', e['Records'][0]['s3']['object']['key'])")
    await house.call("s3", "CreateBucket", Bucket="mine")
    await house.call(
        "s3", "PutObject", Bucket="mine", Key="code.zip", Body=zipped("def handler(e, c): return 'from s3'")
    )
    await house.call(
        "lambda", "CreateFunction", FunctionName="f2", Runtime="python3.11", Handler="app.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/fn", Code={"S3Bucket": "mine", "S3Key": "code.zip"},
    )  # fmt: skip
    came = await house.call("lambda", "Invoke", FunctionName="f2")
    assert came["Payload"].read() == b'"from s3"'
    await house.call(
        "lambda", "AddPermission", FunctionName="fn", StatementId="s3", Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::mine",
    )  # fmt: skip
    target = [{"LambdaFunctionArn": ARN, "Events": ["s3:ObjectCreated:*"]}]
    await house.call(
        "s3", "PutBucketNotificationConfiguration", Bucket="mine",
        NotificationConfiguration={"LambdaFunctionConfigurations": target},
    )  # fmt: skip
    await house.call("s3", "PutObject", Bucket="mine", Key="hello.txt", Body=b"x")
    await house.harness.clock.advance(2)
    assert house.printed() == ["hello.txt"]


async def test_many_callers_share_few_workers(house: House) -> None:
    await house.function("import os\nme = os.urandom(8).hex()\ndef handler(e, c): return me")
    came = await asyncio.gather(*(house.call("lambda", "Invoke", FunctionName="fn") for _ in range(40)))
    assert len({one["Payload"].read() for one in came}) <= 16
