"""The trace header of a request travels with its message, so that functions that call each other in a ring are seen."""

from __future__ import annotations

import json
from typing import Any

from lakebed.cli.pytest_plugin import RunningLakebed

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a87bd80c:1|68fd508a:1"


def test_the_header_becomes_the_messages(lakebed: RunningLakebed) -> None:
    sns, sqs = lakebed.client("sns"), lakebed.client("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
    )
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def traced(request: Any, **_: Any) -> None:
        request.headers["X-Amzn-Trace-Id"] = TRACE

    for client in (sns, sqs):
        client.meta.events.register("before-sign", traced)
    sns.publish(TopicArn=topic, Message="by the topic")
    sqs.send_message(QueueUrl=url, MessageBody="alone")
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "one of a batch"}])
    lakebed.settle()
    got = [
        message
        for _ in range(3)
        for message in sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["AWSTraceHeader"]
        ).get("Messages", [])
    ]
    assert [message["Attributes"]["AWSTraceHeader"] for message in got] == [TRACE] * 3
