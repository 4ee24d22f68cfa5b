"""Topics: made, found, changed, tagged, removed.

https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
"""

from __future__ import annotations

import msgspec

from lakebed.api import sns as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.sns import attributes as rules
from lakebed.services.sns import policies
from lakebed.services.sns.feedback import ROLES
from lakebed.services.sns.model import SERVICE, Topic, check_topic_name, invalid, topic_place
from lakebed.services.sns.provider.desk import PAGE_MAX, Desk, bad_token, checked_tags
from lakebed.wire.aws.pages import opened, sealed

_FIFO_DEFAULTS = {"FifoTopic": "true", "ContentBasedDeduplication": "false", "FifoThroughputScope": "Topic"}


def _named(scope: Scope, request: Request) -> str:
    return scope.arn("sns", request["Name"])


class TopicOperations(Desk):
    """Everything about a topic but its subscriptions and messages."""

    @operation("CreateTopic", resource=_named, refused=("DataProtectionPolicy",))
    async def create_topic(self, ctx: Context, req: api.CreateTopicInput) -> api.CreateTopicResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html"""
        name, given = req["Name"], req.get("Attributes") or {}
        is_fifo = given.get("FifoTopic") == "true"
        check_topic_name(name, is_fifo=is_fifo)
        wanted = {
            key: rules.checked_topic(key, value, "CreateTopic", is_fifo=is_fifo)
            for key, value in given.items()
            if (key, value) != ("FifoTopic", "false")
        }
        for key, value in wanted.items():
            self._check_role(ctx, key, value)
        tags = checked_tags({}, req.get("Tags") or [])
        with self.k.db.tx() as tx:
            found = self.publisher.topics.find(ctx.scope, name)
            if found is not None:
                if any(found.attributes.get(key, "") != value for key, value in wanted.items()):
                    raise invalid("Attributes Reason: Topic already exists with different attributes")
                if tags and tags != found.tags:
                    raise invalid("Tags Reason: Topic already exists with different tags")
                return {"TopicArn": found.arn}
            settings = {"Policy": rules.default_policy(ctx.scope, name)} | (_FIFO_DEFAULTS if is_fifo else {})
            settings |= {key: value for key, value in wanted.items() if value}
            topic = Topic(ctx.scope, name, settings, tags)
            self.publisher.topics.put(tx, topic)
        return {"TopicArn": topic.arn}

    @operation("DeleteTopic", action=None)
    async def delete_topic(self, ctx: Context, req: api.DeleteTopicInput) -> None:
        """https://docs.aws.amazon.com/sns/latest/api/API_DeleteTopic.html. Gone already: success, as AWS."""
        scope, name = topic_place(req["TopicArn"])
        if self.publisher.topics.find(scope, name) is None:
            self.p.identity.authorise(ctx.principal, "sns:DeleteTopic", req["TopicArn"])
            return
        topic = self.topic(ctx, req["TopicArn"], "DeleteTopic")
        with self.k.db.tx() as tx:
            self.publisher.topics.delete(tx, topic)
        self.publisher.forget(scope, name)

    @operation("ListTopics")
    async def list_topics(self, ctx: Context, req: api.ListTopicsInput) -> api.ListTopicsResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_ListTopics.html"""
        after = opened(req.get("NextToken"), str, "", bad_token())
        found = self.publisher.topics.after(ctx.scope, after, PAGE_MAX + 1)
        result: api.ListTopicsResponse = {"Topics": [{"TopicArn": topic.arn} for topic in found[:PAGE_MAX]]}
        if len(found) > PAGE_MAX:
            result["NextToken"] = sealed(found[PAGE_MAX - 1].name)
        return result

    @operation("GetTopicAttributes", action=None)
    async def get_topic_attributes(
        self, ctx: Context, req: api.GetTopicAttributesInput
    ) -> api.GetTopicAttributesResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html"""
        topic = self.topic(ctx, req["TopicArn"], "GetTopicAttributes")
        confirmed, pending = self.publisher.subscriptions.counts(topic)
        told = {"DisplayName": ""} | topic.attributes
        told |= {
            "TopicArn": topic.arn,
            "EffectiveDeliveryPolicy": policies.shown(topic),
            "Owner": topic.scope.account,
            "SubscriptionsConfirmed": str(confirmed),
            "SubscriptionsPending": str(pending),
            "SubscriptionsDeleted": str(topic.deleted_subscriptions),
        }
        return {"Attributes": told}

    @operation("SetTopicAttributes", action=None)
    async def set_topic_attributes(self, ctx: Context, req: api.SetTopicAttributesInput) -> None:
        """https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html"""
        topic, name = self.topic(ctx, req["TopicArn"], "SetTopicAttributes"), req["AttributeName"]
        if name == "FifoTopic":
            raise invalid("AttributeName")
        value = req.get("AttributeValue", "")
        if value or name != "Policy":
            value = rules.checked_topic(name, value, "SetTopicAttributes", is_fifo=topic.is_fifo)
        else:
            value = rules.default_policy(topic.scope, topic.name)
        self._check_role(ctx, name, value)
        merged = {key: have for key, have in (topic.attributes | {name: value}).items() if have}
        with self.k.db.tx() as tx:
            self.publisher.topics.put(tx, msgspec.structs.replace(topic, attributes=merged))

    @operation("TagResource", action=None)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> api.TagResourceResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_TagResource.html"""
        topic = self._tagged(ctx, req["ResourceArn"], "TagResource")
        self._put_tags(topic, checked_tags(topic.tags, req["Tags"]))
        return {}

    @operation("UntagResource", action=None)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> api.UntagResourceResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_UntagResource.html"""
        topic = self._tagged(ctx, req["ResourceArn"], "UntagResource")
        self._put_tags(topic, {key: value for key, value in topic.tags.items() if key not in req["TagKeys"]})
        return {}

    @operation("ListTagsForResource", action=None)
    async def list_tags_for_resource(
        self, ctx: Context, req: api.ListTagsForResourceRequest
    ) -> api.ListTagsForResourceResponse:
        """https://docs.aws.amazon.com/sns/latest/api/API_ListTagsForResource.html"""
        topic = self._tagged(ctx, req["ResourceArn"], "ListTagsForResource")
        return {"Tags": [{"Key": key, "Value": value} for key, value in topic.tags.items()]}

    def _check_role(self, ctx: Context, name: str, value: str) -> None:
        """Delivery status is written as a role the caller may hand to SNS."""
        if name in ROLES and value:
            self.p.identity.check_pass_role(ctx.principal, value, SERVICE)

    def _tagged(self, ctx: Context, arn: str, action: str) -> Topic:
        try:
            return self.topic(ctx, arn, action)
        except api.NotFoundException:
            raise api.ResourceNotFoundException("Resource does not exist") from None

    def _put_tags(self, topic: Topic, tags: dict[str, str]) -> None:
        with self.k.db.tx() as tx:
            self.publisher.topics.put(tx, msgspec.structs.replace(topic, tags=tags))
