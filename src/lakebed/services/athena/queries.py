"""Statements the engine runs: SELECT, CREATE TABLE AS, INSERT INTO, UNLOAD; and CREATE VIEW, which it only describes.

Results and table files are written by the engine into a scratch directory and moved into S3 as the caller; a table is
registered only after its files are there, so a failure leaves no table and removes what it wrote.
https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html, .../insert-into.html, .../unload.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.lake import formats, location
from lakebed.lake.sql.places import place_of
from lakebed.lake.statements import Statement
from lakebed.ports.house import Ports
from lakebed.ports.sql import Output, OutputFile, ResultColumn, SqlFailure, SqlJob, SqlOutcome
from lakebed.services.athena import iceberg_commit, projection
from lakebed.services.athena.federation.opening import Opening
from lakebed.services.athena.federation.relations import FederatedRelations
from lakebed.services.athena.resolve import Resolver, objects_under, pairs, view_text

Body = dict[str, Any]
_COMMON = {"format", "external_location", "partitioned_by", "bucketed_by", "bucket_count", "write_compression",
           "parquet_compression", "orc_compression", "compression_level", "field_delimiter", "table_type",
           "is_external"}  # fmt: skip
_COMPRESSIONS = ("write_compression", "parquet_compression", "orc_compression", "compression", "write.compression",
                 "parquet.compression", "orc.compress")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """One execution at work: who runs it, where, over what."""

    k: Kernel
    p: Ports
    principal: Principal
    scope: Scope
    body: Body
    scratch: Path
    timeout_seconds: float
    remember: Callable[[Body], None]  # durable before it returns: what a run that is cut off leaves behind
    opening: Opening | None = None  # of other data catalogs; without it a statement may name Glue's alone

    @property
    def database(self) -> str:
        """The session's database, as a place where another data catalog is the session's."""
        context = self.body["context"]
        catalog = str(context.get("Catalog", ""))
        other = self.opening.find(self.scope, catalog) if self.opening is not None else None
        if other is not None and other["Type"] == "GLUE":
            catalog = ""
        return place_of(catalog, str(context.get("Database", "default")), "")

    async def prepared(
        self, sql: str, output: Output, *, pinned: Mapping[tuple[str, str], Any] | None = None, reading: bool = True
    ) -> SqlJob:
        """A job with its tables resolved, partitions pruned and files listed; ``pinned`` are Iceberg tables at the state
        a change is made over. Other data sources are read only where rows are wanted (``reading``)."""
        resolver = Resolver(self.p, self.principal, self.scope, self.k.clock.now(), scratch=self.scratch)
        if self.opening is not None:
            resolver.federated = FederatedRelations(self.p, self.opening, self.principal, self.scope, self.scratch)
        resolver.iceberg.pinned.update(pinned or {})
        relations = await resolver.relations(sql, self.database)
        job = SqlJob(
            id=self.body["id"], sql=sql, output=output, database=self.database, relations=relations,
            parameters=self.body.get("parameters", []), scanned_bytes_max=self.body.get("cutoff", 0),
            timeout_seconds=self.timeout_seconds, now=self.k.clock.now(),
        )  # fmt: skip
        if resolver.injected:
            relations = resolver.with_injected(relations, await self.p.sql.constants(job))
            job = dataclasses.replace(job, relations=relations)
        job = await resolver.iceberg.filled(job)
        if reading and resolver.federated is not None:
            job = await resolver.federated.filled(job)
        relations = list(job.relations)
        kept = await self.p.sql.prune(job) if any(relation.partition_columns for relation in relations) else None
        filled = [
            await resolver.files(relation, kept[at] if kept is not None else ())
            for at, relation in enumerate(relations)
        ]
        return dataclasses.replace(job, relations=filled)


async def select(work: Work, statement: Statement) -> Body:
    """SELECT: one CSV object exactly at the reported OutputLocation."""
    outcome = await work.p.sql.run(await work.prepared(statement.sql, Output(work.scratch)))
    bucket, key = location.parse(work.body["output"])
    await work.p.objects.put_file(
        work.principal, bucket, key, outcome.files[0].path, content_type="application/octet-stream"
    )
    return {**_finished(outcome), "columns": [described(column) for column in outcome.columns], "format": "csv"}


async def create_table_as(work: Work, statement: Statement) -> Body:
    """CTAS."""
    properties = {key.lower(): value for key, value in statement.facts["properties"].items()}
    _check(properties, _COMMON, "CREATE TABLE AS")
    _check_hive(properties)
    database = statement.database or work.database
    work.p.catalog.database(work.principal, work.scope, database)
    if _exists(work, database, statement.name):
        if statement.facts["if_not_exists"]:
            return {"rows": 0}
        raise SqlFailure(
            "TABLE_ALREADY_EXISTS", f"line 1:1: Table 'awsdatacatalog.{database}.{statement.name}' already exists"
        )
    form = properties.get("format", "PARQUET").upper()
    target = location.directory(properties.get("external_location") or f"{work.body['output']}/")
    await _empty(work, target)
    keys = [key.lower() for key in properties.get("partitioned_by", "").split("\x00") if key]
    delimiter = properties.get("field_delimiter", "\x01")
    output = _output(work, form, keys, properties, delimiter)
    sql = statement.sql if statement.facts["data"] else f"SELECT * FROM ({statement.sql}) WHERE false"  # noqa: S608 - compiled, not run
    job = await work.prepared(sql, output)
    described_columns = await work.p.sql.describe(job)
    columns = [(column.name, column.hive_type) for column in described_columns]
    if [name for name, _ in columns[len(columns) - len(keys) :]] != keys:
        raise SqlFailure("INVALID_TABLE_PROPERTY", "Partition keys must be the last columns in the table and in the same "
                         f"order as the table properties: {keys}")  # fmt: skip
    outcome = await work.p.sql.run(job)
    placed = await _place(work, outcome, target, keys, table=[database, statement.name])
    descriptor = {
        "Columns": [{"Name": name, "Type": kind} for name, kind in columns[: len(columns) - len(keys)]],
        "Location": str(target),
        **formats.of_format(form, delimiter),
        **(
            {"BucketColumns": list(output.bucketed_by), "NumberOfBuckets": output.bucket_count}
            if output.bucketed_by
            else {}
        ),
    }
    table = {
        "Name": statement.name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": descriptor,
        "PartitionKeys": [{"Name": name, "Type": kind} for name, kind in columns[len(columns) - len(keys) :]],
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false", "numFiles": "-1"},
    }  # fmt: skip
    try:
        work.p.catalog.create_table(work.principal, work.scope, database, table)
    except AwsError:
        await work.p.objects.delete(work.principal, target.bucket, [key for key, _ in placed])
        raise
    if keys:
        _register(work, database, statement.name, descriptor, target, keys, outcome.files)
    return {**_finished(outcome), "manifest": await _manifest(work, target.bucket, placed)}


async def insert(work: Work, statement: Statement) -> Body:
    """INSERT INTO an existing table: new files beside the old ones, new partitions registered."""
    database = statement.database or work.database
    table = Resolver(work.p, work.principal, work.scope).table(database, statement.name)
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise SqlFailure("NOT_SUPPORTED", "Inserting into views is not supported")
    form, options = formats.reading(table)
    written = {engine: name for name, engine in formats.WRITTEN.items()}
    if form not in written or table.get("Parameters", {}).get("skip.header.line.count", "0") not in ("0", ""):
        raise SqlFailure("NOT_SUPPORTED", "INSERT into a table of this format is not supported")
    descriptor = table["StorageDescriptor"]
    if descriptor.get("BucketColumns"):
        raise SqlFailure("NOT_SUPPORTED", "INSERT INTO is not supported on bucketed tables")
    own, keys = pairs(descriptor["Columns"]), pairs(table.get("PartitionKeys", []))
    names, parts = [name for name, _ in [*own, *keys]], [name for name, _ in keys]
    sql = _reordered(statement.sql, statement.facts["columns"], names)
    output = dataclasses.replace(
        _output(work, written[form], parts, options, options.get("field.delim", "\x01")), columns=[*own, *keys]
    )
    projected = projection.enabled(table)
    target = location.directory(descriptor["Location"])
    place = projection.placement(table, parts) if projected else None
    outcome = await work.p.sql.run(await work.prepared(sql, output))
    placed = await _place(work, outcome, target, parts, place=place)
    if keys and not projected:
        _register(work, database, statement.name, descriptor, target, parts, outcome.files)
    return {
        **_finished(outcome),
        "update_count": outcome.rows,
        "manifest": await _manifest(work, target.bucket, placed),
    }


def _reordered(sql: str, given: list[str], names: list[str]) -> str:
    """A query's columns in the table's order, NULL for those the statement does not name."""
    if not given or given == names:
        return sql
    unknown = [name for name in given if name not in names]
    if unknown or len(set(given)) != len(given):
        told = f"Insert column name does not exist in target table: {unknown[0]}" if unknown else "Insert column twice"
        raise SqlFailure("COLUMN_NOT_FOUND" if unknown else "DUPLICATE_COLUMN_NAME", f"line 1:1: {told}")
    listed = ", ".join(f"lb{given.index(name)}" if name in given else "NULL" for name in names)
    aliases = ", ".join(f"lb{at}" for at in range(len(given)))
    return f"SELECT {listed} FROM ({sql}) AS lb_insert ({aliases})"  # noqa: S608 - compiled, not run


async def unload(work: Work, statement: Statement) -> Body:
    """UNLOAD: files without a table."""
    properties = {key.lower(): value for key, value in statement.facts["properties"].items()}
    _check(properties, {"format", "partitioned_by", "compression", "field_delimiter"}, "UNLOAD")
    if "format" not in properties:
        raise SqlFailure("INVALID_TABLE_PROPERTY", "UNLOAD needs a format")
    target = location.directory(statement.facts["to"])
    await _empty(work, target)
    keys = [key.lower() for key in properties.get("partitioned_by", "").split("\x00") if key]
    output = _output(work, properties["format"].upper(), keys, properties, properties.get("field_delimiter", "\x01"))
    outcome = await work.p.sql.run(await work.prepared(statement.sql, output))
    placed = await _place(work, outcome, target, keys)
    return {
        **_finished(outcome),
        "update_count": outcome.rows,
        "manifest": await _manifest(work, target.bucket, placed),
    }


async def create_view(work: Work, statement: Statement) -> Body:
    """CREATE [OR REPLACE] VIEW, in Presto's format, as Athena keeps it in Glue."""
    database = statement.database or work.database
    columns = await work.p.sql.describe(await work.prepared(statement.sql, Output(work.scratch), reading=False))
    listed = [(column.name, column.hive_type) for column in columns]
    table = {
        "Name": statement.name, "TableType": "VIRTUAL_VIEW", "ViewExpandedText": "/* Presto View */",
        "ViewOriginalText": view_text(statement.sql, work.database, listed),
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "StorageDescriptor": {"Columns": [{"Name": name, "Type": kind} for name, kind in listed], "Location": "",
                              "SerdeInfo": {}},
        "PartitionKeys": [],
    }  # fmt: skip
    if _exists(work, database, statement.name):
        if not statement.facts["replace"]:
            raise SqlFailure(
                "TABLE_ALREADY_EXISTS", f"View already exists: 'awsdatacatalog.{database}.{statement.name}'"
            )
        work.p.catalog.update_table(work.principal, work.scope, database, table)
    else:
        work.p.catalog.create_table(work.principal, work.scope, database, table)
    return {}


