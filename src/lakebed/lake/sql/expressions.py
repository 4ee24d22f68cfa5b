"""Expressions: operators, literals, CASE, casts, subqueries and windows; functions are in ``functions``.

Every expression gets its Trino type, because Trino overloads by type what DuckDB does not (``/`` of integers, decimal
scales, ``||`` of arrays) and because ``1 = '1'`` must be an error.
https://trino.io/docs/current/functions/comparison.html, https://trino.io/docs/current/functions/decimal.html
"""

# ruff: noqa: ARG001, ARG005, S608 - one signature for the whole table; SQL is what this makes

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lakebed.lake.sql import arithmetic, functions, zones
from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.scope import Scope, fields, unnamed
from lakebed.lake.sql.typed import Typed, cast, coerce, common, literal, mismatch, unify
from lakebed.lake.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    INTERVAL_DAY,
    INTERVAL_YEAR,
    JSON,
    REAL,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UNKNOWN,
    VARBINARY,
    VARCHAR,
    Type,
    array,
    decimal,
    field_name,
    quote,
    row,
)  # fmt: skip
from lakebed.ports.sql import SqlFailure

if TYPE_CHECKING:
    from lakebed.lake.sql.query import Compiler, Query

_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
                exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM"}  # fmt: skip
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_TYPES = {"BOOLEAN": BOOLEAN, "INT": INTEGER, "BIGINT": BIGINT, "DOUBLE": DOUBLE, "FLOAT": REAL, "REAL": REAL,
          "DATE": DATE, "TIMESTAMP": TIMESTAMP, "TIMESTAMPNTZ": TIMESTAMP, "TIMESTAMPTZ": TIMESTAMPTZ, "JSON": JSON,
          "VARBINARY": VARBINARY, "TEXT": VARCHAR, "TIME": TIME}  # fmt: skip
_MONTHS = {"MONTH": 1, "YEAR": 12}
_ZONED = re.compile(r"(.*\d)\s*(Z|UTC|[+-]\d\d:\d\d|[A-Z][A-Za-z_]+/[A-Za-z_/]+)$")


