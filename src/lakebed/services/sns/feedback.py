"""Delivery status: what became of each delivery, as lines of CloudWatch Logs, where a topic asks for it.

https://docs.aws.amazon.com/sns/latest/dg/sns-topic-attributes.html. Of the successful ones a percentage, of the failed ones
all. Groups are AWS's: ``sns/<region>/<account>/<topic>``, with ``/Failure`` for what failed.
"""

from __future__ import annotations

import hashlib
import json

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.services.sns.model import SERVICE, Published, Subscription, Topic

PREFIXES = {"sqs": "SQS", "lambda": "Lambda", "firehose": "Firehose", "http": "HTTP", "https": "HTTP"}
_NAMES = tuple(dict.fromkeys(PREFIXES.values()))
ROLES = tuple(f"{prefix}{kind}FeedbackRoleArn" for prefix in _NAMES for kind in ("Success", "Failure"))
RATES = tuple(f"{prefix}SuccessFeedbackSampleRate" for prefix in _NAMES)


class Feedback:
    """Writes delivery status."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p, self._stream = k, p, k.ids.uuid()

    def tell(
        self, topic: Topic, subscription: Subscription, published: Published, attempts: int, failure: AwsError | None
    ) -> None:
        """One delivery ended. A role that may not be assumed tells nothing, as at AWS."""
        prefix = PREFIXES[subscription.protocol]
        role = topic.attributes.get(f"{prefix}{'Success' if failure is None else 'Failure'}FeedbackRoleArn")
        rate = float(topic.attributes.get(f"{prefix}SuccessFeedbackSampleRate", "0"))
        if not role or (failure is None and self._k.ids.uniform() * 100 >= rate):
            return
        try:
            self._p.identity.service_session(role, SERVICE, session_name="sns")
        except AwsError as refused:
            self._k.log.warning("delivery status not written", topic=topic.arn, exc=refused)
            return
        now = self._k.clock.now()
        line = _line(subscription, published, (attempts, now), failure) | {
            "status": "FAILURE" if failure else "SUCCESS"
        }
        group = f"sns/{topic.scope.region}/{topic.scope.account}/{topic.name}{'/Failure' if failure else ''}"
        self._p.logs.write(topic.scope, group, self._stream, [(now, json.dumps(line))])


def _line(
    subscription: Subscription, published: Published, when: tuple[int, float], failure: AwsError | None
) -> dict[str, object]:
    text = published.body(subscription.protocol).encode("utf-8", "surrogatepass")
    attempts, now = when
    return {
        "notification": {
            "messageMD5Sum": hashlib.md5(text, usedforsecurity=False).hexdigest(),
            "messageId": published.message_id,
            "topicArn": subscription.topic_arn,
            "timestamp": int(published.sent * 1000),
        },
        "delivery": {
            "deliveryId": f"{published.message_id}/{subscription.id}",
            "destination": subscription.endpoint,
            "providerResponse": failure.message if failure else "",
            "dwellTimeMs": int((now - published.sent) * 1000),
            "attempts": attempts,
            "statusCode": (failure.http_status or failure.status) if failure else 200,
        },
    }
