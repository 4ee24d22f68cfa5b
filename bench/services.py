"""One trivial and one typical call of each service: latency over a kept connection, rate over eight."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from bench.load import Call, client, json_call, measure, signed
from bench.servers import Running

_SECONDS = 0.7
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
Calls = dict[str, Call]


def _form(action: str, version: str = "2010-05-08", service: str = "iam") -> Call:
    return Call(service, f"Action={action}&Version={version}".encode(), content_type=_FORM)


def _body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def sqs(port: int) -> Calls:
    """SQS: what is there; a message sent."""
    url = client(port, "sqs").create_queue(QueueName="calls")["QueueUrl"]
    body = _body(QueueUrl=url, MessageBody="x" * 200)
    return {
        "GetQueueUrl": json_call("sqs", "AmazonSQS.GetQueueUrl", _body(QueueName="calls"), "1.0"),
        "SendMessage": json_call("sqs", "AmazonSQS.SendMessage", body, "1.0"),
    }


def s3(port: int) -> Calls:
    """S3: HeadBucket; the 1 KB objects have rows of their own."""
    client(port, "s3").create_bucket(Bucket="calls")
    return {
        "HeadBucket": Call("s3", method="HEAD", path="/calls"),
        "ListObjectsV2": Call("s3", method="GET", path="/calls?list-type=2"),
    }


def kinesis(port: int) -> Calls:
    """Kinesis: the summary of a stream; one record put."""
    kinesis = client(port, "kinesis")
    kinesis.create_stream(StreamName="calls", ShardCount=1)
    _until(
        lambda: (
            kinesis.describe_stream_summary(StreamName="calls")["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
        )
    )
    body = _body(StreamName="calls", PartitionKey="k", Data=base64.b64encode(b"x" * 200).decode())
    return {
        "DescribeStreamSummary": json_call(
            "kinesis", "Kinesis_20131202.DescribeStreamSummary", _body(StreamName="calls")
        ),
        "PutRecord": json_call("kinesis", "Kinesis_20131202.PutRecord", body),
    }


def glue(port: int) -> Calls:
    """Glue: databases; a table."""
    glue = client(port, "glue")
    glue.create_database(DatabaseInput={"Name": "calls"})
    columns = [{"Name": f"c{number}", "Type": "string"} for number in range(10)]
    glue.create_table(DatabaseName="calls", TableInput={"Name": "t", "StorageDescriptor": {"Columns": columns}})
    return {
        "GetDatabases": json_call("glue", "AWSGlue.GetDatabases"),
        "GetTable": json_call("glue", "AWSGlue.GetTable", _body(DatabaseName="calls", Name="t")),
    }


def athena(port: int) -> Calls:
    """Athena: work groups, and what the console polls."""
    athena = client(port, "athena")
    client(port, "s3").create_bucket(Bucket="calls-athena")
    place = {"OutputLocation": "s3://calls-athena/"}
    query = athena.start_query_execution(QueryString="SELECT 1", ResultConfiguration=place)["QueryExecutionId"]
    return {
        "ListWorkGroups": json_call("athena", "AmazonAthena.ListWorkGroups"),
        "GetQueryExecution": json_call("athena", "AmazonAthena.GetQueryExecution", _body(QueryExecutionId=query)),
    }


def iam(port: int) -> Calls:
    """IAM: its XML protocol."""
    client(port, "iam").create_role(RoleName="calls", AssumeRolePolicyDocument=_TRUST)
    return {"ListUsers": _form("ListUsers"), "GetRole": _form("GetRole&RoleName=calls")}


def logs(port: int) -> Calls:
    """CloudWatch Logs: groups; ten events put."""
    logs = client(port, "logs")
    logs.create_log_group(logGroupName="calls")
    logs.create_log_stream(logGroupName="calls", logStreamName="s")
    events = [{"timestamp": int(time.time() * 1000), "message": "x" * 100} for _ in range(10)]
    return {
        "DescribeLogGroups": json_call("logs", "Logs_20140328.DescribeLogGroups"),
        "PutLogEvents × 10": json_call(
            "logs", "Logs_20140328.PutLogEvents", _body(logGroupName="calls", logStreamName="s", logEvents=events)
        ),
    }


def lambda_(port: int) -> Calls:
    """Lambda: functions; a warm invocation."""
    role = client(port, "iam").create_role(RoleName="calls-lambda", AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("m.py", "def handler(event, context):\n    return event\n")
    functions = client(port, "lambda")
    functions.create_function(
        FunctionName="calls", Runtime="python3.12", Role=role, Handler="m.handler", Code={"ZipFile": packed.getvalue()}
    )
    _until(lambda: functions.get_function(FunctionName="calls")["Configuration"].get("State", "Active") == "Active")
    answer = functions.invoke(FunctionName="calls", Payload=b'{"a": 1}')
    payload = answer["Payload"].read()
    if answer.get("FunctionError") or json.loads(payload) != {"a": 1}:
        raise RuntimeError(f"the function does not run: {payload[:70]!r}")
    return {
        "ListFunctions": Call("lambda", method="GET", path="/2015-03-31/functions/"),
        "Invoke, warm": Call("lambda", b'{"a": 1}', path="/2015-03-31/functions/calls/invocations"),
    }


def sns(port: int) -> Calls:
    """SNS: topics; a message published to a topic with a queue behind it."""
    sns = client(port, "sns")
    topic = sns.create_topic(Name="calls")["TopicArn"]
    sqs = client(port, "sqs")
    url = sqs.create_queue(QueueName="calls-sns")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    message = f"Publish&TopicArn={quote(topic)}&Message={'x' * 200}"
    return {
        "ListTopics": _form("ListTopics", "2010-03-31", "sns"),
        "Publish to a queue": _form(message, "2010-03-31", "sns"),
    }


def events(port: int) -> Calls:
    """EventBridge: buses; ten events put, which a rule matches into a queue."""
    events = client(port, "events")
    events.put_rule(Name="calls", EventPattern=json.dumps({"source": ["calls"]}))
    url = client(port, "sqs").create_queue(QueueName="calls-events")["QueueUrl"]
    queue = client(port, "sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    events.put_targets(Rule="calls", Targets=[{"Id": "q", "Arn": queue}])
    entries = [{"Source": "calls", "DetailType": "t", "Detail": '{"a": 1}'} for _ in range(10)]
    return {
        "ListEventBuses": json_call("events", "AWSEvents.ListEventBuses"),
        "PutEvents × 10": json_call("events", "AWSEvents.PutEvents", _body(Entries=entries)),
    }


def firehose(port: int) -> Calls:
    """Firehose: delivery streams; one record put, and 500."""
    iam = client(port, "iam")
    role = iam.create_role(RoleName="calls-firehose", AssumeRolePolicyDocument=_TRUST.replace("lambda", "firehose"))
    client(port, "s3").create_bucket(Bucket="calls-firehose")
    client(port, "firehose").create_delivery_stream(
        DeliveryStreamName="calls",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::calls-firehose",
            "RoleARN": role["Role"]["Arn"],
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 300},
        },
    )
    record = {"Data": base64.b64encode(b"x" * 200).decode()}
    target = "Firehose_20150804."
    return {
        "ListDeliveryStreams": json_call("firehose", f"{target}ListDeliveryStreams"),
        "PutRecord": json_call("firehose", f"{target}PutRecord", _body(DeliveryStreamName="calls", Record=record)),
        "PutRecordBatch × 500": json_call(
            "firehose", f"{target}PutRecordBatch", _body(DeliveryStreamName="calls", Records=[record] * 500)
        ),
    }


def iot(port: int) -> Calls:
    """IoT: things; a message published over HTTP."""
    client(port, "iot").create_thing(thingName="calls")
    return {
        "ListThings": Call("iot", method="GET", path="/things"),
        "Publish": Call("iotdata", b'{"a": 1}', path="/topics/calls?qos=1"),
    }


_ALL: dict[str, Callable[[int], Calls]] = {
    "SQS": sqs, "S3": s3, "Kinesis": kinesis, "Glue": glue, "Athena": athena, "IAM": iam, "Logs": logs,
    "Lambda": lambda_, "IoT": iot, "SNS": sns, "EventBridge": events, "Firehose": firehose,
}  # fmt: skip


def calls(server: Running) -> dict[str, float | str]:
    """All of them."""
    found: dict[str, float | str] = {}
    for service, prepare in _ALL.items():
        try:
            prepared = prepare(server.port)
        except Exception as failure:  # what a peer lacks is a result
            found[f"{service} calls"] = f"{type(failure).__name__}: {str(failure)[:90]}"
            continue
        for name, call in prepared.items():
            request = signed(server.port, call)
            one = measure(server.port, request, seconds=_SECONDS)
            eight = measure(server.port, request, connections=8, seconds=_SECONDS)
            wrong = f"{one.failures} of {one.count} answers are errors" if one.failures else None
            found[f"{service} {name} p50, ms"] = wrong or one.p50
            found[f"{service} {name}, 8 connections, requests/s"] = wrong or eight.per_second
    return found


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"nothing after {seconds} s")
        time.sleep(0.01)