class Expressions:
    """Compiles expressions of one SELECT's scope."""

    def __init__(self, compiler: Compiler, scope: Scope, ctes: Mapping[str, Query], *, aggregates: bool = True) -> None:
        self.compiler, self.scope, self.ctes, self.aggregates = compiler, scope, ctes, aggregates
        self._depth = 0

    def compile(self, node: Any) -> Typed:
        """Any scalar expression."""
        self._depth += 1
        if self._depth > 200:
            raise SqlFailure("STACK_OVERFLOW", "statement is too large (stack overflow during analysis)")
        try:
            for kind in type(node).__mro__:
                if (handler := _HANDLERS.get(kind)) is not None:
                    return handler(self, node)
            raise SqlFailure("NOT_SUPPORTED", f"{where(node)}{type(node).__name__} is not built")
        finally:
            self._depth -= 1

    def boolean(self, node: Any) -> str:
        """A condition's text."""
        value = self.compile(node)
        if value.type.base not in ("boolean", "unknown"):
            raise mismatch(f"{where(node)}expression must evaluate to a boolean (actual: {value.type})")
        return value.sql if value.type == BOOLEAN else "CAST(NULL AS BOOLEAN)"

    def lambda_body(self, node: Any, values: list[Typed]) -> Typed:
        """A lambda's body with its parameters bound to values, which are SQL of the caller's making."""
        if not isinstance(node, exp.Lambda) or len(node.expressions) != len(values):
            raise SqlFailure(
                "INVALID_FUNCTION_ARGUMENT", f"{where(node)}a lambda of {len(values)} parameters is expected"
            )
        if list(node.this.find_all(exp.Query)):
            raise SqlFailure("NOT_SUPPORTED", f"{where(node)}Lambda expression cannot contain subqueries")
        bound = {p.name.lower(): value for p, value in zip(node.expressions, values, strict=True)}
        inner = Expressions(self.compiler, Scope(parent=self.scope, values=bound), self.ctes, aggregates=False)
        return inner.compile(node.this)

    def all_fields(self, value: Typed) -> list[tuple[str, Typed]]:
        """``row.*``"""
        if value.type.base != "row":
            raise mismatch("Cannot expand a value that is not a row")
        return [(name, Typed(f"({value.sql}).{quote(name)}", kind)) for name, kind in unnamed(value.type)]

    def row_lists(self, value: Typed) -> list[tuple[str, str, Type]]:
        """An array of rows as one array for each field."""
        return [
            (name, f"list_transform({value.sql}, lambda u_: u_.{quote(name)})", kind)
            for name, kind in unnamed(value.type.args[0])
        ]

    def window_spec(self, node: exp.Window) -> str:
        """What stands in OVER (...)."""
        parts = []
        if partition := node.args.get("partition_by"):
            parts.append("PARTITION BY " + ", ".join(self.compile(each).sql for each in partition))
        if (order := node.args.get("order")) is not None:
            parts.append("ORDER BY " + self.order_items(order))
        if (spec := node.args.get("spec")) is not None:
            if spec.args.get("exclude"):
                raise SqlFailure("NOT_SUPPORTED", "frame exclusion is not built")
            start = _bound(self, spec.args.get("start"), spec.args.get("start_side"))
            end = _bound(self, spec.args.get("end") or "CURRENT ROW", spec.args.get("end_side"))
            parts.append(f"{_frame_kind(spec)} BETWEEN {start} AND {end}")
        return " ".join(parts)

    def order_items(self, order: exp.Expr) -> str:
        """ORDER BY inside OVER and aggregates: no ordinals there."""
        return ", ".join(
            f"{self.compile(item.this).sql} {'DESC' if item.args.get('desc') else 'ASC'} "
            f"NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"
            for item in order.expressions
        )

    def type_of(self, node: exp.Expr, *, short: bool = False) -> Type:
        """A type as written in CAST; ``short``: a literal's, which says how many digits the literal has."""
        assert isinstance(node, exp.DataType)
        kind = node.this.name if hasattr(node.this, "name") else str(node.this)
        numbers = [int(part.name) for part in node.expressions if isinstance(part, exp.DataTypeParam)]
        if kind in ("DECIMAL", "NUMERIC"):
            return decimal(numbers[0] if numbers else 38, numbers[1] if len(numbers) > 1 else 0)
        if kind in ("VARCHAR", "CHAR"):
            return Type(kind.lower(), tuple(numbers[:1]) or (() if kind == "VARCHAR" else (1,)))
        if kind in ("TINYINT", "SMALLINT"):
            return Type(kind.lower())
        if kind in ("ARRAY", "LIST"):
            return array(self.type_of(node.expressions[0]))
        if kind == "MAP":
            return Type("map", tuple(self.type_of(part) for part in node.expressions))
        if kind == "STRUCT":
            return row(*[(part.name.lower(), self.type_of(part.args["kind"])) if isinstance(part, exp.ColumnDef)
                         else (None, self.type_of(part)) for part in node.expressions])  # fmt: skip
        if kind.startswith("TIMESTAMP") and numbers[:1] not in ([], [3]) and not (short and numbers[0] < 3):
            raise SqlFailure(
                "NOT_SUPPORTED", f"timestamp({numbers[0]}) is not built; timestamps have three digits here"
            )
        if kind not in _TYPES:
            raise SqlFailure("TYPE_NOT_FOUND", f"Unknown type: {kind.lower()}")
        return _TYPES[kind]


def _column(of: Expressions, node: exp.Column) -> Typed:
    names = [node.text(part) for part in ("catalog", "db", "table") if node.args.get(part)] + [node.name]
    value, column = of.scope.find(names, where(node))
    of.compiler.touch(column)
    return value


def _identifier(of: Expressions, node: exp.Identifier) -> Typed:
    value, column = of.scope.find([node.name], where(node))
    of.compiler.touch(column)
    return value


def _dot(of: Expressions, node: exp.Dot) -> Typed:
    names: list[str] = []
    base: Any = node
    while isinstance(base, exp.Dot):
        names.insert(0, base.expression.name)
        base = base.this
    return fields(of.compile(base), names, where(node))


