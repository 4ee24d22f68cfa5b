"""Packages as operations name them: taken from a request or a bucket, and given back by a link that expires.

A link is ``<endpoint>/_lambda/code/<hash>?Expires=…&Signature=…``, signed with a secret of this boot for ten minutes, as
long as AWS's links to its own bucket hold. It needs no credentials: whoever has it may read that one package.

https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCodeLocation.html
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from lakebed.api import lambda_ as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Context
from lakebed.services.lambda_.code import S3_ZIP_BYTES_MAX, ZIP_BYTES_MAX, Code, CodeStore
from lakebed.services.lambda_.model import invalid

PATH = "/_lambda/code/"
_LINK_SECONDS = 600


class Packages:
    """``in_use`` and ``usage`` (bytes of an account) look at every table that names packages."""

    def __init__(
        self,
        kernel: Kernel,
        ports: Ports,
        code: CodeStore,
        in_use: Callable[[str], bool],
        room: Callable[[Context], int],
    ) -> None:
        self.k, self.p, self.code, self._in_use, self._room = kernel, ports, code, in_use, room
        self._secret = kernel.ids.secret(32)

    async def take(self, ctx: Context, name: str, given: Mapping[str, Any]) -> Code:
        """The package of a request, stored; durable and unpacked when this returns."""
        for member in ("ImageUri", "SourceKMSKeyArn"):
            if given.get(member):
                raise not_built("lambda", name, f"Code.{member}")
        if "S3ObjectVersion" in given or given.get("S3ObjectStorageMode", "COPY") != "COPY":
            raise not_built("lambda", name, "S3ObjectVersion or S3ObjectStorageMode")
        package = await self._bytes(ctx, name, given)
        code = await self.code.keep(package)
        if code.size > self._room(ctx):
            await self.forget(code.hex)
            raise api.CodeStorageExceededException("Code storage limit exceeded.", members={"Type": "User"})
        return code

    async def forget(self, code_hex: str) -> None:
        """Remove a package where nothing names it any more."""
        if not self._in_use(code_hex):
            await self.code.remove(code_hex)

    def link(self, endpoint: str, code_hex: str) -> str:
        """Where a package can be fetched for the next minutes."""
        expires = int(self.k.clock.wall()) + _LINK_SECONDS
        return f"{endpoint}{PATH}{code_hex}?Expires={expires}&Signature={self._signature(code_hex, expires)}"

    async def fetch(self, path: str, query: str) -> bytes | None:
        """The package a link names; None where the link is not ours, is over, or its package is gone."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        code_hex, expires = path.removeprefix(PATH), asked.get("Expires", "")
        if not expires.isdecimal() or len(expires) > 12 or int(expires) < self.k.clock.wall():
            return None
        if not hmac.compare_digest(asked.get("Signature", ""), self._signature(code_hex, int(expires))):
            return None
        try:
            return await self.code.read(code_hex)
        except OSError:
            return None

    def _signature(self, code_hex: str, expires: int) -> str:
        return hmac.new(self._secret, f"{code_hex}/{expires}".encode(), "sha256").hexdigest()

    async def _bytes(self, ctx: Context, name: str, given: Mapping[str, Any]) -> bytes:
        if "ZipFile" in given:
            if "S3Bucket" in given:
                raise invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
            package: bytes = given["ZipFile"]
            if len(package) > ZIP_BYTES_MAX:
                raise api.RequestTooLargeException(
                    f"Request must be smaller than 69905067 bytes for the {name} operation", members={"Type": "User"}
                )
            return package
        if not given.get("S3Bucket") or not given.get("S3Key"):
            raise invalid("Please provide a source for function code.")
        info = await self.p.objects.head(ctx.principal, given["S3Bucket"], given["S3Key"])
        if info.size > S3_ZIP_BYTES_MAX:
            raise invalid(f"Unzipped size must be smaller than {S3_ZIP_BYTES_MAX} bytes")
        return b"".join([piece async for piece in self.p.objects.read(info)])
