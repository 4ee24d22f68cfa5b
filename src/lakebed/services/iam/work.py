"""IAM's background work: expired sessions go, last uses of keys are written down."""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.services.iam.port import IamIdentity

_BATCH = 1000
# An expired key is told apart from an unknown one for a while (ExpiredToken, not InvalidClientTokenId).
_KEEP_EXPIRED_SECONDS = 86_400.0


class Housekeeping:
    """One activation a minute."""

    name = "iam:housekeeping"
    period = 60.0

    def __init__(self, k: Kernel, identity: IamIdentity) -> None:
        self._k, self._identity = k, identity

    async def activate(self) -> float | None:
        uses, self._identity.uses = self._identity.uses, {}
        now = self._k.clock.now()
        with self._k.db.tx() as tx:
            gone = self._identity.keys.delete_sessions_before(tx, now - _KEEP_EXPIRED_SECONDS, _BATCH)
            self._identity.keys.note_uses(tx, [(*use, key_id) for key_id, use in uses.items()])
            if gone:
                tx.after_commit(self._identity.forget)
        return now if gone == _BATCH else None
