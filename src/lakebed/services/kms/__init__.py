"""AWS KMS: keys that never leave the house, and what is done with them. Real cryptography throughout.

Follows https://docs.aws.amazon.com/kms/latest/developerguide/overview.html. ``keyring`` finds a key, asks IAM with the
key's own policy and grants (``policy``), opens its sealed material and uses it (``ciphertext`` for symmetric keys,
``asymmetric`` for pairs and MACs); ``provider/`` is the API, ``port`` the same for other services: envelope encryption, with
an ``alias/aws/<service>`` key made at its first use. ``work`` deletes and rotates by the clock.

Material lies in the database sealed by ``<data>/kms.master.key`` (mode 0600, see ``kernel/vault``). A key that is disabled
or gone stops at once: nothing keeps plain material between calls.

Refused by name: imported material and custom key stores, keys of several regions, SM2, ML-DSA and Ed25519 specs, Nitro
enclaves (see docs/deviations/kms.md).
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.ports.service import Service, operations_of
from lakebed.services.kms.keyring import Keyring
from lakebed.services.kms.port import KmsKeys
from lakebed.services.kms.provider.aliases import AliasOperations
from lakebed.services.kms.provider.encryption import EncryptionOperations
from lakebed.services.kms.provider.grants import GrantOperations
from lakebed.services.kms.provider.keys import KeyOperations
from lakebed.services.kms.provider.rotation import RotationOperations
from lakebed.services.kms.provider.signing import SigningOperations
from lakebed.services.kms.work import KeyWork


def service(k: Kernel, p: Ports) -> Service:
    """Wire KMS; sets ``p.keys``."""
    k.db.migrate("kms", "lakebed.services.kms", k.clock)
    ring = Keyring(k, p)
    p.keys = KmsKeys(ring)
    providers = (
        KeyOperations(ring), AliasOperations(ring), GrantOperations(ring), EncryptionOperations(ring),
        SigningOperations(ring), RotationOperations(ring),
    )  # fmt: skip
    return Service("kms", operations_of(*providers, prefix="kms"), tasks=[KeyWork(ring)])
