"""Warm throughput, the commitment that unlocks it, and who distributes records.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamWarmThroughput.html: a floor under an on-demand
stream's capacity, reached by splitting shards when the call returns. With the distribution ``AUTO`` records go to shards in
turn, whatever keys they have.
"""

from __future__ import annotations

from dataclasses import replace

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import model
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.provider.naming import stream_arn
from lakebed.services.kinesis.settings import KinesisSettings
from lakebed.services.kinesis.store import StreamStore
from lakebed.services.kinesis.throughput import COMMITMENT_SECONDS, Commitment, CommitmentStore


class ThroughputOperations:
    """Operations on throughput. The permission on streams is asked for by ``Access``, in the handler."""

    def __init__(
        self, k: Kernel, access: Access, store: StreamStore, commitments: CommitmentStore, settings: KinesisSettings
    ) -> None:
        self.k, self.access, self.store, self.commitments, self.settings = k, access, store, commitments, settings

    @operation("DescribeAccountSettings")
    async def describe_account_settings(
        self, ctx: Context, _req: api.DescribeAccountSettingsInput
    ) -> api.DescribeAccountSettingsOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DescribeAccountSettings.html"""
        return {"MinimumThroughputBillingCommitment": _described(self.commitments.find(ctx.scope), ctx.now)}

    @operation("UpdateAccountSettings")
    async def update_account_settings(
        self, ctx: Context, req: api.UpdateAccountSettingsInput
    ) -> api.UpdateAccountSettingsOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateAccountSettings.html"""
        wanted = req["MinimumThroughputBillingCommitment"]["Status"] == "ENABLED"
        found = self.commitments.find(ctx.scope)
        is_on = found is not None and found.status(ctx.now) != "DISABLED"
        if wanted:
            made = replace(found, ending=False, ended_at=None) if found and is_on else Commitment(ctx.now)
        elif found is None or not is_on:
            raise api.ValidationException("The minimum throughput billing commitment is not enabled.")
        else:
            made = replace(found, ending=True, ended_at=max(ctx.now, found.started_at + COMMITMENT_SECONDS))
        with self.k.db.tx() as tx:
            self.commitments.keep(tx, ctx.scope, made)
        return {"MinimumThroughputBillingCommitment": _described(made, ctx.now)}

    @operation("UpdateStreamWarmThroughput", action=None, resource=stream_arn, refused=("StreamId",))
    async def update_stream_warm_throughput(
        self, ctx: Context, req: api.UpdateStreamWarmThroughputInput
    ) -> api.UpdateStreamWarmThroughputOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamWarmThroughput.html"""
        stream = self.access.stream(ctx, req, "UpdateStreamWarmThroughput")
        warm = checked_warm(self.commitments, self.settings, ctx, stream.mode, req["WarmThroughputMiBps"])
        self._update(replace(stream, warm_mibps=warm))
        current = len(stream.open_shards)
        return {
            "StreamARN": stream.arn,
            "StreamName": stream.name,
            "WarmThroughput": {"TargetMiBps": max(warm, model.ON_DEMAND_SHARDS), "CurrentMiBps": current},
        }

    @operation("UpdateStreamRecordDistributionStrategy", action=None, resource=stream_arn, refused=("StreamId",))
    async def update_distribution(self, ctx: Context, req: api.UpdateStreamRecordDistributionStrategyInput) -> None:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamRecordDistributionStrategy.html"""
        stream = self.access.stream(ctx, req, "UpdateStreamRecordDistributionStrategy")
        self._update(replace(stream, distribution=checked_distribution(stream.mode, req["RecordDistributionStrategy"])))

    def _update(self, stream: Stream) -> None:
        with self.k.db.tx() as tx:
            self.store.update(tx, stream)
        self.k.tasks.poke("kinesis-scaling")


def checked_warm(commitments: CommitmentStore, settings: KinesisSettings, ctx: Context, mode: str, mibps: int) -> int:
    """A warm throughput the stream may have."""
    if mode != model.ON_DEMAND:
        raise api.ValidationException("Warm throughput is only supported for streams in ON_DEMAND mode.")
    if not commitments.is_on(ctx.scope, ctx.now):
        raise api.ValidationException(
            "Warm throughput is only supported for accounts with MinimumThroughputBillingCommitment enabled."
        )
    if mibps > settings.on_demand_shards_max:
        raise api.LimitExceededException(
            f"WarmThroughputMiBps must not exceed {settings.on_demand_shards_max}, but was {mibps}."
        )
    return mibps


def checked_distribution(mode: str, wanted: str) -> str:
    """A distribution the stream may have."""
    if wanted == model.BY_US and mode != model.ON_DEMAND:
        raise api.ValidationException(
            "RecordDistributionStrategy AUTO is only supported for streams in ON_DEMAND mode."
        )
    return wanted


def _described(commitment: Commitment | None, now: float) -> api.MinimumThroughputBillingCommitmentOutput:
    if commitment is None:
        return {"Status": "DISABLED"}
    status = commitment.status(now)
    shape: api.MinimumThroughputBillingCommitmentOutput = {
        "Status": status,
        "StartedAt": commitment.started_at,
        "EarliestAllowedEndAt": commitment.earliest_end,
    }
    if commitment.ended_at is not None:
        shape["EndedAt"] = commitment.ended_at
    return shape
