"""Keys, aliases and grants as values; what each key spec may do; how a key may be named.

https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id

A transition is a pure function of a key and the moment. A key that waits for its deletion does nothing else; a disabled
one may be looked at, named and tagged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from lakebed.api import kms as api
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope

DAY = 86_400.0
SYMMETRIC = "SYMMETRIC_DEFAULT"
ENCRYPT, SIGN, MAC, AGREE = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"
ENABLED, DISABLED, PENDING = "Enabled", "Disabled", "PendingDeletion"
AWS_MANAGED = "alias/aws/"
TAGS_MAX, ROTATIONS_ON_DEMAND_MAX, ALIASES_MAX, GRANTS_MAX = 50, 25, 50, 50_000
_RSA_ENCRYPTION = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
_RSA_SIGNING = tuple(f"{kind}_SHA_{bits}" for kind in ("RSASSA_PKCS1_V1_5", "RSASSA_PSS") for bits in (256, 384, 512))
_ALIAS = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}", re.ASCII)
_KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.ASCII)


class Spec(NamedTuple):
    """What keys of a spec may be used for, and the algorithms of each use."""

    uses: Mapping[str, tuple[str, ...]]


_RSA = Spec({ENCRYPT: _RSA_ENCRYPTION, SIGN: _RSA_SIGNING})
SPECS: Mapping[str, Spec] = {
    SYMMETRIC: Spec({ENCRYPT: (SYMMETRIC,)}),
    "RSA_2048": _RSA,
    "RSA_3072": _RSA,
    "RSA_4096": _RSA,
    "ECC_NIST_P256": Spec({SIGN: ("ECDSA_SHA_256",), AGREE: ("ECDH",)}),
    "ECC_NIST_P384": Spec({SIGN: ("ECDSA_SHA_384",), AGREE: ("ECDH",)}),
    "ECC_NIST_P521": Spec({SIGN: ("ECDSA_SHA_512",), AGREE: ("ECDH",)}),
    "ECC_SECG_P256K1": Spec({SIGN: ("ECDSA_SHA_256",)}),
    "HMAC_224": Spec({MAC: ("HMAC_SHA_224",)}),
    "HMAC_256": Spec({MAC: ("HMAC_SHA_256",)}),
    "HMAC_384": Spec({MAC: ("HMAC_SHA_384",)}),
    "HMAC_512": Spec({MAC: ("HMAC_SHA_512",)}),
}


class Key(msgspec.Struct, frozen=True):
    """A KMS key. ``service`` is set for a key that AWS manages for a service; ``rotation_days`` 0: it does not rotate."""

    scope: Scope
    id: str
    made: float
    policy: str
    spec: str = SYMMETRIC
    usage: str = ENCRYPT
    description: str = ""
    state: str = ENABLED
    service: str = ""
    tags: dict[str, str] = {}
    window_days: int = 0
    deletion: float = 0.0
    rotation_days: int = 0
    rotates: float = 0.0
    rotated_on_demand: int = 0
    version: int = 1

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("kms", f"key/{self.id}")

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What it may be used with."""
        return SPECS[self.spec].uses[self.usage]

    @property
    def due(self) -> float | None:
        """When something happens to it by itself."""
        if self.state == PENDING:
            return self.deletion
        return self.rotates or None


class Material(msgspec.Struct, frozen=True):
    """One version of a key's material, sealed; ``cause`` says how it came (AUTOMATIC, ON_DEMAND, empty for the first)."""

    version: int
    id: str
    made: float
    cause: str
    sealed: bytes


class Alias(msgspec.Struct, frozen=True):
    """A name for a key."""

    scope: Scope
    name: str
    key: str
    made: float
    changed: float

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("kms", self.name)


class Grant(msgspec.Struct, frozen=True):
    """A permission handed out for one key. ``subset`` and ``equals`` are its constraints on the encryption context."""

    id: str
    token: str
    made: float
    grantee: str
    issuer: str
    operations: tuple[str, ...]
    name: str = ""
    retiring: str = ""
    subset: dict[str, str] = {}
    equals: dict[str, str] = {}

    def allows(self, action: str, context: Mapping[str, str] | None) -> bool:
        """Whether it speaks for ``kms:<action>`` with an encryption context (None: the action has none)."""
        if action not in self.operations:
            return False
        if context is None:
            return not (self.subset or self.equals) or action in ("DescribeKey", "RetireGrant")
        if self.equals and dict(context) != self.equals:
            return False
        return all(context.get(name) == value for name, value in self.subset.items())


class Named(NamedTuple):
    """How a caller named a key: ``scope`` and either an id or an alias."""

    scope: Scope
    id: str = ""
    alias: str = ""

    @property
    def arn(self) -> str:
        """The ARN of what was named."""
        return self.scope.arn("kms", self.alias or f"key/{self.id}")


