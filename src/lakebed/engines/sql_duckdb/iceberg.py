"""Iceberg relations in the engine: columns found by field id, deletes taken off, the bytes a statement reads, and what it
demands of a table's rows (so that the table's own planner can leave files out).

Files without field ids (added to a table from elsewhere) are read by name. Positions are compared with the file's own
name, equality deletes column by column with NULL equal to NULL. https://iceberg.apache.org/spec/#scan-planning
"""

# ruff: noqa: S608 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlglot import exp

from lakebed.engines.sql_duckdb.instance import execute, literal
from lakebed.lake.sql.query import Compiler
from lakebed.lake.sql.scope import Scope
from lakebed.lake.sql.typed import common
from lakebed.lake.tables.predicates import Tree, both, either
from lakebed.lake.types import Type, duckdb_text, parse_hive, quote
from lakebed.ports.sql import DataFile, DeleteFile, Relation, SqlFailure

_FILE, _POSITION = "lb_file", "lb_pos"
_HIDDEN = {"$path": "VARCHAR", "$file_size": "BIGINT", "$file_modified_time": "TIMESTAMPTZ"}
_WORDS: dict[type[exp.Expr], str] = {exp.LT: "<", exp.LTE: "<=", exp.EQ: "=", exp.GT: ">", exp.GTE: ">=", exp.NEQ: "!="}
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_COMPARED = ("boolean", "tinyint", "smallint", "integer", "bigint", "real", "double", "decimal", "varchar", "date",
             "timestamp", "timestamp with time zone")  # fmt: skip


def create(connection: Any, number: int, relation: Relation, wanted: Collection[str] = ()) -> None:
    """``rel_<number>``, deleted rows left out."""
    columns = [(name.lower(), parse_hive(kind)) for name, kind in relation.columns if not _is_place(relation, name)]
    listed = ", ".join(quote(name) for name, _ in columns) or "1 AS lb_none"
    places = f", {_FILE}, {_POSITION}" if relation.positions else ""
    hidden = [name for name in _HIDDEN if name in wanted]
    places += "".join(f", {quote(name)}" for name in hidden)
    if not relation.files:
        nulls = ", ".join(f"CAST(NULL AS {duckdb_text(kind)}) AS {quote(name)}" for name, kind in columns)
        empty = f", CAST(NULL AS INTEGER) AS {_FILE}, CAST(NULL AS BIGINT) AS {_POSITION}" if relation.positions else ""
        empty += "".join(f", CAST(NULL AS {_HIDDEN[name]}) AS {quote(name)}" for name in hidden)
        execute(connection, f"CREATE VIEW rel_{number} AS SELECT {nulls or '1 AS lb_none'}{empty} WHERE false")
        return
    numbers = {file.path: at for at, file in enumerate(relation.files)}
    groups: dict[tuple[bool, tuple[int, ...]], list[DataFile]] = {}
    by_name = _without_ids(connection, relation.files)
    for file in relation.files:
        equalities = tuple(at for at in file.deletes if relation.deletes[at].field_ids)
        groups.setdefault((file.path in by_name, equalities), []).append(file)
    parts = []
    for (named, equalities), files in groups.items():
        select = _select(connection, relation, columns, files, named=named)
        select = _without_positions(select, relation, files)
        for at in equalities:
            select = _without_equals(connection, select, relation, relation.deletes[at])
        if relation.positions or hidden:
            rows = ", ".join(
                f"({literal(file.path)}, {numbers[file.path]}, {literal(file.location)}, {file.size}, "
                f"CAST(make_timestamp({round(file.modified * 1000) * 1000}::BIGINT) AS TIMESTAMPTZ))"
                for file in files
            )
            select = f"""SELECT s.*, n.{_FILE}, n."$path", n."$file_size", n."$file_modified_time"
                FROM ({select}) s JOIN (VALUES {rows}) n(p, {_FILE}, "$path", "$file_size", "$file_modified_time")
                ON n.p = s.lb_path"""
        parts.append(f"SELECT {listed}{places} FROM ({select})")
    execute(connection, f"CREATE VIEW rel_{number} AS {' UNION ALL '.join(parts)}")


