"""The tables a statement names, each with the time or version it is asked for: FOR TIMESTAMP AS OF, FOR VERSION AS OF.

A point in time may be any constant expression (``current_timestamp - interval '1' day``); it is computed here.
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-time-travel-and-version-travel-queries.html
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from lakebed.engines.sql_duckdb.instance import Instances, execute
from lakebed.lake.sql.dialect import names, version_of
from lakebed.lake.sql.places import place_of, split
from lakebed.lake.sql.query import Compiler
from lakebed.lake.sql.scope import Scope
from lakebed.ports.sql import SqlFailure


def references(instances: Instances, tree: exp.Expr, request: dict[str, Any]) -> list[list[str]]:
    """(catalog, database, name, version, as_of) of each table, once for each version of it."""
    home = request["database"].lower()
    found: dict[tuple[str, ...], list[str]] = {}
    known = set(names(tree))
    for table in tree.find_all(exp.Table):
        key = (table.catalog.lower(), table.db.lower(), table.name.lower())
        if not isinstance(table.this, exp.Identifier) or key not in known:
            continue
        version = version_of(table)
        place = place_of(key[0], key[1], home)
        named = [split(place)[0], place, key[2], version]
        if tuple(named) not in found:
            as_of = _meant(instances, table.args["version"], request) if version else ""
            found[tuple(named)] = [*named, as_of]
    return list(found.values())


def _meant(instances: Instances, version: exp.Expr, request: dict[str, Any]) -> str:
    word, value = str(version.this).upper(), version.expression
    if str(version.args.get("kind", "")).upper() != "AS OF":
        raise SqlFailure("NOT_SUPPORTED", "only AS OF a time or a version is built")
    compiler = Compiler({}, request["database"].lower(), now=request["now"])
    made = compiler.expressions(Scope(), {}).compile(value)
    connection = instances.open([], [])
    if word == "VERSION":
        if made.type.base in ("tinyint", "smallint", "integer", "bigint"):
            return f"id:{execute(connection, f'SELECT {made.sql}').fetchone()[0]}"
        if made.type.base == "varchar":
            return f"ref:{execute(connection, f'SELECT {made.sql}').fetchone()[0]}"
        raise SqlFailure("INVALID_ARGUMENTS", f"Unsupported type for table version: {made.type}")
    if made.type.base not in ("timestamp with time zone", "timestamp", "date"):
        raise SqlFailure("INVALID_ARGUMENTS", f"Unsupported type for temporal table version: {made.type}")
    row = execute(connection, f"SELECT epoch_ms(CAST({made.sql} AS TIMESTAMPTZ))").fetchone()
    if row[0] is None:
        raise SqlFailure("INVALID_ARGUMENTS", "Pointer value cannot be NULL")
    return f"millis:{row[0]}"
