"""The one error type that crosses Lakebed's layers towards a client.

A service raises ``AwsError`` (or a subclass generated into ``lakebed.api``); the wire layer gives it the shape that the
protocol and the model's error trait ask for. Anything else that escapes a handler is a bug and becomes an
``InternalFailure`` with nothing of the host in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AwsError(Exception):
    """An error as an AWS client sees it.

    ``code`` is the modelled shape name or a common code (``AccessDeniedException``), ``status`` the HTTP status where
    the model has none, ``members`` further members of the error shape (``{"BucketName": ...}``).
    """

    code: ClassVar[str] = ""
    status: ClassVar[int] = 400

    def __init__(
        self, code: str, message: str, *, status: int | None = None, members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.error_code = code
        self.message = message
        self.http_status = status
        self.members: Mapping[str, Any] = members or {}


def not_built(service: str, operation: str, what: str = "") -> AwsError:
    """501 that names what is missing, for an operation or for a part of one (``what``)."""
    detail = f" ({what})" if what else ""
    return AwsError("NotImplemented", f"Lakebed does not implement {service}:{operation}{detail}.", status=501)