def _is_place(relation: Relation, name: str) -> bool:
    return relation.positions and name in (_FILE, _POSITION)


def _without_ids(connection: Any, files: Sequence[DataFile]) -> set[str]:
    """Files whose columns carry no field ids."""
    listed = ", ".join(literal(file.path) for file in files)
    rows = execute(
        connection,
        f"SELECT file_name FROM parquet_schema([{listed}]) GROUP BY file_name HAVING count(field_id) = 0",
    ).fetchall()
    return {row[0] for row in rows}


def _select(
    connection: Any, relation: Relation, columns: list[tuple[str, Type]], files: list[DataFile], *, named: bool
) -> str:
    """All columns the relation and its equality deletes want, with ``lb_path`` and ``lb_pos``."""
    paths = "[" + ", ".join(literal(file.path) for file in files) + "]"
    tail = "filename='lb_path', file_row_number=true"
    extra = _compared_elsewhere(relation)
    if named:
        scan = f"read_parquet({paths}, union_by_name=true, hive_partitioning=false, {tail})"
        found = {row[0].lower(): row[0] for row in execute(connection, f"DESCRIBE SELECT * FROM {scan}").fetchall()}
        mapped = _names(relation)
        made = []
        for name, kind in columns:
            own = next((found[each] for each in mapped[name] if each in found), None)
            made.append(f"CAST({quote(own) if own else 'NULL'} AS {duckdb_text(kind)}) AS {quote(name)}")
        if extra:
            raise SqlFailure("NOT_SUPPORTED", "equality deletes over files without field ids are not built in Lakebed")
        return f"SELECT {', '.join([*made, 'lb_path', f'file_row_number AS {_POSITION}'])} FROM {scan}"
    kinds = dict(columns)
    entries, made = [], []
    for name, field_id in relation.field_ids.items():
        if name in kinds:
            entries.append(_entry(field_id, f"f{field_id}", duckdb_text(kinds[name])))
            made.append(f"f{field_id} AS {quote(name)}")
    for field_id, text in extra.items():
        entries.append(_entry(field_id, f"f{field_id}", text))
        made.append(f"f{field_id}")
    scan = f"read_parquet({paths}, schema=MAP {{{', '.join(entries)}}}, {tail})"
    return f"SELECT {', '.join([*made, 'lb_path', f'file_row_number AS {_POSITION}'])} FROM {scan}"


def _entry(field_id: int, name: str, kind: str) -> str:
    """A column of read_parquet's ``schema``."""
    return f"{field_id}: {{name: {literal(name)}, type: {literal(kind)}, default_value: NULL}}"


def _names(relation: Relation) -> dict[str, list[str]]:
    """Under which names files without field ids have a column: the table's name mapping, else its present name.
    https://iceberg.apache.org/spec/#name-mapping-serialization"""
    mapping: dict[int, list[str]] = {}
    try:
        for entry in msgspec.json.decode(relation.options.get("name_mapping") or "[]"):
            mapping[entry["field-id"]] = [str(name).lower() for name in entry.get("names") or []]
    except (msgspec.MsgspecError, TypeError, KeyError, AttributeError):
        raise SqlFailure("ICEBERG_INVALID_METADATA", "the table's name mapping cannot be read") from None
    return {name: mapping.get(field_id, [name]) for name, field_id in relation.field_ids.items()}


def _compared_elsewhere(relation: Relation) -> dict[int, str]:
    """Columns that only equality deletes still know (dropped since): read as text on both sides."""
    known = set(relation.field_ids.values())
    return {each: "VARCHAR" for delete in relation.deletes for each in delete.field_ids if each not in known}


