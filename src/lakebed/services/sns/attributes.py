"""What may be set on topics and subscriptions.

https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html
https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html

Refused by name: delivery status of mobile push, X-Ray (active tracing), archives and replay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lakebed.kernel import outward
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import not_built
from lakebed.kernel.scope import Scope
from lakebed.services.sns import filters, policies
from lakebed.services.sns.feedback import RATES, ROLES
from lakebed.services.sns.model import FIFO_SUFFIX, OUTSIDE, Subscription, invalid

POLICY_BYTES_MAX = 30_720
_URL_LENGTH_MAX = 2048
_CHOICES = {
    "ContentBasedDeduplication": ("true", "false"),
    "FifoThroughputScope": ("Topic", "MessageGroup"),
    "FifoTopic": ("true", "false"),
    "SignatureVersion": ("1", "2"),
}
_FIFO_ONLY = ("ContentBasedDeduplication", "FifoThroughputScope", "FifoTopic")
_NOT_BUILT = ("ArchivePolicy",)
_FEEDBACK = ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn")
_SUBSCRIPTION_NOT_BUILT = ("ReplayPolicy",)
_GRANTED = (
    "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe",
    "ListSubscriptionsByTopic", "Publish",
)  # fmt: skip


def default_policy(scope: Scope, name: str) -> str:
    """The policy of a topic nobody gave one: its owner's, as the owner is by IAM anyway."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _GRANTED],
        "Resource": scope.arn("sns", name),
        "Condition": {"StringEquals": {"AWS:SourceOwner": scope.account}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


def checked_topic(name: str, value: str, operation: str, *, is_fifo: bool) -> str:
    """One attribute of a topic, normalised; an empty document stays empty: it removes what was there."""
    if name in RATES:
        if value and (not value.isascii() or not value.isdigit() or int(value[:4]) > 100):
            raise invalid(f"{name} Reason: must be between 0 and 100")
        return value
    if name in ROLES:
        arn = parse(value)
        if value and (arn is None or arn.service != "iam"):
            raise invalid(f"{name} Reason: no ARN of a role")
        return value
    if name == "KmsMasterKeyId":
        if len(value) > 2048:
            raise invalid(name)
        return value
    if name in _NOT_BUILT or name.endswith(_FEEDBACK):
        if not value:
            return ""
        raise not_built("sns", operation, name)
    if name in _FIFO_ONLY and not is_fifo:
        raise invalid(f"{name} Reason: only FIFO topics have it")
    if name in _CHOICES:
        if value not in _CHOICES[name] or (name == "FifoTopic" and value == "false"):
            raise invalid(f"{name} Reason: valid values are {', '.join(_CHOICES[name])}")
    elif name == "TracingConfig":
        if value == "Active":
            raise not_built("sns", operation, "TracingConfig Active")
        if value != "PassThrough":
            raise invalid("TracingConfig")
    elif name == "DisplayName":
        if len(value) > 100:
            raise invalid("DisplayName")
    elif name == "MaximumMessageSize":
        if not value.isascii() or not value.isdigit() or len(value) > 7 or not 1024 <= int(value) <= 1_048_576:
            raise invalid("MaximumMessageSize Reason: must be between 1024 and 1048576")
    elif name == "DeliveryPolicy":
        if value:
            policies.check_topic(value, operation)
    elif name == "Policy":
        _check_policy(value)
    else:
        raise invalid("AttributeName")
    return value


def _check_policy(text: str) -> None:
    document = _object(text)
    statements = document.get("Statement") if document is not None else None
    statements = [statements] if isinstance(statements, dict) else statements
    if (
        len(text) > POLICY_BYTES_MAX
        or not isinstance(statements, list)
        or not all(
            isinstance(one, dict)
            and one.get("Effect") in ("Allow", "Deny")
            and ("Principal" in one or "NotPrincipal" in one)
            and ("Action" in one or "NotAction" in one)
            for one in statements
        )
    ):
        raise invalid("Policy Error: null")


def _object(text: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def checked_subscription(
    subscription: Subscription, wanted: Mapping[str, str], operation: str, prefix: str = ""
) -> dict[str, str]:
    """The attributes of a subscription with ``wanted`` set; an empty filter or redrive policy is removed."""
    merged = dict(subscription.attributes)
    for name, value in wanted.items():
        if name in _SUBSCRIPTION_NOT_BUILT:
            raise not_built("sns", operation, name)
        if name not in (
            "RawMessageDelivery",
            "FilterPolicy",
            "FilterPolicyScope",
            "RedrivePolicy",
            "SubscriptionRoleArn",
            "DeliveryPolicy",
        ):
            raise invalid(f"{prefix}AttributeName")
        if name == "RawMessageDelivery":
            value = value.lower()
            if value not in ("true", "false") or (subscription.protocol == "lambda" and value == "true"):
                raise invalid(
                    f"{prefix}RawMessageDelivery: Delivery protocol [{subscription.protocol}] does not support raw message "
                    "delivery, or the value is neither true nor false."
                )
        elif name == "FilterPolicyScope":
            if value not in ("MessageAttributes", "MessageBody"):
                raise invalid(
                    f"{prefix}FilterPolicyScope: Invalid value [{value[:100]}]. "
                    "Please use either MessageBody or MessageAttributes"
                )
        elif name == "RedrivePolicy" and value:
            _check_redrive(subscription, value, prefix)
        elif name == "DeliveryPolicy" and value:
            if not subscription.is_outside:
                raise invalid(f"{prefix}DeliveryPolicy: only HTTP and HTTPS subscriptions have one")
            policies.check_subscription(value, operation)
        elif name == "SubscriptionRoleArn" and subscription.protocol != "firehose":
            raise invalid(f"{prefix}SubscriptionRoleArn: only a Firehose subscription has a role")
        merged[name] = value
    if merged.get("FilterPolicy") in ("", "{}"):
        merged.pop("FilterPolicy")
    filter_of(merged, prefix)
    return {name: value for name, value in merged.items() if value}


def filter_of(attributes: Mapping[str, str], prefix: str = "") -> filters.Filter | None:
    """The filter a subscription's attributes ask for."""
    text = attributes.get("FilterPolicy")
    if not text:
        return None
    try:
        return filters.parse(text, of_body=attributes.get("FilterPolicyScope") == "MessageBody")
    except filters.FilterError as wrong:
        raise invalid(f"{prefix}FilterPolicy: {wrong}") from None


def _check_redrive(subscription: Subscription, text: str, prefix: str) -> None:
    document = _object(text)
    target = parse(str(document.get("deadLetterTargetArn", ""))) if document is not None else None
    if target is None or target.service != "sqs":
        raise invalid(f"{prefix}RedrivePolicy: deadLetterTargetArn is no ARN of an Amazon SQS queue")
    if (target.account, target.region) != (subscription.scope.account, subscription.scope.region):
        raise invalid(f"{prefix}RedrivePolicy: deadLetterTargetArn is an invalid queue: account or region differ")
    if subscription.topic.endswith(FIFO_SUFFIX) != target.resource.endswith(FIFO_SUFFIX):
        raise invalid(
            f"{prefix}RedrivePolicy: must use a {'FIFO' if subscription.topic.endswith(FIFO_SUFFIX) else 'standard'} queue as DLQ"
        )


def check_endpoint(protocol: str, endpoint: str, *, is_fifo: bool) -> None:
    """An endpoint of the kind the protocol says. That it exists is not asked, as at AWS."""
    if protocol in OUTSIDE:
        try:
            outward.check_url(endpoint, (protocol,))
        except ValueError as wrong:
            raise invalid(f"Endpoint Reason: the URL {wrong}") from None
        if is_fifo:
            raise invalid("Endpoint Reason: FIFO topics deliver to Amazon SQS queues only")
        if len(endpoint) > _URL_LENGTH_MAX:
            raise invalid("Endpoint Reason: the URL is too long")
        return
    arn = parse(endpoint)
    if arn is None or arn.service != protocol or not arn.account.isdigit():
        raise invalid(
            {"sqs": "SQS endpoint ARN", "lambda": "Lambda endpoint ARN"}.get(protocol, "Firehose endpoint ARN")
        )
    if protocol == "sqs" and arn.resource.endswith(FIFO_SUFFIX) and not is_fifo:
        raise invalid(
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
        )
    if is_fifo and protocol != "sqs":
        raise invalid(
            f"Invalid parameter: Endpoint Reason: FIFO topics deliver to Amazon SQS queues only, not to {protocol}"
        )
