"""An HTTP request and response as the AWS codecs see them: plain values, whichever server carried them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class HttpRequest:
    """A request after the edge took it off the socket.

    ``raw_path`` is percent-encoded as sent, without the query (for S3: path style, whatever the Host said); ``query`` the
    raw query string; header names are lower case, repeated ones joined by a comma. ``body`` holds the whole body of a
    non-streaming operation; ``stream`` the decoded body of a streaming one (``aws-chunked`` already taken off).
    """

    method: str
    raw_path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


@dataclass(slots=True)
class HttpResponse:
    """What goes back. An iterator body is sent as it comes; it is chunked unless ``content-length`` is among the headers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
