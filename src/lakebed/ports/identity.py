"""Identity: keys to principals, roles to sessions, and the one decision point for permissions. Built by services/iam.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lakebed.kernel.scope import Principal


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What an access key id stands for. ``session_token`` is set for temporary credentials and must match the request's."""

    principal: Principal
    secret: str
    session_token: str | None = None
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials as STS hands them out; ``expires_at`` in epoch seconds."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """What AssumeRole needs to know of a role that the caller may assume."""

    arn: str
    role_id: str
    name: str
    account: str
    session_seconds_max: int
    tags: Mapping[str, str]


class Identity(Protocol):
    """All of IAM that other rooms may know."""

    def access_key(self, access_key_id: str) -> AccessKey | None:
        """The key, or None where it is unknown or inactive. An expired one is returned: the caller tells it."""
        ...

    def authorise(
        self,
        principal: Principal,
        action: str,
        resource: str,
        *,
        conditions: Mapping[str, str | Sequence[str]] | None = None,
        resource_policy: str | None = None,
        resource_account: str | None = None,
        resource_rules: bool = False,
    ) -> None:
        """Return when ``principal`` may do ``action`` on ``resource``; else raise AwsError AccessDeniedException (403).

        ``resource_policy`` is the JSON text of the resource's own policy. Within one account identity or resource policy
        suffices, across accounts both must allow; an explicit deny anywhere wins. With ``resource_rules`` the resource
        policy must allow in any case, be it by naming the account, which leaves it to the caller's own policies (KMS).
        """
        ...

    def service_session(self, role_arn: str, service: str, *, session_name: str) -> Principal:
        """The principal a service (``firehose.amazonaws.com``) acts as when it assumes ``role_arn``.

        Raises AwsError AccessDenied where the role does not exist or its trust policy does not name the service. Cheap
        enough to call for each batch.
        """
        ...

    def check_pass_role(self, principal: Principal, role_arn: str, service: str) -> None:
        """iam:PassRole for ``principal``, and that the role exists and trusts ``service``; raises AwsError AccessDenied."""
        ...

    def role_credentials(self, role_arn: str, service: str, *, session_name: str, seconds: int) -> Credentials:
        """Temporary credentials of a role for code that calls back through the endpoint (Lambda functions)."""
        ...

    def assumable_role(
        self, principal: Principal, role_arn: str, *, conditions: Mapping[str, str | Sequence[str]] | None = None
    ) -> RoleFacts:
        """The role, where its trust policy (and, where that names only an account, the caller's own policies) allow
        sts:AssumeRole; else AwsError AccessDenied, also for a role that does not exist. Used by services/sts."""
        ...

    def issue_session(self, principal: Principal, *, seconds: float) -> Credentials:
        """Durable temporary credentials for ``principal``, whose ``access_key_id`` becomes the new one. For services/sts."""
        ...

    def managed_policy(self, policy_arn: str, account: str) -> str | None:
        """The default document of a managed policy that ``account`` may use (AWS's or its own)."""
        ...

    def check_session_policy(self, document: str) -> None:
        """Raise AwsError MalformedPolicyDocument unless ``document`` may be a session policy."""
        ...

    def account_of_key(self, access_key_id: str) -> str | None:
        """The account a key belongs to, active or not (GetAccessKeyInfo)."""
        ...

    def note_use(self, principal: Principal, service: str, region: str) -> None:
        """The edge saw a valid signature of ``principal.access_key_id``; cheap, written later (GetAccessKeyLastUsed)."""
        ...
