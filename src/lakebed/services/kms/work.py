"""The task of KMS: keys whose window closed are deleted, keys whose date has come are rotated."""

from __future__ import annotations

from lakebed.services.kms import model
from lakebed.services.kms.keyring import WORK_TASK, Keyring

_AT_ONCE = 100


class KeyWork:
    """One task for all keys. Doing it twice does nothing: each step moves the key's date."""

    name = WORK_TASK
    period = 3600.0

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def activate(self) -> float | None:
        """Do what is due; woken when the next is."""
        ring, now = self._ring, self._ring.k.clock.now()
        for key in ring.keys.due(now, _AT_ONCE):
            with ring.k.db.tx() as tx:
                if key.state == model.PENDING:
                    ring.keys.delete(tx, key)
                else:
                    ring.add(tx, model.rotated(key, now, on_demand=False), ring.k.ids.secret(32), "AUTOMATIC")
        return ring.keys.next_due()
