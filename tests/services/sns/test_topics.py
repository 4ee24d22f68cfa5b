"""Topics and subscriptions through the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from tests.harness import ACCOUNT, REGION, SCOPE
from tests.services.sns.conftest import QUEUE, TOPIC, World

OTHER = "111111111111"


async def fails(code: str, call: Any) -> str:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code in (code, f"{code}Exception"), failure.value
    return failure.value.message


async def test_topics_are_made_listed_changed_removed(world: World) -> None:
    assert (await world.call("CreateTopic", Name="news"))["TopicArn"] == TOPIC
    different = world.call("CreateTopic", Name="news", Attributes={"DisplayName": "N"})
    assert "different attributes" in await fails("InvalidParameter", different)
    for name in ("no spaces", "x" * 257, "a.fifo"):
        await fails("InvalidParameter", world.call("CreateTopic", Name=name))
    for number in range(103):
        await world.call("CreateTopic", Name=f"t{number:03}")
    page = await world.call("ListTopics")
    rest = await world.call("ListTopics", NextToken=page["NextToken"])
    assert (len(page["Topics"]), len(rest["Topics"])) == (100, 4)
    assert "NextToken" not in rest
    await world.call("SetTopicAttributes", TopicArn=TOPIC, AttributeName="DisplayName", AttributeValue="Daily")
    told = (await world.call("GetTopicAttributes", TopicArn=TOPIC))["Attributes"]
    assert (told["DisplayName"], told["Owner"], told["SubscriptionsConfirmed"]) == ("Daily", ACCOUNT, "0")
    assert json.loads(told["Policy"])["Statement"][0]["Sid"] == "__default_statement_ID"
    for name, value in (("ArchivePolicy", "{}"), ("ApplicationSuccessFeedbackRoleArn", "r")):
        change = world.call("SetTopicAttributes", TopicArn=TOPIC, AttributeName=name, AttributeValue=value)
        await fails("NotImplemented", change)
    for name, value in (
        ("Nonsense", "x"),
        ("Policy", "x"),
        ("ContentBasedDeduplication", "true"),
        ("SignatureVersion", "3"),
        ("SQSSuccessFeedbackRoleArn", "r"),
        ("SQSSuccessFeedbackSampleRate", "101"),
    ):
        change = world.call("SetTopicAttributes", TopicArn=TOPIC, AttributeName=name, AttributeValue=value)
        await fails("InvalidParameter", change)
    await world.call("DeleteTopic", TopicArn=TOPIC)
    await world.call("DeleteTopic", TopicArn=TOPIC)
    await fails("NotFound", world.call("GetTopicAttributes", TopicArn=TOPIC))
    await fails("NotFound", world.call("Publish", TopicArn=TOPIC, Message="x"))


async def test_tags_and_permissions(world: World) -> None:
    await world.call("TagResource", ResourceArn=TOPIC, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    await world.call("UntagResource", ResourceArn=TOPIC, TagKeys=["a"])
    assert (await world.call("ListTagsForResource", ResourceArn=TOPIC))["Tags"] == [{"Key": "b", "Value": "2"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    await fails("TagLimitExceeded", world.call("TagResource", ResourceArn=TOPIC, Tags=many))
    await fails("ResourceNotFound", world.call("ListTagsForResource", ResourceArn=f"{TOPIC}x"))
    grant = {"TopicArn": TOPIC, "Label": "them", "AWSAccountId": [OTHER], "ActionName": ["Publish"]}
    await world.call("AddPermission", **grant)
    assert "already exists" in await fails("InvalidParameter", world.call("AddPermission", **grant))
    told = (await world.call("GetTopicAttributes", TopicArn=TOPIC))["Attributes"]
    assert json.loads(told["Policy"])["Statement"][1]["Action"] == "SNS:Publish"
    await world.call("RemovePermission", TopicArn=TOPIC, Label="them")
    told = (await world.call("GetTopicAttributes", TopicArn=TOPIC))["Attributes"]
    assert len(json.loads(told["Policy"])["Statement"]) == 1


async def test_subscriptions_are_made_once_listed_and_removed(world: World) -> None:
    arn = await world.subscribe()
    assert await world.subscribe() == arn
    assert "different attributes" in await fails("InvalidParameter", world.subscribe(RawMessageDelivery="true"))
    listed = (await world.call("ListSubscriptionsByTopic", TopicArn=TOPIC))["Subscriptions"]
    assert listed == (await world.call("ListSubscriptions"))["Subscriptions"]
    assert listed == [
        {"SubscriptionArn": arn, "Owner": ACCOUNT, "Protocol": "sqs", "Endpoint": QUEUE, "TopicArn": TOPIC}
    ]
    told = (await world.call("GetSubscriptionAttributes", SubscriptionArn=arn))["Attributes"]
    assert (told["PendingConfirmation"], told["RawMessageDelivery"]) == ("false", "false")
    assert "FilterPolicyScope" not in told
    await world.call("Unsubscribe", SubscriptionArn=arn)
    await world.call("Unsubscribe", SubscriptionArn=arn)
    await fails("NotFound", world.call("GetSubscriptionAttributes", SubscriptionArn=arn))
    told = (await world.call("GetTopicAttributes", TopicArn=TOPIC))["Attributes"]
    assert (told["SubscriptionsConfirmed"], told["SubscriptionsDeleted"]) == ("0", "1")


async def test_many_subscriptions_page(world: World) -> None:
    for number in range(101):
        await world.subscribe(endpoint=f"{QUEUE}{number}")
    for operation, more in (("ListSubscriptions", {}), ("ListSubscriptionsByTopic", {"TopicArn": TOPIC})):
        page = await world.call(operation, **more)
        rest = await world.call(operation, NextToken=page["NextToken"], **more)
        seen = {one["SubscriptionArn"] for one in page["Subscriptions"] + rest["Subscriptions"]}
        assert len(seen) == 101
    await fails("InvalidParameter", world.call("ListSubscriptions", NextToken="nonsense"))


async def test_endpoints_and_attributes_are_checked(world: World) -> None:
    for protocol in ("email", "email-json", "sms", "application"):
        assert protocol in await fails("NotImplemented", world.subscribe(protocol, "x"))
    await fails("InvalidParameter", world.subscribe("pigeon", "x"))
    await fails("InvalidParameter", world.subscribe("sqs", "http://queue"))
    await fails("InvalidParameter", world.subscribe("lambda", QUEUE))
    assert "FIFO SQS Queues" in await fails("InvalidParameter", world.subscribe(endpoint=f"{QUEUE}.fifo"))
    await fails("InvalidParameter", world.subscribe("firehose", SCOPE.arn("firehose", "deliverystream/d")))
    arn = await world.subscribe()
    for name, value in (
        ("FilterPolicy", "x"), ("FilterPolicyScope", "Everything"), ("RawMessageDelivery", "perhaps"),
        ("RedrivePolicy", "{}"), ("Nonsense", "x"), ("SubscriptionRoleArn", "x"),
        ("RedrivePolicy", json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{OTHER}:dead"})),
    ):  # fmt: skip
        change = world.call("SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        await fails("InvalidParameter", change)
    policy = {"AttributeName": "FilterPolicy", "AttributeValue": '{"a": ["x"]}'}
    await world.call("SetSubscriptionAttributes", SubscriptionArn=arn, **policy)
    told = (await world.call("GetSubscriptionAttributes", SubscriptionArn=arn))["Attributes"]
    assert (told["FilterPolicy"], told["FilterPolicyScope"]) == ('{"a": ["x"]}', "MessageAttributes")
    await world.call(
        "SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="{}"
    )
    assert "FilterPolicy" not in (await world.call("GetSubscriptionAttributes", SubscriptionArn=arn))["Attributes"]


async def test_a_queue_of_another_account_confirms(world: World) -> None:
    other = Scope(OTHER, REGION)
    root = Principal(OTHER, f"arn:aws:iam::{OTHER}:root", "root", OTHER, f"arn:aws:iam::{OTHER}:root", "x")
    await world.harness.call("sqs", "CreateQueue", QueueName="theirs", caller=root, place=other)
    assert await world.subscribe(endpoint=other.arn("sqs", "theirs")) == "pending confirmation"
    await world.publish("too early")
    url = f"http://h/{OTHER}/theirs"
    (message,) = (await world.harness.call("sqs", "ReceiveMessage", QueueUrl=url, caller=root, place=other))["Messages"]
    told = json.loads(message["Body"])
    assert told["Type"] == "SubscriptionConfirmation"
    await fails("InvalidParameter", world.call("ConfirmSubscription", TopicArn=TOPIC, Token="wrong"))
    await world.call("ConfirmSubscription", TopicArn=TOPIC, Token=told["Token"], caller=root)
    await world.publish("now")
    (message,) = (await world.harness.call("sqs", "ReceiveMessage", QueueUrl=url, caller=root, place=other))["Messages"]
    assert json.loads(message["Body"])["Message"] == "now"
