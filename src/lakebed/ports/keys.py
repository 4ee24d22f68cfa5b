"""Keys: KMS as other services use it. Built by services/kms.

Envelope encryption: a service asks for a data key under a KMS key, keeps the wrapped copy beside the ciphertext and asks
for the plain one again when it reads. The encryption context is bound to the wrapped key and must be the same each time.

https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#enveloping
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lakebed.kernel.scope import Principal, Scope


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key of 32 bytes, plain and wrapped, and the ARN of the key that wrapped it."""

    key_arn: str
    plaintext: bytes
    ciphertext: bytes


class Keys(Protocol):
    """A key is named by id, ARN, alias name (``alias/aws/s3``) or alias ARN. Errors are KMS's: NotFoundException,
    DisabledException, KMSInvalidStateException, AccessDeniedException, InvalidCiphertextException, IncorrectKeyException.

    ``via`` is the service that asks for its caller (``s3``): the condition key ``kms:ViaService`` sees it. The aliases
    ``alias/aws/<service>`` exist from their first use.
    """

    def key_arn(self, principal: Principal, scope: Scope, key: str) -> str:
        """The ARN of an enabled symmetric key; no permission is asked for."""
        ...

    def generate_data_key(
        self, principal: Principal, scope: Scope, key: str, *, context: Mapping[str, str], via: str
    ) -> DataKey:
        """As GenerateDataKey with AES_256: kms:GenerateDataKey for ``principal``."""
        ...

    def decrypt(
        self, principal: Principal, scope: Scope, ciphertext: bytes, *, context: Mapping[str, str], via: str
    ) -> bytes:
        """As Decrypt: kms:Decrypt for ``principal``. Each call looks at the key's present state: a key that was disabled a
        moment ago stops the read."""
        ...
