"""The tables of IoT Core. Paging is by name everywhere: the token is the last name of a page."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from lakebed.kernel.db import Database, Tx
from lakebed.kernel.scope import Scope
from lakebed.services.iot.model import Certificate, PolicyVersion, Rule, Thing, ThingType

_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.decode


def _key(scope: Scope) -> tuple[str, str]:
    return scope.account, scope.region


class IotStore:
    """All rows; reads work inside and outside of a transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # Things

    def thing(self, scope: Scope, name: str) -> Thing | None:
        """One thing."""
        row = self.db.one("SELECT * FROM iot_thing WHERE account=? AND region=? AND name=?", (*_key(scope), name))
        return _thing(row) if row else None

    def things(self, scope: Scope, after: str, limit: int) -> list[Thing]:
        """Things by name."""
        rows = self.db.all(
            "SELECT * FROM iot_thing WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (*_key(scope), after, limit),
        )
        return [_thing(row) for row in rows]

    def put_thing(self, tx: Tx, scope: Scope, thing: Thing) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_thing VALUES (?,?,?,?,?,?,?)",
            (*_key(scope), thing.name, thing.id, _encode(thing.attributes), thing.version, thing.type),
        )

    def delete_thing(self, tx: Tx, scope: Scope, name: str) -> None:
        """Delete."""
        tx.execute("DELETE FROM iot_thing WHERE account=? AND region=? AND name=?", (*_key(scope), name))

    def attach_thing(self, tx: Tx, scope: Scope, thing: str, principal: str, kind: str) -> None:
        """Thing and principal belong together."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_thing_principal VALUES (?,?,?,?,?)", (*_key(scope), thing, principal, kind)
        )

    def detach_thing(self, tx: Tx, scope: Scope, thing: str, principal: str) -> None:
        """Not any more."""
        tx.execute(
            "DELETE FROM iot_thing_principal WHERE account=? AND region=? AND thing=? AND principal=?",
            (*_key(scope), thing, principal),
        )

    def principals_of(self, scope: Scope, thing: str, after: str = "", limit: int = 250) -> list[tuple[str, str]]:
        """Principals of a thing, each with EXCLUSIVE_THING or NON_EXCLUSIVE_THING."""
        rows = self.db.all(
            "SELECT principal, kind FROM iot_thing_principal WHERE account=? AND region=? AND thing=? AND principal>?"
            " ORDER BY principal LIMIT ?",
            (*_key(scope), thing, after, limit),
        )
        return [(row["principal"], row["kind"]) for row in rows]

    def things_of(self, scope: Scope, principal: str, after: str = "", limit: int = 250) -> list[tuple[str, str]]:
        """Things of a principal, likewise."""
        rows = self.db.all(
            "SELECT thing, kind FROM iot_thing_principal WHERE account=? AND region=? AND principal=? AND thing>?"
            " ORDER BY thing LIMIT ?",
            (*_key(scope), principal, after, limit),
        )
        return [(row["thing"], row["kind"]) for row in rows]

    # Thing types

    def thing_type(self, scope: Scope, name: str) -> ThingType | None:
        """One type."""
        row = self.db.one("SELECT * FROM iot_thing_type WHERE account=? AND region=? AND name=?", (*_key(scope), name))
        return _thing_type(row) if row else None

    def thing_types(self, scope: Scope, after: str, limit: int) -> list[ThingType]:
        """Types by name."""
        rows = self.db.all(
            "SELECT * FROM iot_thing_type WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (*_key(scope), after, limit),
        )
        return [_thing_type(row) for row in rows]

    def put_thing_type(self, tx: Tx, scope: Scope, made: ThingType) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_thing_type VALUES (?,?,?,?,?,?,?,?)",
            (
                *_key(scope), made.name, made.id, made.description, _encode(made.searchable), made.created,
                made.deprecated,
            ),
        )  # fmt: skip

    def delete_thing_type(self, tx: Tx, scope: Scope, name: str) -> None:
        """Delete."""
        tx.execute("DELETE FROM iot_thing_type WHERE account=? AND region=? AND name=?", (*_key(scope), name))

    def has_things_of_type(self, scope: Scope, name: str) -> bool:
        """Whether any thing has the type."""
        return (
            self.db.one("SELECT 1 FROM iot_thing WHERE account=? AND region=? AND type=? LIMIT 1", (*_key(scope), name))
            is not None
        )

    # Certificates

    def certificate(self, scope: Scope, certificate_id: str) -> Certificate | None:
        """One certificate of an account and region."""
        row = self.db.one(
            "SELECT * FROM iot_certificate WHERE account=? AND region=? AND id=?", (*_key(scope), certificate_id)
        )
        return _certificate(row) if row else None

    def certificates_with(self, certificate_id: str) -> list[Certificate]:
        """The certificate wherever it is registered (at most once per account and region)."""
        rows = self.db.all("SELECT * FROM iot_certificate WHERE id=? ORDER BY created LIMIT 100", (certificate_id,))
        return [_certificate(row) for row in rows]

    def certificates(self, scope: Scope, after: str, limit: int, *, ascending: bool = True) -> list[Certificate]:
        """Certificates by time of creation, newest first unless asked otherwise; ``after`` is an id."""
        sign, order = (">", "") if ascending else ("<", " DESC")
        rows = self.db.all(
            f"SELECT * FROM iot_certificate WHERE account=?1 AND region=?2 AND (?3='' OR (created, id) {sign}"  # noqa: S608 - constants
            " (SELECT created, id FROM iot_certificate WHERE account=?1 AND region=?2 AND id=?3))"
            f" ORDER BY created{order}, id{order} LIMIT ?4",
            (*_key(scope), after, limit),
        )
        return [_certificate(row) for row in rows]

    def foreign_pems(self) -> list[str]:
        """Certificates registered without a CA: what TLS must be told to trust at boot."""
        return [row["pem"] for row in self.db.all("SELECT pem FROM iot_certificate WHERE mode='SNI_ONLY'")]

    def put_certificate(self, tx: Tx, made: Certificate) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_certificate VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (*_key(made.scope), *made[1:]),
        )

    def delete_certificate(self, tx: Tx, scope: Scope, certificate_id: str) -> None:
        """Delete."""
        tx.execute("DELETE FROM iot_certificate WHERE account=? AND region=? AND id=?", (*_key(scope), certificate_id))

    # Policies

    def policy(self, scope: Scope, name: str, version: int | None = None) -> PolicyVersion | None:
        """A version, or the default one."""
        row = self.db.one(
            "SELECT * FROM iot_policy WHERE account=? AND region=? AND name=?"
            " AND CASE WHEN ? IS NULL THEN is_default ELSE version=? END",
            (*_key(scope), name, version, version),
        )
        return _policy(row) if row else None

    def policy_versions(self, scope: Scope, name: str) -> list[PolicyVersion]:
        """All versions, newest first (at most five)."""
        rows = self.db.all(
            "SELECT * FROM iot_policy WHERE account=? AND region=? AND name=? ORDER BY version DESC",
            (*_key(scope), name),
        )
        return [_policy(row) for row in rows]

    def policies(self, scope: Scope, after: str, limit: int, *, ascending: bool = True) -> list[str]:
        """Policy names, from either end."""
        how = "name>?3 ORDER BY name" if ascending else "(name<?3 OR ?3='') ORDER BY name DESC"
        rows = self.db.all(
            f"SELECT name FROM iot_policy WHERE account=?1 AND region=?2 AND is_default AND {how} LIMIT ?4",  # noqa: S608 - two constants
            (*_key(scope), after, limit),
        )
        return [row["name"] for row in rows]

    def put_policy(self, tx: Tx, scope: Scope, made: PolicyVersion) -> None:
        """Insert or replace a version; a default one takes that from the others."""
        if made.is_default:
            tx.execute(
                "UPDATE iot_policy SET is_default=0 WHERE account=? AND region=? AND name=?", (*_key(scope), made.name)
            )
        tx.execute(
            "INSERT OR REPLACE INTO iot_policy VALUES (?,?,?,?,?,?,?,?)",
            (
                *_key(scope), made.name, made.version, made.document, int(made.is_default), made.created,
                made.generation,
            ),
        )  # fmt: skip

    def delete_policy(self, tx: Tx, scope: Scope, name: str, version: int | None = None) -> None:
        """Delete one version, or all."""
        tx.execute(
            "DELETE FROM iot_policy WHERE account=? AND region=? AND name=? AND (? IS NULL OR version=?)",
            (*_key(scope), name, version, version),
        )

    def attach_policy(self, tx: Tx, scope: Scope, target: str, policy: str) -> None:
        """The policy counts for the target."""
        tx.execute("INSERT OR REPLACE INTO iot_policy_attachment VALUES (?,?,?,?)", (*_key(scope), target, policy))

    def detach_policy(self, tx: Tx, scope: Scope, target: str, policy: str) -> None:
        """Not any more."""
        tx.execute(
            "DELETE FROM iot_policy_attachment WHERE account=? AND region=? AND target=? AND policy=?",
            (*_key(scope), target, policy),
        )

    def policies_of(self, scope: Scope, target: str, after: str = "", limit: int = 250) -> list[str]:
        """Policies attached to a target."""
        rows = self.db.all(
            "SELECT policy FROM iot_policy_attachment WHERE account=? AND region=? AND target=? AND policy>?"
            " ORDER BY policy LIMIT ?",
            (*_key(scope), target, after, limit),
        )
        return [row["policy"] for row in rows]

    def targets_of(self, scope: Scope, policy: str, after: str = "", limit: int = 250) -> list[str]:
        """Targets a policy is attached to."""
        rows = self.db.all(
            "SELECT target FROM iot_policy_attachment WHERE account=? AND region=? AND policy=? AND target>?"
            " ORDER BY target LIMIT ?",
            (*_key(scope), policy, after, limit),
        )
        return [row["target"] for row in rows]

    # Rules

    def rule(self, scope: Scope, name: str) -> Rule | None:
        """One rule."""
        row = self.db.one("SELECT * FROM iot_rule WHERE account=? AND region=? AND name=?", (*_key(scope), name))
        return _rule(row) if row else None

    def rules(self, scope: Scope, after: str, limit: int) -> list[Rule]:
        """Rules by name."""
        rows = self.db.all(
            "SELECT * FROM iot_rule WHERE account=? AND region=? AND name>? ORDER BY name LIMIT ?",
            (*_key(scope), after, limit),
        )
        return [_rule(row) for row in rows]

    def put_rule(self, tx: Tx, rule: Rule) -> None:
        """Insert or replace."""
        tx.execute(
            "INSERT OR REPLACE INTO iot_rule VALUES (?,?,?,?,?,?,?)",
            (
                *_key(rule.scope), rule.name, _encode(rule.payload), rule.topic_filter, int(rule.is_disabled),
                rule.created,
            ),
        )  # fmt: skip

    def delete_rule(self, tx: Tx, scope: Scope, name: str) -> None:
        """Delete."""
        tx.execute("DELETE FROM iot_rule WHERE account=? AND region=? AND name=?", (*_key(scope), name))

    # Tags

    def tags(self, scope: Scope, arn: str) -> dict[str, str]:
        """Tags of a resource."""
        rows = self.db.all(
            "SELECT key, value FROM iot_tag WHERE account=? AND region=? AND arn=? ORDER BY key", (*_key(scope), arn)
        )
        return {row["key"]: row["value"] for row in rows}

    def put_tags(self, tx: Tx, scope: Scope, arn: str, tags: Mapping[str, str]) -> None:
        """Add or change tags."""
        tx.executemany(
            "INSERT OR REPLACE INTO iot_tag VALUES (?,?,?,?,?)",
            [(*_key(scope), arn, key, value) for key, value in tags.items()],
        )

    def delete_tags(self, tx: Tx, scope: Scope, arn: str, keys: Sequence[str] | None = None) -> None:
        """Remove some tags, or all."""
        for key in self.tags(scope, arn) if keys is None else keys:
            tx.execute("DELETE FROM iot_tag WHERE account=? AND region=? AND arn=? AND key=?", (*_key(scope), arn, key))


def _thing(row: sqlite3.Row) -> Thing:
    return Thing(row["name"], row["id"], _decode(row["attributes"]), row["version"], row["type"])


def _thing_type(row: sqlite3.Row) -> ThingType:
    name, type_id, description, searchable, created, deprecated = tuple(row)[2:]
    return ThingType(name, type_id, description, _decode(searchable), created, deprecated)


def _certificate(row: sqlite3.Row) -> Certificate:
    return Certificate(Scope(row["account"], row["region"]), *tuple(row)[2:])


def _policy(row: sqlite3.Row) -> PolicyVersion:
    name, version, document, is_default, created, generation = tuple(row)[2:]
    return PolicyVersion(name, version, document, bool(is_default), created, generation)


def _rule(row: sqlite3.Row) -> Rule:
    return Rule(
        Scope(row["account"], row["region"]),
        row["name"],
        _decode(row["payload"]),
        row["topic_filter"],
        bool(row["is_disabled"]),
        row["created"],
    )
