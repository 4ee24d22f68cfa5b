"""Destinations: one module for each kind. S3 and HTTP endpoints are built, the others are refused by name.

A built module has the functions of ``Destination`` and says which members of CreateDeliveryStream and UpdateDestination are
its own; what it stores is the description's shape with every default filled in. How a sealed buffer gets there is
``delivery.py``'s: into S3 by ``Objects``, to an endpoint by ``kernel/outward.py``. A seam only says what it will be
and what it needs: its members are refused with 501 (``seams.py``) until somebody gives it the functions of ``Destination``.
https://docs.aws.amazon.com/firehose/latest/dev/create-destination.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Settings = Mapping[str, Any]


class Destination(Protocol):
    """What a built destination offers."""

    KIND: str
    CONFIGURATION: str
    UPDATE: str

    def complete(self, given: Settings) -> dict[str, Any]:
        """A checked configuration with its defaults."""
        ...

    def merged(self, current: Settings, update: Settings) -> dict[str, Any]:
        """The configuration after UpdateDestination."""
        ...

    def described(self, made: Settings) -> dict[str, Any]:
        """Its part of a DestinationDescription, without secrets."""
        ...

    def roles(self, made: Settings) -> list[str]:
        """Every role it hands us."""
        ...
