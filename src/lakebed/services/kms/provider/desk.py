"""From a request to its key: what every provider of KMS starts from, with pages and dry runs.

The permission is asked for here and not in the edge, because a key's policy, its grants and the encryption context count.
Grant tokens (`GrantTokens`) need not be read: a grant of this house counts from the moment CreateGrant answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lakebed.api import kms as api
from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context
from lakebed.services.kms import model
from lakebed.services.kms.keyring import Ask, Asking, Facts, Keyring
from lakebed.services.kms.model import Key
from lakebed.wire.aws.pages import opened, sealed

_Place = TypeVar("_Place")
_Row = TypeVar("_Row")


class Desk:
    """What every provider of KMS starts from."""

    def __init__(self, ring: Keyring) -> None:
        self.ring, self.k, self.p = ring, ring.k, ring.p

    def asking(self, ctx: Context) -> Asking:
        """Who asks."""
        facts: Facts = {
            "aws:SourceIp": ctx.source_ip,
            "aws:UserAgent": ctx.headers.get("user-agent", ""),
            "aws:SecureTransport": "true" if ctx.endpoint.startswith("https:") else "false",
            "aws:RequestedRegion": ctx.scope.region,
        }
        return Asking(ctx.principal, ctx.scope, facts)

    def managed_by_caller(self, ctx: Context, key_id: str, facts: Facts | None = None) -> Key:
        """The key of an operation on a key itself: named by id or ARN, of the caller's own account."""
        who = model.named(ctx.scope, key_id, alias=False)
        return self.ring.require(self.asking(ctx), who, Ask(ctx.operation, None, facts or {}), own=True)

    def key(self, ctx: Context, key_id: str, facts: Facts | None = None) -> Key:
        """The key of an operation that takes any name and works across accounts."""
        return self.ring.require(
            self.asking(ctx), model.named(ctx.scope, key_id), Ask(ctx.operation, None, facts or {})
        )

    def used(
        self,
        ctx: Context,
        req: Mapping[str, Any],
        usage: str,
        *,
        algorithm: str | None = None,
        facts: Facts | None = None,
    ) -> Key:
        """The key of a cryptographic operation, usable, and for this use."""
        context = req.get("EncryptionContext") or {} if usage == model.ENCRYPT else None
        ask = Ask(ctx.operation, context, facts or {})
        key = self.ring.require(self.asking(ctx), model.named(ctx.scope, req["KeyId"]), ask)
        model.check_usable(key)
        model.check_use(key, usage, ctx.operation, algorithm)
        return key


def check_dry_run(req: Mapping[str, Any]) -> None:
    """A dry run ends here, where nothing would have hindered the real one."""
    if req.get("DryRun"):
        raise api.DryRunOperationException("The request would have succeeded, but the DryRun option is set.")


def start(req: Mapping[str, Any], kind: type[_Place], first: _Place) -> _Place:
    """Where a page begins."""
    wrong = api.InvalidMarkerException("Could not deserialize marker.")
    return opened(req.get("Marker"), kind, first, wrong)


def limit(req: Mapping[str, Any], default: int, most: int) -> int:
    """How many a page holds."""
    wanted = int(req.get("Limit") or default)
    if not 1 <= wanted <= most:
        raise AwsError("ValidationException", f"Limit must be between 1 and {most}")
    return wanted


def page(rows: Sequence[_Row], size: int, place: Any) -> tuple[Sequence[_Row], dict[str, Any]]:
    """A page of ``size`` where more were read, and the members that tell whether it goes on behind ``place(row)``."""
    if len(rows) <= size:
        return rows, {"Truncated": False}
    return rows[:size], {"Truncated": True, "NextMarker": sealed(place(rows[size - 1]))}
