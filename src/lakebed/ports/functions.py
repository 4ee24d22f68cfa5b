"""Functions: Lambda as other services use it. Built by services/lambda_."""

from __future__ import annotations

from dataclasses import dataclass
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


class Functions(Protocol):
    """Functions are named by ARN (with or without qualifier). Errors are Lambda's (ResourceNotFoundException, ...)."""

    async def invoke(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> Invocation:
        """Run the function and wait. ``principal`` may be a service's (``s3.amazonaws.com``) with ``source_arn``."""
        ...

    async def invoke_later(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> str:
        """Queue an asynchronous invocation (InvocationType Event), durable when this returns; the request id."""
        ...

    def check_destination(self, principal: Principal, function_arn: str, *, source_arn: str | None = None) -> None:
        """Raise unless the function exists and its policy lets ``principal`` invoke it."""
        ...
