"""What a crawl found goes into the catalog, by the schema change policy and with the role's permissions.

``UpdateBehavior`` decides over tables whose columns changed, ``DeleteBehavior`` over tables and partitions this crawler made
whose files are gone. New tables and partitions are added in any case. What another writer changed meanwhile is looked at
again. https://docs.aws.amazon.com/glue/latest/dg/crawler-schema-changes-prevent.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal
from lakebed.ports.house import Ports
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.crawlers import tables
from lakebed.services.glue.crawlers.configuration import Configuration
from lakebed.services.glue.crawlers.grouping import Group
from lakebed.services.glue.crawlers.model import Crawler, Outcome
from lakebed.services.glue.model import Partition, Table, folded

Body = dict[str, Any]
Tell = Callable[[str], None]
_TABLE_MEMBERS = ("Owner", "Retention", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters", "Description")


class Publisher:
    """The catalog of one crawl."""

    def __init__(self, catalogue: Catalogue, p: Ports, crawler: Crawler, principal: Principal, tell: Tell) -> None:
        self._k: Kernel = catalogue.k
        self._catalogue, self._p, self._crawler, self._principal, self._tell = catalogue, p, crawler, principal, tell
        self._policy: Mapping[str, str] = crawler.body["SchemaChangePolicy"]
        self.outcome = Outcome()
        self.found: set[tuple[str, str]] = set()

    @property
    def database(self) -> str:
        """Where tables go."""
        return folded(self._crawler.body.get("DatabaseName", ""))

    def known(self, database: str) -> dict[str, Table]:
        """The tables of a database by their path."""
        self._ask("GetTables", database)
        made: dict[str, Table] = {}
        after = ""
        while page := self._catalogue.tables.after(self._crawler.scope, database, after, 1000):
            for table in page:
                made[_path(table.body)] = table
            after = page[-1].name
        return made

    def ensure_database(self) -> None:
        """The crawler makes the database where there is none."""
        scope, name = self._crawler.scope, self.database
        if self._catalogue.databases.find(scope, name) is None:
            self._ask("CreateDatabase", name)
            self._catalogue.create_database(scope, {"Name": name}, {})

    def table(self, group: Group, configuration: Configuration, extra: Mapping[str, str]) -> None:
        """Create or update the table of a group."""
        known = self.known(self.database)
        present = known.get(group.path.rstrip("/"))
        names = {table.name for table in known.values()}
        name = present.name if present else tables.name_of(group.path, self._crawler.body.get("TablePrefix", ""), names)
        self.put(self.database, present, tables.table_input(name, group, self._crawler.name, extra), configuration)
        self.partitions(self.database, name, group, configuration)

    def put(self, database: str, present: Table | None, made: Body, configuration: Configuration) -> None:
        """One table, as new as the policy allows."""
        self.found.add((database, made["Name"]))
        if present is None:
            self._ask("CreateTable", database, made["Name"])
            self._catalogue.create_table(self._crawler.scope, database, made, self._principal.arn)
            self.outcome.created += 1
            self._tell(f"INFO : Created table {made['Name']} in database {database}")
            return
        made = _adapted(present, made, configuration)
        if self._policy["UpdateBehavior"] == "LOG" and not configuration.merge_columns:
            if _changed(present.body, made):
                self._tell(f"INFO : Schema change of table {made['Name']} in database {database} was logged, not made")
            return
        if _plain(present.body) == _plain(made):
            return
        self._ask("UpdateTable", database, made["Name"])
        changed = _changed(present.body, made)
        self._catalogue.update_table(self._crawler.scope, database, made, version=str(present.version), archive=changed)
        if changed:
            self.outcome.updated += 1
            self._tell(f"INFO : Updated table {made['Name']} in database {database}")

    def partitions(self, database: str, name: str, group: Group, configuration: Configuration) -> None:
        """Those of a group: new ones are added, changed ones updated, lost ones treated by the policy."""
        table = self._catalogue.table(self._crawler.scope, database, name)
        if len(group.keys) != len(table.keys) or not group.keys:
            return
        present = {tuple(one.values): one for one in self._catalogue.partitions.all_of(table)}
        keys = [key for key, _ in table.keys]
        for leaf in group.leaves:
            made = tables.partition_input(leaf, keys)
            if configuration.inherit:
                made = _inheriting(made, table)
            self._partition(table, present.get(leaf.values), made)
        if self._crawler.body["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_EVERYTHING":
            found = {leaf.values for leaf in group.leaves}
            for values, lost in present.items():
                if values not in found:
                    self._lost_partition(table, lost)

    def _partition(self, table: Table, present: Partition | None, made: Body) -> None:
        if present is None:
            self._ask("BatchCreatePartition", table.database, table.name)
            self._catalogue.create_partition(table, made, "BatchCreatePartition")
            self.outcome.partitions_created += 1
        elif self._policy["UpdateBehavior"] != "LOG" and _plain(present.body) != _plain(made):
            self._ask("UpdatePartition", table.database, table.name)
            self._catalogue.update_partition(table, present.values, made, "UpdatePartition")
            self.outcome.partitions_updated += _changed(present.body, made)

    def _lost_partition(self, table: Table, lost: Partition) -> None:
        behaviour = self._policy["DeleteBehavior"]
        if behaviour == "DELETE_FROM_DATABASE":
            self._ask("BatchDeletePartition", table.database, table.name)
            self._catalogue.delete_partition(table, lost.values)
            self.outcome.partitions_deleted += 1
        elif behaviour == "DEPRECATE_IN_DATABASE" and not _deprecated(lost.body):
            self._ask("UpdatePartition", table.database, table.name)
            made = {**lost.body, "Values": lost.values, "Parameters": self._marked(lost.body)}
            self._catalogue.update_partition(table, lost.values, made, "UpdatePartition")
        elif behaviour == "LOG":
            self._tell(f"INFO : Partition {lost.values} of table {table.name} is gone; logged, not removed")

    def lost(self, prefixes: Collection[str]) -> None:
        """Tables of this crawler below its targets whose files are gone."""
        for path, table in self.known(self.database).items():
            mine = (table.body.get("Parameters") or {}).get("UPDATED_BY_CRAWLER") == self._crawler.name
            below = any(f"{path}/".startswith(prefix) for prefix in prefixes)
            if mine and below and (table.database, table.name) not in self.found:
                self.lost_table(table)

    def lost_table(self, table: Table) -> None:
        """As the delete behaviour says."""
        behaviour = self._policy["DeleteBehavior"]
        if behaviour == "DELETE_FROM_DATABASE":
            self._ask("DeleteTable", table.database, table.name)
            self._catalogue.delete_table(self._crawler.scope, table.database, table.name)
            self.outcome.deleted += 1
            self._tell(f"INFO : Deleted table {table.name} from database {table.database}")
        elif behaviour == "DEPRECATE_IN_DATABASE" and not _deprecated(table.body):
            self._ask("UpdateTable", table.database, table.name)
            made = {**table.body, "Name": table.name, "Parameters": self._marked(table.body)}
            self._catalogue.update_table(self._crawler.scope, table.database, made, version=str(table.version))
            self.outcome.updated += 1
            self._tell(f"INFO : Deprecated table {table.name} in database {table.database}")
        elif behaviour == "LOG":
            self._tell(f"INFO : The data of table {table.name} are gone; logged, not removed")

    def _marked(self, body: Mapping[str, Any]) -> Body:
        return {**(body.get("Parameters") or {}), "DEPRECATED_BY_CRAWLER": str(round(self._k.clock.now() * 1000))}

    def _ask(self, action: str, database: str, table: str = "") -> None:
        resources = ["catalog", f"database/{database}", *([f"table/{database}/{folded(table)}"] if table else [])]
        for resource in resources:
            self._p.identity.authorise(self._principal, f"glue:{action}", self._crawler.scope.arn("glue", resource))


def _path(body: Mapping[str, Any]) -> str:
    location = str((body.get("StorageDescriptor") or {}).get("Location", ""))
    return location.partition("://")[2].rstrip("/") or location


def _deprecated(body: Mapping[str, Any]) -> bool:
    return "DEPRECATED_BY_CRAWLER" in (body.get("Parameters") or {})


def _adapted(present: Table, made: Body, configuration: Configuration) -> Body:
    """What an update keeps of the table: other writers' parameters, its keys, and all its columns where new ones merge."""
    gone = {
        "DEPRECATED_BY_CRAWLER",
        *(() if made["Parameters"].get("skip.header.line.count") else ("skip.header.line.count",)),
    }
    kept = {key: value for key, value in (present.body.get("Parameters") or {}).items() if key not in gone}
    made = {**made, "Parameters": {**kept, **made["Parameters"]}}
    for member in ("Owner", "Retention", "Description"):
        if member in present.body:
            made[member] = present.body[member]
    if len(made["PartitionKeys"]) == len(present.keys):
        made["PartitionKeys"] = list(present.body.get("PartitionKeys") or ())
    storage = present.body.get("StorageDescriptor") or {}
    if configuration.merge_columns:
        old = list(storage.get("Columns") or ())
        names = {column["Name"] for column in old} | {key for key, _ in present.keys}
        new = [column for column in made["StorageDescriptor"]["Columns"] if column["Name"] not in names]
        made["StorageDescriptor"] = {**made["StorageDescriptor"], "Columns": old + new}
    return made


def _inheriting(made: Body, table: Table) -> Body:
    own = made["StorageDescriptor"]
    taken = ("Columns", "InputFormat", "OutputFormat", "SerdeInfo")
    storage = table.body["StorageDescriptor"]
    return {**made, "StorageDescriptor": {**own, **{name: storage[name] for name in taken if name in storage}}}


def _plain(body: Mapping[str, Any]) -> Body:
    """What counts when two definitions are compared."""
    return {member: body.get(member) for member in _TABLE_MEMBERS if body.get(member)}


def _changed(present: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether columns, keys, place or format differ, not only counts."""

    def schema(body: Mapping[str, Any]) -> Sequence[Any]:
        storage = body.get("StorageDescriptor") or {}
        columns = [(column["Name"], column.get("Type")) for column in storage.get("Columns") or ()]
        keys = [(key["Name"], key.get("Type")) for key in body.get("PartitionKeys") or ()]
        return columns, keys, storage.get("Location"), (storage.get("SerdeInfo") or {}).get("SerializationLibrary")

    return schema(present) != schema(made) or _deprecated(present) != _deprecated(made)
