"""The cost advisor: what Parquet, ZSTD, partitions and larger files would save on a table, measured on its own data.

A sample of the table's files (at most 64 MB) is written anew by the engine in each layout, and the queries of the history are
planned over the sample as it is and as it would be; both are counted by the model that bills (``DataScannedInBytes``). A
query's real bytes times that ratio is what it would have scanned. Sizes and prices of the whole table are estimates from
the sample, and ``Advice`` tells how large that was. Partition columns are those that queries filter on.
Reached through ``ports.advice`` (``p.advice.table``, ``p.advice.query``), as the console's user.
https://docs.aws.amazon.com/athena/latest/ug/performance-tuning-data-optimization-techniques.html
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.advice import Advice, Saving
from lakebed.ports.house import Ports
from lakebed.ports.sql import DataFile, Output, Relation, SqlFailure, SqlJob
from lakebed.services.athena import layout
from lakebed.services.athena.layout import Layout
from lakebed.services.athena.pricing import price_usd
from lakebed.services.athena.resolve import Resolver
from lakebed.services.athena.store import Store

Body = dict[str, Any]
SAMPLE_BYTES_MAX = 64 << 20
_SECONDS_MAX = 60.0
_HISTORY_MAX = 200  # executions of a workgroup that are looked at
_TEXTS_MAX = 8  # different queries that are measured
_GAIN_MIN = 0.1  # less is no reason to write a table anew


@dataclass(frozen=True, slots=True)
class _Question:
    """A query of the history: how often it ran and what one run scanned."""

    sql: str
    database: str
    parameters: Sequence[str]
    runs: int
    scanned: int
    relations: Sequence[Relation]


class CostAdvisor:
    """Implements ports.advice.Advisor; one measurement at a time."""

    def __init__(self, k: Kernel, p: Ports, store: Store) -> None:
        self._k, self._p, self._store = k, p, store
        self._one = asyncio.Lock()

    async def table(self, principal: Principal, scope: Scope, database: str, name: str) -> Advice:
        history = []
        for group in self._store.workgroups(scope, "", 50):
            try:
                self._p.identity.authorise(
                    principal, "athena:GetQueryExecution", scope.arn("athena", f"workgroup/{group['Name']}")
                )
            except AwsError:
                continue  # what others asked there is not the caller's to know
            history += self._store.executions(scope, group["Name"], None, _HISTORY_MAX)
        return await self._advise(principal, scope, (database.lower(), name.lower()), history)

    async def query(self, principal: Principal, scope: Scope, execution_id: str) -> Sequence[Advice]:
        body = self._store.execution(scope, execution_id)
        if body is None or not _counts(body):
            return []
        self._p.identity.authorise(
            principal, "athena:GetQueryExecution", scope.arn("athena", f"workgroup/{body['workgroup']}")
        )
        try:
            named = await Resolver(self._p, principal, scope, self._k.clock.now()).relations(
                body.get("effective_sql") or body["sql"], _database(body)
            )
        except SqlFailure:
            return []  # a table of it is gone
        tables = [(each.database, each.name) for each in named if not each.view_sql and each.format != "rows"]
        return [await self._advise(principal, scope, table, [body]) for table in tables]

    async def _advise(
        self, principal: Principal, scope: Scope, table: tuple[str, str], history: Sequence[Body]
    ) -> Advice:
        scratch = self._k.data / "athena" / "scratch" / f"advice-{self._k.ids.uuid()}"
        async with self._one:
            try:
                study = _Study(self._k, self._p, principal, scope, scratch)
                return await study.advice(table, history)
            except SqlFailure as failure:
                return Advice(*table, notes=[f"Not measured: {failure.message}"])
            finally:
                self._k.disk.remove(scratch)


class _Study:
    """One table's."""

    def __init__(self, k: Kernel, p: Ports, principal: Principal, scope: Scope, scratch: Path) -> None:
        self._k, self._p, self._principal, self._scope, self._scratch = k, p, principal, scope, scratch
        self._notes: list[str] = []

    async def advice(self, table: tuple[str, str], history: Sequence[Body]) -> Advice:
        resolver = self._resolver()
        relation = (await resolver.relations(layout.whole(table), table[0]))[0]
        if relation.view_sql or relation.format in ("iceberg", "rows") or resolver.injected:
            what = "A view" if relation.view_sql else "A table whose partitions the query names"
            what = "An Iceberg table (OPTIMIZE makes its files larger)" if relation.format == "iceberg" else what
            return Advice(*table, notes=[f"{what} is not measured."])
        relation = await resolver.files(relation, range(len(relation.partitions)))
        sample = await self._sample(relation)
        told = Advice(
            *table, files=len(relation.files), size=sum(file.size for file in relation.files),
            sampled_files=len(sample.files), sampled_bytes=sum(file.size for file in sample.files),
        )  # fmt: skip
        if not sample.files:
            why = "No file is small enough to be a sample." if relation.files else "The table has no data."
            return dataclasses.replace(told, notes=[why])
        questions, since = await self._questions(table, history)
        if assumed := not questions:
            questions = [_Question(layout.whole(table), table[0], (), 1, told.size, [relation])]
            self._notes.append("No query of the history reads this table alone: counted is one that reads all of it.")
        savings = await self._savings(resolver.tables[table], told, sample, questions)
        if not savings:
            self._notes.append("Nothing measured would save a tenth of the bytes.")
        return dataclasses.replace(
            told, queries=sum(each.runs for each in questions), since=since, assumed=assumed, savings=savings,
            notes=self._notes,
        )  # fmt: skip

    def _resolver(self) -> Resolver:
        return Resolver(self._p, self._principal, self._scope, self._k.clock.now(), scratch=self._scratch)

    async def _sample(self, relation: Relation) -> Relation:
        """Files from all over the table, or the beginning of one of plain text where all are large."""
        files = sorted(relation.files, key=lambda file: file.location)
        picked, partitions, size = list[DataFile](), set[int](), 0
        step = max(1, sum(file.size for file in files) // SAMPLE_BYTES_MAX + 1)
        for file in [*files[::step], *(file for at, file in enumerate(files) if at % step)]:
            if size + file.size <= SAMPLE_BYTES_MAX and len(partitions | {file.partition}) <= layout.PARTITIONS_MAX:
                picked.append(file)
                partitions.add(file.partition)
                size += file.size
        if not picked and files and relation.format in ("csv", "json") and not files[0].compression:
            target = self._scratch / "sample"
            with self._k.clock.working():
                cut = await asyncio.to_thread(_beginning, Path(files[0].path), target)
            if cut:
                picked = [dataclasses.replace(files[0], path=str(target), size=cut)]
        return dataclasses.replace(relation, files=picked)

    async def _questions(self, table: tuple[str, str], history: Sequence[Body]) -> tuple[list[_Question], float | None]:
        """The queries that read this table and no other, by text, those that scanned most first."""
        texts: dict[tuple[str, str, tuple[str, ...]], list[Body]] = {}
        for body in history:
            if _counts(body):
                key = (body.get("effective_sql") or body["sql"], _database(body), tuple(body.get("parameters") or ()))
                texts.setdefault(key, []).append(body)
        found: list[tuple[_Question, float]] = []
        for (sql, database, parameters), bodies in texts.items():
            if table[1] not in sql.lower():
                continue
            try:
                relations = await self._resolver().relations(sql, database)
            except (SqlFailure, AwsError):
                continue
            if {(each.database, each.name) for each in relations if not each.view_sql} == {table}:
                scanned = sum(body.get("scanned", 0) for body in bodies) // len(bodies)
                question = _Question(sql, database, parameters, len(bodies), scanned, relations)
                found.append((question, min(body["submitted"] for body in bodies)))
        found.sort(key=lambda each: each[0].scanned * each[0].runs, reverse=True)
        if len(found) > _TEXTS_MAX:
            self._notes.append(f"Of {len(found)} different queries the {_TEXTS_MAX} that scan most were measured.")
        found = found[:_TEXTS_MAX]
        return [each for each, _ in found], min((moment for _, moment in found), default=None)

    async def _savings(
        self, table: Mapping[str, Any], told: Advice, sample: Relation, questions: Sequence[_Question]
    ) -> list[Saving]:
        before = [await self._scanned(question, sample) for question in questions]
        made: list[Saving] = []
        for each in layout.candidates(table, sample, await self._filtered(sample, questions)):
            try:
                after, stored = await self._written(each, sample)
            except SqlFailure as failure:
                if failure.name != "HIVE_TOO_MANY_OPEN_PARTITIONS":
                    raise
                self._notes.append(
                    f"{each.title}: not measured, the sample alone has more than {layout.PARTITIONS_MAX} partitions."
                )
                continue
            ratios = [
                (await self._scanned(question, after)) / was if was else 1.0
                for question, was in zip(questions, before, strict=True)
            ]
            made.append(_saving(each, told, questions, ratios, stored / max(1, told.sampled_bytes)))
        best = sorted(made, key=lambda saving: (saving.scanned_then, saving.stored_then))
        return [saving for saving in best if saving.scanned_then < saving.scanned_now * (1 - _GAIN_MIN)]

    async def _filtered(self, sample: Relation, questions: Sequence[_Question]) -> list[str]:
        """Columns that queries compare with constants, the most used first."""
        counted: Counter[str] = Counter()
        for question in questions:
            # The trees are made of the statement alone, for the format whose files are left out by them.
            relation = dataclasses.replace(
                sample,
                format="iceberg",
                files=(),
                field_ids={name: at for at, (name, _) in enumerate(sample.columns, 1)},
            )
            for tree in await self._p.sql.predicates(self._job(question, relation)):
                for column in set(layout.columns_of(tree)):
                    counted[column] += question.runs
        return [column for column, _ in counted.most_common()]

    def _job(self, question: _Question, relation: Relation) -> SqlJob:
        relations = [each if each.view_sql else relation for each in question.relations]
        return SqlJob(
            id=self._k.ids.uuid(), sql=question.sql, output=Output(self._scratch / "plan"), database=question.database,
            relations=relations, parameters=question.parameters, timeout_seconds=_SECONDS_MAX, now=self._k.clock.now(),
        )  # fmt: skip

    async def _scanned(self, question: _Question, relation: Relation) -> int:
        """What a query would scan of a relation."""
        job = self._job(question, relation)
        if relation.partition_columns:
            at = list(job.relations).index(relation)
            kept = set((await self._p.sql.prune(job))[at])
            relation = dataclasses.replace(relation, files=[file for file in relation.files if file.partition in kept])
        if relation.format != "parquet" or not relation.files:
            return sum(file.size for file in relation.files)
        return (await self._p.sql.explain(self._job(question, relation), analyze=False)).scanned_bytes

    async def _written(self, each: Layout, sample: Relation) -> tuple[Relation, int]:
        """The sample in another layout, and its size."""
        directory = self._scratch / f"layout-{self._k.ids.uuid()}"
        output = Output(directory, "parquet", "zstd", partitioned_by=[name for name, _ in each.keys])
        job = SqlJob(
            id=self._k.ids.uuid(), sql=each.select, output=output, database=sample.database, relations=[sample],
            timeout_seconds=_SECONDS_MAX, now=self._k.clock.now(),
        )  # fmt: skip
        outcome = await self._p.sql.run(job)
        partitions = list(dict.fromkeys(tuple(file.partition) for file in outcome.files)) if each.keys else []
        files = [
            DataFile(str(file.path), file.size, "", partitions.index(tuple(file.partition)) if each.keys else -1)
            for file in outcome.files
        ]
        made = Relation(sample.database, sample.name, each.columns, each.keys, partitions, files)
        return made, sum(file.size for file in outcome.files)


def _saving(
    each: Layout, told: Advice, questions: Sequence[_Question], ratios: Sequence[float], stored: float
) -> Saving:
    then = [round(question.scanned * ratio) for question, ratio in zip(questions, ratios, strict=True)]
    return Saving(
        each.title,
        sum(question.runs * question.scanned for question in questions),
        sum(question.runs * scanned for question, scanned in zip(questions, then, strict=True)),
        sum(question.runs * price_usd(question.scanned, "DML") for question in questions),
        sum(question.runs * price_usd(scanned, "DML") for question, scanned in zip(questions, then, strict=True)),
        told.size,
        round(told.size * stored),
        each.sql,
    )


def _counts(body: Body) -> bool:
    """Whether an execution is a query that read something of its own."""
    return (
        body["state"] == "SUCCEEDED" and body["type"] == "DML" and body["substatement"] == "SELECT"
        and bool(body.get("scanned")) and not body.get("reused")
    )  # fmt: skip


def _database(body: Body) -> str:
    return str(body["context"].get("Database", "default")).lower()


def _beginning(source: Path, target: Path) -> int:
    """The whole lines at a file's beginning; how many bytes."""
    with source.open("rb") as file:
        data = file.read(SAMPLE_BYTES_MAX)
    data = data[: data.rfind(b"\n") + 1]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return len(data)