def described(column: ResultColumn) -> Body:
    """ColumnInfo."""
    return {
        "CatalogName": "hive", "SchemaName": "", "TableName": "", "Name": column.name, "Label": column.name,
        "Type": column.type, "Precision": column.precision, "Scale": column.scale, "Nullable": "UNKNOWN",
        "CaseSensitive": column.case_sensitive,
    }  # fmt: skip


def _finished(outcome: SqlOutcome) -> Body:
    return {
        "rows": outcome.rows, "scanned": outcome.scanned_bytes, "planning_ms": round(outcome.planning_seconds * 1000),
        "output_bytes": sum(file.size for file in outcome.files), "plan": outcome.plan,
    }  # fmt: skip


def _exists(work: Work, database: str, name: str) -> bool:
    try:
        work.p.catalog.table(work.principal, work.scope, database, name)
    except AwsError as wrong:
        if wrong.error_code != "EntityNotFoundException":
            raise
        return False
    return True


def _check(properties: Mapping[str, str], known: set[str], what: str) -> None:
    for name in properties:
        if name not in known:
            raise SqlFailure("NOT_SUPPORTED", f"property {name} of {what} is not built in Lakebed")


def _check_hive(properties: Mapping[str, str]) -> None:
    """ICEBERG tables went another way before; Hive's are external."""
    if (kind := properties.get("table_type", "HIVE")).upper() != "HIVE":
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"table_type {kind} is neither HIVE nor ICEBERG")
    if properties.get("is_external", "true").lower() != "true":
        raise SqlFailure("INVALID_TABLE_PROPERTY", "HIVE tables must have is_external = true")


