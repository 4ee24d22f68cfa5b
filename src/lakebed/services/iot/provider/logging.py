"""Logging options. https://docs.aws.amazon.com/iot/latest/developerguide/configure-logging.html

One level for everything; levels of their own for groups, sources or events are refused.
"""

from __future__ import annotations

from lakebed.api import iot as api
from lakebed.ports.service import Context, operation
from lakebed.services.iot.event_log import EventLog, LoggingStore, Options
from lakebed.services.iot.state import Core


class LoggingOperations:
    """See the module."""

    def __init__(self, core: Core, log: EventLog) -> None:
        self.core, self.log, self.store = core, log, LoggingStore(core.k.db)

    @operation("SetV2LoggingOptions", refused=("eventConfigurations",))
    async def set_v2_logging_options(self, ctx: Context, req: api.SetV2LoggingOptionsRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_SetV2LoggingOptions.html"""
        has = self.store.options(ctx.scope) or Options("", "ERROR", False)
        role = req.get("roleArn", has.role_arn)
        if not role:
            raise api.InvalidRequestException("roleArn must be given.")
        self.core.p.identity.check_pass_role(ctx.principal, role, "iot.amazonaws.com")
        given = Options(role, req.get("defaultLogLevel", has.level), bool(req.get("disableAllLogs", has.is_disabled)))
        with self.store.db.tx() as tx:
            self.store.put(tx, ctx.scope, given)
            tx.after_commit(lambda: self.log.changed(ctx.scope))

    @operation("GetV2LoggingOptions")
    async def get_v2_logging_options(
        self, ctx: Context, req: api.GetV2LoggingOptionsRequest
    ) -> api.GetV2LoggingOptionsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetV2LoggingOptions.html"""
        _ = req.get("verbose")  # would add the levels of events, which are not built
        has = self._require(ctx)
        return {"roleArn": has.role_arn, "defaultLogLevel": has.level, "disableAllLogs": has.is_disabled}

    @operation("SetLoggingOptions")
    async def set_logging_options(self, ctx: Context, req: api.SetLoggingOptionsRequest) -> None:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_SetLoggingOptions.html: the older name."""
        given = req["loggingOptionsPayload"]
        self.core.p.identity.check_pass_role(ctx.principal, given["roleArn"], "iot.amazonaws.com")
        with self.store.db.tx() as tx:
            self.store.put(tx, ctx.scope, Options(given["roleArn"], given.get("logLevel", "ERROR"), False))
            tx.after_commit(lambda: self.log.changed(ctx.scope))

    @operation("GetLoggingOptions")
    async def get_logging_options(
        self, ctx: Context, _req: api.GetLoggingOptionsRequest
    ) -> api.GetLoggingOptionsResponse:
        """https://docs.aws.amazon.com/iot/latest/apireference/API_GetLoggingOptions.html"""
        has = self.store.options(ctx.scope)
        if has is None:
            return {}
        return {"roleArn": has.role_arn, "logLevel": has.level}

    def _require(self, ctx: Context) -> Options:
        has = self.store.options(ctx.scope)
        if has is None:
            raise api.NotConfiguredException("Logging options were not set.")
        return has
