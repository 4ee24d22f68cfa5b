"""The administrator's token: ``<data>/admin.token``, made at the first boot, readable by the owner of the data alone."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from lakebed.kernel.ids import Ids

_SIZE = 43


class AdminToken:
    """The token of a data directory."""

    def __init__(self, data: Path, ids: Ids) -> None:
        path = data / "admin.token"
        if not path.exists():
            draft = data / ".admin.token.draft"
            draft.unlink(missing_ok=True)
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, f"{ids.token(_SIZE)}\n".encode())
            finally:
                os.close(file)
            draft.replace(path)
        self._token = path.read_text("utf-8").strip().encode()

    def matches(self, given: bytes) -> bool:
        """Whether a client gave this token; constant time."""
        return bool(self._token) and hmac.compare_digest(self._token, given)
