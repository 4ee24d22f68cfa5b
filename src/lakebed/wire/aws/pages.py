"""Page tokens: where the next page of a listing begins, opaque to clients and checked when they come back.

A place is whatever finds the next row: a name, a key, a tuple of both. It is not secret and may be forged, so a reader
treats it as any other input.
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from lakebed.kernel.errors import AwsError

_Place = TypeVar("_Place")


def sealed(place: str | bytes | tuple[str | int, ...]) -> str:
    """The token that continues behind ``place``."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode()


def opened(token: str | None, kind: type[_Place], first: _Place, wrong: AwsError) -> _Place:
    """The place behind a token; ``first`` without one, ``wrong`` raised where it is none of ours."""
    if token is None:
        return first
    try:
        return msgspec.msgpack.decode(base64.b64decode(token, altchars=b"-_", validate=True), type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise wrong from None
