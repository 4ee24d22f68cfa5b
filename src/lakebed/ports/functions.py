"""Functions: Lambda as other services use it, and as the HTTP door reaches function URLs. Built by services/lambda_."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lakebed.kernel.scope import Principal


@dataclass(frozen=True, slots=True)
class Invocation:
    """The end of a synchronous invocation. ``error`` is "Handled"/"Unhandled" where the function failed; then ``payload``
    is AWS's error object."""

    status: int
    payload: bytes
    error: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """A request's function URL: its id, the path below it, and whether callers must sign (``AWS_IAM``) or not."""

    id: str
    path: str
    signed: bool


@dataclass(frozen=True, slots=True)
class UrlRequest:
    """A request to a function URL; ``path`` is below the URL, percent-encoded as it was sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    principal: Principal
    source_ip: str
    request_id: str


@dataclass(slots=True)
class UrlAnswer:
    """What a function URL answers; an iterator is a body that streams."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | AsyncIterator[bytes] = b""
    facts: Mapping[str, str] = field(default_factory=dict)  # what the journal wants to know: account, region, arn


class Functions(Protocol):
    """Functions are named by ARN (with or without qualifier). Errors are Lambda's (ResourceNotFoundException, ...)."""

    async def invoke(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> Invocation:
        """Run the function and wait. ``principal`` may be a service's (``s3.amazonaws.com``) with ``source_arn``."""
        ...

    async def invoke_later(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None, trace: str = ""
    ) -> str:
        """Queue an asynchronous invocation (InvocationType Event), durable when this returns; the request id. ``trace`` is
        the X-Amzn-Trace-Id of what caused it."""
        ...

    def check_destination(self, principal: Principal, function_arn: str, *, source_arn: str | None = None) -> None:
        """Raise unless the function exists and its policy lets ``principal`` invoke it."""
        ...

    def url_target(self, host: str, raw_path: str) -> UrlTarget | None:
        """The function URL a request is for, by its Host or by its path; None for any other request. The id of a URL that
        does not exist is a target as well, which ``serve_url`` refuses."""
        ...

    async def serve_url(self, target: UrlTarget, request: UrlRequest) -> UrlAnswer:
        """Permission, CORS, the function, its answer. Never raises for what a caller or the function did."""
        ...

    async def serve_package(self, raw_path: str, query: str) -> bytes | None:
        """The package a signed link of GetFunction or GetLayerVersion names; None where it names none."""
        ...
