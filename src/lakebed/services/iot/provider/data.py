"""iot-data: publishing over HTTP and retained messages.

https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT_Data_Plane.html. Shadows are in
``shadows``.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from lakebed.api import iot_data as api
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import NO_PROPERTIES, ClientInfo, DeviceIdentity, MessageProperties, PublishedMessage
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.state import Core

_PAGE = 25
_MOST = 200


def topic_arn(scope: Scope, req: Request) -> str:
    """The topic an operation is on."""
    return scope.arn("iot", f"topic/{req['topic']}")


def client_arn(scope: Scope, req: Request) -> str:
    """The client an operation is on."""
    return scope.arn("iot", f"client/{req['clientId']}")


class DataOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core = core

    @operation("Publish", action="iot:Publish", resource=topic_arn)
    async def publish(self, ctx: Context, req: api.PublishRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_Publish.html"""
        retain, topic = bool(req.get("retain", False)), req["topic"]
        if retain:
            self.core.p.identity.authorise(ctx.principal, "iot:RetainPublish", topic_arn(ctx.scope, dict(req)))
        if topic.startswith("$") and not topic.startswith("$aws/rules/") and not self.core.reserved.takes(topic):
            raise api.InvalidRequestException(f"Topic {topic} is reserved.")
        try:
            await self.core.engine.publish(
                ctx.scope,
                topic,
                req.get("payload", b""),
                qos=int(req.get("qos", 0)),
                retain=retain,
                properties=_properties(req),
                principal=ctx.principal.user_id,
            )
            identity = DeviceIdentity(ctx.scope, "", ctx.source_ip, ctx.principal)
            message = PublishedMessage(topic, req.get("payload", b""), int(req.get("qos", 0)), retain, ctx.now)
            await self.core.reserved.answer(identity, "", message)
        except ValueError as wrong:
            raise api.InvalidRequestException(str(wrong)) from None

    @operation("GetRetainedMessage", action="iot:GetRetainedMessage", resource=topic_arn)
    async def get_retained_message(
        self, ctx: Context, req: api.GetRetainedMessageRequest
    ) -> api.GetRetainedMessageResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_GetRetainedMessage.html"""
        kept = self.core.p.broker.retained(ctx.scope, req["topic"])
        if kept is None:
            raise api.ResourceNotFoundException(f"No retained message for topic {req['topic']}")
        answer: api.GetRetainedMessageResponse = {
            "topic": kept.topic,
            "payload": kept.payload,
            "qos": kept.qos,
            "lastModifiedTime": int(kept.stored_at * 1000),
        }
        if kept.properties.user_properties:
            answer["userProperties"] = msgspec.json.encode(
                [{name: value} for name, value in kept.properties.user_properties]
            )
        return answer

    @operation("ListRetainedMessages", action="iot:ListRetainedMessages")
    async def list_retained_messages(
        self, ctx: Context, req: api.ListRetainedMessagesRequest
    ) -> api.ListRetainedMessagesResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_ListRetainedMessages.html"""
        limit = min(req.get("maxResults", _PAGE), _MOST)
        kept = self.core.p.broker.retained_topics(ctx.scope, after=req.get("nextToken", ""), limit=limit + 1)
        answer: api.ListRetainedMessagesResponse = {
            "retainedTopics": [
                {
                    "topic": one.topic,
                    "payloadSize": len(one.payload),
                    "qos": one.qos,
                    "lastModifiedTime": int(one.stored_at * 1000),
                }
                for one in kept[:limit]
            ]
        }
        if len(kept) > limit:
            answer["nextToken"] = kept[limit - 1].topic
        return answer

    @operation("GetConnection", action="iot:GetConnection", resource=client_arn)
    async def get_connection(self, ctx: Context, req: api.GetConnectionRequest) -> api.GetConnectionResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_GetConnection.html"""
        found = self._client(ctx.scope, req["clientId"])
        answer: api.GetConnectionResponse = {
            "clientId": req["clientId"],
            "connected": found.is_connected,
            "cleanSession": found.is_clean,
            "keepAliveDuration": found.keep_alive_seconds,
            "sessionExpiry": found.expiry_seconds,
        }
        attached = self.core.store.things_of(ctx.scope, ctx.scope.arn("iot", f"cert/{found.certificate_id}"))
        if req["clientId"] in dict(attached):
            answer["thingName"] = req["clientId"]
        if found.connected_at is not None:
            answer["connectedSince"] = int(found.connected_at * 1000)
        if found.disconnected_at is not None:
            answer["disconnectedSince"] = int(found.disconnected_at * 1000)
            answer["disconnectReason"] = found.disconnect_reason
        if req.get("includeSocketInformation") and found.is_connected:
            answer["sourceIp"], answer["sourcePort"] = found.source
            answer["targetIp"], answer["targetPort"] = found.target
        return answer

    @operation("ListSubscriptions", action="iot:ListSubscriptions", resource=client_arn)
    async def list_subscriptions(
        self, ctx: Context, req: api.ListSubscriptionsRequest
    ) -> api.ListSubscriptionsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_ListSubscriptions.html"""
        limit, after = req.get("maxResults", _PAGE), req.get("nextToken", "")
        found = sorted(one for one in self._client(ctx.scope, req["clientId"]).subscriptions if one[0] > after)
        answer: api.ListSubscriptionsResponse = {
            "subscriptions": [{"topicFilter": name, "qos": qos} for name, qos in found[:limit]]
        }
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1][0]
        return answer

    def _client(self, scope: Scope, client_id: str) -> ClientInfo:
        found = self.core.p.broker.client(scope, client_id)
        if found is None:
            raise api.ResourceNotFoundException(f"Client {client_id} has neither a connection nor a session")
        return found

    @operation("DeleteConnection", action="iot:DeleteConnection", resource=client_arn)
    async def delete_connection(self, ctx: Context, req: api.DeleteConnectionRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_DeleteConnection.html"""
        ended = self.core.p.broker.disconnect(
            ctx.scope,
            req["clientId"],
            clean_session=bool(req.get("cleanSession", False)),
            prevent_will=bool(req.get("preventWillMessage", False)),
        )
        if not ended:
            raise api.ResourceNotFoundException(f"Client {req['clientId']} is not connected")


def _properties(req: api.PublishRequest) -> MessageProperties:
    """The MQTT 5 members; ValueError where one is malformed."""
    names = (
        "userProperties",
        "payloadFormatIndicator",
        "contentType",
        "responseTopic",
        "correlationData",
        "messageExpiry",
    )
    if not any(name in req for name in names):
        return NO_PROPERTIES
    correlation = req.get("correlationData")
    try:
        data = base64.b64decode(correlation, validate=True) if correlation is not None else None
    except binascii.Error:
        raise ValueError("correlationData is not base64") from None
    indicator, expiry = req.get("payloadFormatIndicator"), req.get("messageExpiry")
    return MessageProperties(
        req.get("contentType"),
        req.get("responseTopic"),
        data,
        int(expiry) if expiry else None,
        None if indicator is None else indicator == "UTF8_DATA",
        _pairs(req.get("userProperties")),
    )


def _pairs(given: Any) -> tuple[tuple[str, str], ...]:
    """``[{"name": "value"}, ...]`` as JSON text or parsed already."""
    if given is None:
        return ()
    try:
        items = msgspec.json.decode(given) if isinstance(given, str | bytes) else given
    except msgspec.DecodeError:
        raise ValueError("userProperties is not JSON") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("userProperties is not an array of objects")
    return tuple((str(name), str(value)) for item in items for name, value in item.items())
