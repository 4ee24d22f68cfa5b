"""multipart/form-data, read piece by piece: the fields first, in memory and bounded, then the file as a stream.

S3 wants the file to be the last field and ignores what follows it, so nothing but the fields is ever kept.
https://www.rfc-editor.org/rfc/rfc7578, https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from lakebed.kernel.errors import AwsError

FIELDS_BYTES_MAX = 20_480 + 65_536  # AWS: 20 KB without the policy; a policy is 20 KB before it is encoded
_FIELDS_MAX = 200
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^;,\s]{1,70}))', re.IGNORECASE)
_PARAMETER = re.compile(r';\s*(\w+)\*?=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPOSTRequest", message, status=400)


class FormReader:
    """A form as it comes in. ``head`` reads to the file; ``body`` is then the file."""

    def __init__(self, content_type: str, pieces: AsyncIterator[bytes]) -> None:
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise _malformed("The body of your POST request is not well-formed multipart/form-data.")
        self._delimiter = b"\r\n--" + (found[1] or found[2]).encode("latin-1")
        self._pieces = pieces
        self._buffer = bytearray(b"\r\n")
        self._read = 0
        self.fields: dict[str, str] = {}
        self.filename = ""

    async def head(self) -> None:
        """Read the fields up to the file; ``fields`` holds them by lower-case name, ``filename`` the file's."""
        await self._take(self._delimiter)
        while True:
            if not await self._has_part():
                raise AwsError(
                    "InvalidArgument",
                    "POST requires exactly one file upload per request.",
                    status=400,
                    members={"ArgumentName": "file", "ArgumentValue": "0"},
                )
            headers = bytes(await self._take(b"\r\n\r\n")).strip().decode("utf-8", "replace")
            name, filename = _described(headers)
            if name.lower() == "file":
                self.filename = filename.replace("\\", "/").rpartition("/")[2]
                return
            value = bytes(await self._take(self._delimiter))
            if len(self.fields) >= _FIELDS_MAX:
                raise _too_long()
            self.fields[name.lower()] = value.decode("utf-8", "replace")

    async def _has_part(self) -> bool:
        """Whether another part follows the delimiter that was just read."""
        while len(self._buffer) < 2:
            if not await self._more():
                return False
        end = bytes(self._buffer[:2])
        if end == b"--":
            return False
        # What stands between the delimiter and its line's end is padding.
        padding = await self._take(b"\r\n", keep=True)
        if padding.strip():
            raise _malformed("The body of your POST request is not well-formed multipart/form-data.")
        # The line's end stays: with it an empty list of headers ends as every other does.
        return True

    async def _take(self, until: bytes, *, keep: bool = False) -> bytearray:
        """What stands before ``until``, which is taken as well unless it is kept; bounded over the whole head."""
        start = 0
        while (at := self._buffer.find(until, start)) < 0:
            start = max(len(self._buffer) - len(until), 0)
            if not await self._more():
                raise _malformed("The body of your POST request is not well-formed multipart/form-data.")
            if len(self._buffer) > FIELDS_BYTES_MAX and self._buffer.find(until, start) < 0:
                raise _too_long()
        found = self._buffer[:at]
        self._read += at + len(until)
        if self._read > FIELDS_BYTES_MAX:
            raise _too_long()
        del self._buffer[: at + (0 if keep else len(until))]
        return found

    async def _more(self) -> bool:
        piece = await anext(self._pieces, None)
        if piece is None:
            return False
        self._buffer += piece
        return True

    async def body(self) -> AsyncIterator[bytes]:
        """The file, up to the delimiter behind it; what comes after is read and dropped."""
        kept = len(self._delimiter) - 1
        while (at := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > kept:
                piece = bytes(self._buffer[: len(self._buffer) - kept])
                del self._buffer[: len(piece)]
                yield piece
            if not await self._more():
                raise _malformed("The body of your POST request is not well-formed multipart/form-data.")
        if at:
            yield bytes(self._buffer[:at])
        self._buffer.clear()
        async for _ in self._pieces:
            pass


def _too_long() -> AwsError:
    return AwsError(
        "MaxPostPreDataLengthExceededError",
        "Your POST request fields preceding the upload file were too large.",
        status=400,
    )


def _described(headers: str) -> tuple[str, str]:
    """Name and file name of a part."""
    for line in headers.split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "content-disposition":
            parameters = {
                match[1].lower(): re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
                for match in _PARAMETER.finditer(value)
            }
            if parameters.get("name"):
                return parameters["name"], parameters.get("filename", "")
    raise _malformed("A field of the form has no name.")
