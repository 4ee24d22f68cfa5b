"""The keyring: finds the key a caller named, asks for the permission, opens its material and uses it.

Everything that touches plain key material goes through here. A decision is IAM's with the key's policy, which must allow
in any case, and with the grants that fit (``policy``). Material is opened from the database at each use: what DisableKey or
a deletion changed counts from the next call on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lakebed.api import kms as api
from lakebed.kernel.db import Tx
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.kernel.vault import Vault
from lakebed.ports.house import Ports
from lakebed.services.kms import ciphertext, model, policy
from lakebed.services.kms.model import AWS_MANAGED, Alias, Key, Material, Named
from lakebed.services.kms.store import AliasStore, GrantStore, KeyStore

Facts = Mapping[str, str | Sequence[str]]
WORK_TASK = "kms:keys"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks from where; ``via`` the service that asks for its caller, ``facts`` the condition keys of the request."""

    principal: Principal
    scope: Scope
    facts: Facts = field(default_factory=dict)
    via: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked: the action, its encryption context (None: it has none) and further condition keys."""

    action: str
    context: Mapping[str, str] | None = None
    facts: Facts = field(default_factory=dict)


class Keyring:
    """All keys of the house."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self.k, self.p = k, p
        self.keys, self.aliases, self.grants = KeyStore(k.db), AliasStore(k.db), GrantStore(k.db)
        self._vault = Vault(k.data / "kms.master.key", k.ids)

    # Finding

    def find(self, who: Named) -> Key | None:
        """The key something names. The aliases of services exist from their first use."""
        if not who.alias:
            return self.keys.find(who.scope, who.id)
        alias = self.aliases.find(who.scope, who.alias)
        if alias is not None:
            return self.keys.find(who.scope, alias.key)
        return None

    def managed(self, scope: Scope, service: str) -> Key:
        """The key AWS manages for a service in an account, made where it is missing."""
        name = AWS_MANAGED + service
        found = self.find(Named(scope, alias=name))
        if found is not None:
            return found
        now = self.k.clock.now()
        key = Key(
            scope, self.k.ids.uuid(), now, policy.managed_policy(scope, service), service=service,
            description=f"Default key that protects my data of {service} when no other key is defined",
        )  # fmt: skip
        key = model.with_rotation(key, now, 365)
        with self.k.db.tx() as tx:
            self.add(tx, key, self.k.ids.secret(32))
            self.aliases.put(tx, Alias(scope, name, key.id, now, now))
        return key

    def require(self, asking: Asking, who: Named, ask: Ask, *, own: bool = False) -> Key:
        """The key, once ``ask`` is allowed on it; ``own``: only the account's own keys."""
        key = self.find(who)
        if key is None:
            self.p.identity.authorise(asking.principal, f"kms:{ask.action}", who.arn, conditions=asking.facts)
            if who.alias:
                raise api.NotFoundException(f"Alias {who.arn} is not found.")
            raise api.NotFoundException(f"Key '{who.arn}' does not exist")
        self.authorise(asking, key, ask, alias=who.alias)
        if own and key.scope.account != asking.scope.account:
            raise api.NotFoundException(f"Key '{key.arn}' does not exist")
        return key

    def authorise(self, asking: Asking, key: Key, ask: Ask, *, alias: str = "") -> None:
        """Raise AccessDeniedException unless the key's policy, a grant and IAM together allow."""
        fitting = [grant for grant in self.grants.of_key(key) if grant.allows(ask.action, ask.context)]
        self.p.identity.authorise(
            asking.principal,
            f"kms:{ask.action}",
            key.arn,
            conditions=self._facts(asking, key, ask, alias),
            resource_policy=policy.with_grants(key.policy, ask.action, fitting),
            resource_account=key.scope.account,
            resource_rules=True,
        )

    def _facts(self, asking: Asking, key: Key, ask: Ask, alias: str) -> dict[str, str | Sequence[str]]:
        facts: dict[str, str | Sequence[str]] = {
            **asking.facts,
            **ask.facts,
            "kms:KeySpec": key.spec,
            "kms:KeyUsage": key.usage,
            "kms:KeyOrigin": "AWS_KMS",
            "kms:MultiRegion": "false",
            "kms:ResourceAliases": [one.name for one in self.aliases.after(key.scope, key.id, "", model.ALIASES_MAX)],
        }
        if asking.principal.kind != "service":  # a service's principal belongs to AWS, not to the account it works for
            facts["kms:CallerAccount"] = asking.principal.account
        if asking.via:
            facts["kms:ViaService"] = f"{asking.via}.{asking.scope.region}.amazonaws.com"
        if alias:
            facts["kms:RequestAlias"] = alias
        for name, value in key.tags.items():
            facts[f"aws:ResourceTag/{name}"] = value
        for name, value in (ask.context or {}).items():
            facts[f"kms:EncryptionContext:{name}"] = value
        if ask.context:
            facts["kms:EncryptionContextKeys"] = list(ask.context)
        return facts

    # Material

    def add(self, tx: Tx, key: Key, secret: bytes, cause: str = "") -> None:
        """Keep a key with the material of its newest version."""
        owner = self._owner(key, key.version)
        material_id = hashlib.sha256(f"{owner}\n".encode() + secret).hexdigest()
        sealed = self._vault.seal_bytes(secret, owner)
        self.keys.put(tx, key)
        self.keys.add_material(tx, key, Material(key.version, material_id, self.k.clock.now(), cause, sealed))
        tx.after_commit(self.poke)

    def poke(self) -> None:
        """A key's date may have changed."""
        self.k.tasks.poke(WORK_TASK)

    def material(self, key: Key, version: int | None = None) -> tuple[bytes, str]:
        """The plain material and its id."""
        found = self.keys.material(key, version or key.version)
        if found is None:
            raise _unreadable()
        return self._vault.open_bytes(found.sealed, self._owner(key, found.version)), found.id

    def _owner(self, key: Key, version: int) -> str:
        return f"{key.arn}/{version}"

    # Use

    def seal(self, key: Key, plaintext: bytes, context: Mapping[str, str]) -> tuple[bytes, str]:
        """A ciphertext under a symmetric key, and the id of the material."""
        secret, material_id = self.material(key)
        return ciphertext.encrypt(secret, key.id, key.version, plaintext, context, self.k.ids), material_id

    def sealer(self, region: str, blob: bytes) -> tuple[Key, ciphertext.Sealed]:
        """The key that made a ciphertext."""
        try:
            sealed = ciphertext.parse(blob)
        except ciphertext.BrokenError:
            raise _unreadable() from None
        key = self.keys.anywhere(region, sealed.key_id)
        if key is None:
            raise _unreadable()
        return key, sealed

    def open(self, key: Key, sealed: ciphertext.Sealed, context: Mapping[str, str]) -> tuple[bytes, str]:
        """What was encrypted, and the id of the material."""
        secret, material_id = self.material(key, sealed.version)
        try:
            return ciphertext.decrypt(secret, sealed, context), material_id
        except ciphertext.BrokenError:
            raise _unreadable() from None


def _unreadable() -> api.InvalidCiphertextException:
    """One message for all reasons: which it was is nobody's business."""
    return api.InvalidCiphertextException(
        "The ciphertext is damaged, of another key, or its encryption context differs."
    )
