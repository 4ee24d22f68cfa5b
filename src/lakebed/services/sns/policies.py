"""Delivery policies of HTTP and HTTPS subscriptions: when a failed notification is tried again, and how many a second.

Four phases: at once, ``minDelayTarget`` apart, backing off towards ``maxDelayTarget`` by one of four functions, then
``maxDelayTarget`` apart. A subscription's policy replaces its topic's default unless the topic disables that.
https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
https://docs.aws.amazon.com/sns/latest/dg/creating-delivery-policy.html

Refused by name: ``guaranteed`` and the retry policies of sickly endpoints, which AWS documents no more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from lakebed.kernel.errors import not_built
from lakebed.services.sns.model import Subscription, Topic, invalid

_SECONDS_MAX, _RETRIES_MAX = 3600, 100
CONTENT_TYPE = "text/plain; charset=UTF-8"
_CONTENT_TYPES = (
    "application/atom+xml", "application/json", "application/octet-stream", "application/soap+xml",
    "application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml", "text/css", "text/csv", "text/html",
    "text/plain", "text/xml",
)  # fmt: skip
_Kind = TypeVar("_Kind", bound=msgspec.Struct)
_OLD = ("guaranteed", "sicklyRetryPolicy", "defaultSicklyRetryPolicy")


class Retries(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """``healthyRetryPolicy``, with AWS's defaults."""

    min_delay_target: int = 20
    max_delay_target: int = 20
    num_retries: int = 3
    num_no_delay_retries: int = 0
    num_min_delay_retries: int = 0
    num_max_delay_retries: int = 0
    backoff_function: Literal["arithmetic", "exponential", "geometric", "linear"] = "linear"

    def wrong(self) -> str:
        """What AWS would refuse it for, or nothing."""
        phases = (self.num_no_delay_retries, self.num_min_delay_retries, self.num_max_delay_retries)
        if not 1 <= self.min_delay_target <= self.max_delay_target <= _SECONDS_MAX:
            return "minDelayTarget must be at least 1 and at most maxDelayTarget, that at most 3600"
        if not 0 <= self.num_retries <= _RETRIES_MAX or min(phases) < 0 or sum(phases) > self.num_retries:
            return "numRetries must be between 0 and 100 and at least the sum of the phases"
        if sum(self.pause(one) or 0.0 for one in range(1, self.num_retries + 1)) > _SECONDS_MAX:
            return "the total retry time must not exceed 3600 seconds"
        return ""

    def pause(self, failures: int) -> float | None:
        """Seconds until the next try after so many failures; None: it is given up."""
        if failures > self.num_retries:
            return None
        place = failures - self.num_no_delay_retries
        if place <= 0:
            return 0.0
        place -= self.num_min_delay_retries
        if place <= 0:
            return float(self.min_delay_target)
        backing_off = self.num_retries - (
            self.num_no_delay_retries + self.num_min_delay_retries + self.num_max_delay_retries
        )
        return self._backoff(place, backing_off) if place <= backing_off else float(self.max_delay_target)

    def _backoff(self, place: int, of: int) -> float:
        low, high = float(self.min_delay_target), float(self.max_delay_target)
        if self.backoff_function == "geometric":
            return min(low * float((high / low) ** (place / of)), high)
        if self.backoff_function == "exponential":
            share = (2.0**place - 1) / (2.0**of - 1)
        elif self.backoff_function == "arithmetic":
            share = place * (place + 1) / (of * (of + 1))
        else:
            share = place / of
        return low + (high - low) * share


class Throttle(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """``throttlePolicy``."""

    max_receives_per_second: int | None = None


class RequestPolicy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """``requestPolicy``."""

    header_content_type: str = CONTENT_TYPE


class Policy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A subscription's delivery policy."""

    healthy_retry_policy: Retries | None = None
    throttle_policy: Throttle | None = None
    request_policy: RequestPolicy | None = None


class _Defaults(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    default_healthy_retry_policy: Retries | None = None
    disable_subscription_overrides: bool = False
    default_throttle_policy: Throttle | None = None
    default_request_policy: RequestPolicy | None = None

    @property
    def policy(self) -> Policy:
        return Policy(self.default_healthy_retry_policy, self.default_throttle_policy, self.default_request_policy)


class _OfTopic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    http: _Defaults = _Defaults()


def check_topic(text: str, operation: str) -> None:
    """Raise unless ``text`` may be a topic's DeliveryPolicy."""
    _check(_parsed(text, _OfTopic, operation).http.policy)


def check_subscription(text: str, operation: str) -> None:
    """Raise unless ``text`` may be a subscription's DeliveryPolicy."""
    _check(_parsed(text, Policy, operation))


def effective(topic: Topic, attributes: Mapping[str, str]) -> Policy:
    """What counts for a subscription with these attributes, complete."""
    text = topic.attributes.get("DeliveryPolicy")
    defaults = msgspec.json.decode(text, type=_OfTopic).http if text else _Defaults()
    own = Policy()
    if not defaults.disable_subscription_overrides and (mine := attributes.get("DeliveryPolicy")):
        own = msgspec.json.decode(mine, type=Policy)
    return Policy(
        own.healthy_retry_policy or defaults.default_healthy_retry_policy or Retries(),
        own.throttle_policy or defaults.default_throttle_policy,
        own.request_policy or defaults.default_request_policy or RequestPolicy(),
    )


def shown(topic: Topic, subscription: Subscription | None = None) -> str:
    """EffectiveDeliveryPolicy of a topic, or of one of its subscriptions."""
    policy = effective(topic, subscription.attributes if subscription is not None else {})
    told = {
        "healthyRetryPolicy": msgspec.to_builtins(policy.healthy_retry_policy),
        "throttlePolicy": msgspec.to_builtins(policy.throttle_policy),
        "requestPolicy": msgspec.to_builtins(policy.request_policy),
    }
    if subscription is not None:
        return json.dumps(told)
    text = topic.attributes.get("DeliveryPolicy")
    disabled = msgspec.json.decode(text, type=_OfTopic).http.disable_subscription_overrides if text else False
    defaults: dict[str, Any] = {
        "defaultHealthyRetryPolicy": told["healthyRetryPolicy"],
        "disableSubscriptionOverrides": disabled,
        "defaultRequestPolicy": told["requestPolicy"],
    }
    if told["throttlePolicy"] is not None:
        defaults["defaultThrottlePolicy"] = told["throttlePolicy"]
    return json.dumps({"http": defaults})


def _parsed(text: str, kind: type[_Kind], operation: str) -> _Kind:
    for name in _OLD:
        if f'"{name}"' in text:
            raise not_built("sns", operation, f"DeliveryPolicy.{name}")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as wrong:
        raise invalid(f"DeliveryPolicy: {wrong}") from None


def _check(policy: Policy) -> None:
    if policy.healthy_retry_policy is not None and (wrong := policy.healthy_retry_policy.wrong()):
        raise invalid(f"DeliveryPolicy: {wrong}")
    rate = policy.throttle_policy.max_receives_per_second if policy.throttle_policy is not None else None
    if rate is not None and rate < 1:
        raise invalid("DeliveryPolicy: throttlePolicy.maxReceivesPerSecond must be at least 1")
    if policy.request_policy is not None:
        kind, _, rest = policy.request_policy.header_content_type.partition(";")
        if kind.strip() not in _CONTENT_TYPES or len(rest) > 100 or not rest.isprintable() or not rest.isascii():
            raise invalid("DeliveryPolicy: requestPolicy.headerContentType is not supported")