def named(scope: Scope, text: str, *, alias: bool = True) -> Named:
    """What ``text`` names: an id, an ARN, an alias or its ARN."""
    if text.startswith("arn:"):
        arn = parse(text)
        if arn is None or arn.service != "kms" or not arn.account.isdigit():
            raise api.InvalidArnException(f"Invalid arn {text[:256]}")
        if arn.region != scope.region:
            raise api.NotFoundException(f"Invalid arn {arn.region}")
        scope, text = Scope(arn.account, arn.region, arn.partition), arn.resource.removeprefix("key/")
    if text.startswith("alias/") and alias:
        return Named(scope, alias=text)
    if not _KEY_ID.fullmatch(text):
        raise api.NotFoundException(f"Invalid keyId '{text[:256]}'")
    return Named(scope, text)


def check_alias_name(name: str) -> None:
    """Raise unless a customer may use this alias name."""
    if not _ALIAS.fullmatch(name):
        if not name.startswith("alias/"):
            raise AwsError("ValidationException", "Alias must start with the prefix \"alias/\". Please see "
                           "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")  # fmt: skip
        raise api.InvalidAliasNameException("Alias contains invalid characters for an alias")
    if name.startswith(AWS_MANAGED):
        raise api.InvalidAliasNameException(f"The prefix {AWS_MANAGED} is reserved for keys that AWS manages")


def check_spec(spec: str, usage: str | None) -> str:
    """The usage of a new key of a spec."""
    uses = SPECS[spec].uses
    if usage is None:
        if spec != SYMMETRIC:
            raise invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
        usage = ENCRYPT
    if usage not in uses:
        raise invalid(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return usage


def invalid(message: str) -> AwsError:
    """ValidationException."""
    return AwsError("ValidationException", message)


def check_usable(key: Key) -> None:
    """Raise unless the key may do its work."""
    if key.state == DISABLED:
        raise api.DisabledException(f"{key.arn} is disabled.")
    check_not_pending(key)


def check_not_pending(key: Key) -> None:
    """Raise for a key that waits for its deletion."""
    if key.state == PENDING:
        raise api.KMSInvalidStateException(f"{key.arn} is pending deletion.")


def check_use(key: Key, usage: str, action: str, algorithm: str | None = None) -> None:
    """Raise unless the key is for this use, with this algorithm."""
    if key.usage != usage or (algorithm is not None and algorithm not in key.algorithms):
        what = f"key usage is {key.usage}" if key.usage != usage else f"key spec is {key.spec}"
        raise api.InvalidKeyUsageException(f"{key.arn} {what} which is not valid for {algorithm or action}.")


def with_state(key: Key, state: str) -> Key:
    """Enabled or disabled."""
    check_not_pending(key)
    return msgspec.structs.replace(key, state=state)


def scheduled(key: Key, now: float, days: int) -> Key:
    """Waiting for its deletion."""
    check_not_pending(key)
    return msgspec.structs.replace(key, state=PENDING, window_days=days, deletion=now + days * DAY)


def cancelled(key: Key, now: float) -> Key:
    """Kept after all; it comes back disabled, and what rotation was missed is made up for later."""
    if key.state != PENDING:
        raise api.KMSInvalidStateException(f"{key.arn} is not pending deletion.")
    rotates = max(key.rotates, now) if key.rotates else 0.0
    return msgspec.structs.replace(key, state=DISABLED, window_days=0, deletion=0.0, rotates=rotates)


def check_rotates(key: Key) -> None:
    """Raise for a key that cannot rotate."""
    if key.spec != SYMMETRIC:
        raise api.UnsupportedOperationException(f"{key.arn} is not a symmetric encryption key")


def with_rotation(key: Key, now: float, days: int) -> Key:
    """Rotated every ``days``, 0 for no more."""
    return msgspec.structs.replace(key, rotation_days=days, rotates=now + days * DAY if days else 0.0)


def rotated(key: Key, now: float, *, on_demand: bool) -> Key:
    """With a next version of its material. An automatic rotation sets the next date; one on demand leaves it."""
    if on_demand:
        if key.rotated_on_demand >= ROTATIONS_ON_DEMAND_MAX:
            raise api.LimitExceededException(f"{key.arn} was rotated on demand {ROTATIONS_ON_DEMAND_MAX} times.")
        return msgspec.structs.replace(key, version=key.version + 1, rotated_on_demand=key.rotated_on_demand + 1)
    return msgspec.structs.replace(key, version=key.version + 1, rotates=now + key.rotation_days * DAY)


def with_tags(tags: Mapping[str, str], added: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags with more of them."""
    merged = dict(tags)
    seen: set[str] = set()
    for tag in added:
        key, value = str(tag["TagKey"]), str(tag["TagValue"])
        if key.startswith("aws:"):
            raise api.TagException("aws: prefixed tag key names are not allowed for external use.")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise api.TagException("A tag key has 1 to 128 characters, a value up to 256.")
        if key in seen:
            raise api.TagException(f"Duplicate tag keys: {key}")
        seen.add(key)
        merged[key] = value
    if len(merged) > TAGS_MAX:
        raise api.TagException("Too many tags")
    return merged


def not_built_spec(operation: str, spec: str) -> AwsError:
    """501 for a spec that no library at hand makes."""
    return not_built("kms", operation, f"key spec {spec}")
