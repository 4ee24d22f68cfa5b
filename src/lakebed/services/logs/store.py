"""The tables of CloudWatch Logs. Events are read along (stream, timestamp, id) or (group, timestamp, id), from a place on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.logs.model import EVENT_OVERHEAD, Event, Group, Place, Stream

_GROUP = "account, region, name, id, created, retention_days, stored_bytes, tags"
_STREAM = "id, name, created, first_event, last_event, last_ingestion"
_EVENT = "timestamp, id, stream_id, ingested, message"
_END = "\U0010ffff"


class GroupStore:
    """Rows of ``log_group``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, scope: Scope, name: str) -> Group | None:
        """One group."""
        row = self._db.one(
            f"SELECT {_GROUP} FROM log_group WHERE account=? AND region=? AND name=?",  # noqa: S608 - constant columns
            (scope.account, scope.region, name),
        )
        return _group(row, scope.partition) if row else None

    def after(self, scope: Scope, prefix: str, after: str, limit: int) -> list[Group]:
        """By name."""
        rows = self._db.all(
            f"SELECT {_GROUP} FROM log_group WHERE account=? AND region=? AND name>? AND name>=? AND name<? "  # noqa: S608
            "ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, prefix, prefix + _END, limit),
        )
        return [_group(row, scope.partition) for row in rows]

    def insert(self, tx: Tx, scope: Scope, name: str, created: int, tags: dict[str, str]) -> None:
        """A new group."""
        tx.execute(
            "INSERT INTO log_group (account, region, name, created, tags) VALUES (?,?,?,?,?)",
            (scope.account, scope.region, name, created, msgspec.msgpack.encode(tags)),
        )

    def set_retention(self, tx: Tx, group: Group, days: int | None) -> None:
        """Days events are kept; None: for ever."""
        tx.execute("UPDATE log_group SET retention_days=? WHERE id=?", (days, group.id))

    def set_tags(self, tx: Tx, group: Group, tags: dict[str, str]) -> None:
        """Replace the tags."""
        tx.execute("UPDATE log_group SET tags=? WHERE id=?", (msgspec.msgpack.encode(tags), group.id))

    def add_bytes(self, tx: Tx, group_id: int, size: int) -> None:
        """Count what is stored."""
        tx.execute("UPDATE log_group SET stored_bytes=max(stored_bytes+?,0) WHERE id=?", (size, group_id))

    def delete(self, tx: Tx, group: Group) -> None:
        """The group and its streams; their events are removed by a task."""
        tx.execute("INSERT INTO log_discarded SELECT account, region, id FROM log_stream WHERE group_id=?", (group.id,))
        tx.execute("DELETE FROM log_stream WHERE group_id=?", (group.id,))
        tx.execute("DELETE FROM log_group WHERE id=?", (group.id,))

    def all_with_retention(self) -> list[Group]:
        """Groups whose events expire, for the task."""
        rows = self._db.all(f"SELECT {_GROUP} FROM log_group WHERE retention_days IS NOT NULL")  # noqa: S608
        return [_group(row, "aws") for row in rows]


