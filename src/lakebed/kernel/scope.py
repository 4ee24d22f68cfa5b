"""Who asks, and where: ``Scope`` addresses state, ``Principal`` is the caller a permission is decided for.

Both are made once, in the edge, from the credential scope and the access key; background work carries its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GLOBAL_REGION = "aws-global"


@dataclass(frozen=True, slots=True)
class Scope:
    """An account in a region of a partition."""

    account: str
    region: str
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """``arn:partition:service:region:account:resource``."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """An ARN without region, as IAM's."""
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"

    def at_global(self) -> Scope:
        """The same account where resources have no region (IAM)."""
        return Scope(self.account, GLOBAL_REGION, self.partition)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller: ``kind`` is root, user, role (an assumed session), service or anonymous.

    ``arn`` is what GetCallerIdentity tells; ``identity_arn`` the user or role whose policies count;
    ``session_policies`` the JSON texts handed to AssumeRole, which only narrow.
    """

    account: str
    arn: str
    kind: str
    user_id: str
    identity_arn: str = ""
    access_key_id: str = ""
    session_policies: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        """Root of its account: allowed everything there that no resource policy denies."""
        return self.kind == "root"


ANONYMOUS = Principal(
    account="anonymous", arn="arn:aws:iam::anonymous:anonymous", kind="anonymous", user_id="anonymous"
)
