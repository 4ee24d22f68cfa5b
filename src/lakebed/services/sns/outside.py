"""HTTP and HTTPS subscriptions: one POST for each message, to a public address or one an operator allows.

The message as JSON, or raw, with AWS's ``x-amz-sns-*`` headers; 15 seconds for the answer. 2xx is success; 5xx, 429 and
connections that fail are tried again by the delivery policy; anything else, and an address nobody may reach, is final.
https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html
https://docs.aws.amazon.com/sns/latest/dg/http-header.html
"""

from __future__ import annotations

from lakebed.kernel import outward
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.services.sns import policies
from lakebed.services.sns.model import OUTSIDE, Published, Subscription, Topic
from lakebed.services.sns.settings import SnsSettings

_TIMEOUT_SECONDS = 15.0
_STATUS = "HttpEndpoint.DestinationException"
_FINAL = ("HttpEndpoint.AddressRefused", "HttpEndpoint.InvalidRequest")
_THROTTLED_MAX = 10_000


class Outside:
    """The way to endpoints that are none of the house's."""

    def __init__(self, k: Kernel, settings: SnsSettings) -> None:
        self._k = k
        self._doors = outward.Doors(
            outward.networks(settings.http_endpoint_networks), settings.http_endpoint_ca_file,
            "[services.sns] http_endpoint_networks", OUTSIDE, (), _TIMEOUT_SECONDS,
        )  # fmt: skip
        self._next: dict[str, float] = {}

    def turn(self, topic: Topic, subscription: Subscription) -> float:
        """When the next message may go by ``maxReceivesPerSecond``; the turn is taken."""
        now, policy = self._k.clock.now(), policies.effective(topic, subscription.attributes).throttle_policy
        if policy is None or policy.max_receives_per_second is None:
            return now
        if len(self._next) > _THROTTLED_MAX:
            self._next = {arn: at for arn, at in self._next.items() if at > now}
        at = max(now, self._next.get(subscription.arn, now))
        if at <= now:
            self._next[subscription.arn] = at + 1.0 / policy.max_receives_per_second
        return at

    async def post(self, topic: Topic, subscription: Subscription, published: Published, text: str) -> None:
        """One try; AwsError where it failed, with the endpoint's status where there was one."""
        policy = policies.effective(topic, subscription.attributes)
        kind = published.kind if published.token else "Notification"
        headers = {
            "x-amz-sns-message-type": kind,
            "x-amz-sns-message-id": published.message_id,
            "x-amz-sns-topic-arn": topic.arn,
        }
        if kind != "SubscriptionConfirmation":
            headers["x-amz-sns-subscription-arn"] = subscription.arn
        if subscription.is_raw and not published.token:
            headers["x-amz-sns-rawdelivery"] = "true"
        content_type = policy.request_policy.header_content_type if policy.request_policy else policies.CONTENT_TYPE
        headers |= {"Content-Type": content_type, "User-Agent": "Amazon Simple Notification Service Agent"}
        with self._k.clock.working():
            reply = await outward.post(subscription.endpoint, headers, text.encode("utf-8", "replace"), self._doors)
        if not 200 <= reply.status <= 299:
            told = reply.body[:1000].decode("utf-8", "replace")
            raise AwsError(_STATUS, told or f"The endpoint answered {reply.status}.", status=reply.status)


def pause(topic: Topic, subscription: Subscription, failures: int, failure: AwsError) -> float | None:
    """Seconds until the next try; None where there is none."""
    status = failure.http_status
    if failure.error_code in _FINAL or (failure.error_code == _STATUS and status != 429 and (status or 0) < 500):
        return None
    retries = policies.effective(topic, subscription.attributes).healthy_retry_policy or policies.Retries()
    return retries.pause(failures)