class StreamStore:
    """Rows of ``log_stream``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, group: Group, name: str) -> Stream | None:
        """One stream."""
        row = self._db.one(f"SELECT {_STREAM} FROM log_stream WHERE group_id=? AND name=?", (group.id, name))  # noqa: S608
        return _stream(row) if row else None

    def named(self, ids: Sequence[int]) -> dict[int, str]:
        """Names by id."""
        found = {}
        for one in ids:
            row = self._db.one("SELECT name FROM log_stream WHERE id=?", (one,))
            if row is not None:
                found[one] = row["name"]
        return found

    def by_name(self, group: Group, prefix: str, after: str | None, limit: int, *, descending: bool) -> list[Stream]:
        """In order of names, behind ``after``."""
        bound, order = ("name<?", "DESC") if descending else ("name>?", "ASC")
        rows = self._db.all(
            f"SELECT {_STREAM} FROM log_stream WHERE group_id=? AND name>=? AND name<? AND {bound} "  # noqa: S608
            f"ORDER BY name {order} LIMIT ?",
            (group.id, prefix, prefix + _END, after if after is not None else (_END if descending else ""), limit),
        )
        return [_stream(row) for row in rows]

    def by_last_event(
        self, group: Group, after: tuple[int, str] | None, limit: int, *, descending: bool
    ) -> list[Stream]:
        """In order of the last event, behind ``after``."""
        sign, order = ("<", "DESC") if descending else (">", "ASC")
        start = after or ((1 << 62, "") if descending else (-2, ""))
        rows = self._db.all(
            f"SELECT {_STREAM} FROM log_stream WHERE group_id=? AND (last_event, name) {sign} (?, ?) "  # noqa: S608
            f"ORDER BY last_event {order}, name {order} LIMIT ?",
            (group.id, *start, limit),
        )
        return [_stream(row) for row in rows]

    def insert(self, tx: Tx, group: Group, name: str, created: int) -> None:
        """A new stream."""
        tx.execute(
            "INSERT INTO log_stream (account, region, group_id, name, created) VALUES (?,?,?,?,?)",
            (group.scope.account, group.scope.region, group.id, name, created),
        )

    def touch(self, tx: Tx, stream: Stream, first: int, last: int, now: int) -> None:
        """Events between two times were written."""
        tx.execute(
            "UPDATE log_stream SET first_event=min(coalesce(first_event,?),?), last_event=max(last_event,?), "
            "last_ingestion=? WHERE id=?",
            (first, first, last, now, stream.id),
        )

    def delete(self, tx: Tx, group: Group, stream: Stream) -> None:
        """Its events are removed by a task."""
        tx.execute("INSERT INTO log_discarded VALUES (?,?,?)", (group.scope.account, group.scope.region, stream.id))
        tx.execute("DELETE FROM log_stream WHERE id=?", (stream.id,))


class EventStore:
    """Rows of ``log_event``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def insert(self, tx: Tx, group: Group, stream: Stream, now: int, events: Sequence[tuple[int, str]]) -> int:
        """Append (timestamp, message) pairs, which get ids one after the other; the last one's id."""
        place = (group.scope.account, group.scope.region, group.id, stream.id)
        tx.executemany(
            "INSERT INTO log_event (account, region, group_id, stream_id, timestamp, ingested, message) "
            "VALUES (?,?,?,?,?,?,?)",
            [(*place, timestamp, now, message) for timestamp, message in events],
        )
        row = tx.one("SELECT last_insert_rowid() AS id")
        assert row is not None, "a SELECT without FROM gives a row"
        return int(row["id"])

    def read(
        self, owner: tuple[str, int], start: Place, between: tuple[int, int], *, backward: bool, tx: Tx
    ) -> Iterator[Event]:
        """Events of ``("stream_id", id)`` or ``("group_id", id)`` from a place on, or back from it (inclusive), with
        timestamps within ``between`` (both inclusive)."""
        column, value = owner
        sign, order = ("<=", "DESC") if backward else (">", "ASC")
        rows = tx.execute(
            f"SELECT {_EVENT} FROM log_event WHERE {column}=? AND timestamp BETWEEN ? AND ? "  # noqa: S608
            f"AND (timestamp, id) {sign} (?, ?) ORDER BY timestamp {order}, id {order}",
            (value, *between, *start),
        )
        for row in rows:
            yield Event(*row)

    def expire(self, tx: Tx, owner: tuple[str, int], before: int, limit: int) -> int:
        """Delete at most ``limit`` events older than a time, taking their bytes off their group; how many went."""
        chosen = f"SELECT id FROM log_event WHERE {owner[0]}=? AND timestamp<? ORDER BY timestamp LIMIT ?"  # noqa: S608
        rows = tx.all(
            f"DELETE FROM log_event WHERE id IN ({chosen}) RETURNING group_id, length(CAST(message AS BLOB)) AS size",  # noqa: S608
            (owner[1], before, limit),
        )
        freed = [(row["size"] + EVENT_OVERHEAD, row["group_id"]) for row in rows]
        tx.executemany("UPDATE log_group SET stored_bytes=max(stored_bytes-?,0) WHERE id=?", freed)
        return len(rows)

    def discarded(self) -> int | None:
        """A deleted stream that left events."""
        row = self._db.one("SELECT stream_id FROM log_discarded LIMIT 1")
        return int(row["stream_id"]) if row else None

    def forget_discarded(self, tx: Tx, stream_id: int) -> None:
        """All its events are gone."""
        tx.execute("DELETE FROM log_discarded WHERE stream_id=?", (stream_id,))


def _group(row: Any, partition: str) -> Group:
    return Group(
        Scope(row["account"], row["region"], partition), row["id"], row["name"], row["created"], row["retention_days"],
        row["stored_bytes"], msgspec.msgpack.decode(row["tags"], type=dict[str, str]),
    )  # fmt: skip


def _stream(row: Any) -> Stream:
    return Stream(row["id"], row["name"], row["created"], row["first_event"], row["last_event"], row["last_ingestion"])