def _literal(of: Expressions, node: exp.Literal) -> Typed:
    text = node.name
    if node.is_string:
        return Typed(literal(text), Type("varchar", (len(text),)))
    if re.fullmatch(r"\d+", text):
        number = int(text)
        if number >= 2**63:
            raise SqlFailure("NUMERIC_VALUE_OUT_OF_RANGE", f"Invalid numeric literal: {text[:60]}")
        kind = INTEGER if number < 2**31 else BIGINT
        return Typed(f"{number}::{'INTEGER' if kind == INTEGER else 'BIGINT'}", kind)
    if re.fullmatch(r"\d*\.\d*", text):
        whole, part = text.split(".", 1)
        whole = whole.lstrip("0")
        kind = decimal(len(whole) + len(part) or 1, len(part))
        digits = literal(f"{whole or 0}.{part or 0}")
        return Typed(f"CAST({digits} AS DECIMAL({kind.args[0]},{kind.args[1]}))", kind)
    if re.fullmatch(r"(\d+\.?\d*|\.\d+)[eE][+-]?\d+", text):
        return Typed(f"CAST({literal(text)} AS DOUBLE)", DOUBLE)
    raise SqlFailure("SYNTAX_ERROR", f"line 1:1: mismatched input '{text[:60]}'")


def _unicode(node: exp.UnicodeString) -> Typed:
    if node.args.get("escape"):
        raise SqlFailure("NOT_SUPPORTED", "UESCAPE is not built")
    text = re.sub(
        r"\\(?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))", lambda m: chr(int(m.group(1) or m.group(2), 16)), node.name
    )
    if "\x00" in text:
        raise SqlFailure("NOT_SUPPORTED", "NUL characters in literals are not built")
    return Typed(literal(text), Type("varchar", (len(text),)))


def _cast(of: Expressions, node: exp.Cast) -> Typed:
    inner, safe = node.this, isinstance(node, exp.TryCast)
    to = of.type_of(node.args["to"], short=isinstance(inner, exp.Literal) and inner.is_string)
    if isinstance(inner, exp.Literal) and inner.is_string:
        if to.base.startswith("timestamp") and re.search(r"\.\d{4}", inner.name):
            raise SqlFailure("NOT_SUPPORTED", "timestamps of more than three digits are not built")
        if to.base == "decimal" and not node.args["to"].expressions:
            whole, _, part = inner.name.lstrip("+-").partition(".")
            to = decimal(len(whole) + len(part), len(part))
        zoned = _ZONED.match(inner.name) if to.base.startswith("timestamp") else None
        if zoned is not None and (to.base == "timestamp with time zone" or not safe):
            zone = zones.zone_of(zoned.group(2))
            at = f"lb_milliseconds(CAST({literal(zoned.group(1))} AS TIMESTAMP))"
            return Typed(zones.instant(at, zone), Type("timestamp with time zone", (zone,)))
    return cast(of.compile(inner), to, safe=safe)


def _arithmetic(of: Expressions, node: exp.Binary) -> Typed:
    return arithmetic.binary(_ARITHMETIC[type(node)], of.compile(node.left), of.compile(node.right), where(node))


def _negative(of: Expressions, node: exp.Neg) -> Typed:
    if isinstance(node.this, exp.Literal) and node.this.name == "9223372036854775808":
        return Typed("CAST('-9223372036854775808' AS BIGINT)", BIGINT)
    value = of.compile(node.this)
    return Typed(f"(-{value.sql})", value.type)


def _comparison(of: Expressions, node: exp.Binary) -> Typed:
    operator, right = _COMPARISONS[type(node)], node.right
    if (
        isinstance(right, exp.Anonymous)
        and right.name.upper() in ("ALL", "ANY", "SOME")
        and len(right.expressions) == 1
    ):
        quantifier = exp.All if right.name.upper() == "ALL" else exp.Any  # sqlglot reads VALUES there as an argument
        node = type(node)(this=node.this, expression=quantifier(this=right.expressions[0]))
        right = node.right
    if isinstance(right, exp.Any | exp.All):
        return _quantified(of, node, operator)
    a, b = of.compile(node.left), of.compile(right)
    kind = common(a.type, b.type)
    if kind is None:
        raise mismatch(f"{where(node)}Cannot apply operator: {a.type} {operator} {b.type}")
    return Typed(f"({coerce(a, kind).sql} {operator} {coerce(b, kind).sql})", BOOLEAN)


