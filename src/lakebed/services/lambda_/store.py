"""The tables of functions, versions, aliases, policies and settings of asynchronous invocation. The SQL of those, and
nothing else; ``queue_store.py`` holds the queue of asynchronous invocations and ``mapping_store.py`` the mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.model import FunctionVersion
from lakebed.services.lambda_.names import LATEST


class Alias(msgspec.Struct, frozen=True):
    """A name for a version, with at most one other version that gets a share of the calls."""

    function: str
    name: str
    version: str
    description: str
    weights: dict[str, float]
    revision: str


class FunctionRow(msgspec.Struct, frozen=True):
    """What belongs to a function's name rather than to a version."""

    last_version: int
    reserved_concurrency: int | None
    tags: dict[str, str]
    recursive_loop: str = "Terminate"
    runtime_update: str = "Auto"


class Policy(msgspec.Struct, frozen=True):
    """A resource policy: its statements in order, each with its Sid."""

    revision: str
    statements: tuple[dict[str, Any], ...]

    def text(self) -> str:
        """The policy document."""
        document = {"Version": "2012-10-17", "Id": "default", "Statement": list(self.statements)}
        return msgspec.json.encode(document).decode()


class LaterConfig(msgspec.Struct, frozen=True):
    """How asynchronous invocations are retried, and who hears of their end."""

    modified: float
    retries: int | None = None
    age_seconds: int | None = None
    on_failure: str = ""
    on_success: str = ""


def _number(version: str) -> int:
    return 0 if version == LATEST else int(version)


