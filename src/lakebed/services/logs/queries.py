"""Running Insights queries: the events of the groups and the time are written to a scratch file as JSON lines, and one
statement runs over it in the SQL engine's locked process.

Bounded: 30 live queries an account, two at once, 10,000 rows, fifteen minutes, 2,000,000 events or 1 GB scanned (beyond
that a query fails: see deviations). What ran when the house died is run again.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AnalyzingLogData.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.ports.house import Ports
from lakebed.ports.sql import DataFile, Output, Relation, SqlFailure, SqlJob
from lakebed.services.logs.insights.query import COLUMNS, Compiled, Shown, compile_query
from lakebed.services.logs.journal import Journal
from lakebed.services.logs.model import DAY_MS, FIRST, Group, event_id
from lakebed.services.logs.query_store import QueryStore, StoredQuery

RUNNERS = 2
EVENTS_MAX, BYTES_MAX = 2_000_000, 1 << 30
TIMEOUT_SECONDS = 900.0
_KEPT_MS = 7 * DAY_MS
_PAGE = 5000


def runner_name(number: int) -> str:
    """The task's name."""
    return f"logs:queries-{number}"


class Runner:
    """A task: one query at a time."""

    period = 60.0

    def __init__(self, number: int, journal: Journal, p: Ports, store: QueryStore) -> None:
        self.name = runner_name(number)
        self._journal, self._p, self._store = journal, p, store
        self._k = journal.k

    async def activate(self) -> float | None:
        """Run one, if one waits."""
        with self._k.db.tx() as tx:
            self._store.forget(tx, self._journal.now() - _KEPT_MS, 1000)
            query = self._store.claim(tx)
        if query is None:
            return None
        scratch = self._k.data / "scratch" / f"insights-{query.id}"
        counted: dict[str, float] = {}
        status, results = "Failed", list[Any]()
        try:
            results = await self._run(query, scratch, counted)
            status = "Complete"
        except (SqlFailure, AwsError, OSError) as failure:
            name = failure.name if isinstance(failure, SqlFailure) else ""
            status = {"EXCEEDED_TIME_LIMIT": "Timeout", "USER_CANCELED": "Cancelled"}.get(name, "Failed")
            self._k.log.info("query ended", query=query.id, status=status, why=str(failure)[:300])
        except asyncio.CancelledError:
            status = "Scheduled"  # the house stops: the next one runs it
            raise
        finally:
            self._k.disk.remove(scratch)
            body = query.body | {"statistics": counted, "ended": self._journal.now()}
            with self._k.db.tx() as tx:
                self._store.end(tx, query, status, body, results)
        return self._k.clock.now()

    async def _run(self, query: StoredQuery, scratch: Path, counted: dict[str, float]) -> list[Any]:
        compiled = compile_query(query.body["queryString"], query.body["limit"])
        scratch.mkdir(parents=True, exist_ok=True)
        source = scratch / "events.json"
        groups = [self._journal.groups.find(query.scope, name) for name in query.body["logGroupNames"]]
        events, size = await self._written([group for group in groups if group is not None], query, source)
        counted |= {"recordsScanned": float(events), "recordsMatched": float(events), "bytesScanned": float(size)}
        files = [DataFile(str(source), source.stat().st_size)] if events else []
        relation = Relation("default", "events", COLUMNS, files=files, format="json")
        job = SqlJob(
            query.id, compiled.sql, Output(scratch / "out", format="json", compression="NONE"), relations=[relation],
            timeout_seconds=TIMEOUT_SECONDS, now=self._k.clock.now(),
        )  # fmt: skip
        with self._k.clock.working():
            outcome = await self._p.sql.run(job)
            rows = await asyncio.to_thread(_read, [file.path for file in outcome.files])
        counted["resultCount"] = float(len(rows))
        return _shown(rows, compiled)

    async def _written(self, groups: list[Group], query: StoredQuery, target: Path) -> tuple[int, int]:
        """Events to the file, a page at a time so that others have their turn; how many, and bytes of messages."""
        count = size = 0
        names: dict[int, str] = {}
        await asyncio.to_thread(target.write_bytes, b"")
        between = query.body["start"], query.body["end"]
        for group in groups:
            place = FIRST
            while True:
                page, behind = self._journal.page(("group_id", group.id), place, between, limit=_PAGE)
                missing = {event.stream_id for event in page} - names.keys()
                names |= self._journal.streams.named(sorted(missing))
                lines = [
                    {"ts": event.timestamp, "ingested": event.ingested, "message": event.message,
                     "stream": names.get(event.stream_id, ""), "grp": f"{query.scope.account}:{group.name}",
                     "ptr": event_id(event)} for event in page
                ]  # fmt: skip
                count += len(page)
                size += sum(len(event.message.encode()) for event in page)
                if count > EVENTS_MAX or size > BYTES_MAX:
                    raise AwsError("LimitExceededException", "The query looks at too many events.")
                with self._k.clock.working():
                    await asyncio.to_thread(_append, target, lines)
                if behind is None:
                    break
                place = behind
        return count, size


def _append(target: Path, lines: list[dict[str, Any]]) -> None:
    with target.open("ab") as out:
        for line in lines:
            out.write(msgspec.json.encode(line) + b"\n")


def _read(paths: list[Path]) -> list[dict[str, Any]]:
    rows = [msgspec.json.decode(line) for path in paths for line in path.read_bytes().splitlines() if line]
    return sorted(rows, key=lambda row: int(row["n_"]))


def _shown(rows: list[dict[str, Any]], compiled: Compiled) -> list[Any]:
    return [list(_fields(row, compiled.shown)) for row in rows]


def _fields(row: dict[str, Any], shown: list[Shown]) -> Iterator[tuple[str, str]]:
    """What is missing is left out, as AWS does."""
    for name, column, kind in shown:
        value = row.get(column)
        if value is None:
            continue
        if kind == "time":
            at = datetime.fromtimestamp(int(value) / 1000, UTC)
            yield name, f"{at:%Y-%m-%d %H:%M:%S}.{int(value) % 1000:03d}"
        elif kind == "number":
            number = float(value)
            yield name, str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.4f}".rstrip("0")
        else:
            yield name, str(value)
