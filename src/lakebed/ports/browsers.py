"""Browsers: what S3 answers that only web browsers ask, as the door of HTTP uses it. Built by services/s3.

A preflight and a form are no operations of the model: the door recognises them by method and content type and hands them
over. https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html and .../API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lakebed.ports.service import Context


@dataclass(frozen=True, slots=True)
class Form:
    """A form that uploads a file. ``fields`` by lower-case name, without the file; ``policy`` the document that the signature
    in them was found to be of, None where the form is not signed."""

    fields: Mapping[str, str]
    filename: str
    body: AsyncIterator[bytes]
    policy: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser is answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Browsers(Protocol):
    """Failures are AwsErrors, told in S3's XML."""

    def preflight(self, bucket: str, origin: str, method: str, headers: Sequence[str]) -> Mapping[str, str]:
        """The headers of the answer to OPTIONS; AccessForbidden where no rule allows it."""
        ...

    def exposed(self, bucket: str, origin: str, method: str) -> Mapping[str, str]:
        """The headers that let a page of ``origin`` see an answer; none where no rule does."""
        ...

    async def post(self, ctx: Context, bucket: str, form: Form) -> Answer:
        """Upload by a form. ``ctx.principal`` is who signed the policy, or anonymous."""
        ...
