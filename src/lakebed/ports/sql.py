"""SQL engine: what runs a statement over relations it is handed. Built by engines/sql_duckdb.

The engine never sees the catalogue, S3, credentials or a principal. A statement goes through three steps, because parsing
untrusted SQL happens in the engine's own process and only the service may ask the catalogue: ``references`` tells which
tables a statement names; ``prune`` tells which of their partitions it needs; ``run`` executes it over explicit files.

Statements are in Athena's dialect (Trino). Errors are ``SqlFailure`` with Trino's error names
(https://trino.io/docs/current/client/client-protocol.html, https://docs.aws.amazon.com/athena/latest/ug/error-reference.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lakebed.ports.inspection import Classifier, Inspected, Suspect


class SqlFailure(Exception):  # noqa: N818 - the field's word: a query fails
    """A statement that failed. ``name`` is Trino's error name, ``category`` Athena's (1 system, 2 user, 3 other)."""

    def __init__(self, name: str, message: str, *, category: int = 2, retryable: bool = False) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.message, self.category, self.retryable = name, message, category, retryable


@dataclass(frozen=True, slots=True)
class TableName:
    """A table as written in a statement: missing parts are the session's.

    ``version`` is the text of its FOR … AS OF, ``as_of`` what that means: ``id:<snapshot>``, ``ref:<name>``,
    ``millis:<epoch milliseconds>``.
    """

    catalog: str
    database: str
    name: str
    version: str = ""
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One immutable file of a relation; ``partition`` is its place in ``Relation.partitions``, -1 for none."""

    path: str
    size: int
    compression: str = ""
    partition: int = -1
    location: str = ""  # its URI: ``$path``, and its name in Iceberg's position deletes
    modified: float = 0.0  # epoch seconds
    deletes: Sequence[int] = ()  # places in Relation.deletes


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Iceberg: rows that are gone, by position (no ``field_ids``) or by the values of some columns."""

    path: str
    size: int
    field_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A table resolved to files, or a view (then ``view_sql`` is its text and ``view_database`` its session's).

    Columns are (name, Hive type). ``format`` is parquet, orc, avro, json, cloudtrail, csv, opencsv, regex or grok, or rows
    (then they stand in ``rows``, as texts); ``options`` are its serde's. An Iceberg
    table's is iceberg: ``field_ids`` are those of its columns by name, two more columns tell a row's file and position
    where ``positions`` is set; ``version`` is the FOR … AS OF it was asked for with.
    """

    database: str
    name: str
    columns: Sequence[tuple[str, str]]
    partition_columns: Sequence[tuple[str, str]] = ()
    partitions: Sequence[Sequence[str | None]] = ()
    files: Sequence[DataFile] = ()
    format: str = "parquet"
    options: Mapping[str, str] = field(default_factory=dict)
    view_sql: str = ""
    view_database: str = ""
    version: str = ""
    field_ids: Mapping[str, int] = field(default_factory=dict)
    deletes: Sequence[DeleteFile] = ()
    positions: bool = False
    rows: Sequence[Sequence[str | None]] = ()
    catalog: str = ""  # of another data source: its rows were read there
    source_bytes: int = 0  # what they took there


@dataclass(frozen=True, slots=True)
class Demand:
    """What a statement needs of a relation: columns, a tree of ``lake.tables.predicates`` (None: nothing is known), and
    how many rows at most (None: all)."""

    columns: Sequence[str]
    predicate: Any = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Where rows go. ``result`` is Athena's CSV text with a header; parquet, json, csv are a table's data files, one
    set of files for each combination of the last ``len(partitioned_by)`` columns."""

    directory: Path
    format: str = "result"
    compression: str = ""
    partitioned_by: Sequence[str] = ()
    delimiter: str = "\x01"
    columns: Sequence[tuple[str, str]] = ()  # of the target (INSERT): cast to these, by position
    bucketed_by: Sequence[str] = ()
    bucket_count: int = 0
    compression_level: int = 0  # of zstd; 0 is the library's own


@dataclass(frozen=True, slots=True)
class SqlJob:
    """One statement to run. ``parameters`` are the SQL texts of its ``?`` in order."""

    id: str
    sql: str
    output: Output
    database: str = "default"
    relations: Sequence[Relation] = ()
    parameters: Sequence[str] = ()
    scanned_bytes_max: int = 0
    timeout_seconds: float = 1800.0
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column as Athena describes it: ``type`` is the base name (varchar), precision and scale as JDBC would say."""

    name: str
    type: str
    precision: int
    scale: int
    case_sensitive: bool
    hive_type: str


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A finished file; ``partition`` holds its partition values."""

    path: Path
    size: int
    partition: Sequence[str | None] = ()


@dataclass(frozen=True, slots=True)
class SqlOutcome:
    """What came of a job."""

    columns: Sequence[ResultColumn]
    rows: int
    files: Sequence[OutputFile]
    scanned_bytes: int
    planning_seconds: float
    execution_seconds: float
    plan: Mapping[str, Any] | None = None  # what ran: nodes of name, table, rows, milliseconds, children


@dataclass(frozen=True, slots=True)
class Explained:
    """A query's plan, run or not."""

    columns: Sequence[ResultColumn]
    plan: Mapping[str, Any]
    scanned_bytes: int = 0


class SqlEngine(Protocol):
    """Bounded: at most the configured number of statements run at once; others wait their turn."""

    async def references(self, sql: str, *, database: str = "default") -> Sequence[TableName]:
        """The tables a query names, each once; SqlFailure SYNTAX_ERROR when it is no query."""
        ...

    async def prune(self, job: SqlJob) -> Sequence[Sequence[int]]:
        """For each relation of the job, the places of the partitions the query may need. No file is opened."""
        ...

    async def predicates(self, job: SqlJob) -> Sequence[Any]:
        """For each relation of the job, what the query demands of its rows, as a tree of ``lake.tables.predicates``;
        None where nothing is known. No file is opened."""
        ...

    async def demands(self, job: SqlJob) -> Sequence[Demand | None]:
        """What the query needs of each relation of another data source; None for every other. No file is opened."""
        ...

    async def constants(self, job: SqlJob) -> Sequence[Mapping[str, Sequence[str]]]:
        """For each relation of the job, the values its columns must equal one of by the query's conditions, as texts."""
        ...

    async def explain(self, job: SqlJob, *, analyze: bool) -> Explained:
        """The query's plan; ``analyze`` runs it and throws its rows away."""
        ...

    async def describe(self, job: SqlJob) -> Sequence[ResultColumn]:
        """The query's output columns, without running it (CREATE VIEW)."""
        ...

    async def run(self, job: SqlJob) -> SqlOutcome:
        """Run to the end; the files lie in ``job.output.directory`` and are the caller's."""
        ...

    async def inspect(self, files: Sequence[Suspect], classifiers: Sequence[Classifier]) -> Sequence[Inspected]:
        """What each file holds; a file that is gone or broken is UNKNOWN."""
        ...

    def cancel(self, job_id: str) -> bool:
        """Stop a job soon: its ``run`` raises SqlFailure USER_CANCELED, also when it begins only later (then False)."""
        ...

    def warm(self) -> None:
        """Begin starting workers in the background; cheap when they run."""
        ...

    async def probe(self) -> str | None:
        """None when healthy, else a sentence."""
        ...

    async def stop(self) -> None:
        """End every worker and whatever runs in it; the house closes."""
        ...
