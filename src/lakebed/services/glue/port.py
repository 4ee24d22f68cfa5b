"""The catalog for Athena, Firehose and the console, with the acting principal's permissions. Implements ports.catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.catalog import Partition, Table
from lakebed.ports.house import Ports
from lakebed.services.glue import pattern
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.model import folded
from lakebed.services.glue.provider.tables import error_detail

_PAGE = 1000


class GlueCatalog:
    """Implements ``lakebed.ports.catalog.Catalog``."""

    def __init__(self, catalogue: Catalogue, p: Ports) -> None:
        self._catalogue, self.p = catalogue, p

    def database(self, principal: Principal, scope: Scope, name: str) -> Mapping[str, Any]:
        """See the port."""
        self._allow(principal, scope, "GetDatabase", name)
        return self._catalogue.database(scope, name).shown()

    def databases(self, principal: Principal, scope: Scope) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        self._allow(principal, scope, "GetDatabases")
        found: list[Mapping[str, Any]] = []
        while page := self._catalogue.databases.after(scope, found[-1]["Name"] if found else "", _PAGE):
            found += [database.shown() for database in page]
        return found

    def table(self, principal: Principal, scope: Scope, database: str, name: str) -> Table:
        """See the port."""
        self._allow(principal, scope, "GetTable", database, name)
        return self._catalogue.table(scope, database, name).shown()

    def tables(self, principal: Principal, scope: Scope, database: str, *, expression: str = "") -> Sequence[Table]:
        """See the port."""
        try:
            matches = pattern.compile_pattern(expression or "*")
        except pattern.PatternError as wrong:
            raise api.InvalidInputException(f"Invalid expression: {wrong}") from None
        self._allow(principal, scope, "GetTables", database)
        home, found = self._catalogue.database(scope, database), list[Table]()
        while page := self._catalogue.tables.after(scope, home.name, found[-1]["Name"] if found else "", _PAGE):
            found += [table.shown() for table in page]
        return [table for table in found if matches(table["Name"])] if expression else found

    def partitions(
        self, principal: Principal, scope: Scope, database: str, table: str, *, expression: str | None = None
    ) -> Sequence[Partition]:
        """See the port."""
        self._allow(principal, scope, "GetPartitions", database, table)
        found = self._catalogue.table(scope, database, table)
        store = self._catalogue.partitions
        if expression is None:
            return [partition.shown(found) for partition in store.all_of(found)]
        keys = self._catalogue.find_partitions(found, expression)
        return [partition.shown(found) for partition in store.load(found, keys)]

    def create_database(self, principal: Principal, scope: Scope, database: Mapping[str, Any]) -> None:
        """See the port."""
        self._allow(principal, scope, "CreateDatabase", database["Name"])
        self._catalogue.create_database(scope, database, {})

    def delete_database(self, principal: Principal, scope: Scope, name: str) -> None:
        """See the port."""
        self._allow(principal, scope, "DeleteDatabase", name)
        self._catalogue.delete_database(scope, name)

    def create_table(self, principal: Principal, scope: Scope, database: str, table: Mapping[str, Any]) -> None:
        """See the port."""
        self._allow(principal, scope, "CreateTable", database, table["Name"])
        self._catalogue.create_table(scope, database, table, principal.arn)

    def update_table(
        self,
        principal: Principal,
        scope: Scope,
        database: str,
        table: Mapping[str, Any],
        *,
        version: str | None = None,
    ) -> None:
        """See the port."""
        self._allow(principal, scope, "UpdateTable", database, table["Name"])
        self._catalogue.update_table(scope, database, table, version=version)

    def delete_table(self, principal: Principal, scope: Scope, database: str, name: str) -> None:
        """See the port."""
        self._allow(principal, scope, "DeleteTable", database, name)
        self._catalogue.delete_table(scope, database, name)

    def add_partitions(
        self, principal: Principal, scope: Scope, database: str, table: str, partitions: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        """See the port; any number of partitions, in one transaction."""
        self._allow(principal, scope, "BatchCreatePartition", database, table)
        found, errors = self._catalogue.table(scope, database, table), []
        with self._catalogue.k.db.tx():
            for given in partitions:
                try:
                    self._catalogue.create_partition(found, given, "BatchCreatePartition")
                except api.AlreadyExistsException as wrong:
                    errors.append({"PartitionValues": given["Values"], "ErrorDetail": error_detail(wrong)})
        return errors

    def update_partition(
        self,
        principal: Principal,
        scope: Scope,
        database: str,
        table: str,
        values: Sequence[str],
        partition: Mapping[str, Any],
    ) -> None:
        """See the port."""
        self._allow(principal, scope, "UpdatePartition", database, table)
        found = self._catalogue.table(scope, database, table)
        self._catalogue.update_partition(found, values, partition, "UpdatePartition")

    def delete_partitions(
        self, principal: Principal, scope: Scope, database: str, table: str, values: Sequence[Sequence[str]]
    ) -> None:
        """See the port; absent partitions are passed over."""
        self._allow(principal, scope, "BatchDeletePartition", database, table)
        found = self._catalogue.table(scope, database, table)
        with self._catalogue.k.db.tx() as tx:
            for one in values:
                self._catalogue.partitions.delete(tx, found, one)

    def _allow(self, principal: Principal, scope: Scope, action: str, database: str = "", table: str = "") -> None:
        """The permission on the catalog, the database and the table, as the API asks it."""
        resources = ["catalog"]
        if database:
            resources.append(f"database/{folded(database)}")
        if table:
            resources.append(f"table/{folded(database)}/{folded(table)}")
        for resource in resources:
            self.p.identity.authorise(principal, f"glue:{action}", scope.arn("glue", resource))
