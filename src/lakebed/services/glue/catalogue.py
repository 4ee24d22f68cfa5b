"""What happens in the catalog: the API and the port both come here.

Each method is one transaction. Finding partitions walks the key index: equal leading values narrow the walk, and where a
condition fails on the first keys the rest of that branch is jumped over, so a filter on the first keys of 100,000
partitions reads little more than what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.services.glue import model, predicate
from lakebed.services.glue.model import Body, Database, Function, Partition, Table, folded
from lakebed.services.glue.store import DatabaseStore, FunctionStore, PartitionStore, TableStore

DISCARD_TASK = "glue:discard"
_LAST = b"\xff"
_JUMP_AFTER = 16


class Catalogue:
    """All databases, tables, partitions and functions of the house."""

    def __init__(self, k: Kernel) -> None:
        self.k = k
        self.databases = DatabaseStore(k.db)
        self.tables = TableStore(k.db)
        self.partitions = PartitionStore(k.db)
        self.functions = FunctionStore(k.db)

    def database(self, scope: Scope, name: str) -> Database:
        """EntityNotFoundException where there is none."""
        found = self.databases.find(scope, folded(name))
        if found is None:
            raise api.EntityNotFoundException(f"Database {folded(name)} not found.")
        return found

    def create_database(self, scope: Scope, given: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """From a DatabaseInput."""
        name, body = model.database_body(given, "CreateDatabase")
        with self.k.db.tx() as tx:
            if self.databases.find(scope, name) is not None:
                raise api.AlreadyExistsException("Database already exists.")
            self.databases.put(tx, Database(scope, name, body, self.k.clock.now()))
            self.databases.set_tags(tx, scope, scope.arn("glue", f"database/{name}"), tags)

    def update_database(self, scope: Scope, name: str, given: Mapping[str, Any]) -> None:
        """A database keeps its name."""
        new_name, body = model.database_body(given, "UpdateDatabase")
        with self.k.db.tx() as tx:
            known = self.database(scope, name)
            if new_name != known.name:
                raise api.InvalidInputException("Database name cannot be changed.")
            self.databases.put(tx, msgspec.structs.replace(known, body=body))

    def delete_database(self, scope: Scope, name: str) -> None:
        """With everything in it."""
        with self.k.db.tx() as tx:
            known = self.database(scope, name)
            while tables := self.tables.after(scope, known.name, "", 1000):
                for table in tables:
                    self.tables.delete(tx, table)
            self.functions.delete_all(tx, scope, known.name)
            self.databases.delete(tx, scope, known.name)
            self.databases.set_tags(tx, scope, scope.arn("glue", f"database/{known.name}"), {})
            tx.after_commit(lambda: self.k.tasks.poke(DISCARD_TASK))

    def table(self, scope: Scope, database: str, name: str) -> Table:
        """EntityNotFoundException where there is none."""
        found = self.tables.find(scope, folded(database), folded(name))
        if found is None:
            self.database(scope, database)
            raise api.EntityNotFoundException("Entity Not Found")
        return found

    def create_table(self, scope: Scope, database: str, given: Mapping[str, Any], created_by: str) -> None:
        """From a TableInput."""
        name, body = model.table_body(given, "CreateTable")
        now = self.k.clock.now()
        with self.k.db.tx() as tx:
            home = self.database(scope, database)
            if self.tables.find(scope, home.name, name) is not None:
                raise api.AlreadyExistsException("Table already exists.")
            self.tables.insert(tx, Table(scope, home.name, name, 0, 0, body, now, now, created_by))

    def update_table(
        self, scope: Scope, database: str, given: Mapping[str, Any], *, version: str | None = None, archive: bool = True
    ) -> None:
        """Replace a table's definition, if it is still at ``version`` where one is given."""
        name, body = model.table_body(given, "UpdateTable")
        with self.k.db.tx() as tx:
            known = self.table(scope, database, name)
            if version is not None and version != str(known.version):
                raise api.ConcurrentModificationException("Update table failed due to concurrent modifications.")
            if len(body.get("PartitionKeys") or ()) != len(known.keys) and self._has_partitions(known):
                raise api.InvalidInputException(
                    "The number of partition keys of a table with partitions cannot change."
                )
            updated = msgspec.structs.replace(known, version=known.version + 1, body=body, updated=self.k.clock.now())
            self.tables.update(tx, updated, archive=archive)

    def delete_table(self, scope: Scope, database: str, name: str) -> None:
        """With its versions and partitions."""
        with self.k.db.tx() as tx:
            self.tables.delete(tx, self.table(scope, database, name))
            tx.after_commit(lambda: self.k.tasks.poke(DISCARD_TASK))

    def partition(self, table: Table, values: Sequence[str]) -> Partition:
        """EntityNotFoundException where there is none."""
        found = self.partitions.find(table, values)
        if found is None:
            raise api.EntityNotFoundException("Cannot find partition.")
        return found

    def create_partition(self, table: Table, given: Mapping[str, Any], operation: str) -> None:
        """From a PartitionInput."""
        values, body = model.partition_body(given, operation)
        model.check_values(table, values)
        with self.k.db.tx() as tx:
            if not self.partitions.insert(tx, table, Partition(values, body, self.k.clock.now())):
                raise api.AlreadyExistsException("Partition already exists.")

    def update_partition(self, table: Table, values: Sequence[str], given: Mapping[str, Any], operation: str) -> None:
        """Replace a partition, perhaps under other values."""
        new_values, body = model.partition_body(given, operation)
        model.check_values(table, new_values or values)
        with self.k.db.tx() as tx:
            known = self.partition(table, values)
            if not new_values or new_values == list(values):
                self.partitions.replace(tx, table, Partition(list(values), body, known.created))
                return
            self.partitions.delete(tx, table, values)
            if not self.partitions.insert(tx, table, Partition(new_values, body, known.created)):
                raise api.AlreadyExistsException("Partition already exists.")

    def delete_partition(self, table: Table, values: Sequence[str]) -> None:
        """EntityNotFoundException where there is none."""
        with self.k.db.tx() as tx:
            if not self.partitions.delete(tx, table, values):
                raise api.EntityNotFoundException("Partition not found.")

    def function(self, scope: Scope, database: str, name: str) -> Function:
        """EntityNotFoundException where there is none."""
        found = self.functions.find(scope, folded(database), folded(name))
        if found is None:
            self.database(scope, database)
            raise api.EntityNotFoundException("Function not found.")
        return found

    def create_function(self, scope: Scope, database: str, given: Mapping[str, Any]) -> None:
        """From a UserDefinedFunctionInput."""
        name, body = model.function_body(given)
        with self.k.db.tx() as tx:
            home = self.database(scope, database)
            if self.functions.find(scope, home.name, name) is not None:
                raise api.AlreadyExistsException("Function already exists.")
            self.functions.put(tx, Function(scope, home.name, name, body, self.k.clock.now()))

    def update_function(self, scope: Scope, database: str, name: str, given: Mapping[str, Any]) -> None:
        """Replace a function's definition; it keeps its name."""
        new_name, body = model.function_body({"FunctionName": name, **given})
        with self.k.db.tx() as tx:
            known = self.function(scope, database, name)
            if new_name != known.name:
                raise api.InvalidInputException("Function name cannot be changed.")
            self.functions.put(tx, msgspec.structs.replace(known, body=body))

    def delete_function(self, scope: Scope, database: str, name: str) -> None:
        """EntityNotFoundException where there is none."""
        with self.k.db.tx() as tx:
            self.functions.delete(tx, self.function(scope, database, name))

    def find_partitions(
        self, table: Table, expression: str | None, *, after: bytes = b"", limit: int | None = None
    ) -> list[bytes]:
        """Keys of the partitions an expression wants, in order, behind ``after``."""
        wanted = self._predicate(table, expression)
        prefix = model.encode_key(wanted.leading)
        found: list[bytes] = []
        with self.k.db.tx() as tx:
            start: bytes | None = max(after, prefix[:-1])  # just below the prefix: a key may equal it
            while start is not None:
                start = self._walk(tx, table, wanted, (start, prefix + _LAST), (found, limit))
        return found

    def _walk(
        self,
        tx: Any,
        table: Table,
        wanted: predicate.Predicate,
        between: tuple[bytes, bytes],
        collect: tuple[list[bytes], int | None],
    ) -> bytes | None:
        """Collect wanted keys; where to go on after a jump, None at the end."""
        found, limit = collect
        branch, failures = b"", 0
        for key in self.partitions.keys(tx, table, *between):
            values = model.decode_key(key)
            place = wanted.fails_at(values)
            if place is None:
                found.append(key)
                failures = 0
                if len(found) == limit:
                    return None
                continue
            if place == len(values) - 1:
                continue
            failures = failures + 1 if branch and key.startswith(branch) else 1
            branch = model.prefix_of(key, values, place)
            if failures >= _JUMP_AFTER:
                return branch + _LAST
        return None

    def _predicate(self, table: Table, expression: str | None) -> predicate.Predicate:
        if not expression or not expression.strip():
            return predicate.Predicate(())
        try:
            return predicate.parse(expression, table.keys)
        except predicate.PredicateError as wrong:
            raise api.InvalidInputException(str(wrong)) from None

    def _has_partitions(self, table: Table) -> bool:
        return bool(self.find_partitions(table, None, limit=1))


def without_columns(shown: Body) -> Body:
    """A partition as ExcludeColumnSchema wants it."""
    if shown.get("StorageDescriptor"):
        storage = {key: value for key, value in shown["StorageDescriptor"].items() if key != "Columns"}
        return {**shown, "StorageDescriptor": storage}
    return shown
