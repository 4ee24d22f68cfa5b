"""Markers: where the next page begins. Pure."""

from __future__ import annotations

from lakebed.services.lambda_.model import invalid
from lakebed.wire.aws import pages

sealed = pages.sealed


def opened(marker: str | None) -> str:
    """The place behind a marker; empty without one."""
    return pages.opened(marker or None, str, "", invalid("Invalid Marker."))