class FunctionStore:
    """Rows by scope. Methods that read accept a Database as well as an open Tx."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def add(self, tx: Tx, scope: Scope, first: FunctionVersion, tags: Mapping[str, str]) -> None:
        """A new function."""
        tx.execute(
            "INSERT INTO lambda_function (account, region, name, tags) VALUES (?,?,?,?)",
            (scope.account, scope.region, first.name, msgspec.msgpack.encode(tags)),
        )
        self.put_version(tx, scope, first)

    def function(self, scope: Scope, name: str) -> FunctionRow | None:
        """What belongs to the name."""
        row = self.db.one(
            "SELECT * FROM lambda_function WHERE account=? AND region=? AND name=?", (scope.account, scope.region, name)
        )
        if row is None:
            return None
        return FunctionRow(
            row["last_version"],
            row["reserved_concurrency"],
            msgspec.msgpack.decode(row["tags"]),
            row["recursive_loop"],
            row["runtime_update"],
        )

    def put_version(self, tx: Tx, scope: Scope, version: FunctionVersion) -> None:
        """Write a version; for a numbered one the function's counter as well."""
        number = _number(version.version)
        tx.execute(
            "INSERT OR REPLACE INTO lambda_version (account, region, name, version, code_sha256, code_size, body) "
            "VALUES (?,?,?,?,?,?,?)",
            (
                scope.account,
                scope.region,
                version.name,
                number,
                version.code_hex,
                version.code_size,
                msgspec.msgpack.encode(version),
            ),
        )
        where = (scope.account, scope.region, version.name, number)
        tx.execute("DELETE FROM lambda_used_layer WHERE account=? AND region=? AND name=? AND version=?", where)
        tx.executemany(
            "INSERT INTO lambda_used_layer (account, region, name, version, place, code_hex) VALUES (?,?,?,?,?,?)",
            [(*where, place, layer.code_hex) for place, layer in enumerate(version.layers)],
        )
        if number:
            tx.execute(
                "UPDATE lambda_function SET last_version=? WHERE account=? AND region=? AND name=?",
                (number, scope.account, scope.region, version.name),
            )

    def version(self, scope: Scope, name: str, version: str) -> FunctionVersion | None:
        """``$LATEST`` or a published version."""
        if version != LATEST and not version.isdigit():
            return None
        row = self.db.one(
            "SELECT body FROM lambda_version WHERE account=? AND region=? AND name=? AND version=?",
            (scope.account, scope.region, name, _number(version)),
        )
        return msgspec.msgpack.decode(row["body"], type=FunctionVersion) if row else None

    def versions(self, scope: Scope, name: str, after: int, limit: int) -> list[FunctionVersion]:
        """Versions above a number, ``$LATEST`` (0) first."""
        rows = self.db.all(
            "SELECT body FROM lambda_version WHERE account=? AND region=? AND name=? AND version>? ORDER BY version LIMIT ?",
            (scope.account, scope.region, name, after, limit),
        )
        return [msgspec.msgpack.decode(row["body"], type=FunctionVersion) for row in rows]

    def latest_of_all(self, scope: Scope, after: str, limit: int) -> list[FunctionVersion]:
        """``$LATEST`` of the functions behind a name."""
        rows = self.db.all(
            "SELECT body FROM lambda_version WHERE account=? AND region=? AND name>? AND version=0 ORDER BY name LIMIT ?",
            (scope.account, scope.region, after, limit),
        )
        return [msgspec.msgpack.decode(row["body"], type=FunctionVersion) for row in rows]

    def every_version(self, scope: Scope, after: tuple[str, int], limit: int) -> list[FunctionVersion]:
        """All versions of all functions, behind (name, number)."""
        rows = self.db.all(
            "SELECT body FROM lambda_version WHERE account=? AND region=? AND (name, version)>(?,?) "
            "ORDER BY name, version LIMIT ?",
            (scope.account, scope.region, *after, limit),
        )
        return [msgspec.msgpack.decode(row["body"], type=FunctionVersion) for row in rows]

    def delete_version(self, tx: Tx, scope: Scope, name: str, version: str) -> None:
        """One published version, with what is qualified by it."""
        where = (scope.account, scope.region, name)
        tx.execute(
            "DELETE FROM lambda_version WHERE account=? AND region=? AND name=? AND version=?",
            (*where, _number(version)),
        )
        tx.execute(
            "DELETE FROM lambda_used_layer WHERE account=? AND region=? AND name=? AND version=?",
            (*where, _number(version)),
        )
        self._forget_qualified(tx, (*where, version))

    def delete_function(self, tx: Tx, scope: Scope, name: str) -> None:
        """A function with everything that belongs to it but mappings, which AWS leaves as well."""
        where = (scope.account, scope.region, name)
        tx.execute("DELETE FROM lambda_function WHERE account=? AND region=? AND name=?", where)
        tx.execute("DELETE FROM lambda_version WHERE account=? AND region=? AND name=?", where)
        for statement in (
            "DELETE FROM lambda_alias WHERE account=? AND region=? AND function=?",
            "DELETE FROM lambda_policy WHERE account=? AND region=? AND function=?",
            "DELETE FROM lambda_later_config WHERE account=? AND region=? AND function=?",
            "DELETE FROM lambda_later WHERE account=? AND region=? AND function=?",
            "DELETE FROM lambda_url WHERE account=? AND region=? AND function=?",
            "DELETE FROM lambda_provisioned WHERE account=? AND region=? AND function=?",
            "DELETE FROM lambda_used_layer WHERE account=? AND region=? AND name=?",
        ):
            tx.execute(statement, where)

    def code_in_use(self, code_hex: str) -> bool:
        """Whether any function or layer of anyone still names a package."""
        found = self.db.one(
            "SELECT 1 FROM lambda_version WHERE code_sha256=? UNION ALL SELECT 1 FROM lambda_layer WHERE code_hex=? "
            "AND deleted=0 UNION ALL SELECT 1 FROM lambda_used_layer WHERE code_hex=? LIMIT 1",
            (code_hex, code_hex, code_hex),
        )
        return found is not None

    def all_code(self) -> list[str]:
        """Every package that some function or layer names."""
        rows = self.db.all(
            "SELECT code_sha256 AS code FROM lambda_version UNION SELECT code_hex FROM lambda_layer WHERE deleted=0 "
            "UNION SELECT code_hex FROM lambda_used_layer"
        )
        return [row["code"] for row in rows]

    def usage(self, scope: Scope) -> tuple[int, int]:
        """Functions, and bytes of code of all versions."""
        where = (scope.account, scope.region)
        size = self.db.one(
            "SELECT coalesce(sum(code_size), 0) AS n FROM lambda_version WHERE account=? AND region=?", where
        )
        count = self.db.one("SELECT count(*) AS n FROM lambda_function WHERE account=? AND region=?", where)
        return (int(count["n"]) if count else 0), (int(size["n"]) if size else 0)

    def reserved(self, scope: Scope) -> int:
        """Concurrency reserved by all functions."""
        row = self.db.one(
            "SELECT coalesce(sum(reserved_concurrency), 0) AS n FROM lambda_function WHERE account=? AND region=?",
            (scope.account, scope.region),
        )
        return int(row["n"]) if row else 0

    def put_concurrency(self, tx: Tx, scope: Scope, name: str, reserved: int | None) -> None:
        """Reserve, or (None) stop reserving."""
        tx.execute(
            "UPDATE lambda_function SET reserved_concurrency=? WHERE account=? AND region=? AND name=?",
            (reserved, scope.account, scope.region, name),
        )

    def put_choice(self, tx: Tx, scope: Scope, name: str, *, recursive_loop: str, runtime_update: str) -> None:
        """How loops are answered, and when the runtime is updated."""
        tx.execute(
            "UPDATE lambda_function SET recursive_loop=?, runtime_update=? WHERE account=? AND region=? AND name=?",
            (recursive_loop, runtime_update, scope.account, scope.region, name),
        )

    def put_tags(self, tx: Tx, scope: Scope, name: str, tags: Mapping[str, str]) -> None:
        """Replace a function's tags."""
        tx.execute(
            "UPDATE lambda_function SET tags=? WHERE account=? AND region=? AND name=?",
            (msgspec.msgpack.encode(tags), scope.account, scope.region, name),
        )

    def put_alias(self, tx: Tx, scope: Scope, alias: Alias) -> None:
        """Write an alias."""
        tx.execute(
            "INSERT OR REPLACE INTO lambda_alias (account, region, function, name, body) VALUES (?,?,?,?,?)",
            (scope.account, scope.region, alias.function, alias.name, msgspec.msgpack.encode(alias)),
        )

    def alias(self, scope: Scope, function: str, name: str) -> Alias | None:
        """One alias."""
        row = self.db.one(
            "SELECT body FROM lambda_alias WHERE account=? AND region=? AND function=? AND name=?",
            (scope.account, scope.region, function, name),
        )
        return msgspec.msgpack.decode(row["body"], type=Alias) if row else None

    def aliases(self, scope: Scope, function: str, after: str, limit: int) -> list[Alias]:
        """Aliases of a function behind a name."""
        rows = self.db.all(
            "SELECT body FROM lambda_alias WHERE account=? AND region=? AND function=? AND name>? ORDER BY name LIMIT ?",
            (scope.account, scope.region, function, after, limit),
        )
        return [msgspec.msgpack.decode(row["body"], type=Alias) for row in rows]

    def delete_alias(self, tx: Tx, scope: Scope, function: str, name: str) -> None:
        """An alias, with its policy and settings."""
        where = (scope.account, scope.region, function, name)
        tx.execute("DELETE FROM lambda_alias WHERE account=? AND region=? AND function=? AND name=?", where)
        self._forget_qualified(tx, where)

    def _forget_qualified(self, tx: Tx, where: tuple[str, str, str, str]) -> None:
        """What belongs to a version or an alias goes with it."""
        for statement in (
            "DELETE FROM lambda_policy WHERE account=? AND region=? AND function=? AND qualifier=?",
            "DELETE FROM lambda_later_config WHERE account=? AND region=? AND function=? AND qualifier=?",
            "DELETE FROM lambda_url WHERE account=? AND region=? AND function=? AND qualifier=?",
            "DELETE FROM lambda_provisioned WHERE account=? AND region=? AND function=? AND qualifier=?",
        ):
            tx.execute(statement, where)

    def policy(self, scope: Scope, function: str, qualifier: str | None) -> Policy | None:
        """The policy of a function, version or alias."""
        row = self.db.one(
            "SELECT revision, statements FROM lambda_policy WHERE account=? AND region=? AND function=? AND qualifier=?",
            (scope.account, scope.region, function, qualifier or ""),
        )
        return Policy(row["revision"], tuple(msgspec.msgpack.decode(row["statements"]))) if row else None

    def put_policy(self, tx: Tx, scope: Scope, function: str, qualifier: str | None, policy: Policy) -> None:
        """Write a policy; one without statements disappears."""
        where = (scope.account, scope.region, function, qualifier or "")
        tx.execute("DELETE FROM lambda_policy WHERE account=? AND region=? AND function=? AND qualifier=?", where)
        if policy.statements:
            tx.execute(
                "INSERT INTO lambda_policy (account, region, function, qualifier, revision, statements) VALUES (?,?,?,?,?,?)",
                (*where, policy.revision, msgspec.msgpack.encode(policy.statements)),
            )

    def later_config(self, scope: Scope, function: str, qualifier: str) -> LaterConfig | None:
        """Settings of asynchronous invocation."""
        row = self.db.one(
            "SELECT body FROM lambda_later_config WHERE account=? AND region=? AND function=? AND qualifier=?",
            (scope.account, scope.region, function, qualifier),
        )
        return msgspec.msgpack.decode(row["body"], type=LaterConfig) if row else None

    def later_configs(self, scope: Scope, function: str) -> Sequence[tuple[str, LaterConfig]]:
        """All settings of a function, by qualifier."""
        rows = self.db.all(
            "SELECT qualifier, body FROM lambda_later_config WHERE account=? AND region=? AND function=? "
            "ORDER BY qualifier LIMIT 1000",
            (scope.account, scope.region, function),
        )
        return [(row["qualifier"], msgspec.msgpack.decode(row["body"], type=LaterConfig)) for row in rows]

    def put_later_config(self, tx: Tx, scope: Scope, function: str, qualifier: str, config: LaterConfig | None) -> None:
        """Write, or (None) delete."""
        where = (scope.account, scope.region, function, qualifier)
        tx.execute("DELETE FROM lambda_later_config WHERE account=? AND region=? AND function=? AND qualifier=?", where)
        if config is not None:
            tx.execute(
                "INSERT INTO lambda_later_config (account, region, function, qualifier, body) VALUES (?,?,?,?,?)",
                (*where, msgspec.msgpack.encode(config)),
            )
