"""Access keys of HTTP endpoints, sealed with a master key beside the database (``kernel/vault``), made when first needed.

A sealed key is bound to its delivery stream and never told again: not by Describe, not by a log.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.vault import Vault


class Secrets:
    """Seals and opens access keys."""

    def __init__(self, k: Kernel) -> None:
        self._k = k
        self._made: Vault | None = None

    def seal(self, text: str, owner: str) -> str:
        """``text`` as the database keeps it; '' stays ''."""
        return b64encode(self._vault().seal(text, owner)).decode() if text else ""

    def open(self, sealed: str, owner: str) -> str:
        """What was sealed."""
        return self._vault().open(b64decode(sealed), owner) if sealed else ""

    def _vault(self) -> Vault:
        if self._made is None:
            self._made = Vault(self._k.data / "firehose.master.key", self._k.ids)
        return self._made
