"""Tokens of a data directory (``admin.token``, ``console.token``): made at the first boot, readable by its owner alone."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from lakebed.kernel.ids import Ids

_SIZE = 43


class Token:
    """The token in ``<data>/<name>``."""

    def __init__(self, data: Path, name: str, ids: Ids) -> None:
        path = data / name
        if not path.exists():
            draft = data / f".{name}.draft"
            draft.unlink(missing_ok=True)
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, f"{ids.token(_SIZE)}\n".encode())
            finally:
                os.close(file)
            draft.replace(path)
        self.text = path.read_text("utf-8").strip()
        if not self.text:
            raise ValueError(f"{path} is empty; delete it, and the next start makes a new one")

    def matches(self, given: bytes) -> bool:
        """Whether a client gave this token; constant time."""
        return hmac.compare_digest(self.text.encode(), given)
