"""Queries: SELECT, VALUES, set operations, WITH, joins, UNNEST — compiled by structure, every name resolved.

The compiler never passes text through: each node it does not know is refused as NOT_SUPPORTED by name, identifiers come
from the resolved scope and literals are printed anew. So the emitted SQL can only touch the relations it was given.
https://trino.io/docs/current/sql/select.html, https://docs.aws.amazon.com/athena/latest/ug/select.html
"""

# ruff: noqa: S608 - SQL is what this makes, from names it resolved and literals it printed

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlglot import exp

from lakebed.lake.sql.dialect import parse, version_of, where
from lakebed.lake.sql.expressions import Expressions
from lakebed.lake.sql.ordering import limit_of, order_by, ties_of
from lakebed.lake.sql.places import place_of, shown, split
from lakebed.lake.sql.scope import Column, Scope, Source
from lakebed.lake.sql.shapes import (
    alias_columns,
    conjuncts,
    given_names,
    has_tail,
    mentions,
    not_supported,
    ordinal,
    renamed,
    sampled,
    unwrapped,
)  # fmt: skip
from lakebed.lake.sql.typed import Typed, cast, coerce, common, mismatch, same_zones, unify
from lakebed.lake.types import BIGINT, TIMESTAMPTZ, VARCHAR, Type, duckdb_text, quote
from lakebed.ports.sql import SqlFailure

# https://docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog.html, https://trino.io/docs/current/connector/hive.html
HIDDEN = {"$path": VARCHAR, "$file_size": BIGINT, "$file_modified_time": TIMESTAMPTZ}
_DEPTH_MAX = 60
_RECURSION_MAX = 10  # https://trino.io/docs/current/sql/select.html#with-recursive-clause


class Query(NamedTuple):
    """A compiled query; its columns are called c0, c1, ... in ``sql`` and by ``columns`` to the user."""

    sql: str
    columns: list[tuple[str, Type]]


class RelationInfo(NamedTuple):
    """A relation the query may read: number, database, name, columns; views carry their text."""

    number: int
    database: str
    name: str
    columns: list[tuple[str, Type]]
    view_sql: str = ""
    view_database: str = ""
    files: bool = False  # its rows come from files: it has the hidden columns


