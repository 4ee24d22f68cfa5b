"""The vault: small secrets sealed with a master key that lies beside the database, never in it.

IAM keeps the secrets of access keys so (SigV4 needs the secret itself, a hash will not do) and KMS the material of its
keys. AES-256-GCM from ``cryptography`` (imported on first use: it is heavy at start); the owner's id is the associated
data, so that a row's secret can not be moved to another row. The master key is ``<data>/<service>.master.key``, 32 random
bytes, mode 0600. A copy of ``state.db`` alone gives nobody a secret; losing the file loses every secret, so a backup
needs both.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lakebed.kernel.ids import Ids

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SealBrokenError(Exception):
    """A sealed value does not open: another master key, or the row was tampered with."""


class Vault:
    """Seals and opens small secrets."""

    def __init__(self, path: Path, ids: Ids) -> None:
        self._ids = ids
        self._key = _master_key(path, ids)
        self._cipher: AESGCM | None = None

    def seal(self, text: str, owner: str) -> bytes:
        """``text`` in a form that only this vault opens, and only for ``owner``."""
        return self.seal_bytes(text.encode(), owner)

    def open(self, sealed: bytes, owner: str) -> str:
        """What was sealed; SealBrokenError where it does not open."""
        return self.open_bytes(sealed, owner).decode()

    def seal_bytes(self, secret: bytes, owner: str) -> bytes:
        """``seal`` for what is no text."""
        nonce = self._ids.secret(_NONCE_BYTES)
        return nonce + self._aead().encrypt(nonce, secret, owner.encode())

    def open_bytes(self, sealed: bytes, owner: str) -> bytes:
        """``open`` for what is no text."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode())
        except InvalidTag:
            raise SealBrokenError(owner) from None

    def _aead(self) -> AESGCM:
        if self._cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(self._key)
        return self._cipher


def _master_key(path: Path, ids: Ids) -> bytes:
    """The key in ``path``, made there first where there is none. It is synced: every secret hangs on it."""
    if path.exists():
        key = path.read_bytes()
        if len(key) != 32:
            raise SealBrokenError(f"{path.name} is damaged")
        return key
    key = ids.secret(32)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, key)
        os.fsync(file)
    finally:
        os.close(file)
    draft.replace(path)
    return key
