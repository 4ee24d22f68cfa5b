"""Decrypted copies of encrypted objects, for neighbours that read files by their path (query engines in other processes).

A copy lies among the drafts of the blobs, readable by the house alone, for as long as a lent path must stay, and goes with
the sweep at boot otherwise. The caller asked KMS for the key before each; a copy that is there already is used again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from lakebed.kernel.kernel import Kernel
from lakebed.services.s3.model import sealing
from lakebed.services.s3.model.sealing import Sealer
from lakebed.services.s3.model.shapes import ObjectVersion
from lakebed.services.s3.reading import Reading
from lakebed.services.s3.removal import LENT_SECONDS

_CHUNK = 1 << 20


class Lent:
    """The copies of this moment, the one that goes first in front."""

    def __init__(self, k: Kernel, reading: Reading) -> None:
        self._k, self._reading = k, reading
        self._copies: OrderedDict[str, tuple[Path, float]] = OrderedDict()

    async def decrypted(self, version: ObjectVersion, key: bytes) -> Path:
        """The path of a decrypted copy; it stays for ten minutes at least."""
        now = self._k.clock.now()
        await self._drop(now)
        found = self._copies.pop(version.blob, None)
        path = found[0] if found is not None else self._k.blobs.draft_path()
        if found is None:
            with self._k.clock.working():
                await asyncio.to_thread(_decrypt, self._k.blobs.path(version.blob), path, version, key)
        self._copies[version.blob] = (path, now + LENT_SECONDS)
        return path

    async def _drop(self, now: float) -> None:
        over = []
        while self._copies and next(iter(self._copies.values()))[1] <= now:
            over.append(self._copies.popitem(last=False)[1][0])
        for path in over:
            self._k.disk.remove(path)


def _decrypt(source: Path, target: Path, version: ObjectVersion, key: bytes) -> None:
    """In a thread: all runs of the cipher, one after the other."""
    kept = version.facts.encryption
    assert kept is not None
    parts = [(part.size, part.nonce) for part in version.facts.parts]
    with source.open("rb", buffering=0) as sealed, target.open("xb", buffering=0) as plain:
        target.chmod(0o600)
        for run in sealing.spans(kept.nonce, parts, 0, version.size):
            sealer, left = Sealer(key, kept.kind, run.nonce, run.offset), run.end - run.start
            while left > 0 and (chunk := sealed.read(min(_CHUNK, left))):
                plain.write(sealer(chunk))
                left -= len(chunk)