def _quantified(of: Expressions, node: exp.Binary, operator: str) -> Typed:
    inner = node.right.this
    query = of.compiler.query(inner.this if isinstance(inner, exp.Subquery) else inner, of.scope, of.ctes)
    value = of.compile(node.left)
    kind = common(value.type, query.columns[0][1])
    if kind is None or len(query.columns) != 1:
        raise mismatch(f"{where(node)}Cannot apply operator: {value.type} {operator} {query.columns[0][1]}")
    item = coerce(Typed("q.c0", query.columns[0][1]), kind).sql
    word = "ALL" if isinstance(node.right, exp.All) else "ANY"
    return Typed(f"({coerce(value, kind).sql} {operator} {word} (SELECT {item} FROM ({query.sql}) q))", BOOLEAN)


def _logical(word: str) -> Callable[[Expressions, Any], Typed]:
    return lambda of, node: Typed(f"({of.boolean(node.left)} {word} {of.boolean(node.right)})", BOOLEAN)


def _between(of: Expressions, node: exp.Between) -> Typed:
    (value, low, high), _ = unify([of.compile(node.this), of.compile(node.args["low"]), of.compile(node.args["high"])],
                                  f"{where(node)}BETWEEN")  # fmt: skip
    return Typed(f"({value.sql} BETWEEN {low.sql} AND {high.sql})", BOOLEAN)


def _in(of: Expressions, node: exp.In) -> Typed:
    if node.args.get("unnest") or node.args.get("field"):
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}IN UNNEST is not built")
    query = node.args.get("query")
    if query is None:
        values, _ = unify([of.compile(node.this), *[of.compile(each) for each in node.expressions]], f"{where(node)}IN")
        return Typed(f"({values[0].sql} IN ({', '.join(value.sql for value in values[1:])}))", BOOLEAN)
    made = of.compiler.query(query.this if isinstance(query, exp.Subquery) else query, of.scope, of.ctes)
    value = of.compile(node.this)
    kind = common(value.type, made.columns[0][1])
    if kind is None or len(made.columns) != 1:
        raise mismatch(f"{where(node)}value and result of subquery must be of the same type for IN expression: "
                       f"{value.type} vs {made.columns[0][1]}")  # fmt: skip
    item = coerce(Typed("q.c0", made.columns[0][1]), kind).sql
    return Typed(f"({coerce(value, kind).sql} IN (SELECT {item} FROM ({made.sql}) q))", BOOLEAN)


def _is(of: Expressions, node: exp.Is) -> Typed:
    if not isinstance(node.expression, exp.Null):
        raise SqlFailure(
            "SYNTAX_ERROR", f"{where(node)}mismatched input after IS. Expecting: 'NULL', 'NOT NULL', 'DISTINCT'"
        )
    return Typed(f"({of.compile(node.this).sql} IS {'NOT ' if node.args.get('negate') else ''}NULL)", BOOLEAN)


def _like(of: Expressions, node: exp.Expr, escape: str = "") -> Typed:
    value, pattern = of.compile(node.this), of.compile(node.args["expression"])
    for each in (value, pattern):
        if each.type.base not in ("varchar", "char", "unknown"):
            raise mismatch(
                f"{where(node)}Left side of LIKE expression must evaluate to a varchar (actual: {each.type})"
            )
    word = "NOT LIKE" if node.args.get("negate") else "LIKE"
    return Typed(f"({value.sql} {word} {pattern.sql}{escape})", BOOLEAN)


def _escape(of: Expressions, node: exp.Escape) -> Typed:
    if not isinstance(node.this, exp.Like) or len(node.expression.name) != 1:
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", "Escape string must be a single character")
    return _like(of, node.this, f" ESCAPE {literal(node.expression.name)}")


def _case(of: Expressions, node: exp.Case) -> Typed:
    operand = of.compile(node.this) if node.this is not None else None
    tests = []
    for branch in node.args["ifs"]:
        if operand is None:
            tests.append(of.boolean(branch.this))
        else:
            (a, b), _ = unify([operand, of.compile(branch.this)], f"{where(node)}CASE")
            tests.append(f"{a.sql} = {b.sql}")
    results = [of.compile(branch.args["true"]) for branch in node.args["ifs"]]
    results.append(of.compile(node.args["default"]) if node.args.get("default") is not None else NULL)
    values, kind = unify(results, f"{where(node)}All CASE results must be the same type")
    branches = " ".join(f"WHEN {test} THEN {value.sql}" for test, value in zip(tests, values, strict=False))
    return Typed(f"(CASE {branches} ELSE {values[-1].sql} END)", kind)


