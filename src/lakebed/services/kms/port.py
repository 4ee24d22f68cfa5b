"""KMS for other services: envelope encryption on behalf of their callers. Implements ports.keys."""

from __future__ import annotations

from collections.abc import Mapping

from lakebed.api import kms as api
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.keys import DataKey
from lakebed.services.kms import model
from lakebed.services.kms.keyring import Ask, Asking, Keyring
from lakebed.services.kms.model import AWS_MANAGED, Key, Named

_DATA_KEY_BYTES = 32


class KmsKeys:
    """Implements ``lakebed.ports.keys.Keys``."""

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    def key_arn(self, principal: Principal, scope: Scope, key: str) -> str:  # noqa: ARG002 - nothing is asked of anyone
        """See the port."""
        who = self._named(scope, key)
        found = self._ring.find(who)
        if found is None:
            raise api.NotFoundException(
                f"Alias {who.arn} is not found." if who.alias else f"Key '{who.arn}' does not exist"
            )
        _check(found, "GenerateDataKey")
        return found.arn

    def generate_data_key(
        self, principal: Principal, scope: Scope, key: str, *, context: Mapping[str, str], via: str
    ) -> DataKey:
        """See the port."""
        asking = Asking(principal, scope, via=via)
        found = self._ring.require(asking, self._named(scope, key), Ask("GenerateDataKey", context))
        _check(found, "GenerateDataKey")
        plaintext = self._ring.k.ids.secret(_DATA_KEY_BYTES)
        return DataKey(found.arn, plaintext, self._ring.seal(found, plaintext, context)[0])

    def decrypt(
        self, principal: Principal, scope: Scope, ciphertext: bytes, *, context: Mapping[str, str], via: str
    ) -> bytes:
        """See the port."""
        key, sealed = self._ring.sealer(scope.region, ciphertext)
        self._ring.authorise(Asking(principal, scope, via=via), key, Ask("Decrypt", context))
        _check(key, "Decrypt")
        return self._ring.open(key, sealed, context)[0]

    def _named(self, scope: Scope, key: str) -> Named:
        who = model.named(scope, key)
        service = who.alias.removeprefix(AWS_MANAGED)
        if service != who.alias and who.scope == scope and service.isalnum() and len(service) <= 32:
            self._ring.managed(scope, service)
        return who


def _check(key: Key, action: str) -> None:
    model.check_usable(key)
    model.check_use(key, model.ENCRYPT, action, model.SYMMETRIC)
