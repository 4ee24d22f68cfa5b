"""Enhanced monitoring: which shard-level metrics a stream publishes.

https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html#kinesis-metrics-shard. ``ALL`` stands for
every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.provider.naming import stream_arn
from lakebed.services.kinesis.store import StreamStore
from lakebed.services.kinesis.telemetry import SHARD_METRICS


class MonitoringOperations:
    """Operations on shard-level metrics. The permission is asked for by ``Access``, in the handler."""

    def __init__(self, k: Kernel, access: Access, store: StreamStore) -> None:
        self.k, self.access, self.store = k, access, store

    @operation("EnableEnhancedMonitoring", action=None, resource=stream_arn, refused=("StreamId",))
    async def enable_enhanced_monitoring(
        self, ctx: Context, req: api.EnableEnhancedMonitoringInput
    ) -> api.EnhancedMonitoringOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_EnableEnhancedMonitoring.html"""
        named = _named(req["ShardLevelMetrics"])
        return self._change(ctx, req, "EnableEnhancedMonitoring", lambda metric, on: on or metric in named)

    @operation("DisableEnhancedMonitoring", action=None, resource=stream_arn, refused=("StreamId",))
    async def disable_enhanced_monitoring(
        self, ctx: Context, req: api.DisableEnhancedMonitoringInput
    ) -> api.EnhancedMonitoringOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_DisableEnhancedMonitoring.html"""
        named = _named(req["ShardLevelMetrics"])
        return self._change(ctx, req, "DisableEnhancedMonitoring", lambda metric, on: on and metric not in named)

    def _change(
        self, ctx: Context, req: Any, action: str, stays: Callable[[str, bool], bool]
    ) -> api.EnhancedMonitoringOutput:
        stream = self.access.stream(ctx, req, action)
        kept = tuple(metric for metric in SHARD_METRICS if stays(metric, metric in stream.metrics))
        with self.k.db.tx() as tx:
            self.store.update(tx, replace(stream, metrics=kept))
        return {
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "CurrentShardLevelMetrics": list(stream.metrics),
            "DesiredShardLevelMetrics": list(kept),
        }


def _named(metrics: Sequence[str]) -> frozenset[str]:
    return frozenset(SHARD_METRICS if "ALL" in metrics else metrics)
