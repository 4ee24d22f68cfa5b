"""``ports.identity.Identity``: keys to principals, roles to sessions, and the one decision point for permissions.

Everything a decision needs is compiled once and kept until any IAM row changes (``forget``); a decision then costs
microseconds. Keys are unsealed once and kept, bounded. What changes here is durable before it is answered.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from lakebed.kernel import arn as arns
from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import GLOBAL_REGION, Principal, Scope
from lakebed.kernel.vault import Vault
from lakebed.ports.identity import AccessKey, Credentials, RoleFacts
from lakebed.services.iam import documents, managed, model
from lakebed.services.iam.facts import facts_of
from lakebed.services.iam.model import Entity
from lakebed.services.iam.policy import Documents, PolicyError, Request, Statement, compile_document, decide, evaluate
from lakebed.services.iam.store import Entities, Keys, Policies

_KEYS_KEPT_MAX = 10_000
_GRANTS_KEPT_MAX = 10_000
SESSION_POLICY_SIZE_MAX = 2_048
_principal = msgspec.json.Decoder(Principal)
Conditions = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Grants:
    """What a user or role is allowed by its own policies, and the boundary that narrows it."""

    identity: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None
    entity_id: str = ""


_NOTHING = Grants((), None)


class IamIdentity:
    """The identity port over IAM's tables."""

    def __init__(self, k: Kernel, vault: Vault) -> None:
        self._k, self._vault = k, vault
        self.entities, self.policies, self.keys = Entities(k.db), Policies(k.db), Keys(k.db)
        self._known: OrderedDict[str, AccessKey | None] = OrderedDict()
        self._grants: OrderedDict[str, Grants] = OrderedDict()
        self._sessions: dict[tuple[str, str, str], Principal] = {}
        self.uses: dict[str, tuple[float, str, str]] = {}

    def forget(self) -> None:
        """Something in IAM changed: look everything up again."""
        self._known.clear()
        self._grants.clear()
        self._sessions.clear()

    # Keys

    def access_key(self, access_key_id: str) -> AccessKey | None:
        if access_key_id in self._known:
            return self._known[access_key_id]
        key = self._session_key(access_key_id) if access_key_id.startswith("ASIA") else self._lasting_key(access_key_id)
        self._known[access_key_id] = key
        if len(self._known) > _KEYS_KEPT_MAX:
            self._known.popitem(last=False)
        return key

    def _lasting_key(self, key_id: str) -> AccessKey | None:
        key = self.keys.find(key_id)
        if key is None or key.status != "Active":
            return None
        secret = self._vault.open(key.sealed, key_id)
        scope = Scope(key.account, GLOBAL_REGION)
        if key.owner == key.account:
            return AccessKey(root_principal(key.account, key_id), secret)
        user = self.entities.by_id(scope, key.owner)
        if user is None:
            return None
        arn = user.arn(scope)
        return AccessKey(Principal(key.account, arn, "user", user.id, arn, key_id, tags=user.tags), secret)

    def _session_key(self, key_id: str) -> AccessKey | None:
        row = self.keys.session(key_id)
        if row is None:
            return None
        secret, _, token = self._vault.open(row["sealed"], key_id).partition("\n")
        return AccessKey(_principal.decode(row["principal"]), secret, token, row["expires_at"])

    def account_of_key(self, access_key_id: str) -> str | None:
        if (key := self.keys.find(access_key_id)) is not None:
            return key.account
        row = self.keys.session(access_key_id)
        return None if row is None else _principal.decode(row["principal"]).account

    def note_use(self, principal: Principal, service: str, region: str) -> None:
        if not principal.access_key_id.startswith("ASIA"):
            self.uses[principal.access_key_id] = (self._k.clock.now(), service, region)

    def issue_session(self, principal: Principal, *, seconds: float) -> Credentials:
        ids, expires_at = self._k.ids, self._k.clock.now() + seconds
        key_id = f"ASIA{ids.token(16)}"
        secret = base64.b64encode(ids.secret(30)).decode()
        token = base64.b64encode(b"lakebed" + ids.secret(89)).decode()
        holder = replace(principal, access_key_id=key_id)
        row = (self._vault.seal(f"{secret}\n{token}", key_id), expires_at, msgspec.json.encode(holder))
        with self._k.db.tx() as tx:
            self.keys.add_session(tx, Scope(principal.account, GLOBAL_REGION), key_id, row)
        return Credentials(key_id, secret, token, expires_at)

    # Decisions

    def authorise(
        self,
        principal: Principal,
        action: str,
        resource: str,
        *,
        conditions: Conditions | None = None,
        resource_policy: str | None = None,
        resource_account: str | None = None,
        resource_rules: bool = False,
    ) -> None:
        owner = resource_account or _owner(resource) or principal.account
        if resource_policy is None and principal.is_root and owner == principal.account:
            return
        request = Request(
            principal, action, resource, lambda: facts_of(principal, self._k.clock.now(), conditions or {})
        )
        documents = replace(self._documents(principal, resource_policy), resource_rules=resource_rules)
        reason = decide(documents, request, same_account=owner == principal.account)
        if reason:
            raise denied(principal, action, resource, reason)

    def _documents(self, principal: Principal, resource_policy: str | None) -> Documents:
        grants = self.grants(principal.identity_arn) if principal.kind in ("user", "role") else _NOTHING
        if grants.entity_id != principal.user_id.partition(":")[0]:
            grants = _NOTHING  # a session of an entity that was deleted and made anew under the same name
        return Documents(
            identity=grants.identity,
            boundary=grants.boundary,
            sessions=_sessions(principal.session_policies),
            resource=None if resource_policy is None else compile_document(resource_policy),
        )

    def grants(self, identity_arn: str) -> Grants:
        """The compiled policies of a user or role; nothing for one that does not exist."""
        found = self._grants.get(identity_arn)
        if found is None:
            found = self._grants[identity_arn] = self._compile_grants(identity_arn)
            if len(self._grants) > _GRANTS_KEPT_MAX:
                self._grants.popitem(last=False)
        return found

    def _compile_grants(self, identity_arn: str) -> Grants:
        scope, entity = self.entity(identity_arn)
        if entity is None:
            return _NOTHING
        texts = [*self.entities.inline(scope, entity.id).values()]
        texts += [
            text
            for arn in self.entities.attached(scope, entity.id)
            if (text := self.managed_policy(arn, scope.account)) is not None
        ]
        boundary: tuple[Statement, ...] | None = None
        if entity.boundary:
            text = self.managed_policy(entity.boundary, scope.account)
            boundary = compile_document(text) if text is not None else ()
        statements = tuple(statement for text in texts for statement in compile_document(text))
        return Grants(statements, boundary, entity.id)

    def entity(self, identity_arn: str) -> tuple[Scope, Entity | None]:
        """The user or role behind an ARN, with the scope of its account."""
        parts = arns.parse(identity_arn)
        scope = Scope(parts.account if parts else "", GLOBAL_REGION)
        if parts is None or parts.service != "iam":
            return scope, None
        kind, _, rest = parts.resource.partition("/")
        entity = self.entities.find(scope, kind, rest.rpartition("/")[2])
        return scope, entity if entity is not None and entity.arn(scope) == identity_arn else None

    def managed_policy(self, policy_arn: str, account: str) -> str | None:
        if managed.is_managed(policy_arn):
            found = managed.all_policies().get(policy_arn)
            return None if found is None else found[1].document
        parts = arns.parse(policy_arn)
        policy = self.policies.find(policy_arn) if parts is not None and parts.account == account else None
        if policy is None:
            return None
        versions = self.policies.versions(Scope(account, GLOBAL_REGION), policy_arn)
        return next((version.document for version in versions if version.number == policy.default_version), None)

    def check_session_policy(self, document: str) -> None:
        documents.check_identity(document, SESSION_POLICY_SIZE_MAX)

    # Roles

    def assumable_role(self, principal: Principal, role_arn: str, *, conditions: Conditions | None = None) -> RoleFacts:
        scope, role = self.entity(role_arn)
        if role is None or role.kind != model.ROLE:
            raise not_assumable(principal, role_arn)
        request = Request(
            principal, "sts:AssumeRole", role_arn, lambda: facts_of(principal, self._k.clock.now(), conditions or {})
        )
        found = self._documents(principal, None)
        trust = compile_document(role.trust)
        trusted = evaluate(trust, request)
        # A trust policy must name the caller even within the account; naming only the account delegates to the caller's
        # own policies, as the policies of KMS keys do.
        same = scope.account == principal.account
        if not trusted.allowed or decide(replace(found, resource=trust), request, same_account=same):
            raise not_assumable(principal, role_arn)
        return RoleFacts(role_arn, role.id, role.name, scope.account, role.session_seconds_max, role.tags)

    def service_session(self, role_arn: str, service: str, *, session_name: str) -> Principal:
        key = (role_arn, service, session_name)
        found = self._sessions.get(key)
        if found is None:
            if len(self._sessions) > _GRANTS_KEPT_MAX:
                self._sessions.clear()
            found = self._sessions[key] = self._service_session(role_arn, service, session_name)
        return found

    def _service_session(self, role_arn: str, service: str, session_name: str) -> Principal:
        scope, role = self._trusting(role_arn, service)
        return session_principal(scope.account, role, role_arn, session_name)

    def _trusting(self, role_arn: str, service: str) -> tuple[Scope, Entity]:
        """The role, where its trust policy lets the service assume it."""
        scope, role = self.entity(role_arn)
        caller = Principal(scope.account, service, "service", service)
        if role is None or role.kind != model.ROLE:
            raise not_assumable(caller, role_arn)
        conditions = {"aws:SourceAccount": scope.account}
        request = Request(caller, "sts:AssumeRole", role_arn, lambda: facts_of(caller, self._k.clock.now(), conditions))
        verdict = evaluate(compile_document(role.trust), request)
        if verdict.denied or not verdict.allowed:
            raise not_assumable(caller, role_arn)
        return scope, role

    def check_pass_role(self, principal: Principal, role_arn: str, service: str) -> None:
        self.authorise(principal, "iam:PassRole", role_arn, conditions={"iam:PassedToService": service})
        self._trusting(role_arn, service)

    def role_credentials(self, role_arn: str, service: str, *, session_name: str, seconds: int) -> Credentials:
        return self.issue_session(self.service_session(role_arn, service, session_name=session_name), seconds=seconds)


