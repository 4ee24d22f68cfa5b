"""Catalog: the Glue Data Catalog as other services use it. Built by services/glue.

Tables and partitions are Glue's own API shapes (TypedDicts of ``lakebed.api.glue`` would tie this room to a service's
model; plain mappings with Glue's member names keep every member).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lakebed.kernel.scope import Principal, Scope

Table = Mapping[str, Any]
Partition = Mapping[str, Any]


class Catalog(Protocol):
    """Databases and tables are found case-insensitively. Missing ones raise EntityNotFoundException."""

    def database(self, principal: Principal, scope: Scope, name: str) -> Mapping[str, Any]:
        """One database."""
        ...

    def databases(self, principal: Principal, scope: Scope) -> Sequence[Mapping[str, Any]]:
        """All databases the caller may see."""
        ...

    def table(self, principal: Principal, scope: Scope, database: str, name: str) -> Table:
        """One table in Glue's shape, with StorageDescriptor, PartitionKeys, Parameters, TableType."""
        ...

    def tables(self, principal: Principal, scope: Scope, database: str, *, expression: str = "") -> Sequence[Table]:
        """The tables of a database whose names match a GetTables expression; InvalidInputException for one that is none."""
        ...

    def partitions(
        self, principal: Principal, scope: Scope, database: str, table: str, *, expression: str | None = None
    ) -> Sequence[Partition]:
        """Partitions, filtered by a GetPartitions expression."""
        ...

    def create_database(self, principal: Principal, scope: Scope, database: Mapping[str, Any]) -> None:
        """As CreateDatabase with this DatabaseInput."""
        ...

    def delete_database(self, principal: Principal, scope: Scope, name: str) -> None:
        """As DeleteDatabase."""
        ...

    def create_table(self, principal: Principal, scope: Scope, database: str, table: Mapping[str, Any]) -> None:
        """As CreateTable with this TableInput; AlreadyExistsException."""
        ...

    def update_table(
        self,
        principal: Principal,
        scope: Scope,
        database: str,
        table: Mapping[str, Any],
        *,
        version: str | None = None,
    ) -> None:
        """As UpdateTable with this TableInput; ConcurrentModificationException where the table's VersionId is no longer
        ``version`` (Iceberg's compare and swap)."""
        ...

    def delete_table(self, principal: Principal, scope: Scope, database: str, name: str) -> None:
        """As DeleteTable."""
        ...

    def add_partitions(
        self, principal: Principal, scope: Scope, database: str, table: str, partitions: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        """As BatchCreatePartition; returns its Errors."""
        ...

    def update_partition(
        self,
        principal: Principal,
        scope: Scope,
        database: str,
        table: str,
        values: Sequence[str],
        partition: Mapping[str, Any],
    ) -> None:
        """As UpdatePartition with this PartitionInput, whose Values may be others; EntityNotFoundException,
        AlreadyExistsException."""
        ...

    def delete_partitions(
        self, principal: Principal, scope: Scope, database: str, table: str, values: Sequence[Sequence[str]]
    ) -> None:
        """As BatchDeletePartition."""
        ...
