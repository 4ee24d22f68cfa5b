"""Background work of metrics: rows past their age are rolled up into the next tier or removed.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html (metrics retention)
"""

from __future__ import annotations

from lakebed.services.cloudwatch.model import KEPT_SECONDS, ROLLED_INTO
from lakebed.services.cloudwatch.reading import Ledger

_AT_ONCE = 1000


class Ageing:
    """A bounded number of rows of each tier at each activation."""

    name = "cloudwatch:ageing"
    period = 600.0

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def activate(self) -> float | None:
        """Due now again while a tier has more to give."""
        ledger, now, more = self._ledger, self._ledger.k.clock.now(), False
        for tier, kept in KEPT_SECONDS.items():
            with ledger.k.db.tx() as tx:
                gone = ledger.series.expired(tx, tier, now - kept, _AT_ONCE)
                into = ROLLED_INTO.get(tier)
                for scope, series, start, unit, value in gone if into else []:
                    assert into is not None, "chosen by it"
                    ledger.series.add(tx, scope, series, into, start // into * into, unit, value)
            more = more or len(gone) == _AT_ONCE
        with ledger.k.db.tx() as tx:
            ledger.series.forget_empty(tx, now - max(KEPT_SECONDS.values()), _AT_ONCE)
        return now if more else None
