"""Identifiers and randomness: random in production, counted in tests. The only module that draws random bytes."""

from __future__ import annotations

import random
import secrets
import uuid
from typing import Protocol

_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class Ids(Protocol):
    """Where identifiers, tokens and random choices come from."""

    def uuid(self) -> str:
        """A UUID in the usual text form."""
        ...

    def token(self, size: int) -> str:
        """``size`` characters of A-Z and 2-7, as in AWS's unique ids."""
        ...

    def secret(self, size_bytes: int) -> bytes:
        """Unpredictable bytes for keys and tokens."""
        ...

    def uniform(self) -> float:
        """A number in [0, 1) for jitter and weights."""
        ...


class RandomIds:
    """The operating system's randomness."""

    def uuid(self) -> str:
        return str(uuid.uuid4())

    def token(self, size: int) -> str:
        return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(size))

    def secret(self, size_bytes: int) -> bytes:
        return secrets.token_bytes(size_bytes)

    def uniform(self) -> float:
        return random.random()  # noqa: S311 - jitter, not a secret


class CountingIds:
    """Repeatable identifiers from a seed, so that a golden file or a failing seed can be replayed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatability is the point

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def token(self, size: int) -> str:
        return "".join(self._random.choice(_ALPHANUMERIC) for _ in range(size))

    def secret(self, size_bytes: int) -> bytes:
        return self._random.randbytes(size_bytes)

    def uniform(self) -> float:
        return self._random.random()
