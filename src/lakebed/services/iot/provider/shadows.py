"""iot-data: shadows over HTTP.

https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-rest-api.html. Each operation asks for its own
permission on ``thing/<name>`` or ``thing/<name>/<shadow>``; over MQTT the right to publish to the topic decides.
"""

from __future__ import annotations

from lakebed.api import iot_data as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.iot.shadows.document import ShadowError
from lakebed.services.iot.shadows.keeper import ShadowKeeper
from lakebed.services.iot.state import Core

_PAGE = 25


def shadow_arn(scope: Scope, req: Request) -> str:
    """The shadow an operation is on."""
    name = req.get("shadowName")
    return scope.arn("iot", f"thing/{req['thingName']}{f'/{name}' if name else ''}")


def thing_arn(scope: Scope, req: Request) -> str:
    """The thing whose shadows are listed."""
    return scope.arn("iot", f"thing/{req['thingName']}")


class ShadowOperations:
    """See the module."""

    def __init__(self, core: Core, keeper: ShadowKeeper) -> None:
        self.core, self.keeper = core, keeper

    @operation("GetThingShadow", action="iot:GetThingShadow", resource=shadow_arn)
    async def get_thing_shadow(self, ctx: Context, req: api.GetThingShadowRequest) -> api.GetThingShadowResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_GetThingShadow.html"""
        return {"payload": await self._ask(ctx, "get", req["thingName"], req.get("shadowName", ""), b"")}

    @operation("UpdateThingShadow", action="iot:UpdateThingShadow", resource=shadow_arn)
    async def update_thing_shadow(
        self, ctx: Context, req: api.UpdateThingShadowRequest
    ) -> api.UpdateThingShadowResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_UpdateThingShadow.html"""
        payload = bytes(req["payload"])
        return {"payload": await self._ask(ctx, "update", req["thingName"], req.get("shadowName", ""), payload)}

    @operation("DeleteThingShadow", action="iot:DeleteThingShadow", resource=shadow_arn)
    async def delete_thing_shadow(
        self, ctx: Context, req: api.DeleteThingShadowRequest
    ) -> api.DeleteThingShadowResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_DeleteThingShadow.html"""
        return {"payload": await self._ask(ctx, "delete", req["thingName"], req.get("shadowName", ""), b"")}

    @operation("ListNamedShadowsForThing", action="iot:ListNamedShadowsForThing", resource=thing_arn)
    async def list_named_shadows_for_thing(
        self, ctx: Context, req: api.ListNamedShadowsForThingRequest
    ) -> api.ListNamedShadowsForThingResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_iotdata_ListNamedShadowsForThing.html"""
        limit = req.get("pageSize", _PAGE)
        found = self.keeper.store.names(ctx.scope, req["thingName"], req.get("nextToken", ""), limit + 1)
        answer: api.ListNamedShadowsForThingResponse = {"results": found[:limit], "timestamp": int(ctx.now)}
        if len(found) > limit:
            answer["nextToken"] = found[limit - 1]
        return answer

    async def _ask(self, ctx: Context, method: str, thing: str, name: str, payload: bytes) -> bytes:
        try:
            return await self.keeper.ask(ctx.scope, method, thing, name, payload, "HTTP")
        except ShadowError as refused:
            raise _error(refused) from None


def _error(refused: ShadowError) -> AwsError:
    """The modelled error of a refusal."""
    match refused.code:
        case 404:
            return api.ResourceNotFoundException(refused.message)
        case 409:
            return api.ConflictException(refused.message)
        case 413:
            return api.RequestEntityTooLargeException(refused.message)
        case 415:
            return api.UnsupportedDocumentEncodingException(refused.message)
        case _:
            return api.InvalidRequestException(refused.message)
