"""Next tokens: a place, signed by nothing and trusted for nothing, in base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from lakebed.api import athena as api


def token(place: Any) -> str:
    """A token for a place."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def place(text: str | None, shape: Any, first: Any) -> Any:
    """The place in a token; ``first`` without one."""
    if not text:
        return first
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=shape)
    except (ValueError, binascii.Error):
        raise api.InvalidRequestException("Invalid NextToken") from None