def _without_positions(select: str, relation: Relation, files: list[DataFile]) -> str:
    """Take off what position deletes name; a delete file holds locations, our scan paths."""
    wanted = sorted({at for file in files for at in file.deletes if not relation.deletes[at].field_ids})
    if not wanted:
        return select
    deletes = "[" + ", ".join(literal(relation.deletes[at].path) for at in wanted) + "]"
    names = ", ".join(f"({literal(file.location)}, {literal(file.path)})" for file in files if file.deletes)
    gone = (
        f"SELECT n.p AS gone_path, d.pos AS gone_pos FROM read_parquet({deletes}, union_by_name=true) d "
        f"JOIN (VALUES {names}) n(l, p) ON n.l = d.file_path"
    )
    return (
        f"SELECT s.* FROM ({select}) s ANTI JOIN ({gone}) g ON g.gone_path = s.lb_path AND g.gone_pos = s.{_POSITION}"
    )


def _without_equals(connection: Any, select: str, relation: Relation, delete: DeleteFile) -> str:
    """Take off rows equal to one of the delete file's."""
    names = {field_id: name for name, field_id in relation.field_ids.items()}
    kinds = {name.lower(): duckdb_text(parse_hive(kind)) for name, kind in relation.columns}
    entries, pairs = [], []
    for field_id in delete.field_ids:
        kind = kinds[names[field_id]] if field_id in names else "VARCHAR"
        entries.append(_entry(field_id, f"d{field_id}", kind))
        own = quote(names[field_id]) if field_id in names else f"f{field_id}"
        pairs.append(f"s.{own} IS NOT DISTINCT FROM g.d{field_id}")
    if _without_ids(connection, [DataFile(delete.path, delete.size)]):
        raise SqlFailure("NOT_SUPPORTED", "equality deletes without field ids are not built in Lakebed")
    gone = f"read_parquet([{literal(delete.path)}], schema=MAP {{{', '.join(entries)}}})"
    return f"SELECT s.* FROM ({select}) s ANTI JOIN {gone} g ON {' AND '.join(pairs)}"


def scanned(connection: Any, relation: Relation, used: set[str]) -> int:
    """Column chunks of what is read, footers, and delete files whole."""
    footers = sum(_footer(file.path) for file in relation.files)
    deletes = sum(delete.size for delete in relation.deletes)
    wanted = {relation.field_ids[name] for name in used if name in relation.field_ids}
    wanted |= {each for delete in relation.deletes for each in delete.field_ids}
    if not wanted or not relation.files:
        return footers + deletes
    paths = "[" + ", ".join(literal(file.path) for file in relation.files) + "]"
    ids = ", ".join(str(each) for each in sorted(wanted))
    mapped = _names(relation)
    names = ", ".join(literal(each) for name in used for each in mapped.get(name, ())) or "''"
    # A chunk's first path element is a column of the file, whose id (or, without ids, whose name) says whose it is.
    row = execute(
        connection,
        f"""SELECT coalesce(sum(m.total_compressed_size), 0) FROM parquet_metadata({paths}) m JOIN (
          SELECT file_name, name, field_id FROM parquet_schema({paths})
        ) s ON s.file_name = m.file_name AND s.name = split_part(m.path_in_schema, ', ', 1)
        WHERE s.field_id IN ({ids}) OR (s.field_id IS NULL AND lower(s.name) IN ({names})
          AND s.file_name IN (SELECT file_name FROM parquet_schema({paths}) GROUP BY 1 HAVING count(field_id) = 0))""",
    ).fetchone()
    return footers + deletes + int(row[0])


def _footer(path: str) -> int:
    with Path(path).open("rb") as file:
        file.seek(-8, 2)
        return int.from_bytes(file.read(4), "little") + 8


def demands(connection: Any, compiler: Compiler, number: int) -> Tree:
    """What WHERE and inner joins demand of a relation's rows, wherever it stands in the statement."""
    by_place: dict[str, list[Tree]] = {}
    for node, scope in compiler.conjuncts:
        made = _Reader(connection, compiler, scope, number)
        tree = made.read(node)
        if tree is not None and made.place and not made.nullable:
            by_place.setdefault(made.place, []).append(tree)
    if not by_place or len(by_place) < compiler.scans.get(number, 1):
        return None
    return either([both(trees) for trees in by_place.values()])


