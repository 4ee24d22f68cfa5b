"""Markers: where the next page begins, opaque to clients. Pure."""

from __future__ import annotations

import base64
import binascii

from lakebed.services.lambda_.model import invalid


def sealed(place: str) -> str:
    """A marker."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def opened(marker: str | None) -> str:
    """The place behind a marker; empty without one."""
    if not marker:
        return ""
    try:
        return base64.urlsafe_b64decode(marker.encode()).decode()
    except (binascii.Error, ValueError):
        raise invalid("Invalid Marker.") from None
