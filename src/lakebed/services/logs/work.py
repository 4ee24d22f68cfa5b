"""Background work of CloudWatch Logs: events past their group's retention, and what deleted streams left."""

from __future__ import annotations

from lakebed.services.logs.journal import RETENTION_TASK, Journal
from lakebed.services.logs.model import DAY_MS

_AT_ONCE = 1000


class Retention:
    """Delete a bounded number of events at each activation."""

    name = RETENTION_TASK
    period = 3600.0

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def activate(self) -> float | None:
        """Due now again while anything is left to delete."""
        journal, more = self._journal, self._discard()
        for group in journal.groups.all_with_retention():
            assert group.retention_days is not None, "the store chose them by it"
            with journal.k.db.tx() as tx:
                before = journal.now() - group.retention_days * DAY_MS
                gone = journal.events.expire(tx, ("group_id", group.id), before, _AT_ONCE)
            more = more or gone == _AT_ONCE
        return journal.k.clock.now() if more else None

    def _discard(self) -> bool:
        stream_id = self._journal.events.discarded()
        if stream_id is None:
            return False
        with self._journal.k.db.tx() as tx:
            gone = self._journal.events.expire(tx, ("stream_id", stream_id), 1 << 62, _AT_ONCE)
            if gone < _AT_ONCE:
                self._journal.events.forget_discarded(tx, stream_id)
        return True
