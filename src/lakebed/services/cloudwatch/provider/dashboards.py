"""Dashboards: named JSON documents, checked for their outer shape and kept as they were given.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lakebed.api import cloudwatch as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.cloudwatch import model
from lakebed.services.cloudwatch.tagged import DashboardStore

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_BODY_MAX = 1 << 20
_WIDGETS_MAX = 500
_KINDS = {"metric", "text", "log", "alarm", "explorer", "custom"}
_PAGE = 1000


def dashboard_arns(scope: Scope, req: Request) -> list[str]:
    """What a permission is asked for."""
    names = req.get("DashboardNames") or [req.get("DashboardName", "*")]
    return [model.dashboard_arn(scope, name) for name in names]


class DashboardOperations:
    """Dashboards of an account."""

    def __init__(self, k: Kernel) -> None:
        self.k = k
        self.dashboards = DashboardStore(k.db)

    @operation("PutDashboard", resource=dashboard_arns)
    async def put_dashboard(self, ctx: Context, req: api.PutDashboardInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html"""
        name, body = req["DashboardName"], req["DashboardBody"]
        if not _NAME.fullmatch(name):
            raise _invalid("The dashboard name may hold letters, digits, - and _ only, up to 255 of them.", "/name")
        _check(body)
        tags = {tag["Key"]: tag["Value"] for tag in req.get("Tags") or []}
        model.check_tags(tags)
        with self.k.db.tx() as tx:
            self.dashboards.put(tx, ctx.scope, name, body, ctx.now, tags)
        return {"DashboardValidationMessages": []}

    @operation("GetDashboard", resource=dashboard_arns)
    async def get_dashboard(self, ctx: Context, req: api.GetDashboardInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetDashboard.html"""
        body = self.dashboards.body(ctx.scope, req["DashboardName"])
        if body is None:
            raise api.DashboardNotFoundError(f"Dashboard {req['DashboardName']} does not exist")
        name = req["DashboardName"]
        return {"DashboardArn": model.dashboard_arn(ctx.scope, name), "DashboardBody": body, "DashboardName": name}

    @operation("ListDashboards")
    async def list_dashboards(self, ctx: Context, req: api.ListDashboardsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListDashboards.html"""
        prefix = req.get("DashboardNamePrefix", "")
        found = self.dashboards.after(ctx.scope, prefix, req.get("NextToken", ""), _PAGE + 1)
        entries = [
            {"DashboardName": name, "DashboardArn": model.dashboard_arn(ctx.scope, name), "LastModified": modified,
             "Size": size} for name, modified, size in found[:_PAGE]
        ]  # fmt: skip
        result: dict[str, Any] = {"DashboardEntries": entries}
        if len(found) > _PAGE:
            result["NextToken"] = found[_PAGE - 1][0]
        return result

    @operation("DeleteDashboards", resource=dashboard_arns)
    async def delete_dashboards(self, ctx: Context, req: api.DeleteDashboardsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteDashboards.html"""
        with self.k.db.tx() as tx:
            for name in req["DashboardNames"]:
                if self.dashboards.body(ctx.scope, name) is None:
                    raise api.DashboardNotFoundError(f"Dashboard {name} does not exist")
            for name in req["DashboardNames"]:
                self.dashboards.delete(tx, ctx.scope, name)
        return {}


def _check(body: str) -> None:
    if len(body.encode("utf-8", "replace")) > _BODY_MAX:
        raise _invalid("The dashboard body exceeds 1 MB.", "/")
    try:
        document = msgspec.json.decode(body.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise _invalid(f"The field DashboardBody must be a valid JSON object: {wrong}", "/") from None
    if not isinstance(document, dict) or not isinstance(document.get("widgets"), list):
        raise _invalid("The dashboard body needs an array of widgets.", "/widgets")
    if len(document["widgets"]) > _WIDGETS_MAX:
        raise _invalid(f"At most {_WIDGETS_MAX} widgets are allowed.", "/widgets")
    for at, widget in enumerate(document["widgets"]):
        if not isinstance(widget, dict) or widget.get("type") not in _KINDS:
            raise _invalid(f"The type of a widget must be one of {', '.join(sorted(_KINDS))}.", f"/widgets/{at}/type")
        if not isinstance(widget.get("properties"), dict):
            raise _invalid("A widget needs properties.", f"/widgets/{at}/properties")


def _invalid(message: str, path: str) -> api.DashboardInvalidInputError:
    return api.DashboardInvalidInputError(
        "The field DashboardBody or DashboardName is invalid",
        members={"dashboardValidationMessages": [{"DataPath": path, "Message": message}]},
    )