class _Reader:
    """One condition as a tree; None where part of it says nothing about this relation alone."""

    def __init__(self, connection: Any, compiler: Compiler, scope: Scope, number: int) -> None:
        self._connection, self._compiler, self._scope, self._number = connection, compiler, scope, number
        self.place, self.nullable = "", False

    def read(self, node: exp.Expr) -> Tree:
        """The condition."""
        if isinstance(node, exp.Paren):
            return self.read(node.this)
        if isinstance(node, exp.And):
            return both([self.read(node.left), self.read(node.right)])
        if isinstance(node, exp.Or):
            return either([self.read(node.left), self.read(node.right)])
        if isinstance(node, exp.Between) and not node.args.get("symmetric"):
            return both(
                [self._compare(node.this, node.args["low"], ">="), self._compare(node.this, node.args["high"], "<=")]
            )
        if isinstance(node, exp.In) and node.expressions:
            return self._in(node)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return self._null(node.this, "null")
        if isinstance(node, exp.Like):
            return self._like(node)
        if isinstance(node, exp.Not):
            inner = node.this.this if isinstance(node.this, exp.Paren) else node.this
            if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
                return self._null(inner.this, "notnull")
            return None
        word = _WORDS.get(type(node)) if isinstance(node, exp.Binary) else None
        if word is None or not isinstance(node, exp.Binary):
            return None
        left = self._compare(node.left, node.right, word)
        return left if left is not None else self._compare(node.right, node.left, _FLIPPED[word])

    def _like(self, node: exp.Like) -> Tree:
        """What a pattern begins with."""
        found, pattern = self._column(node.this), node.expression
        if found is None or found[1].base != "varchar" or not isinstance(pattern, exp.Literal) or not pattern.is_string:
            return None
        prefix = re.split("[%_]", pattern.name, maxsplit=1)[0]
        return ["starts", found[0], prefix] if prefix else None

    def _null(self, column: exp.Expr, word: str) -> Tree:
        found = self._column(column)
        return None if found is None else [word, found[0]]

    def _in(self, node: exp.In) -> Tree:
        made = [self._compare(node.this, each, "=") for each in node.expressions]
        return None if any(each is None for each in made) else ["in", made[0][1], [each[2] for each in made]]

    def _compare(self, column: exp.Expr, constant: exp.Expr, word: str) -> Tree:
        found = self._column(column)
        if found is None or list(constant.find_all(exp.Column, exp.Query, exp.Anonymous)):
            return None
        name, kind = found
        try:
            value = self._compiler.expressions(self._scope, {}).compile(constant)
        except SqlFailure:
            return None
        same = common(value.type, kind)
        if kind.base not in _COMPARED or same is None or same.base != kind.base:
            return None  # the comparison is made in another type than the column's: its bounds tell nothing
        if kind.base == "decimal" and same != kind:
            return None
        row = execute(self._connection, f"SELECT CAST(CAST({value.sql} AS {duckdb_text(kind)}) AS VARCHAR)").fetchone()
        return None if row[0] is None else [word, name, row[0]]

    def _column(self, node: exp.Expr) -> tuple[str, Type] | None:
        """(name, type) of a column of this relation; remembers where the relation stands."""
        if not isinstance(node, exp.Column):
            return None
        names = [node.text(part) for part in ("catalog", "db", "table") if node.args.get(part)] + [node.name]
        try:
            own = self._scope.own(names)
        except SqlFailure:
            return None
        if own is None or own[1].origin is None or own[1].origin[0] != self._number:
            return None
        if self.place not in ("", own[0].place):
            return None
        self.place = own[0].place
        self.nullable |= own[0].nullable
        return own[1].origin[1], own[1].value.type
