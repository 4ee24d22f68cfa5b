"""Capacity reservations: records with AWS's states and rules, and which workgroups they are assigned to.

One machine's capacity is what it is, so a reservation is active at once and changes nothing about who runs first
(docs/deviations/athena.md). https://docs.aws.amazon.com/athena/latest/ug/capacity-management.html
"""

from __future__ import annotations

from typing import Any

from lakebed.api import athena as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.athena.model import BAD_TOKEN
from lakebed.services.athena.provider.workgroups import Workgroups, tags_of
from lakebed.services.athena.store import Body, Store
from lakebed.wire.aws.pages import opened, sealed

_SHOWN = (
    "Name",
    "Status",
    "TargetDpus",
    "AllocatedDpus",
    "LastAllocation",
    "LastSuccessfulAllocationTime",
    "CreationTime",
)
_RESERVATIONS_MAX = 100
_WORKGROUPS_MAX = 20


def reservation_arn(scope: Scope, req: Any) -> str:
    """The reservation a request is about."""
    return scope.arn("athena", f"capacity-reservation/{req.get('Name') or req.get('CapacityReservationName')}")


class ReservationOperations:
    """Operations on capacity reservations."""

    def __init__(self, k: Kernel, store: Store, workgroups: Workgroups) -> None:
        self.k, self.store, self.workgroups = k, store, workgroups

    def _require(self, scope: Scope, name: str) -> Body:
        found = self.store.reservation(scope, name)
        if found is None:
            raise api.InvalidRequestException(f"Capacity reservation {name} does not exist")
        return found

    def _allocated(self, body: Body, dpus: int, now: float) -> Body:
        _check_dpus(dpus)
        done = {"Status": "SUCCEEDED", "RequestTime": now, "RequestCompletionTime": now}
        return {**body, "TargetDpus": dpus, "AllocatedDpus": dpus, "LastAllocation": done,
                "LastSuccessfulAllocationTime": now}  # fmt: skip

    @operation("CreateCapacityReservation", resource=reservation_arn)
    async def create_capacity_reservation(
        self, ctx: Context, req: api.CreateCapacityReservationInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateCapacityReservation.html"""
        made: Body = {"Name": req["Name"], "Status": "ACTIVE", "CreationTime": ctx.now, "assignments": []}
        made = self._allocated(made, req["TargetDpus"], ctx.now)
        with self.k.db.tx() as tx:
            if self.store.reservation(ctx.scope, req["Name"]) is not None:
                raise api.InvalidRequestException(f"Capacity reservation {req['Name']} already exists")
            if len(self.store.reservations(ctx.scope, "", _RESERVATIONS_MAX)) >= _RESERVATIONS_MAX:
                raise api.InvalidRequestException(f"At most {_RESERVATIONS_MAX} capacity reservations are allowed")
            self.store.put_reservation(tx, ctx.scope, made)
            self.store.put_tags(tx, ctx.scope, reservation_arn(ctx.scope, req), tags_of(req.get("Tags", [])))
        return {}

    @operation("GetCapacityReservation", resource=reservation_arn)
    async def get_capacity_reservation(self, ctx: Context, req: api.GetCapacityReservationInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetCapacityReservation.html"""
        return {"CapacityReservation": _shown(self._require(ctx.scope, req["Name"]))}

    @operation("ListCapacityReservations")
    async def list_capacity_reservations(self, ctx: Context, req: api.ListCapacityReservationsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_ListCapacityReservations.html"""
        limit, after = req.get("MaxResults", 50), opened(req.get("NextToken"), str, "", BAD_TOKEN)
        found = self.store.reservations(ctx.scope, after, limit + 1)
        more = {"NextToken": sealed(found[limit - 1]["Name"])} if len(found) > limit else {}
        return {"CapacityReservations": [_shown(body) for body in found[:limit]], **more}

    @operation("UpdateCapacityReservation", resource=reservation_arn)
    async def update_capacity_reservation(
        self, ctx: Context, req: api.UpdateCapacityReservationInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_UpdateCapacityReservation.html"""
        with self.k.db.tx() as tx:
            body = self._active(ctx.scope, req["Name"])
            self.store.put_reservation(tx, ctx.scope, self._allocated(body, req["TargetDpus"], ctx.now))
        return {}

    @operation("CancelCapacityReservation", resource=reservation_arn)
    async def cancel_capacity_reservation(
        self, ctx: Context, req: api.CancelCapacityReservationInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_CancelCapacityReservation.html"""
        with self.k.db.tx() as tx:
            body = self._active(ctx.scope, req["Name"])
            self.store.put_reservation(tx, ctx.scope, {**body, "Status": "CANCELLED", "AllocatedDpus": 0})
        return {}

    @operation("DeleteCapacityReservation", resource=reservation_arn)
    async def delete_capacity_reservation(
        self, ctx: Context, req: api.DeleteCapacityReservationInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_DeleteCapacityReservation.html"""
        with self.k.db.tx() as tx:
            body = self._require(ctx.scope, req["Name"])
            if body["Status"] != "CANCELLED":
                raise api.InvalidRequestException(
                    f"Capacity reservation {req['Name']} must be cancelled before it is deleted"
                )
            self.store.delete_reservation(tx, ctx.scope, req["Name"])
            self.store.put_tags(tx, ctx.scope, reservation_arn(ctx.scope, req), {})
        return {}

    @operation("PutCapacityAssignmentConfiguration", resource=reservation_arn)
    async def put_capacity_assignment_configuration(
        self, ctx: Context, req: api.PutCapacityAssignmentConfigurationInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_PutCapacityAssignmentConfiguration.html"""
        groups = [name for each in req["CapacityAssignments"] for name in each.get("WorkGroupNames", [])]
        if len(groups) > _WORKGROUPS_MAX or len(set(groups)) != len(groups):
            raise api.InvalidRequestException(f"At most {_WORKGROUPS_MAX} different workgroups can be assigned")
        with self.k.db.tx() as tx:
            body = self._active(ctx.scope, req["CapacityReservationName"])
            for name in groups:
                self.workgroups.require(ctx.scope, name)
            for other in self.store.reservations(ctx.scope, "", _RESERVATIONS_MAX):
                taken = [name for each in other["assignments"] for name in each.get("WorkGroupNames", [])]
                if other["Name"] != body["Name"] and set(taken) & set(groups):
                    raise api.InvalidRequestException(
                        f"A workgroup is assigned to capacity reservation {other['Name']}"
                    )
            self.store.put_reservation(tx, ctx.scope, {**body, "assignments": list(req["CapacityAssignments"])})
        return {}

    @operation("GetCapacityAssignmentConfiguration", resource=reservation_arn)
    async def get_capacity_assignment_configuration(
        self, ctx: Context, req: api.GetCapacityAssignmentConfigurationInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/athena/latest/APIReference/API_GetCapacityAssignmentConfiguration.html"""
        name = req["CapacityReservationName"]
        body = self._require(ctx.scope, name)
        told = {"CapacityReservationName": name, "CapacityAssignments": body["assignments"]}
        return {"CapacityAssignmentConfiguration": told}

    def _active(self, scope: Scope, name: str) -> Body:
        body = self._require(scope, name)
        if body["Status"] != "ACTIVE":
            raise api.InvalidRequestException(f"Capacity reservation {name} is not active")
        return body


def _shown(body: Body) -> Body:
    return {name: body[name] for name in _SHOWN if name in body}


def _check_dpus(dpus: int) -> None:
    if dpus < 4 or dpus % 4:
        raise api.InvalidRequestException("TargetDpus must be at least 4 and a multiple of 4")
