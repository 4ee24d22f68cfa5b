"""The tables of thing groups and billing groups: one shape, told apart by ``kind``."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope

THING, BILLING = "thing", "billing"
_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class Group(NamedTuple):
    """A group; a billing group has no parent and no attributes."""

    kind: str
    name: str
    id: str
    parent: str
    description: str
    attributes: Mapping[str, str]
    version: int
    created: float

    @property
    def resource(self) -> str:
        """The last part of its ARN."""
        return f"{self.kind}group/{self.name}"


class GroupStore:
    """Rows of groups and their members."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def group(self, scope: Scope, kind: str, name: str) -> Group | None:
        """One group."""
        row = self.db.one(
            "SELECT * FROM iot_group WHERE account=? AND region=? AND kind=? AND name=?",
            (scope.account, scope.region, kind, name),
        )
        return _group(row) if row else None

    def groups(self, scope: Scope, kind: str, after: str, limit: int) -> list[Group]:
        """Groups by name."""
        rows = self.db.all(
            "SELECT * FROM iot_group WHERE account=? AND region=? AND kind=? AND name>? ORDER BY name LIMIT ?",
            (scope.account, scope.region, kind, after, limit),
        )
        return [_group(row) for row in rows]

    def children(self, scope: Scope, parent: str) -> list[str]:
        """Names of the thing groups below one; at most the 100 a group may have."""
        rows = self.db.all(
            "SELECT name FROM iot_group WHERE account=? AND region=? AND kind='thing' AND parent=? ORDER BY name LIMIT 101",
            (scope.account, scope.region, parent),
        )
        return [row["name"] for row in rows]

    def put(self, tx: Tx, scope: Scope, group: Group) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_group VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                scope.account, scope.region, group.kind, group.name, group.id, group.parent, group.description,
                _encode(group.attributes), group.version, group.created,
            ),
        )  # fmt: skip

    def delete(self, tx: Tx, scope: Scope, kind: str, name: str) -> None:
        """Delete, members included."""
        for table in ("iot_group", "iot_group_member"):
            tx.execute(
                f"DELETE FROM {table} WHERE account=? AND region=? AND kind=? AND name=?",  # noqa: S608 - two constants
                (scope.account, scope.region, kind, name),
            )

    def add(self, tx: Tx, scope: Scope, kind: str, name: str, thing: str) -> None:
        """A thing joins."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_group_member VALUES (?,?,?,?,?)",
            (scope.account, scope.region, kind, name, thing),
        )

    def remove(self, tx: Tx, scope: Scope, kind: str, name: str, thing: str) -> None:
        """A thing leaves."""
        tx.execute(
            "DELETE FROM iot_group_member WHERE account=? AND region=? AND kind=? AND name=? AND thing=?",
            (scope.account, scope.region, kind, name, thing),
        )

    def forget_thing(self, tx: Tx, scope: Scope, thing: str) -> None:
        """A deleted thing is in no group."""
        tx.execute(
            "DELETE FROM iot_group_member WHERE account=? AND region=? AND thing=?",
            (scope.account, scope.region, thing),
        )

    def members(self, scope: Scope, kind: str, name: str, after: str, limit: int) -> list[str]:
        """Things of a group."""
        rows = self.db.all(
            "SELECT thing FROM iot_group_member WHERE account=? AND region=? AND kind=? AND name=? AND thing>?"
            " ORDER BY thing LIMIT ?",
            (scope.account, scope.region, kind, name, after, limit),
        )
        return [row["thing"] for row in rows]

    def of_thing(self, scope: Scope, thing: str, kind: str = THING) -> list[str]:
        """Groups a thing is a direct member of (at most ten)."""
        rows = self.db.all(
            "SELECT name FROM iot_group_member WHERE account=? AND region=? AND thing=? AND kind=? ORDER BY name",
            (scope.account, scope.region, thing, kind),
        )
        return [row["name"] for row in rows]

    def ancestors(self, scope: Scope, name: str) -> list[str]:
        """The groups above one, nearest first."""
        found: list[str] = []
        group = self.group(scope, THING, name)
        while group is not None and group.parent and group.parent not in found:
            found.append(group.parent)
            group = self.group(scope, THING, group.parent)
        return found

    def below(self, scope: Scope, name: str) -> list[str]:
        """A group and all groups below it."""
        found = [name]
        for group in found:  # grows while it is walked
            found += self.children(scope, group)
        return found


def _group(row: sqlite3.Row) -> Group:
    kind, name, group_id, parent, description, attributes, version, created = tuple(row)[2:]
    return Group(kind, name, group_id, parent, description, _decode(attributes), version, created)
