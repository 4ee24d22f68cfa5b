"""What endpoints receive: the notification's JSON for queues, the record of a Lambda event, a Firehose record.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from lakebed.services.sns.model import Published, Subscription, Topic
from lakebed.wire.aws.scalars import write_iso_millis

Sign = Callable[[str, str], str]
CERTIFICATE_PATH = "/_lakebed/sns/SimpleNotificationService.pem"


class Envelope:
    """Builds every form; ``url`` is this house's address."""

    def __init__(self, sign: Sign, url: Callable[[], str]) -> None:
        self._sign, self._url = sign, url

    def notification(self, topic: Topic, subscription: Subscription, published: Published) -> str:
        """The JSON a queue receives. FIFO topics do not sign, as AWS's do not."""
        fields = self._fields(topic, published, published.body(subscription.protocol))
        if topic.is_fifo:
            fields = {
                "Type": fields["Type"], "MessageId": fields["MessageId"], "SequenceNumber": published.sequence_number,
            } | fields  # fmt: skip
        else:
            fields |= self._signature(topic, fields, "SigningCertURL")
        fields["UnsubscribeURL"] = self._unsubscribe_url(subscription)
        if published.attributes:
            fields["MessageAttributes"] = attributes_shown(published.attributes)
        return json.dumps(fields, ensure_ascii=False)

    def confirmation(self, topic: Topic, published: Published) -> str:
        """What an endpoint outside, or of another account, receives to confirm with."""
        fields = self._fields(topic, published, published.bodies["default"]) | {"Type": published.kind}
        fields["Token"] = published.token
        fields["SubscribeURL"] = (
            f"{self._url()}/?Action=ConfirmSubscription&TopicArn={topic.arn}&Token={published.token}"
        )
        fields |= self._signature(topic, fields, "SigningCertURL")
        return json.dumps(fields, ensure_ascii=False)

    def event(self, topic: Topic, subscription: Subscription, published: Published) -> bytes:
        """The payload of a Lambda invocation: always one record."""
        fields = self._fields(topic, published, published.body("lambda"))
        signature = self._signature(topic, fields, "SigningCertUrl")
        told = {
            **fields,
            "Subject": published.subject or None,
            **signature,
            "UnsubscribeUrl": self._unsubscribe_url(subscription),
            "MessageAttributes": attributes_shown(published.attributes),
        }
        record = {
            "EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": subscription.arn, "Sns": told,
        }  # fmt: skip
        return json.dumps({"Records": [record]}, ensure_ascii=False).encode("utf-8", "replace")

    def _fields(self, topic: Topic, published: Published, text: str) -> dict[str, Any]:
        fields = {"Type": "Notification", "MessageId": published.message_id, "TopicArn": topic.arn}
        if published.subject:
            fields["Subject"] = published.subject
        return fields | {"Message": text, "Timestamp": write_iso_millis(published.sent)}

    def _signature(self, topic: Topic, fields: Mapping[str, Any], url_member: str) -> dict[str, str]:
        version = topic.attributes.get("SignatureVersion", "1")
        signature = self._sign(signed_text(fields), version)
        return {"SignatureVersion": version, "Signature": signature, url_member: self._url() + CERTIFICATE_PATH}

    def _unsubscribe_url(self, subscription: Subscription) -> str:
        return f"{self._url()}/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"


def signed_text(fields: Mapping[str, Any]) -> str:
    """What the signature is over: names and values of these members, a line each, in this order."""
    names = (
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        if fields["Type"] in ("SubscriptionConfirmation", "UnsubscribeConfirmation")
        else ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    )
    return "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)


def attributes_shown(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Message attributes as JSON shows them; binary ones in base64."""
    return {
        name: {
            "Type": value["DataType"],
            "Value": base64.b64encode(value["BinaryValue"]).decode()
            if value["DataType"].startswith("Binary")
            else value["StringValue"],
        }
        for name, value in attributes.items()
    }
