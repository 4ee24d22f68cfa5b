"""From the tables a statement names to the files it reads, always as the caller: catalogue and objects decide.

https://docs.aws.amazon.com/athena/latest/ug/partitions.html, .../tables-location-format.html (keys whose name begins with
``_`` or ``.`` are hidden).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.lake import formats, location
from lakebed.lake.sql.places import shown, split
from lakebed.ports.house import Ports
from lakebed.ports.sql import DataFile, Relation, SqlFailure, TableName
from lakebed.services.athena import projection
from lakebed.services.athena.federation.relations import FederatedRelations
from lakebed.services.athena.iceberg_relations import IcebergRelations
from lakebed.services.athena.inline import Inline, partitions_of

_VIEW_PREFIX, _VIEW_SUFFIX = "/* Presto View: ", " */"
_FILES_MAX = 100_000
_NAMES_TABLES = re.compile("from|join|table", re.IGNORECASE)
_VIEW_DEPTH_MAX = 10


class Resolver:
    """One statement's tables."""

    def __init__(
        self, p: Ports, principal: Principal, scope: Scope, now: float = 0.0, *, scratch: Path = Path("/nonexistent")
    ) -> None:
        self.iceberg = IcebergRelations(p, principal, scratch)
        self._inline = Inline(p, principal, scope)
        self.federated: FederatedRelations | None = None  # where a statement may name other data sources
        self.injected: set[tuple[str, str]] = set()  # tables whose partitions stand in the query alone
        self._p, self._principal, self._scope, self._now = p, principal, scope, now
        self.tables: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._partitions: dict[tuple[str, str], list[Mapping[str, Any]]] = {}

    def table(self, database: str, name: str) -> Mapping[str, Any]:
        """A table as the catalogue has it; TABLE_NOT_FOUND otherwise."""
        place, database = database, split(database)[1]
        try:
            return self._p.catalog.table(self._principal, self._scope, database, name)
        except AwsError as wrong:
            if wrong.error_code == "EntityNotFoundException":
                raise SqlFailure(
                    "TABLE_NOT_FOUND", f"line 1:15: Table '{shown(place)}.{name}' does not exist"
                ) from None
            raise

    async def relations(self, sql: str, database: str) -> list[Relation]:
        """The relations of a query and of the views in it, without files yet: partitions with their values."""
        found: dict[tuple[str, str], Relation] = {}
        await self._collect(sql, database, found, 0)
        return list(found.values())

    async def _collect(self, sql: str, database: str, found: dict[tuple[str, str], Relation], depth: int) -> None:
        if not _NAMES_TABLES.search(sql):
            return  # SELECT 1: one question to the engine less; what is no query at all, running it tells.
        if depth > _VIEW_DEPTH_MAX:
            raise SqlFailure("VIEW_IS_RECURSIVE", "Views are nested too deeply")
        for named in await self._p.sql.references(sql, database=database):
            key = (named.database, named.name + named.version)
            if key in found:
                continue
            if self.federated is None and split(named.database)[0]:
                raise SqlFailure("NOT_SUPPORTED", "tables of other data catalogs are not looked into here")
            if self.federated is not None and (other := await self.federated.of(named)) is not None:
                found[key] = other
                continue
            inline = self._inline.information_schema(named)
            relation = found[key] = inline or await self.iceberg.of(named, self.table) or self._relation(named)
            if relation.view_sql:
                await self._collect(relation.view_sql, relation.view_database, found, depth + 1)

    def _relation(self, named: TableName) -> Relation:
        if named.name.endswith("$partitions"):
            table = self.table(named.database, named.name.removesuffix("$partitions"))
            return partitions_of(
                named, pairs(table.get("PartitionKeys", [])), self._partitions_of(named.database, table)
            )
        table = self.table(named.database, named.name)
        self.tables[named.database, named.name] = table
        columns = pairs(table.get("StorageDescriptor", {}).get("Columns", []))
        if table.get("TableType") == "VIRTUAL_VIEW":
            view = view_of(table)
            return Relation(
                named.database, named.name, columns, view_sql=view["originalSql"], view_database=view["schema"]
            )
        form, options = formats.reading(table)
        keys = pairs(table.get("PartitionKeys", []))
        partitions = self._partitions_of(named.database, table) if keys else []
        self._partitions[named.database, named.name] = partitions
        values = [tuple(_value(value) for value in partition["Values"]) for partition in partitions]
        return Relation(named.database, named.name, columns, keys, values, format=form, options=options)

    def _partitions_of(self, database: str, table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        if not projection.enabled(table):
            found = self._p.catalog.partitions(self._principal, self._scope, split(database)[1], table["Name"])
            return list(found)
        keys = [name for name, _ in pairs(table.get("PartitionKeys", []))]
        if projection.injected(table, keys):
            self.injected.add((database, table["Name"].lower()))
            return []
        return list(projection.partitions(table, keys, self._now))

    def with_injected(
        self, relations: Sequence[Relation], constants: Sequence[Mapping[str, Sequence[str]]]
    ) -> list[Relation]:
        """The relations with the partitions that the query's own values name."""
        made = []
        for relation, values in zip(relations, constants, strict=True):
            key = (relation.database, relation.name)
            if key in self.injected:
                keys = [name.lower() for name, _ in relation.partition_columns]
                found = projection.partitions(self.tables[key], keys, self._now, values)
                self._partitions[key] = list(found)
                listed = [tuple(_value(value) for value in partition["Values"]) for partition in found]
                relation = dataclasses.replace(relation, partitions=listed)
            made.append(relation)
        return made

    async def files(self, relation: Relation, kept: Sequence[int]) -> Relation:
        """The relation with the files of the partitions that are left."""
        if relation.view_sql or relation.files or relation.catalog or relation.format in ("iceberg", "rows"):
            return relation
        table = self.tables[relation.database, relation.name]
        if not relation.partition_columns:
            places: list[tuple[int, Mapping[str, Any]]] = [(-1, table)]
        else:
            partitions = self._partitions[relation.database, relation.name]
            places = [(at, partitions[at]) for at in kept]
        files: list[DataFile] = []
        for at, place in places:
            files += await self._listed(place["StorageDescriptor"].get("Location", ""), relation.format, at)
            if len(files) > _FILES_MAX:
                raise SqlFailure("NOT_SUPPORTED", f"more than {_FILES_MAX} files in one table are not built")
        return dataclasses.replace(relation, files=files)

    async def _listed(self, text: str, form: str, partition: int) -> list[DataFile]:
        if not text:
            raise SqlFailure("HIVE_METASTORE_ERROR", "Table storage descriptor is missing its location")
        bucket, prefix = location.directory(text)
        found: list[DataFile] = []
        async for info in objects_under(self._p, self._principal, bucket, prefix, reading=True):
            name = info.key[len(prefix) :]
            if not info.size or any(part.startswith(("_", ".")) for part in name.split("/")):
                continue
            found.append(
                DataFile(
                    str(info.path),
                    info.size,
                    formats.compression(form, info.key),
                    partition,
                    location=f"s3://{bucket}/{info.key}",
                    modified=info.modified,
                )
            )
        return found


async def objects_under(p: Ports, principal: Principal, bucket: str, prefix: str, *, reading: bool = False) -> Any:
    """Every object under a prefix, page by page; ``reading``: each of them may be read as well as listed."""
    after = ""
    while page := await p.objects.list(principal, bucket, prefix, after=after, limit=1000, reading=reading):
        for info in page:
            yield info
        after = page[-1].key
        if len(page) < 1000:
            return


def pairs(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Glue's columns as (name, type)."""
    return [(column["Name"].lower(), column.get("Type", "string")) for column in columns]


def view_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """A view's definition out of Presto's comment."""
    text = table.get("ViewOriginalText", "")
    try:
        if not text.startswith(_VIEW_PREFIX):
            raise ValueError("no Presto view")  # noqa: TRY301 - one message for all of them
        found = msgspec.json.decode(base64.b64decode(text[len(_VIEW_PREFIX) : -len(_VIEW_SUFFIX)]))
        sql, schema = found["originalSql"], found.get("schema") or table["DatabaseName"]
        if not isinstance(sql, str) or not isinstance(schema, str):
            raise TypeError("no Presto view")  # noqa: TRY301 - one message for all of them
        return {"originalSql": sql, "schema": schema}
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise SqlFailure("INVALID_VIEW", f"View {table.get('Name')} cannot be read") from None


def view_text(sql: str, database: str, columns: Sequence[tuple[str, str]]) -> str:
    """A view's definition as Presto's comment."""
    body = {
        "originalSql": sql,
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [{"name": name, "type": kind} for name, kind in columns],
    }
    return _VIEW_PREFIX + base64.b64encode(msgspec.json.encode(body)).decode() + _VIEW_SUFFIX


def _value(value: str) -> str | None:
    return None if value == "__HIVE_DEFAULT_PARTITION__" else value