@dataclass(slots=True)
class Compiler:
    """One statement. ``used`` collects the columns read of each relation, ``conjuncts`` what WHERE demands of them."""

    relations: Mapping[tuple[str, str], RelationInfo]
    database: str
    now: float = 0.0
    used: dict[int, set[str]] = field(default_factory=dict)
    conjuncts: list[tuple[exp.Expr, Scope]] = field(default_factory=list)
    scans: dict[int, int] = field(default_factory=dict)  # how often each relation stands in FROM
    _count: int = 0
    _depth: int = 0

    def query(self, node: exp.Expr, outer: Scope | None = None, ctes: Mapping[str, Query] | None = None) -> Query:
        """Any query expression."""
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise SqlFailure("STACK_OVERFLOW", "statement is too large (stack overflow during analysis)")
        try:
            known = dict(ctes or {})
            self._with(node, outer, known)
            if isinstance(node, exp.Subquery):
                inner = self.query(node.this, outer, known)
                return self._tail(node, inner) if has_tail(node) else inner
            if isinstance(node, exp.Values):
                return self._values(node, outer, known)
            if isinstance(node, exp.SetOperation):
                return self._set_operation(node, outer, known)
            if isinstance(node, exp.Select):
                return self._select(node, outer, known)
            raise not_supported(node)
        finally:
            self._depth -= 1

    def fresh(self, prefix: str = "s") -> str:
        """An identifier no user can write."""
        self._count += 1
        return f"{prefix}_{self._count}_"

    def expressions(self, scope: Scope, ctes: Mapping[str, Query], *, aggregates: bool = True) -> Expressions:
        """The compiler of expressions in a scope."""
        return Expressions(self, scope, ctes, aggregates=aggregates)

    def _with(self, node: exp.Expr, outer: Scope | None, known: dict[str, Query]) -> None:
        clause = node.args.get("with_")
        if clause is None:
            return
        for cte in clause.expressions:
            names = [name.name.lower() for name in (cte.args["alias"].args.get("columns") or [])]
            if clause.args.get("recursive") and mentions(cte.this, cte.alias.lower()):
                known[cte.alias.lower()] = self._recursive(cte, names, outer, known)
                continue
            made = self.query(cte.this, outer, known)
            known[cte.alias.lower()] = Query(made.sql, renamed(made.columns, names, cte))

    def _recursive(self, cte: exp.CTE, names: list[str], outer: Scope | None, known: dict[str, Query]) -> Query:
        """Trino's way: the step is unrolled to the fixed depth, and a row beyond it fails the query."""
        union = cte.this
        if not isinstance(union, exp.Union) or union.args.get("distinct") or has_tail(union) or not names:
            raise SqlFailure(
                "NOT_SUPPORTED", "a recursive query is a UNION ALL of a base and a step, with column aliases, here"
            )
        base = self.query(union.left, outer, known)
        columns = renamed(base.columns, names, cte)
        made = [f"{(last := self.fresh('lbr'))} AS MATERIALIZED ({base.sql})"]
        parts = [f"SELECT * FROM {last}"]
        for depth in range(_RECURSION_MAX + 1):
            step = self.query(union.right, outer, {**known, cte.alias.lower(): Query(f"SELECT * FROM {last}", columns)})
            if len(step.columns) != len(columns):
                raise mismatch("base and step relations of recursion have different number of fields")
            listed = []
            for at, ((_, kind), (_, wanted)) in enumerate(zip(step.columns, columns, strict=True)):
                if common(kind, wanted) is None:
                    raise mismatch(
                        f"recursion step relation output type ({kind}) is not coercible to recursion base ({wanted})"
                    )
                sql = coerce(Typed(f"c{at}", kind), wanted).sql
                if at == 0 and depth == _RECURSION_MAX:
                    sql = f"CASE WHEN lb_fail('Recursion depth limit exceeded ({_RECURSION_MAX}).') = 0 THEN NULL ELSE {sql} END"
                listed.append(f"{sql} AS c{at}")
            made.append(
                f"{(last := self.fresh('lbr'))} AS MATERIALIZED (SELECT {', '.join(listed)} FROM ({step.sql}) q)"
            )
            parts.append(f"SELECT * FROM {last}")
        return Query(f"WITH {', '.join(made)} {' UNION ALL '.join(parts)}", columns)

    def _values(self, node: exp.Values, outer: Scope | None, ctes: Mapping[str, Query]) -> Query:
        of = self.expressions(Scope(parent=outer), ctes)
        rows = [[of.compile(e) for e in (r.expressions if isinstance(r, exp.Tuple) else [r])] for r in node.expressions]
        if len({len(r) for r in rows}) != 1:
            raise mismatch("Values rows have mismatched sizes")
        columns = [unify([r[at] for r in rows], "Values rows") for at in range(len(rows[0]))]
        lines = ", ".join(
            f"({', '.join(f'CAST({values[at].sql} AS {duckdb_text(kind)})' for values, kind in columns)})"
            for at in range(len(rows))
        )
        names = ", ".join(f"c{at}" for at in range(len(columns)))
        return Query(
            f"SELECT * FROM (VALUES {lines}) v({names})", [(f"_col{at}", kind) for at, (_, kind) in enumerate(columns)]
        )

    def _set_operation(self, node: exp.SetOperation, outer: Scope | None, ctes: Mapping[str, Query]) -> Query:
        left, right = self.query(node.left, outer, ctes), self.query(node.right, outer, ctes)
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}.get(type(node))
        if word is None:
            raise not_supported(node)
        if len(left.columns) != len(right.columns):
            raise mismatch(f"{word} query has different number of fields: {len(left.columns)}, {len(right.columns)}")
        kinds = []
        for at, ((_, a), (_, b)) in enumerate(zip(left.columns, right.columns, strict=True)):
            kind = common(a, b)
            if kind is None:
                raise mismatch(f"column {at + 1} in {word} query has incompatible types: {a}, {b}")
            same_zones([a, b])
            kinds.append(kind)
        sides = [
            "SELECT " + ", ".join(f"{coerce(Typed(f'c{at}', own), kind).sql} AS c{at}"
                                  for at, ((_, own), kind) in enumerate(zip(side.columns, kinds, strict=True)))
            + f" FROM ({side.sql}) q"
            for side in (left, right)
        ]  # fmt: skip
        every = "" if node.args.get("distinct") else " ALL"
        names = [name for name, _ in left.columns]
        made = Query(f"({sides[0]}) {word}{every} ({sides[1]})", list(zip(names, kinds, strict=True)))
        return self._tail(node, made) if has_tail(node) else made

    def _tail(self, node: exp.Expr, made: Query) -> Query:
        """ORDER BY, OFFSET and LIMIT over a finished query."""
        columns = [Column(name, Typed(f"q.c{at}", kind)) for at, (name, kind) in enumerate(made.columns)]
        scope = Scope([Source("", columns)])
        ordered = order_by(node, self.expressions(scope, {}), [name for name, _ in made.columns])
        return Query(f"SELECT * FROM ({made.sql}) q{ordered}{limit_of(node)}", made.columns)

    def _select(self, node: exp.Select, outer: Scope | None, ctes: Mapping[str, Query]) -> Query:
        for clause in ("qualify", "cluster", "distribute", "sort", "match", "laterals", "connect", "hint", "into", "sample",
                       "kind", "pivots", "prewhere", "locks", "settings", "format", "options"):  # fmt: skip
            if node.args.get(clause):
                raise SqlFailure("NOT_SUPPORTED", f"{clause.upper()} is not built")
        scope = Scope(parent=outer)
        tables = self._from(node, scope, ctes)
        of = self.expressions(scope, ctes)
        parts = [f" FROM {tables}" if tables else ""]
        if (condition := node.args.get("where")) is not None:
            plain = self.expressions(scope, ctes, aggregates=False)
            parts.append(f" WHERE {plain.boolean(condition.this)}")
            self.conjuncts += [(part, scope) for part in conjuncts(condition.this)]
        items = self._items(node, scope, of)
        if (group := node.args.get("group")) is not None:
            parts.append(f" GROUP BY {self._group(group, of, items)}")
        if (having := node.args.get("having")) is not None:
            parts.append(f" HAVING {of.boolean(having.this)}")
        if windows := node.args.get("windows"):
            made = ", ".join(f"{quote(w.name.lower())} AS ({of.window_spec(w)})" for w in windows)
            parts.append(f" WINDOW {made}")
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise SqlFailure("NOT_SUPPORTED", "DISTINCT ON is not built")
        listed = ", ".join(f"{value.sql} AS c{at}" for at, (_, value) in enumerate(items))
        parts.append(ties_of(node, of, items))
        parts.append(order_by(node, of, [name for name, _ in items]))
        parts.append(limit_of(node))
        word = "SELECT DISTINCT" if distinct is not None else "SELECT"
        return Query(f"{word} {listed}{''.join(parts)}", [(name, value.type) for name, value in items])

    def _items(self, node: exp.Select, scope: Scope, of: Expressions) -> list[tuple[str, Typed]]:
        items: list[tuple[str, Typed]] = []
        for item in node.expressions:
            star = isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star))
            if star:
                items += self._star(item, scope)
                continue
            if isinstance(item, exp.Dot) and isinstance(item.expression, exp.Star):
                value = of.compile(item.this)
                items += of.all_fields(value)
                continue
            if (
                isinstance(item, exp.Aliases)
                and isinstance(item.this, exp.Dot)
                and isinstance(item.this.expression, exp.Star)
            ):
                found = of.all_fields(of.compile(item.this.this))
                items += zip(given_names(item, len(found)), [value for _, value in found], strict=True)
                continue
            if isinstance(item, exp.Alias):
                items.append((item.alias.lower(), of.compile(item.this)))
                continue
            value = of.compile(item)
            column = isinstance(item, exp.Column | exp.Dot)
            name = (item.name if isinstance(item, exp.Column) else item.expression.name) if column else ""
            items.append((name.lower() or f"_col{len(items)}", value))
        return items

    def _star(self, item: exp.Expr, scope: Scope) -> list[tuple[str, Typed]]:
        if isinstance(item, exp.Star) and any(item.args.get(key) for key in ("except_", "replace", "rename", "except")):
            raise SqlFailure("NOT_SUPPORTED", "* EXCEPT is not built")
        wanted = item.text("table").lower() if isinstance(item, exp.Column) else ""
        sources = [source for source in scope.sources if not wanted or source.alias == wanted]
        if not sources:
            if wanted:
                raise SqlFailure("TABLE_NOT_FOUND", f"{where(item)}Unable to resolve reference {wanted}")
            raise SqlFailure("COLUMN_NOT_FOUND", "line 1:8: SELECT * not allowed in queries without FROM clause")
        listed = [] if wanted else list(scope.joined.values())
        listed += [c for source in sources for c in source.columns if wanted or c.name not in scope.joined]
        listed = [column for column in listed if not column.hidden]
        for column in listed:
            self.touch(column)
        return [(column.name, column.value) for column in listed]

    def touch(self, column: Column | None) -> None:
        """A column is read."""
        if column is not None and column.origin is not None:
            self.used.setdefault(column.origin[0], set()).add(column.origin[1])

    def _group(self, group: exp.Group, of: Expressions, items: list[tuple[str, Typed]]) -> str:
        def one(part: exp.Expr) -> str:
            if isinstance(part, exp.Literal) and not part.is_string:
                return str(ordinal(part, len(items)))
            if isinstance(part, exp.Tuple):
                return f"({', '.join(one(each) for each in part.expressions)})"
            if isinstance(part, exp.Paren):
                return one(part.this)
            for word, kind in (("ROLLUP", exp.Rollup), ("CUBE", exp.Cube), ("GROUPING SETS", exp.GroupingSets)):
                if isinstance(part, kind):
                    return f"{word} ({', '.join(one(each) for each in part.expressions)})"
            return of.compile(part).sql

        parts = [one(part) for part in group.expressions]
        for key in ("grouping_sets", "rollup", "cube"):
            parts += [one(part) for part in group.args.get(key) or []]
        return ", ".join(parts)

    def _from(self, node: exp.Select, scope: Scope, ctes: Mapping[str, Query]) -> str:
        clause = node.args.get("from_")
        if clause is None:
            return ""
        sql = self._table(clause.this, scope, ctes)
        for join in node.args.get("joins") or []:
            sql = self._join(sql, join, scope, ctes)
        for extra in clause.this.args.get("joins") or []:
            sql = self._join(sql, extra, scope, ctes)
        return sql

    def _join(self, left: str, join: exp.Join, scope: Scope, ctes: Mapping[str, Query]) -> str:
        if join.args.get("method") or join.kind.upper() in ("SEMI", "ANTI") or join.args.get("match_condition"):
            raise SqlFailure("NOT_SUPPORTED", f"{join.args.get('method') or join.kind} JOIN is not built")
        before = list(scope.sources)
        right = self._table(join.this, scope, ctes)
        side = join.side.upper()
        for source in scope.sources:
            earlier = any(source is one for one in before)
            source.nullable |= side == "FULL" or side == ("RIGHT" if earlier else "LEFT")
        on, using = join.args.get("on"), join.args.get("using")
        if using:
            return self._using(f"{left} {side} JOIN {right}", using, scope, (before, side))
        if on is None:
            if side:
                raise SqlFailure("SYNTAX_ERROR", "line 1:1: mismatched input. Expecting: 'ON', 'USING'")
            return f"{left} CROSS JOIN {right}"
        condition = self.expressions(scope, ctes, aggregates=False).boolean(on)
        if not side:
            self.conjuncts += [(part, scope) for part in conjuncts(on)]
        return f"{left} {side or 'INNER'} JOIN {right} ON {condition}"

    def _using(self, head: str, using: list[exp.Expr], scope: Scope, sides: tuple[list[Source], str]) -> str:
        before, side = sides
        conditions = []
        for name in [each.name.lower() for each in using]:
            earlier = [c for source in before for c in source.columns if c.name == name]
            later = [c for source in scope.sources if source not in before for c in source.columns if c.name == name]
            if name in scope.joined:
                earlier = [scope.joined[name]]
            if len(earlier) != 1 or len(later) != 1:
                raise SqlFailure(
                    "COLUMN_NOT_FOUND", f"{where(using[0])}Column '{name}' is missing on one side of the join"
                )
            self.touch(earlier[0])
            self.touch(later[0])
            (a, b), kind = unify([earlier[0].value, later[0].value], "JOIN USING")
            conditions.append(f"{a.sql} = {b.sql}")
            merged = {"RIGHT": b.sql, "FULL": f"coalesce({a.sql}, {b.sql})"}.get(side, a.sql)
            scope.joined[name] = Column(
                name, Typed(merged, kind), later[0].origin if side == "RIGHT" else earlier[0].origin
            )
        return f"{head} ON {' AND '.join(conditions)}"

    def _table(self, node: exp.Expr, scope: Scope, ctes: Mapping[str, Query]) -> str:
        if node.args.get("sample") and not isinstance(node, exp.Table):
            raise SqlFailure("NOT_SUPPORTED", "TABLESAMPLE belongs to tables here")
        for clause in ("pivots", "when", "hints", "partition", "rows_from", "only"):
            if node.args.get(clause):
                raise SqlFailure("NOT_SUPPORTED", f"{clause.upper()} of a table is not built")
        if isinstance(node, exp.Unnest):
            return self._unnest(node, scope, ctes)
        if isinstance(node, exp.Lateral):
            made = self.query(unwrapped(node.this), scope, ctes)
            return f"LATERAL {self._derived(made, node, scope)}"
        if isinstance(node, exp.Subquery | exp.Values):
            inner = node.this if isinstance(node, exp.Subquery) else node
            if isinstance(inner, exp.Table):
                return self._parenthesised(node, inner, scope, ctes)
            if has_tail(node):
                raise not_supported(node)
            return self._derived(self.query(inner, scope.parent, ctes), node, scope)
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise SqlFailure("NOT_SUPPORTED", f"{where(node)}table functions are not built")
        return self._named(node, scope, ctes)

    def _parenthesised(self, node: exp.Expr, first: exp.Table, scope: Scope, ctes: Mapping[str, Query]) -> str:
        """``(a JOIN b ON ...)``"""
        if node.alias or has_tail(node):
            raise not_supported(node)
        outside, scope.sources = scope.sources, []
        sql = self._table(first, scope, ctes)
        for join in first.args.get("joins") or []:
            sql = self._join(sql, join, scope, ctes)
        scope.sources = outside + scope.sources
        return f"({sql})"

    def _named(self, node: exp.Table, scope: Scope, ctes: Mapping[str, Query]) -> str:
        name, database = node.name.lower(), node.db.lower()
        if not database and name in ctes and not version_of(node):
            return self._derived(ctes[name], node, scope, name)
        place = place_of(node.catalog, database, self.database)
        relation = self.relations.get((place, name + version_of(node)))
        if relation is None:
            full = f"{shown(place)}.{name}"
            raise SqlFailure("TABLE_NOT_FOUND", f"{where(node)}Table '{full}' does not exist")
        if relation.view_sql and not node.args.get("sample"):
            return self._derived(self._view(relation), node, scope, name)
        alias = self.fresh()
        self.used.setdefault(relation.number, set())
        self.scans[relation.number] = self.scans.get(relation.number, 0) + 1
        columns = [
            Column(label, Typed(f"{alias}.{quote(label)}", kind), (relation.number, label))
            for label, kind in relation.columns
        ]
        given = [each.name.lower() for each in alias_columns(node)]
        if given:
            pairs = renamed([(c.name, c.value.type) for c in columns], given, node)
            columns = [Column(new, c.value, c.origin) for (new, _), c in zip(pairs, columns, strict=True)]
        if relation.files:  # behind the table's own, so that one of this name wins
            columns += [
                Column(label, Typed(f"{alias}.{quote(label)}", kind), (relation.number, label), hidden=True)
                for label, kind in HIDDEN.items()
                if label not in {column.name for column in columns}
            ]
        scope.sources.append(Source((node.alias or name).lower(), columns, split(relation.database)[1], alias))
        return f"rel_{relation.number} AS {alias}{sampled(node)}"

    def _view(self, relation: RelationInfo) -> Query:
        own, self.database = self.database, relation.view_database or relation.database
        try:
            made = self.query(parse(relation.view_sql))
        finally:
            self.database = own
        if len(made.columns) != len(relation.columns):
            raise SqlFailure(
                "INVALID_VIEW", f"View '{relation.database}.{relation.name}' is stale; it must be re-created"
            )
        cast_to = ", ".join(
            f"{cast(Typed(f'c{at}', own_kind), kind).sql} AS c{at}"
            for at, ((_, own_kind), (_, kind)) in enumerate(zip(made.columns, relation.columns, strict=True))
        )
        return Query(f"SELECT {cast_to} FROM ({made.sql}) q", list(relation.columns))

    def _derived(self, made: Query, node: exp.Expr, scope: Scope, name: str = "") -> str:
        alias = self.fresh()
        shown = renamed(made.columns, [each.name.lower() for each in alias_columns(node)], node)
        columns = [Column(label, Typed(f"{alias}.c{at}", kind)) for at, (label, kind) in enumerate(shown)]
        scope.sources.append(Source((node.alias or name).lower(), columns))
        return f"({made.sql}) AS {alias}"

    def _unnest(self, node: exp.Unnest, scope: Scope, ctes: Mapping[str, Query]) -> str:
        of = self.expressions(scope, ctes, aggregates=False)
        alias, lists, columns = self.fresh(), [], list[tuple[str, Type]]()
        for value in [of.compile(each) for each in node.expressions]:
            at = len(columns)
            if value.type.base == "map":
                lists += [f"unnest(map_keys({value.sql})) AS c{at}", f"unnest(map_values({value.sql})) AS c{at + 1}"]
                columns += [("key", value.type.args[0]), ("value", value.type.args[1])]
            elif value.type.base == "array" and value.type.args[0].base == "row":
                for offset, (label, field_sql, kind) in enumerate(of.row_lists(value)):
                    lists.append(f"unnest({field_sql}) AS c{at + offset}")
                    columns.append((label, kind))
            elif value.type.base == "array":
                lists.append(f"unnest({value.sql}) AS c{at}")
                columns.append((f"_col{at}", value.type.args[0]))
            else:
                raise mismatch(f"Cannot unnest type: {value.type}")
        given = [each.name.lower() for each in alias_columns(node)]
        if offset_name := node.args.get("offset"):
            sizes = ", ".join(f"coalesce(len({item.split(' AS c')[0].removeprefix('unnest')}), 0)" for item in lists)
            lists.append(f"unnest(range(1, greatest({sizes}, 0) + 1)) AS c{len(columns)}")
            columns.append(("ordinality", BIGINT))
            given += [offset_name.name.lower()] if isinstance(offset_name, exp.Identifier) and given else []
        shown = renamed(columns, given, node)
        visible = [Column(label, Typed(f"{alias}.c{at}", kind)) for at, (label, kind) in enumerate(shown)]
        scope.sources.append(Source(node.alias.lower(), visible))
        return f"LATERAL (SELECT {', '.join(lists)}) AS {alias}"