def _if(of: Expressions, node: exp.If) -> Typed:
    other = of.compile(node.args["false"]) if node.args.get("false") is not None else NULL
    (yes, no), kind = unify(
        [of.compile(node.args["true"]), other], f"{where(node)}Result types for IF must be the same"
    )
    return Typed(f"(CASE WHEN {of.boolean(node.this)} THEN {yes.sql} ELSE {no.sql} END)", kind)


def _subquery(of: Expressions, node: exp.Expr) -> Typed:
    made = of.compiler.query(node, of.scope, of.ctes)
    if len(made.columns) != 1:
        raise SqlFailure("NOT_SUPPORTED", "Multiple columns returned by subquery are not yet supported")
    return Typed(f"(SELECT c0 FROM ({made.sql}) q)", made.columns[0][1])


def _exists(of: Expressions, node: exp.Exists) -> Typed:
    return Typed(f"EXISTS ({of.compiler.query(node.this, of.scope, of.ctes).sql})", BOOLEAN)


def _bracket(of: Expressions, node: exp.Bracket) -> Typed:
    if len(node.expressions) != 1:
        raise SqlFailure("SYNTAX_ERROR", f"{where(node)}mismatched input ','")
    value, key = of.compile(node.this), of.compile(node.expressions[0])
    if value.type.base == "array" and key.type.base in ("tinyint", "smallint", "integer", "bigint"):
        return Typed(f"lb_at({value.sql}, {key.sql})", value.type.args[0])
    if value.type.base == "map" and common(value.type.args[0], key.type) is not None:
        return Typed(f"lb_map_at({value.sql}, {cast(key, value.type.args[0]).sql})", value.type.args[1])
    if value.type.base == "row" and isinstance(node.expressions[0], exp.Literal) and key.type == INTEGER:
        at = int(node.expressions[0].name)
        if 1 <= at <= len(value.type.args):
            name, kind = value.type.args[at - 1]
            return Typed(f"({value.sql}).{quote(field_name(name, at - 1))}", kind)
    raise mismatch(f"{where(node)}Cannot use {key.type} for subscript of {value.type}")


def _array(of: Expressions, node: exp.Array) -> Typed:
    if not node.expressions:
        return Typed("CAST([] AS INTEGER[])", array(UNKNOWN))
    values, kind = unify([of.compile(each) for each in node.expressions], f"{where(node)}ARRAY")
    return Typed(f"[{', '.join(value.sql for value in values)}]", array(kind))


def make_row(values: list[Typed]) -> Typed:
    """ROW(a, b)"""
    packed = ", ".join(f"{quote(field_name(None, at))} := {value.sql}" for at, value in enumerate(values))
    return Typed(f"struct_pack({packed})", row(*[(None, value.type) for value in values]))


def _pipes(of: Expressions, node: exp.DPipe) -> Typed:
    return functions.concat(of, [of.compile(node.left), of.compile(node.right)], node)


def _at_zone(of: Expressions, node: exp.AtTimeZone) -> Typed:
    zone, value = node.args["zone"], of.compile(node.this)
    if not (isinstance(zone, exp.Literal) and zone.is_string):
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}AT TIME ZONE takes a string literal here")
    if value.type.base == "timestamp":
        value = cast(value, TIMESTAMPTZ)
    if value.type.base != TIMESTAMPTZ.base:
        raise mismatch(f"{where(node)}Type of value must be a time or timestamp with or without time zone")
    return Typed(value.sql, Type(TIMESTAMPTZ.base, (zones.zone_of(zone.name, where(node)),)))


def _interval(of: Expressions, node: exp.Interval) -> Typed:
    unit = node.args["unit"]
    text = node.this.name if isinstance(node.this, exp.Literal) else ""
    if not isinstance(unit, exp.Var) or not re.fullmatch(r"[+-]?\d{1,9}(\.\d+)?", text):
        raise SqlFailure("NOT_SUPPORTED", "only simple interval literals such as INTERVAL '2' DAY are built")
    name = unit.name.upper().rstrip("S")
    if name in _MONTHS:
        return Typed(f"to_months({int(text) * _MONTHS[name]})", INTERVAL_YEAR)
    if name not in ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK"):
        raise SqlFailure("SYNTAX_ERROR", f"line 1:1: mismatched input '{unit.name}'")
    seconds = float(text) * {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400, "WEEK": 604800}[name]
    return Typed(f"to_microseconds({round(seconds * 1_000_000)})", INTERVAL_DAY)


