"""The tables of function URLs and of provisioned concurrency: settings by function and qualifier."""

from __future__ import annotations

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.names import Reference
from lakebed.services.lambda_.urls import UrlConfig


class UrlStore:
    """Function URLs by scope, and by id from the door."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def put(self, tx: Tx, named: Reference, config: UrlConfig) -> None:
        """Write."""
        tx.execute(
            "INSERT OR REPLACE INTO lambda_url (account, region, function, qualifier, id, body) VALUES (?,?,?,?,?,?)",
            (*_where(named), config.id, msgspec.msgpack.encode(config)),
        )

    def get(self, named: Reference) -> UrlConfig | None:
        """Of a function or an alias."""
        row = self.db.one(
            "SELECT body FROM lambda_url WHERE account=? AND region=? AND function=? AND qualifier=?", _where(named)
        )
        return msgspec.msgpack.decode(row["body"], type=UrlConfig) if row else None

    def some(self, named: Reference, after: str, limit: int) -> list[tuple[str, UrlConfig]]:
        """Of a function, by qualifier, behind one."""
        rows = self.db.all(
            "SELECT qualifier, body FROM lambda_url WHERE account=? AND region=? AND function=? AND qualifier>? "
            "ORDER BY qualifier LIMIT ?",
            (*_where(named)[:3], after, limit),
        )
        return [(row["qualifier"], msgspec.msgpack.decode(row["body"], type=UrlConfig)) for row in rows]

    def find(self, url_id: str) -> tuple[Reference, UrlConfig] | None:
        """By the id in a host or path."""
        row = self.db.one("SELECT * FROM lambda_url WHERE id=?", (url_id,))
        if row is None:
            return None
        named = Reference(Scope(row["account"], row["region"]), row["function"], row["qualifier"] or None)
        return named, msgspec.msgpack.decode(row["body"], type=UrlConfig)

    def delete(self, tx: Tx, named: Reference) -> None:
        """Remove."""
        tx.execute("DELETE FROM lambda_url WHERE account=? AND region=? AND function=? AND qualifier=?", _where(named))


class Provisioned(msgspec.Struct, frozen=True):
    """Workers kept warm for a version or an alias."""

    requested: int
    modified: float
    status: str = "IN_PROGRESS"
    available: int = 0
    reason: str = ""


class ProvisionedStore:
    """Provisioned concurrency by scope."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def put(self, tx: Tx, named: Reference, config: Provisioned) -> None:
        """Write."""
        tx.execute(
            "INSERT OR REPLACE INTO lambda_provisioned (account, region, function, qualifier, body) VALUES (?,?,?,?,?)",
            (*_where(named), msgspec.msgpack.encode(config)),
        )

    def get(self, named: Reference) -> Provisioned | None:
        """Of a version or an alias."""
        row = self.db.one(
            "SELECT body FROM lambda_provisioned WHERE account=? AND region=? AND function=? AND qualifier=?",
            _where(named),
        )
        return msgspec.msgpack.decode(row["body"], type=Provisioned) if row else None

    def of_function(self, named: Reference) -> list[tuple[Reference, Provisioned]]:
        """All of a function, by qualifier."""
        rows = self.db.all(
            "SELECT * FROM lambda_provisioned WHERE account=? AND region=? AND function=? ORDER BY qualifier",
            _where(named)[:3],
        )
        return [(Reference(named.scope, named.name, row["qualifier"]), _provisioned(row["body"])) for row in rows]

    def everybodys(self) -> list[tuple[Reference, Provisioned]]:
        """All there are, for the task that keeps them warm."""
        rows = self.db.all("SELECT * FROM lambda_provisioned ORDER BY account, region, function, qualifier")
        return [
            (
                Reference(Scope(row["account"], row["region"]), row["function"], row["qualifier"]),
                _provisioned(row["body"]),
            )
            for row in rows
        ]

    def delete(self, tx: Tx, named: Reference) -> None:
        """Remove."""
        tx.execute(
            "DELETE FROM lambda_provisioned WHERE account=? AND region=? AND function=? AND qualifier=?", _where(named)
        )


def _provisioned(body: bytes) -> Provisioned:
    return msgspec.msgpack.decode(body, type=Provisioned)


def _where(named: Reference) -> tuple[str, str, str, str]:
    return named.scope.account, named.scope.region, named.name, named.qualifier or ""