async def _empty(work: Work, target: location.Location) -> None:
    if await work.p.objects.list(work.principal, target.bucket, target.prefix, limit=1):
        raise SqlFailure("HIVE_PATH_ALREADY_EXISTS", f"Target directory for table already exists: {target}. "
                         "Choose another location or empty it.")  # fmt: skip


def _output(work: Work, form: str, keys: list[str], properties: Mapping[str, str], delimiter: str) -> Output:
    if form not in formats.WRITTEN:
        raise SqlFailure("NOT_SUPPORTED", f"format {form} is not built in Lakebed")
    chosen = next((properties[name] for name in _COMPRESSIONS if properties.get(name)), "").lower()
    if len(delimiter) != 1:
        raise SqlFailure("INVALID_TABLE_PROPERTY", "field_delimiter must be one character")
    buckets = [name.lower() for name in properties.get("bucketed_by", "").split("\x00") if name]
    count, level = properties.get("bucket_count", ""), properties.get("compression_level", "")
    if bool(buckets) != bool(count) or (count and not (count.isdigit() and 0 < int(count) <= 1_000_000)):
        raise SqlFailure("INVALID_TABLE_PROPERTY", "bucketed_by and a positive bucket_count belong together")
    if level and not (level.isdigit() and chosen == "zstd" and 1 <= int(level) <= 22 and form == "PARQUET"):
        raise SqlFailure("INVALID_TABLE_PROPERTY", "compression_level is 1 to 22 and belongs to ZSTD in Parquet")
    return Output(
        work.scratch, formats.WRITTEN[form], chosen, keys, delimiter, bucketed_by=buckets,
        bucket_count=int(count or 0), compression_level=int(level or 0),
    )  # fmt: skip