def _window(of: Expressions, node: exp.Window) -> Typed:
    inner, nulls = node.this, ""
    if isinstance(inner, exp.IgnoreNulls | exp.RespectNulls):
        nulls, inner = (" IGNORE NULLS" if isinstance(inner, exp.IgnoreNulls) else ""), inner.this
    value = functions.window_call(of, inner, nulls)
    over = quote(node.alias.lower()) if node.alias and not node.args.get("partition_by") and not node.args.get("order") \
        else f"({of.window_spec(node)})"  # fmt: skip
    return Typed(value.sql.replace(functions.OVER, f" OVER {over}"), value.type)


def _frame_kind(spec: exp.Expr) -> str:
    kind = str(spec.args.get("kind") or "ROWS").upper()
    if kind not in ("ROWS", "RANGE", "GROUPS"):
        raise SqlFailure("NOT_SUPPORTED", f"frame {kind[:20]} is not built")
    return kind


def _bound(of: Expressions, value: Any, side: str | None) -> str:
    if isinstance(value, str):
        word = f"{value} {side or ''}".strip().upper()
        if word not in ("CURRENT ROW", "UNBOUNDED PRECEDING", "UNBOUNDED FOLLOWING"):
            raise SqlFailure("NOT_SUPPORTED", "frame bound is not built")
        return word
    if str(side).upper() not in ("PRECEDING", "FOLLOWING"):
        raise SqlFailure("NOT_SUPPORTED", "frame bound is not built")
    return f"{of.compile(value).sql} {str(side).upper()}"


NULL = Typed("NULL", UNKNOWN)
_HANDLERS: dict[type, Callable[[Expressions, Any], Typed]] = {
    exp.Column: _column, exp.Identifier: _identifier, exp.Dot: _dot, exp.Literal: _literal, exp.Cast: _cast,
    exp.Neg: _negative, exp.Between: _between, exp.In: _in, exp.Is: _is, exp.Like: _like, exp.Escape: _escape,
    exp.Case: _case, exp.If: _if, exp.Select: _subquery, exp.Subquery: _subquery, exp.Exists: _exists,
    exp.Bracket: _bracket, exp.Array: _array, exp.DPipe: _pipes, exp.AtTimeZone: _at_zone, exp.Interval: _interval,
    exp.Window: _window, exp.And: _logical("AND"), exp.Or: _logical("OR"),
    exp.Paren: lambda of, node: of.compile(node.this),
    exp.Not: lambda of, node: Typed(f"(NOT {of.boolean(node.this)})", BOOLEAN),
    exp.Null: lambda of, node: NULL,
    exp.Boolean: lambda of, node: Typed("TRUE" if node.this else "FALSE", BOOLEAN),
    exp.Tuple: lambda of, node: make_row([of.compile(each) for each in node.expressions]),
    exp.HexString: lambda of, node: Typed(f"from_hex({literal(node.name.replace(' ', ''))})", VARBINARY),
    exp.ParseJSON: lambda of, node: functions.call(of, "json_parse", [node.this], node),
    exp.Anonymous: lambda of, node: functions.call(of, node.name, node.expressions, node),
    exp.UnicodeString: lambda of, node: _unicode(node),
    exp.Filter: lambda of, node: functions.filtered(of, node),
    exp.WithinGroup: lambda of, node: functions.within_group(of, node),
    exp.CurrentDate: lambda of, node: functions.call(of, "current_date", [], node),
    exp.CurrentTimestamp: lambda of, node: functions.call(of, "now", [], node),
    exp.Localtimestamp: lambda of, node: functions.call(of, "localtimestamp", [], node),
    exp.Extract: lambda of, node: functions.call(of, "extract", [exp.Literal.string(node.name), node.expression], node),
    exp.Substring: lambda of, node: functions.call(
        of, "substr", [node.this, *[part for key in ("start", "length") if (part := node.args.get(key)) is not None]], node),
    exp.StrPosition: lambda of, node: functions.call(of, "strpos", [node.this, node.args["substr"]], node),
    exp.Trim: lambda of, node: functions.trim(of, node),
    **dict.fromkeys(_COMPARISONS, _comparison), **dict.fromkeys(_ARITHMETIC, _arithmetic),
}  # fmt: skip
