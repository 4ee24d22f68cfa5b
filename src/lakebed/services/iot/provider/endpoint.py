"""DescribeEndpoint and tags.

The endpoint is told truthfully: where AWS names a host and clients add port 8883, Lakebed names ``host`` when MQTT listens
on 8883 and ``host:port`` otherwise. All kinds name the same door: the credential provider answers there over HTTPS, and
jobs over MQTT.
"""

from __future__ import annotations

from collections.abc import Callable

from lakebed.api import iot as api
from lakebed.kernel.arn import parse
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.alias_store import AliasStore
from lakebed.services.iot.group_store import BILLING, THING
from lakebed.services.iot.jobs.store import JobStore
from lakebed.services.iot.state import TAGS_MAX, Core, tags_of

_DATA_TYPES = ("iot:Data", "iot:Data-ATS", "iot:Data-Beta", "iot:CredentialProvider", "iot:Jobs")
_MQTT_PORT = 8883


def tagged_arn(_scope: Scope, req: Request) -> str:
    """The resource whose tags are meant."""
    return str(req["resourceArn"])


class EndpointOperations:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self.core, self.store = core, core.store

    @operation("DescribeEndpoint")
    async def describe_endpoint(self, _ctx: Context, req: api.DescribeEndpointRequest) -> api.DescribeEndpointResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeEndpoint.html"""
        kind = req.get("endpointType", "iot:Data")
        if kind not in _DATA_TYPES:
            raise api.InvalidRequestException(f"Invalid endpoint type {kind}.")
        address = self.core.p.broker.address
        if address.tls_port is None:
            raise api.InternalFailureException("The MQTT door is closed: [mqtt] enabled = false.")
        host = "localhost" if address.host in ("0.0.0.0", "::", "127.0.0.1", "::1") else address.host  # noqa: S104
        return {"endpointAddress": host if address.tls_port == _MQTT_PORT else f"{host}:{address.tls_port}"}

    @operation("TagResource", resource=tagged_arn)
    async def tag_resource(self, ctx: Context, req: api.TagResourceRequest) -> api.TagResourceResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_TagResource.html"""
        arn = self._taggable(ctx, req["resourceArn"])
        tags = {**self.store.tags(ctx.scope, arn), **tags_of(req["tags"])}
        if len(tags) > TAGS_MAX:
            raise api.LimitExceededException(f"A resource can have {TAGS_MAX} tags.")
        with self.store.db.tx() as tx:
            self.store.put_tags(tx, ctx.scope, arn, tags)
        return {}

    @operation("UntagResource", resource=tagged_arn)
    async def untag_resource(self, ctx: Context, req: api.UntagResourceRequest) -> api.UntagResourceResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_UntagResource.html"""
        arn = self._taggable(ctx, req["resourceArn"])
        with self.store.db.tx() as tx:
            self.store.delete_tags(tx, ctx.scope, arn, req["tagKeys"])
        return {}

    @operation("ListTagsForResource", resource=tagged_arn)
    async def list_tags_for_resource(
        self, ctx: Context, req: api.ListTagsForResourceRequest
    ) -> api.ListTagsForResourceResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_ListTagsForResource.html: 50 tags are one page."""
        if req.get("nextToken"):
            raise api.InvalidRequestException("nextToken was not given out.")
        tags = self.store.tags(ctx.scope, self._taggable(ctx, req["resourceArn"]))
        return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _taggable(self, ctx: Context, text: str) -> str:
        arn = parse(text)
        kind, _, name = arn.resource.partition("/") if arn is not None else ("", "", "")
        finders: dict[str, Callable[[Scope, str], object]] = {
            "policy": self.store.policy,
            "rule": self.store.rule,
            "thingtype": self.store.thing_type,
            "thinggroup": lambda scope, name: self.core.groups.group(scope, THING, name),
            "billinggroup": lambda scope, name: self.core.groups.group(scope, BILLING, name),
            "rolealias": AliasStore(self.store.db).alias,
            "job": JobStore(self.store.db).job,
        }
        find = finders.get(kind)
        if arn is None or arn.service != "iot" or find is None:
            raise api.InvalidRequestException(f"Resource {text} can not be tagged.")
        known = find(ctx.scope, name)
        if known is None or ctx.scope.arn("iot", arn.resource) != text:
            raise api.ResourceNotFoundException(f"Resource {text} does not exist.")
        return text
