"""Connections with their secrets: passwords lie sealed beside the row and are opened for who may see them.

The master key is ``<data>/glue.master.key`` (``kernel/vault``), made when the first secret is sealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.kernel.vault import Vault
from lakebed.services.glue.crawlers.model import Connection
from lakebed.services.glue.crawlers.store import ConnectionStore

_SECRET = ("PASSWORD", "ENCRYPTED_PASSWORD")


class Connections:
    """The connections of the house."""

    def __init__(self, k: Kernel) -> None:
        self.k, self.store = k, ConnectionStore(k.db)
        self._vault: Vault | None = None

    def require(self, scope: Scope, name: str) -> Connection:
        """EntityNotFoundException where there is none."""
        found = self.store.find(scope, name)
        if found is None:
            raise api.EntityNotFoundException(f"Connection {name} not found.")
        return found

    def sealed(self, arn: str, properties: Mapping[str, str]) -> tuple[dict[str, str], bytes | None]:
        """Properties without secrets, and the secrets sealed."""
        secrets = {name: value for name, value in properties.items() if name in _SECRET}
        plain = {name: value for name, value in properties.items() if name not in _SECRET}
        if not secrets:
            return plain, None
        return plain, self._open_vault().seal(msgspec.json.encode(secrets).decode(), arn)

    def opened(self, connection: Connection) -> dict[str, str]:
        """All properties, with secrets."""
        properties: dict[str, str] = dict(connection.body["ConnectionProperties"])
        if connection.sealed is not None:
            properties |= msgspec.json.decode(self._open_vault().open(connection.sealed, connection.arn))
        return properties

    def shown(self, connection: Connection, *, hidden: bool) -> dict[str, Any]:
        """As GetConnection tells it."""
        properties = connection.body["ConnectionProperties"] if hidden else self.opened(connection)
        return {
            **connection.body, "Name": connection.name, "ConnectionProperties": properties,
            "CreationTime": connection.created, "LastUpdatedTime": connection.updated,
            "LastUpdatedBy": connection.updated_by, "Status": "READY", "ConnectionSchemaVersion": 1,
        }  # fmt: skip

    def _open_vault(self) -> Vault:
        if self._vault is None:
            self._vault = Vault(self.k.data / "glue.master.key", self.k.ids)
        return self._vault
