"""Subscriptions: made, confirmed, changed, listed, removed.

Within one account a subscription is confirmed at once, as at AWS. An HTTP endpoint, or a queue of another account of this
house, receives a token, good for two days, with which ConfirmSubscription ends the wait; a function of another account is
subscribed by its own account.
https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lakebed.api import sns as api
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context, operation
from lakebed.services.sns import attributes as rules
from lakebed.services.sns import policies
from lakebed.services.sns.model import (
    SERVICE,
    Subscription,
    Topic,
    check_destination_kind,
    invalid,
    subscription_place,
)
from lakebed.services.sns.provider.desk import PAGE_MAX, Desk, bad_token
from lakebed.services.sns.publishing import SUBSCRIPTIONS_MAX, UNSUBSCRIBED
from lakebed.wire.aws.pages import opened, sealed

_PENDING = "pending confirmation"
_CONFIRMED_BY, _GUARDED = "ConfirmationWasAuthenticated", "AuthenticateOnUnsubscribe"


class SubscriptionOperations(Desk):
    """Who receives what."""

    @operation("Subscribe", action=None)
    async def subscribe(self, ctx: Context, req: api.SubscribeInput) -> api.SubscribeResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html"""
        topic, protocol = self.topic(ctx, req["TopicArn"], "Subscribe"), req["Protocol"]
        check_destination_kind("Subscribe", protocol)
        endpoint = req.get("Endpoint", "")
        rules.check_endpoint(protocol, endpoint, is_fifo=topic.is_fifo)
        fresh = Subscription(topic.scope, topic.name, self.k.ids.uuid(), ctx.principal.account, protocol, endpoint, {})
        settings = rules.checked_subscription(fresh, req.get("Attributes") or {}, "Subscribe", "Attributes Reason: ")
        self._check_role(ctx, protocol, settings)
        with self.k.db.tx() as tx:
            found = self.publisher.subscriptions.of_endpoint(topic, protocol, endpoint)
            if found is not None:
                if req.get("Attributes") and settings != _set(found):
                    raise invalid("Attributes Reason: Subscription already exists with different attributes")
                if found.token:
                    found = msgspec.structs.replace(found, token=self.publisher.token())
                    self.publisher.subscriptions.put(tx, found)
                    self.publisher.confirm_by_message(tx, topic, found)
                return {
                    "SubscriptionArn": found.arn if not found.token or req.get("ReturnSubscriptionArn") else _PENDING
                }
            if sum(self.publisher.subscriptions.counts(topic)) >= SUBSCRIPTIONS_MAX:
                raise api.SubscriptionLimitExceededException("The topic has as many subscriptions as one may have.")
            token = "" if _account_of(endpoint) == fresh.owner else self._token(fresh)
            made = msgspec.structs.replace(fresh, attributes=settings, token=token)
            self.publisher.subscriptions.put(tx, made)
            if token:
                self.publisher.confirm_by_message(tx, topic, made)
        self.publisher.forget(topic.scope, topic.name)
        return {"SubscriptionArn": made.arn if not token or req.get("ReturnSubscriptionArn") else _PENDING}

    @operation("ConfirmSubscription", action=None)
    async def confirm_subscription(
        self, ctx: Context, req: api.ConfirmSubscriptionInput
    ) -> api.ConfirmSubscriptionResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html. The token is the permission; only a
        signed confirmation can ask for signatures later."""
        found = self.publisher.subscriptions.of_token(req["Token"])
        if found is None or found.topic_arn != req["TopicArn"] or self.publisher.is_stale(found.token):
            raise invalid("Token")
        asks = req.get("AuthenticateOnUnsubscribe", "false").lower()
        if asks not in ("true", "false"):
            raise invalid("AuthenticateOnUnsubscribe")
        is_signed = ctx.principal.kind != "anonymous"
        attributes = _set(found) | {_CONFIRMED_BY: "true" if is_signed else "false"}
        if is_signed and asks == "true":
            attributes[_GUARDED] = "true"
        with self.k.db.tx() as tx:
            self.publisher.subscriptions.put(tx, msgspec.structs.replace(found, token="", attributes=attributes))
        self.publisher.forget(found.scope, found.topic)
        return {"SubscriptionArn": found.arn}

    @operation("Unsubscribe", action=None)
    async def unsubscribe(self, ctx: Context, req: api.UnsubscribeInput) -> None:
        """https://docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html. Gone already: success, as AWS."""
        scope, name, subscription_id = subscription_place(req["SubscriptionArn"])
        found = self.publisher.subscriptions.find(scope, name, subscription_id)
        if found is None:
            return
        if ctx.principal.kind == "anonymous":
            self._cancel(found)
            return
        if ctx.principal.account == found.owner:
            try:
                self.p.identity.authorise(
                    ctx.principal, "sns:Unsubscribe", found.topic_arn, resource_account=found.owner
                )
            except AwsError as denied:
                raise api.AuthorizationErrorException(denied.message) from None
            topic = self.publisher.topics.find(scope, name)
        else:
            topic = self.topic(ctx, found.topic_arn, "Unsubscribe")
        with self.k.db.tx() as tx:
            self.publisher.subscriptions.delete(tx, found)
            if topic is not None:
                gone = msgspec.structs.replace(topic, deleted_subscriptions=topic.deleted_subscriptions + 1)
                self.publisher.topics.put(tx, gone)
        self.publisher.forget(scope, name)

    @operation("ListSubscriptions")
    async def list_subscriptions(self, ctx: Context, req: api.ListSubscriptionsInput) -> api.ListSubscriptionsResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptions.html"""
        topic, subscription_id = opened(req.get("NextToken"), tuple[str, str], ("", ""), bad_token())
        found = self.publisher.subscriptions.after(ctx.scope, (topic, subscription_id), PAGE_MAX + 1)
        result: api.ListSubscriptionsResponse = {"Subscriptions": [_listed(one) for one in found[:PAGE_MAX]]}
        if len(found) > PAGE_MAX:
            result["NextToken"] = sealed((found[PAGE_MAX - 1].topic, found[PAGE_MAX - 1].id))
        return result

    @operation("ListSubscriptionsByTopic", action=None)
    async def list_subscriptions_by_topic(
        self, ctx: Context, req: api.ListSubscriptionsByTopicInput
    ) -> api.ListSubscriptionsByTopicResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html"""
        topic = self.topic(ctx, req["TopicArn"], "ListSubscriptionsByTopic")
        after = opened(req.get("NextToken"), str, "", bad_token())
        found = self.publisher.subscriptions.of_topic(topic, after, PAGE_MAX + 1)
        result: api.ListSubscriptionsByTopicResponse = {"Subscriptions": [_listed(one) for one in found[:PAGE_MAX]]}
        if len(found) > PAGE_MAX:
            result["NextToken"] = sealed(found[PAGE_MAX - 1].id)
        return result

    @operation("GetSubscriptionAttributes", action=None)
    async def get_subscription_attributes(
        self, ctx: Context, req: api.GetSubscriptionAttributesInput
    ) -> api.GetSubscriptionAttributesResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_GetSubscriptionAttributes.html"""
        topic, found = self._subscription(ctx, req["SubscriptionArn"], "GetSubscriptionAttributes")
        told = {"RawMessageDelivery": "false"} | _set(found)
        if "FilterPolicy" in told:
            told = {"FilterPolicyScope": "MessageAttributes"} | told
        told |= {
            "SubscriptionArn": found.arn,
            "TopicArn": found.topic_arn,
            "Owner": found.owner,
            "Protocol": found.protocol,
            "Endpoint": found.endpoint,
            "PendingConfirmation": "true" if found.token else "false",
            "ConfirmationWasAuthenticated": "false" if found.token else found.attributes.get(_CONFIRMED_BY, "true"),
        }
        if found.is_outside:
            told["EffectiveDeliveryPolicy"] = policies.shown(topic, found)
        return {"Attributes": told}

    @operation("SetSubscriptionAttributes", action=None)
    async def set_subscription_attributes(self, ctx: Context, req: api.SetSubscriptionAttributesInput) -> None:
        """https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html"""
        _, found = self._subscription(ctx, req["SubscriptionArn"], "SetSubscriptionAttributes")
        wanted = {req["AttributeName"]: req.get("AttributeValue", "")}
        settings = rules.checked_subscription(found, wanted, "SetSubscriptionAttributes")
        if "SubscriptionRoleArn" in wanted:
            self._check_role(ctx, found.protocol, settings)
        with self.k.db.tx() as tx:
            self.publisher.subscriptions.put(tx, msgspec.structs.replace(found, attributes=settings))
        self.publisher.forget(found.scope, found.topic)

    def _subscription(self, ctx: Context, arn: str, action: str) -> tuple[Topic, Subscription]:
        scope, name, subscription_id = subscription_place(arn)
        topic = self.topic(ctx, scope.arn("sns", name), action)
        found = self.publisher.subscriptions.find(scope, name, subscription_id)
        if found is None:
            raise api.NotFoundException("Subscription does not exist")
        return topic, found

    def _check_role(self, ctx: Context, protocol: str, settings: Mapping[str, str]) -> None:
        """A delivery stream is written to as a role the caller may hand to SNS."""
        if protocol == "firehose":
            if "SubscriptionRoleArn" not in settings:
                raise invalid("Attributes Reason: SubscriptionRoleArn is required for a firehose subscription")
            self.p.identity.check_pass_role(ctx.principal, settings["SubscriptionRoleArn"], SERVICE)

    def _token(self, fresh: Subscription) -> str:
        if fresh.protocol != "sqs" and not fresh.is_outside:
            raise invalid("Endpoint Reason: the endpoint's own account has to subscribe it")
        return self.publisher.token()

    def _cancel(self, found: Subscription) -> None:
        """Whoever holds the link of a notification may end the subscription, unless it asked for signatures; the endpoint
        is told how to take that back."""
        topic = self.publisher.topics.find(found.scope, found.topic)
        if _GUARDED in found.attributes or not found.is_outside or topic is None:
            raise api.AuthorizationErrorException("Unsubscribing needs a signed request.")
        if found.token:
            return
        paused = msgspec.structs.replace(found, token=self.publisher.token())
        with self.k.db.tx() as tx:
            self.publisher.subscriptions.put(tx, paused)
            self.publisher.confirm_by_message(tx, topic, paused, UNSUBSCRIBED)
        self.publisher.forget(found.scope, found.topic)


def _set(found: Subscription) -> dict[str, str]:
    """The attributes that were set, without how it was confirmed."""
    return {name: value for name, value in found.attributes.items() if name not in (_CONFIRMED_BY, _GUARDED)}


def _account_of(endpoint: str) -> str:
    arn = parse(endpoint)
    return arn.account if arn is not None else ""


def _listed(one: Subscription) -> api.Subscription:
    return {
        "SubscriptionArn": "PendingConfirmation" if one.token else one.arn,
        "Owner": one.owner,
        "Protocol": one.protocol,
        "Endpoint": one.endpoint,
        "TopicArn": one.topic_arn,
    }
