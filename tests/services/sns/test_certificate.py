"""A receiver verifies a notification with the certificate that SigningCertURL serves."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from lakebed.cli.pytest_plugin import RunningLakebed

SIGNED = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")


def test_the_certificate_named_in_a_notification_verifies_it(lakebed: RunningLakebed) -> None:
    sns, sqs = lakebed.client("sns"), lakebed.client("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
    )
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="hello")
    lakebed.settle()
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    notification = json.loads(message["Body"])
    with urllib.request.urlopen(notification["SigningCertURL"]) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    text = "".join(f"{name}\n{notification[name]}\n" for name in SIGNED).encode()
    algorithm = hashes.SHA256() if notification["SignatureVersion"] == "2" else hashes.SHA1()
    assert key.verify(base64.b64decode(notification["Signature"]), text, padding.PKCS1v15(), algorithm) is None


def test_the_links_of_a_message_need_no_signature(lakebed: RunningLakebed) -> None:
    sns = lakebed.client("sns")
    topic = sns.create_topic(Name="links")["TopicArn"]
    for action in (f"ConfirmSubscription&TopicArn={topic}&Token=x", "Unsubscribe&SubscriptionArn=x", "ListTopics"):
        try:
            with urllib.request.urlopen(f"{lakebed.endpoint_url}/?Action={action}") as answer:
                told = answer.read()
        except urllib.error.HTTPError as refused:
            told = refused.read()
        assert (b"InvalidParameter" in told) == ("ListTopics" not in action), told
