"""The accounts that other programs' suites want: each with a root key, stored before the server starts."""

from __future__ import annotations

import io
from pathlib import Path

from lakebed.house import open_kernel
from lakebed.kernel.ids import RandomIds
from lakebed.kernel.settings import Settings
from lakebed.kernel.vault import Vault
from lakebed.ports.house import Ports
from lakebed.services import iam
from lakebed.services.iam.port import IamIdentity

# The suite's section: account, access key id, secret.
ACCOUNTS = {
    "s3 main": ("000000000000", "test", "test"),
    "s3 alt": ("111111111111", "ALTROOTKEY0000000001", "alt-secret"),
    "s3 tenant": ("222222222222", "TENANTROOTKEY0000001", "tenant-secret"),
    "iam": ("000000000000", "test", "test"),
    "iam root": ("333333333333", "IAMROOTKEY0000000001", "iam-root-secret"),
    "iam alt root": ("444444444444", "IAMALTROOTKEY0000001", "iam-alt-secret"),
}


def seed_accounts(data: Path) -> None:
    """Root keys of all accounts but the one that every house begins with."""
    k = open_kernel(data, Settings(), None, RandomIds(), io.StringIO())
    ports = Ports()
    iam.service(k, ports)
    vault = Vault(k.data / "iam.master.key", k.ids)
    assert isinstance(ports.identity, IamIdentity)
    for account, key, secret in ACCOUNTS.values():
        if key != "test":
            iam.seed_root(k, ports.identity, vault, (account, key, secret))
    k.segments.close()
    k.db.close()
