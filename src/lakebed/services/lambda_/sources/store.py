"""The tables of mappings and of the checkpoints of stream mappings."""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.tumbling import Window


class Checkpoint(msgspec.Struct, frozen=True):
    """How far a mapping got in a shard; ``attempts`` failures of the batch there, which ends before ``until`` when halved."""

    offset: int
    attempts: int = 0
    until: int | None = None
    retry_at: float = 0.0
    window: Window | None = None


class MappingStore:
    """Rows by scope."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def put(self, tx: Tx, scope: Scope, mapping: Mapping) -> None:
        """Write a mapping."""
        tx.execute(
            "INSERT OR REPLACE INTO lambda_mapping (account, region, uuid, source, function, body) VALUES (?,?,?,?,?,?)",
            (
                scope.account,
                scope.region,
                mapping.uuid,
                mapping.source,
                mapping.function,
                msgspec.msgpack.encode(mapping),
            ),
        )

    def get(self, scope: Scope, uuid: str) -> Mapping | None:
        """One mapping."""
        row = self.db.one(
            "SELECT body FROM lambda_mapping WHERE account=? AND region=? AND uuid=?",
            (scope.account, scope.region, uuid),
        )
        return msgspec.msgpack.decode(row["body"], type=Mapping) if row else None

    def some(
        self, scope: Scope, *, source: str = "", function: str = "", after: str = "", limit: int = 1000
    ) -> list[Mapping]:
        """Mappings behind a uuid, of a source and of a function where given."""
        rows = self.db.all(
            "SELECT body FROM lambda_mapping WHERE account=? AND region=? AND uuid>? AND (?='' OR source=?) "
            "AND (?='' OR function=?) ORDER BY uuid LIMIT ?",
            (scope.account, scope.region, after, source, source, function, function, limit),
        )
        return [msgspec.msgpack.decode(row["body"], type=Mapping) for row in rows]

    def all_mappings(self) -> list[tuple[Scope, Mapping]]:
        """Everybody's, for the pollers at boot."""
        rows = self.db.all("SELECT account, region, body FROM lambda_mapping ORDER BY uuid")
        return [
            (Scope(row["account"], row["region"]), msgspec.msgpack.decode(row["body"], type=Mapping)) for row in rows
        ]

    def delete(self, tx: Tx, scope: Scope, uuid: str) -> None:
        """A mapping and its checkpoints."""
        where = (scope.account, scope.region, uuid)
        tx.execute("DELETE FROM lambda_mapping WHERE account=? AND region=? AND uuid=?", where)
        tx.execute("DELETE FROM lambda_checkpoint WHERE account=? AND region=? AND mapping=?", where)

    def checkpoints(self, scope: Scope, uuid: str) -> dict[str, Checkpoint]:
        """By shard."""
        rows = self.db.all(
            "SELECT * FROM lambda_checkpoint WHERE account=? AND region=? AND mapping=?",
            (scope.account, scope.region, uuid),
        )
        return {
            row["shard"]: Checkpoint(
                row["next_offset"], row["attempts"], row["until_offset"], row["retry_at"], _window(row["window"])
            )
            for row in rows
        }

    def put_checkpoint(self, tx: Tx, scope: Scope, uuid: str, shard: str, checkpoint: Checkpoint) -> None:
        """Write how far it got; only while the mapping exists."""
        tx.execute(
            "INSERT OR REPLACE INTO lambda_checkpoint "
            "(account, region, mapping, shard, next_offset, attempts, until_offset, retry_at, window) "
            "SELECT account, region, uuid, ?, ?, ?, ?, ?, ? FROM lambda_mapping WHERE account=? AND region=? AND uuid=?",
            (
                shard,
                checkpoint.offset,
                checkpoint.attempts,
                checkpoint.until,
                checkpoint.retry_at,
                msgspec.msgpack.encode(checkpoint.window) if checkpoint.window is not None else None,
                scope.account,
                scope.region,
                uuid,
            ),
        )

    def forget_checkpoints(self, tx: Tx, scope: Scope, uuid: str, shards: list[str]) -> None:
        """Shards the stream has not any more."""
        tx.executemany(
            "DELETE FROM lambda_checkpoint WHERE account=? AND region=? AND mapping=? AND shard=?",
            [(scope.account, scope.region, uuid, shard) for shard in shards],
        )


def _window(body: bytes | None) -> Window | None:
    return None if body is None else msgspec.msgpack.decode(body, type=Window)
