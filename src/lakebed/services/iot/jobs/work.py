"""The part of jobs nobody asks for: the rollout at its rate, timeouts, cancellation by criteria, and the end.

One task for all jobs. A snapshot job ends when every thing's execution did; a continuous one never ends, takes in things
that join its groups and drops (REMOVED) those that leave.
https://docs.aws.amazon.com/iot/latest/developerguide/jobs-configurations-specify.html
"""

from __future__ import annotations

from lakebed.kernel.arn import parse
from lakebed.kernel.db import Tx
from lakebed.kernel.scope import Scope
from lakebed.services.iot.group_store import THING, GroupStore
from lakebed.services.iot.jobs import model
from lakebed.services.iot.jobs.keeper import TASK, JobKeeper
from lakebed.services.iot.jobs.model import Execution, Job

_MINUTE = 60.0
_DUE_AT_ONCE = 200
_MEMBERS_MAX = 100_000


class JobWork:
    """See the module."""

    name = TASK
    period = 60.0

    def __init__(self, keeper: JobKeeper, groups: GroupStore) -> None:
        self.k, self.keeper, self.store, self.groups = keeper.k, keeper, keeper.store, groups

    async def activate(self) -> float | None:
        """Advance every job that goes on."""
        now = self.k.clock.now()
        await self._time_out(now)
        wakes = [wake for job in self.store.running() if (wake := await self._advance(job, now)) is not None]
        deadline = self.store.next_deadline()
        return min([*wakes, *([deadline] if deadline is not None else [])], default=None)

    async def _time_out(self, now: float) -> None:
        for one in self.store.due(now, _DUE_AT_ONCE):
            async with self.keeper.changing(one.scope, [one.thing]) as tx_of:
                with tx_of() as tx:
                    job = self.store.job(one.scope, one.job)
                    over = one.to(model.TIMED_OUT, now)
                    self.store.put_execution(tx, over)
                    if job is not None:
                        self.keeper.ended(tx, job, over)

    async def _advance(self, job: Job, now: float) -> float | None:
        """Roll out what may be told now; when to go on."""
        left: list[Execution] = []
        with self.k.db.tx() as tx:
            if job.is_continuous:
                left = self._follow_groups(tx, job, now)
        counts = self.store.counts(job.scope, job.id)
        if model.aborts(job.config, counts):
            await self.cancel(job._replace(comment="The abort criteria were met."), now, force=False)
            return None
        waiting = self.store.executions(job.scope, job.id, [model.PENDING], limit=model.RATE_MAX)
        notified = sum(counts.values()) - counts.get(model.PENDING, 0)
        rate = model.rate(job.config, notified, counts.get("SUCCEEDED", 0))
        batch = waiting[: max(0, rate - self.store.told_since(job.scope, job.id, now - _MINUTE))]
        async with self.keeper.changing(job.scope, [one.thing for one in (*batch, *left)]) as tx_of:
            with tx_of() as tx:
                for one in batch:
                    self.store.put_execution(tx, one._replace(status=model.QUEUED, queued=now, modified=now))
                for one in left:
                    self.store.put_execution(tx, one.to(model.REMOVED, now))
        if len(batch) < len(waiting):
            return now + (_MINUTE if not batch else 1.0)
        if not job.is_continuous and not waiting and not any(counts.get(status) for status in model.OPEN):
            with self.k.db.tx() as tx:
                self.store.put(tx, job._replace(status=model.COMPLETED, modified=now, completed=now))
        return None

    def expand(self, scope: Scope, targets: list[str]) -> list[str]:
        """The things that targets name now: things themselves, and members of groups and of the groups below."""
        found: dict[str, None] = {}
        for target in targets:
            arn = parse(target)
            kind, _, name = arn.resource.partition("/") if arn is not None else ("", "", "")
            if kind == "thing":
                found[name] = None
                continue
            for group in self.groups.below(scope, name):
                found.update(dict.fromkeys(self.groups.members(scope, THING, group, "", _MEMBERS_MAX)))
        return list(found)

    def target(self, tx: Tx, job: Job, things: list[str], now: float) -> None:
        """New targets wait for the rollout."""
        for thing in things:
            if not self.store.has_execution(job.scope, job.id, thing):
                self.store.put_execution(tx, Execution(
                    job.scope, job.id, thing, 1, model.PENDING, {}, now, None, now, 1, 0, False, None, None
                ))  # fmt: skip

    def _follow_groups(self, tx: Tx, job: Job, now: float) -> list[Execution]:
        things = self.expand(job.scope, list(job.config["targets"]))
        self.target(tx, job, things, now)
        still = set(things)
        return [one for one in self.store.executions(job.scope, job.id, model.OPEN) if one.thing not in still]

    async def cancel(self, job: Job, now: float, *, force: bool) -> None:
        """Cancel a job: what is queued, and with ``force`` what is worked on."""
        statuses = [model.PENDING, model.QUEUED, *([model.IN_PROGRESS] if force else [])]
        found = self.store.executions(job.scope, job.id, statuses)
        async with self.keeper.changing(job.scope, [one.thing for one in found]) as tx_of:
            with tx_of() as tx:
                for one in found:
                    if one.status == model.PENDING:
                        self.store.delete_execution(tx, one)
                    else:
                        ended = one.to(model.CANCELED, now)
                        self.store.put_execution(tx, ended._replace(is_forced=one.status == model.IN_PROGRESS))
                self.store.put(tx, job._replace(status=model.CANCELED, is_forced=force, modified=now, completed=now))
