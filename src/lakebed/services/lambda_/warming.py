"""Provisioned concurrency: workers that are started and initialised before anybody calls.

One task compares what is wanted with what the runtime keeps: at boot, after a change, and every minute, because a worker
may die or grow too old. What is wanted hangs on versions and aliases; an alias that moves on takes its workers along. Where
the init phase fails, or there are fewer workers than wanted, the state says so and the next activation tries again.

https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
"""

from __future__ import annotations

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.runtime import FunctionSpec
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.names import Reference
from lakebed.services.lambda_.url_store import Provisioned, ProvisionedStore

TASK = "lambda:provisioned"


class Warming:
    """A kernel Task."""

    name = TASK
    period = 60.0

    def __init__(self, kernel: Kernel, ports: Ports, invoker: Invoker, store: ProvisionedStore) -> None:
        self.k, self.p, self.invoker, self.store = kernel, ports, invoker, store
        self._kept: dict[str, FunctionSpec] = {}
        invoker.spills = lambda named: store.get(named) is not None

    async def activate(self) -> float | None:
        """Make what is wanted true."""
        wanted: set[str] = set()
        for named, config in self.store.everybodys():
            try:
                spec, came = await self._warm(named, config)
                wanted.add(spec.key)
            except AwsError as failure:
                reason = f"{failure.error_code}: {failure.message}"[:500]
                came = msgspec.structs.replace(config, status="FAILED", available=0, reason=reason)
            self._save(named, config, came)
        for key in [key for key in self._kept if key not in wanted]:
            await self.p.runtime.provision(self._kept.pop(key), 0, {})
        return None

    async def _warm(self, named: Reference, config: Provisioned) -> tuple[FunctionSpec, Provisioned]:
        version = self.invoker.resolve_main(named)
        spec = await self.invoker.spec(named.scope, version)
        self._kept[spec.key] = spec
        available = await self.p.runtime.provision(spec, config.requested, self.invoker.credentials(version))
        if available >= config.requested:
            came = msgspec.structs.replace(config, status="READY", available=available, reason="")
        else:
            reason = f"This machine has room for {available} of {config.requested} workers ([engines.run_python] workers_max)."
            came = msgspec.structs.replace(config, status="FAILED", available=available, reason=reason)
        of = {"FunctionName": named.name, "Resource": f"{named.name}:{named.qualifier}"}
        busy = min(self.invoker.running(named.scope, named.name), config.requested)
        points = [
            ("ProvisionedConcurrentExecutions", of, float(busy), "Count"),
            ("ProvisionedConcurrencyUtilization", of, busy / config.requested, "Count"),
        ]
        self.p.metrics.put(named.scope, "AWS/Lambda", points)
        return spec, came

    def _save(self, named: Reference, before: Provisioned, after: Provisioned) -> None:
        """Unless somebody changed or deleted it meanwhile."""
        if after == before:
            return
        with self.k.db.tx() as tx:
            if self.store.get(named) == before:
                self.store.put(tx, named, after)
