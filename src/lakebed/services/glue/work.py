"""Background work of the catalog: removing what dropped tables left, a bounded number of rows at a time."""

from __future__ import annotations

from lakebed.services.glue.catalogue import DISCARD_TASK, Catalogue

_AT_ONCE = 2000


class Discard:
    """Versions and partitions of dropped tables."""

    name = DISCARD_TASK
    period = 3600.0

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def activate(self) -> float | None:
        """Due now again until nothing is left."""
        table_id = self._catalogue.tables.discarded()
        if table_id is None:
            return None
        with self._catalogue.k.db.tx() as tx:
            self._catalogue.tables.discard(tx, table_id, _AT_ONCE)
        return self._catalogue.k.clock.now()