def root_principal(account: str, access_key_id: str = "") -> Principal:
    """The root of an account."""
    arn = f"arn:aws:iam::{account}:root"
    return Principal(account, arn, "root", account, arn, access_key_id)


def session_principal(account: str, role: Entity, role_arn: str, session_name: str) -> Principal:
    """The principal of an assumed role."""
    return Principal(
        account=account,
        arn=f"arn:aws:sts::{account}:assumed-role/{role.name}/{session_name}",
        kind="role",
        user_id=f"{role.id}:{session_name}",
        identity_arn=role_arn,
        tags=role.tags,
    )


def denied(principal: Principal, action: str, resource: str, reason: str) -> AwsError:
    """AccessDeniedException in AWS's words."""
    because = f"{reason} {action} action" if reason.startswith("because") else reason
    return AwsError(
        "AccessDeniedException",
        f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource} {because}",
        status=403,
    )


def not_assumable(principal: Principal, role_arn: str) -> AwsError:
    """What AssumeRole answers, whether the role is missing or does not trust the caller."""
    return AwsError(
        "AccessDenied",
        f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
        status=403,
    )


def _owner(resource: str) -> str | None:
    parts = arns.parse(resource)
    return parts.account if parts is not None and parts.account.isdigit() else None


def _sessions(texts: tuple[str, ...]) -> Sequence[Sequence[Statement]]:
    if not texts:
        return ()
    try:
        # Several session policies together allow what any of them allows; a deny in one of them denies.
        return (tuple(statement for text in texts for statement in compile_document(text)),)
    except PolicyError:  # checked when the session was made; a row from elsewhere allows nothing
        return ((),)
