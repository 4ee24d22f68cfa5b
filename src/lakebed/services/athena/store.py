"""Athena's only SQL: workgroups, executions, named queries, prepared statements, tags. Bodies are JSON in the API's shapes."""

# ruff: noqa: S608 - table names come from this file

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope

Body = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Body).decode


class Store:
    """Every method takes a Scope; reads go through the database so that they see an open transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # workgroups
    def workgroup(self, scope: Scope, name: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_workgroup WHERE account=? AND region=? AND name=?", (*_at(scope), name)
        )
        return _decode(row["body"]) if row else None

    def workgroups(self, scope: Scope, after: str, limit: int) -> list[Body]:
        rows = self._db.all(
            "SELECT body FROM athena_workgroup WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (*_at(scope), after, limit),
        )
        return [_decode(row["body"]) for row in rows]

    def put_workgroup(self, tx: Tx, scope: Scope, body: Body) -> None:
        tx.execute(
            "INSERT INTO athena_workgroup VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET body=excluded.body",
            (*_at(scope), body["Name"], body["CreationTime"], _text(body)),
        )

    def delete_workgroup(self, tx: Tx, scope: Scope, name: str) -> None:
        for table in ("athena_named", "athena_prepared"):
            tx.execute(f"DELETE FROM {table} WHERE account=? AND region=? AND workgroup=?", (*_at(scope), name))
        tx.execute("DELETE FROM athena_workgroup WHERE account=? AND region=? AND name=?", (*_at(scope), name))

    def used(self, scope: Scope, name: str) -> bool:
        """Whether a workgroup holds named queries, prepared statements or executions."""
        return any(
            self._db.one(
                f"SELECT 1 FROM {table} WHERE account=? AND region=? AND workgroup=? LIMIT 1", (*_at(scope), name)
            )
            for table in ("athena_named", "athena_prepared", "athena_execution")
        )

    # executions
    def execution(self, scope: Scope, execution_id: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_execution WHERE account=? AND region=? AND id=?", (*_at(scope), execution_id)
        )
        return _decode(row["body"]) if row else None

    def execution_by_token(self, scope: Scope, token: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_execution WHERE account=? AND region=? AND token=?", (*_at(scope), token)
        )
        return _decode(row["body"]) if row else None

    def executions(self, scope: Scope, workgroup: str, before: tuple[str, str] | None, limit: int) -> list[Body]:
        """Newest first."""
        moment, last = (float(before[0]), before[1]) if before is not None and before[0] else (1e300, "")
        rows = self._db.all(
            "SELECT body FROM athena_execution WHERE account=? AND region=? AND workgroup=? "
            "AND (submitted_at<? OR (submitted_at=? AND id>?)) ORDER BY submitted_at DESC, id LIMIT ?",
            (*_at(scope), workgroup, moment, moment, last, limit),
        )
        return [_decode(row["body"]) for row in rows]

    def unfinished(self, scope: Scope) -> int:
        """How many executions wait or run."""
        row = self._db.one(
            "SELECT count(*) AS n FROM athena_execution WHERE account=? AND region=? AND state IN ('QUEUED', 'RUNNING')",
            _at(scope),
        )
        return int(row["n"]) if row else 0

    def succeeded(self, scope: Scope, workgroup: str, sql: str, since: float) -> list[Body]:
        """Executions of the same text in the same workgroup that succeeded lately, newest first."""
        rows = self._db.all(
            "SELECT body FROM athena_execution WHERE account=? AND region=? AND workgroup=? AND submitted_at>=? "
            "AND state='SUCCEEDED' AND json_extract(body, '$.sql')=? ORDER BY submitted_at DESC LIMIT 20",
            (*_at(scope), workgroup, since, sql),
        )
        return [_decode(row["body"]) for row in rows]

    # capacity reservations
    def reservation(self, scope: Scope, name: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_reservation WHERE account=? AND region=? AND name=?", (*_at(scope), name)
        )
        return _decode(row["body"]) if row else None

    def reservations(self, scope: Scope, after: str, limit: int) -> list[Body]:
        rows = self._db.all(
            "SELECT body FROM athena_reservation WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (*_at(scope), after, limit),
        )
        return [_decode(row["body"]) for row in rows]

    def put_reservation(self, tx: Tx, scope: Scope, body: Body) -> None:
        tx.execute(
            "INSERT INTO athena_reservation VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET body=excluded.body",
            (*_at(scope), body["Name"], _text(body)),
        )

    def delete_reservation(self, tx: Tx, scope: Scope, name: str) -> None:
        tx.execute("DELETE FROM athena_reservation WHERE account=? AND region=? AND name=?", (*_at(scope), name))

    def put_execution(self, tx: Tx, scope: Scope, body: Body) -> None:
        tx.execute(
            "INSERT INTO athena_execution VALUES (?,?,?,?,?,?,?,?) "
            "ON CONFLICT (account, region, id) DO UPDATE SET state=excluded.state, body=excluded.body",
            (*_at(scope), body["id"], body["workgroup"], body["token"], body["state"], body["submitted"], _text(body)),
        )

    # data catalogs: found without regard to case
    def data_catalog(self, scope: Scope, name: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_data_catalog WHERE account=? AND region=? AND name=?", (*_at(scope), name.lower())
        )
        return _decode(row["body"]) if row else None

    def data_catalogs(self, scope: Scope, after: str, limit: int) -> list[Body]:
        rows = self._db.all(
            "SELECT body FROM athena_data_catalog WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (*_at(scope), after, limit),
        )
        return [_decode(row["body"]) for row in rows]

    def put_data_catalog(self, tx: Tx, scope: Scope, body: Body) -> None:
        tx.execute(
            "INSERT INTO athena_data_catalog VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET body=excluded.body",
            (*_at(scope), body["Name"].lower(), _text(body)),
        )

    def delete_data_catalog(self, tx: Tx, scope: Scope, name: str) -> None:
        tx.execute(
            "DELETE FROM athena_data_catalog WHERE account=? AND region=? AND name=?", (*_at(scope), name.lower())
        )

    # named queries
    def named(self, scope: Scope, query_id: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_named WHERE account=? AND region=? AND id=?", (*_at(scope), query_id)
        )
        return _decode(row["body"]) if row else None

    def named_by_token(self, scope: Scope, token: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_named WHERE account=? AND region=? AND token=?", (*_at(scope), token)
        )
        return _decode(row["body"]) if row else None

    def named_ids(self, scope: Scope, workgroup: str, after: str, limit: int) -> list[str]:
        rows = self._db.all(
            "SELECT id FROM athena_named WHERE account=? AND region=? AND workgroup=? AND id>? ORDER BY id LIMIT ?",
            (*_at(scope), workgroup, after, limit),
        )
        return [row["id"] for row in rows]

    def put_named(self, tx: Tx, scope: Scope, body: Body, token: str) -> None:
        tx.execute(
            "INSERT INTO athena_named VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET body=excluded.body",
            (*_at(scope), body["NamedQueryId"], body["WorkGroup"], token, _text(body)),
        )

    def delete_named(self, tx: Tx, scope: Scope, query_id: str) -> None:
        tx.execute("DELETE FROM athena_named WHERE account=? AND region=? AND id=?", (*_at(scope), query_id))

    # prepared statements
    def prepared(self, scope: Scope, workgroup: str, name: str) -> Body | None:
        row = self._db.one(
            "SELECT body FROM athena_prepared WHERE account=? AND region=? AND workgroup=? AND name=?",
            (*_at(scope), workgroup, name),
        )
        return _decode(row["body"]) if row else None

    def prepareds(self, scope: Scope, workgroup: str, after: str, limit: int) -> list[Body]:
        rows = self._db.all(
            "SELECT body FROM athena_prepared WHERE account=? AND region=? AND workgroup=? AND name>? ORDER BY name LIMIT ?",
            (*_at(scope), workgroup, after, limit),
        )
        return [_decode(row["body"]) for row in rows]

    def put_prepared(self, tx: Tx, scope: Scope, body: Body) -> None:
        tx.execute(
            "INSERT INTO athena_prepared VALUES (?,?,?,?,?,?) "
            "ON CONFLICT DO UPDATE SET modified_at=excluded.modified_at, body=excluded.body",
            (*_at(scope), body["WorkGroupName"], body["StatementName"], body["LastModifiedTime"], _text(body)),
        )

    def delete_prepared(self, tx: Tx, scope: Scope, workgroup: str, name: str) -> None:
        tx.execute(
            "DELETE FROM athena_prepared WHERE account=? AND region=? AND workgroup=? AND name=?",
            (*_at(scope), workgroup, name),
        )

    # tags
    def tags(self, scope: Scope, arn: str) -> dict[str, str]:
        rows = self._db.all(
            "SELECT name, value FROM athena_tag WHERE account=? AND region=? AND arn=? ORDER BY name",
            (*_at(scope), arn),
        )
        return {row["name"]: row["value"] for row in rows}

    def put_tags(self, tx: Tx, scope: Scope, arn: str, tags: dict[str, str]) -> None:
        """Replace all tags of a resource."""
        tx.execute("DELETE FROM athena_tag WHERE account=? AND region=? AND arn=?", (*_at(scope), arn))
        tx.executemany("INSERT INTO athena_tag VALUES (?,?,?,?,?)", [(*_at(scope), arn, *tag) for tag in tags.items()])


def _at(scope: Scope) -> tuple[str, str]:
    return scope.account, scope.region


def _text(body: Body) -> str:
    return _encode(body).decode()