async def _place(
    work: Work,
    outcome: SqlOutcome,
    target: location.Location,
    keys: list[str],
    table: list[str] | None = None,
    *,
    place: Callable[[list[str | None]], str] | None = None,
) -> list[tuple[str, OutputFile]]:
    """Move the files into S3; what was placed is removed again when one of them fails, or by ``undo`` after a crash."""
    placed: list[tuple[str, OutputFile]] = []
    for file in outcome.files:
        folder = location.partition_path(keys, list(file.partition)) if keys else ""
        prefix = place(list(file.partition)) if place is not None else f"{target.prefix}{folder}"
        placed.append((f"{prefix}{file.path.name}", file))
    work.remember({"placing": {"bucket": target.bucket, "keys": [key for key, _ in placed], "table": table}})
    try:
        for key, file in placed:
            await work.p.objects.put_file(work.principal, target.bucket, key, file.path)
    except AwsError:
        await work.p.objects.delete(work.principal, target.bucket, [key for key, _ in placed])
        raise
    return placed


async def undo(work: Work) -> None:
    """Take away what an earlier run of this execution had begun to place when the server died."""
    await iceberg_commit.undo(work)
    begun = work.body.get("placing")
    if begun is None:
        return
    if begun["table"] is not None and _exists(work, *begun["table"]):
        work.p.catalog.delete_table(work.principal, work.scope, *begun["table"])
    if begun["keys"]:
        await work.p.objects.delete(work.principal, begun["bucket"], begun["keys"])


def _register(
    work: Work, database: str, name: str, descriptor: Mapping[str, Any], target: location.Location, keys: list[str],
    files: Any,
) -> None:  # fmt: skip
    known = {tuple(part["Values"]) for part in work.p.catalog.partitions(work.principal, work.scope, database, name)}
    fresh = []
    for file in files:
        values = ["__HIVE_DEFAULT_PARTITION__" if value is None else value for value in file.partition]
        if tuple(values) not in known:
            place = f"{target}{location.partition_path(keys, list(file.partition))}"
            fresh.append({"Values": values, "StorageDescriptor": {**descriptor, "Location": place}})
    if fresh:
        work.p.catalog.add_partitions(work.principal, work.scope, database, name, fresh)


async def _manifest(work: Work, bucket: str, placed: list[tuple[str, OutputFile]]) -> str:
    text = "".join(f"s3://{bucket}/{key}\n" for key, _ in placed)
    place = f"{work.body['output']}-manifest.csv"
    own, key = location.parse(place)
    await work.p.objects.put(work.principal, own, key, text.encode())
    return place


__all__ = ["Work", "create_table_as", "create_view", "described", "insert", "objects_under", "select", "undo", "unload"]
