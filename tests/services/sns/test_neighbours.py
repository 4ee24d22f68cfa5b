"""SNS beside the real IAM, S3 and SQS: each hop is allowed by the policy of what it reaches, or it ends there."""

from __future__ import annotations

import json
from typing import Any

from lakebed.services import iam, s3, sns, sqs
from tests.harness import ACCOUNT, ENDPOINT, SCOPE, Harness
from tests.services.sns.test_topics import fails

TOPIC, QUEUE = SCOPE.arn("sns", "news"), SCOPE.arn("sqs", "inbox")


def policy(service: str, action: str, resource: str, source: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def test_an_object_becomes_a_message_where_policies_allow_it(harness: Harness) -> None:
    harness.add(iam.service, s3.service, sqs.service, sns.service)
    await harness.start()
    call = harness.call
    await call("s3", "CreateBucket", Bucket="shelf")
    await call("sns", "CreateTopic", Name="news")
    await call("sqs", "CreateQueue", QueueName="inbox")
    subscribed = await call("sns", "Subscribe", TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    notification: dict[str, Any] = {
        "Bucket": "shelf",
        "NotificationConfiguration": {
            "TopicConfigurations": [{"Id": "mine", "TopicArn": TOPIC, "Events": ["s3:ObjectCreated:*"]}]
        },
    }
    await fails("InvalidArgument", call("s3", "PutBucketNotificationConfiguration", **notification))
    allowed = policy("s3.amazonaws.com", "sns:Publish", TOPIC, "arn:aws:s3:::shelf")
    await call("sns", "SetTopicAttributes", TopicArn=TOPIC, AttributeName="Policy", AttributeValue=allowed)
    await call("s3", "PutBucketNotificationConfiguration", **notification)
    await harness.clock.settle()
    url = f"{ENDPOINT}/{ACCOUNT}/inbox"
    assert "Messages" not in await call("sqs", "ReceiveMessage", QueueUrl=url), (
        "the queue lets SNS in by its policy only"
    )
    allowed = policy("sns.amazonaws.com", "sqs:SendMessage", QUEUE, TOPIC)
    await call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes={"Policy": allowed})
    await call("s3", "PutObject", Bucket="shelf", Key="a", Body=b"x")
    await harness.clock.settle()
    (message,) = (await call("sqs", "ReceiveMessage", QueueUrl=url))["Messages"]
    told = json.loads(message["Body"])
    assert told["Subject"] == "Amazon S3 Notification"
    assert json.loads(told["Message"])["Records"][0]["s3"]["object"]["key"] == "a"
    assert harness.services["sns"].topology is not None
    (link,) = harness.services["sns"].topology(SCOPE)
    assert (link.source, link.target) == (TOPIC, QUEUE)
    assert subscribed["SubscriptionArn"].startswith(TOPIC)
