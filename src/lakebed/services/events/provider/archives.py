"""Archives and replays.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import events as api
from lakebed.kernel import arn as arns
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, operation
from lakebed.services.events.exchange import ARCHIVE_TASK
from lakebed.services.events.model import Archive, Replay, bus_place, invalid
from lakebed.services.events.provider.desk import Desk, limit, page, start
from lakebed.services.events.provider.rules import check_pattern

_ARCHIVES_MAX = 100


def _archive_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    return scope.arn("events", f"archive/{request['ArchiveName']}")


def _replay_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    return scope.arn("events", f"replay/{request['ReplayName']}")


class ArchiveOperations(Desk):
    """Operations on archives and replays."""

    @operation("CreateArchive", resource=_archive_arn, refused=("KmsKeyIdentifier",))
    async def create_archive(self, ctx: Context, req: api.CreateArchiveRequest) -> api.CreateArchiveResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateArchive.html"""
        bus = self.bus(ctx, req["EventSourceArn"])
        if self.exchange.archives.find(ctx.scope, req["ArchiveName"]) is not None:
            raise api.ResourceAlreadyExistsException(f"Archive {req['ArchiveName']} already exists.")
        if req.get("EventPattern"):
            check_pattern(req["EventPattern"])
        if len(self.exchange.archives.of_place(ctx.scope)) >= _ARCHIVES_MAX:
            raise api.LimitExceededException("The requested resource exceeds the maximum number allowed.")
        archive = Archive(
            ctx.scope, req["ArchiveName"], bus.name, ctx.now, req.get("EventPattern", ""), req.get("Description", ""),
            req.get("RetentionDays", 0),
        )  # fmt: skip
        self._put(archive)
        return {"ArchiveArn": archive.arn, "State": "ENABLED", "CreationTime": archive.made}

    @operation("UpdateArchive", resource=_archive_arn, refused=("KmsKeyIdentifier",))
    async def update_archive(self, ctx: Context, req: api.UpdateArchiveRequest) -> api.UpdateArchiveResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_UpdateArchive.html"""
        archive = self._archive(ctx, req["ArchiveName"])
        if req.get("EventPattern"):
            check_pattern(req["EventPattern"])
        archive = msgspec.structs.replace(
            archive,
            pattern=req.get("EventPattern", archive.pattern),
            description=req.get("Description", archive.description),
            days=req.get("RetentionDays", archive.days),
        )
        self._put(archive)
        return {"ArchiveArn": archive.arn, "State": "ENABLED", "CreationTime": archive.made}

    @operation("DescribeArchive", resource=_archive_arn)
    async def describe_archive(self, ctx: Context, req: api.DescribeArchiveRequest) -> api.DescribeArchiveResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeArchive.html"""
        archive = self._archive(ctx, req["ArchiveName"])
        told: dict[str, Any] = {**self._listed(archive), "ArchiveArn": archive.arn}
        if archive.description:
            told["Description"] = archive.description
        if archive.pattern:
            told["EventPattern"] = archive.pattern
        return told  # type: ignore[return-value]

    @operation("ListArchives")
    async def list_archives(self, ctx: Context, req: api.ListArchivesRequest) -> api.ListArchivesResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListArchives.html"""
        prefix, source, state = req.get("NamePrefix"), req.get("EventSourceArn"), req.get("State", "ENABLED")
        if sum(name in req for name in ("NamePrefix", "EventSourceArn", "State")) > 1:
            raise invalid(
                "At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix."
            )
        size, after = limit(req), start(req)
        found = [
            archive
            for archive in self.exchange.archives.of_place(ctx.scope)
            if archive.name > after
            and archive.name.startswith(prefix or "")
            and (not source or bus_place(ctx.scope, source) == (archive.scope, archive.bus))
            and state == "ENABLED"
        ]
        shown, more = page(found, size, lambda archive: archive.name)
        return {"Archives": [self._listed(archive) for archive in shown], **more}  # type: ignore[typeddict-item]

    @operation("DeleteArchive", resource=_archive_arn)
    async def delete_archive(self, ctx: Context, req: api.DeleteArchiveRequest) -> api.DeleteArchiveResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteArchive.html"""
        archive = self._archive(ctx, req["ArchiveName"])
        with self.k.db.tx() as tx:
            self.exchange.archives.delete(tx, archive)
        return {}

    @operation("StartReplay", resource=_replay_arn)
    async def start_replay(self, ctx: Context, req: api.StartReplayRequest) -> api.StartReplayResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html"""
        arn = arns.parse(req["EventSourceArn"])
        if arn is None or not arn.resource.startswith("archive/"):
            raise invalid("Parameter EventSourceArn is not valid. Reason: Must contain an archive ARN.")
        archive = self._archive(ctx, arn.resource.removeprefix("archive/"))
        destination = req["Destination"]
        if bus_place(ctx.scope, destination["Arn"]) != (archive.scope, archive.bus):
            raise invalid("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
        if self.exchange.archives.replay(ctx.scope, req["ReplayName"]) is not None:
            raise api.ResourceAlreadyExistsException(f"Replay {req['ReplayName']} already exists.")
        if req["EventEndTime"] <= req["EventStartTime"]:
            raise invalid("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
        replay = Replay(
            ctx.scope, req["ReplayName"], archive.name, archive.bus, req["EventStartTime"], req["EventEndTime"], ctx.now,
            req.get("Description", ""), [_rule_name(text) for text in destination.get("FilterArns") or []],
        )  # fmt: skip
        with self.k.db.tx() as tx:
            self.exchange.archives.put_replay(tx, replay)
            tx.after_commit(lambda: self.k.tasks.poke(ARCHIVE_TASK))
        return {"ReplayArn": replay.arn, "State": "STARTING", "ReplayStartTime": replay.started}

    @operation("CancelReplay", resource=_replay_arn)
    async def cancel_replay(self, ctx: Context, req: api.CancelReplayRequest) -> api.CancelReplayResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_CancelReplay.html"""
        replay = self._replay(ctx, req["ReplayName"])
        if replay.state != "RUNNING":
            raise api.IllegalStatusException(f"Replay {replay.name} is not in a valid state for this operation.")
        replay = msgspec.structs.replace(replay, state="CANCELLED", ended=ctx.now)
        with self.k.db.tx() as tx:
            self.exchange.archives.put_replay(tx, replay)
        return {"ReplayArn": replay.arn, "State": "CANCELLING"}

    @operation("DescribeReplay", resource=_replay_arn)
    async def describe_replay(self, ctx: Context, req: api.DescribeReplayRequest) -> api.DescribeReplayResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeReplay.html"""
        replay = self._replay(ctx, req["ReplayName"])
        destination: dict[str, Any] = {"Arn": replay.scope.arn("events", f"event-bus/{replay.bus}")}
        if replay.rules:
            stem = "rule/" if replay.bus == "default" else f"rule/{replay.bus}/"
            destination["FilterArns"] = [replay.scope.arn("events", stem + name) for name in replay.rules]
        told: dict[str, Any] = {**_shown(replay), "ReplayArn": replay.arn, "Destination": destination}
        if replay.description:
            told["Description"] = replay.description
        return told  # type: ignore[return-value]

    @operation("ListReplays")
    async def list_replays(self, ctx: Context, req: api.ListReplaysRequest) -> api.ListReplaysResponse:
        """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListReplays.html"""
        size, prefix = limit(req), req.get("NamePrefix", "")
        source = req.get("EventSourceArn")
        found = [
            replay
            for replay in self.exchange.archives.replays(ctx.scope, start(req), 10_000)
            if replay.name.startswith(prefix)
            and req.get("State", replay.state) == replay.state
            and (not source or source == replay.scope.arn("events", f"archive/{replay.archive}"))
        ]
        shown, more = page(found, size, lambda replay: replay.name)
        return {"Replays": [_shown(replay) for replay in shown], **more}  # type: ignore[typeddict-item]

    def _archive(self, ctx: Context, name: str) -> Archive:
        found = self.exchange.archives.find(ctx.scope, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Archive {name} does not exist.")
        return found

    def _replay(self, ctx: Context, name: str) -> Replay:
        found = self.exchange.archives.replay(ctx.scope, name)
        if found is None:
            raise api.ResourceNotFoundException(f"Replay {name} does not exist.")
        return found

    def _put(self, archive: Archive) -> None:
        with self.k.db.tx() as tx:
            self.exchange.archives.put(tx, archive)

    def _listed(self, archive: Archive) -> dict[str, Any]:
        count, size = self.exchange.flow.measure(archive)
        return {
            "ArchiveName": archive.name,
            "EventSourceArn": archive.scope.arn("events", f"event-bus/{archive.bus}"),
            "State": "ENABLED",
            "RetentionDays": archive.days,
            "SizeBytes": size,
            "EventCount": count,
            "CreationTime": archive.made,
        }


def _rule_name(text: str) -> str:
    arn = arns.parse(text)
    if arn is None or not arn.resource.startswith("rule/"):
        raise invalid("Parameter Destination.FilterArns is not valid. Reason: no ARN of a rule.")
    return arn.resource.rpartition("/")[2]


def _shown(replay: Replay) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ReplayName": replay.name,
        "EventSourceArn": replay.scope.arn("events", f"archive/{replay.archive}"),
        "State": replay.state,
        "EventStartTime": replay.begin,
        "EventEndTime": replay.end,
        "ReplayStartTime": replay.started,
    }
    if replay.at:
        told["EventLastReplayedTime"] = replay.at
    if replay.ended:
        told["ReplayEndTime"] = replay.ended
    if replay.reason:
        told["StateReason"] = replay.reason
    return told
