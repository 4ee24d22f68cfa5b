"""Functions: the table of scalars, and those whose meaning hangs on types, literals, lambdas or their place in a query.

A name that stands in no table is refused: FUNCTION_NOT_FOUND. https://trino.io/docs/current/functions.html
"""

# ruff: noqa: ARG001, E501 - one signature for the whole table

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from lakebed.lake.sql import formatting, nested, patterns, rounding, times
from lakebed.lake.sql.aggregates import AGGREGATES, OVER, WINDOWS
from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.scalars import TABLE
from lakebed.lake.sql.typed import Typed, cast, coerce, common, literal, mismatch, unify
from lakebed.lake.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGERS,
    JSON,
    TIMESTAMP,
    VARBINARY,
    VARCHAR,
    Type,
    array,
    map_of,
    trino_text,
)  # fmt: skip
from lakebed.ports.sql import SqlFailure

if TYPE_CHECKING:
    from lakebed.lake.sql.expressions import Expressions

_RETURNS = {"varchar": VARCHAR, "bigint": BIGINT, "boolean": BOOLEAN, "double": DOUBLE, "date": DATE, "json": JSON,
            "varbinary": VARBINARY, "integer": Type("integer"), "decimal": Type("decimal", (38, 0)), "timestamp": TIMESTAMP, "array(varchar)": array(VARCHAR),
            "array(bigint)": array(BIGINT), "array(date)": array(DATE), "timestamptz": Type("timestamp with time zone")}  # fmt: skip
Handler = Callable[["Expressions", list[Any], Any], Typed]


def _overloads() -> dict[str, list[tuple[str, str, str]]]:
    table: dict[str, list[tuple[str, str, str]]] = {}
    for line in TABLE.strip().splitlines():
        name, kinds, returns, template = line.split(" ", 3)
        table.setdefault(name, []).append(("" if kinds == "-" else kinds, returns, template))
    return table


_SCALARS = _overloads()


def call(of: Expressions, name: str, arguments: list[Any], node: Any) -> Typed:
    """A call as written."""
    name = name.lower()
    if (special := SPECIAL.get(name)) is not None:
        return special(of, arguments, node)
    if name in AGGREGATES:
        return _ended(aggregate(of, name, arguments, node))
    if name in WINDOWS:
        raise SqlFailure("MISSING_OVER", f"{where(node)}Window function {name} requires an OVER clause")
    return plain(of, name, arguments, node)


def plain(of: Expressions, name: str, arguments: list[Any], node: Any) -> Typed:
    """A call of a scalar in the table."""
    if name not in _SCALARS:
        raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Function '{name}' not registered")
    values = [of.compile(argument) for argument in arguments]
    for kinds, returns, template in _SCALARS[name]:
        if len(kinds) == len(values) and all(_fits(kind, value) for kind, value in zip(kinds, values, strict=True)):
            if any(value.type.base == "unknown" for value in values) and "$" in returns:
                return Typed("NULL", values[0].type)
            ready = [_ready(kind, value, node) for kind, value in zip(kinds, values, strict=True)]
            return Typed(f"({template.format(*ready)})", _returned(returns, values))
    given = ", ".join(trino_text(value.type) for value in values)
    raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters ({given}) for function {name}")


_FITS = {"v": ("varchar", "char"), "p": ("varchar",), "r": ("varchar",), "i": INTEGERS, "g": INTEGERS,
         "d": (*INTEGERS, "decimal", "real", "double"), "n": ("decimal", "real", "double"), "b": ("boolean",),
         "x": ("varbinary",), "j": ("json", "varchar"), "T": ("date", "timestamp", "timestamp with time zone"),
         "D": ("date",), "A": ("array",), "M": ("map",), "I": ("interval day to second",),
         "J": ("interval year to month",)}  # fmt: skip


_NULLS = {"v": "VARCHAR", "i": "BIGINT", "b": "BOOLEAN", "x": "BLOB", "j": "VARCHAR", "T": "TIMESTAMP", "D": "DATE"}


def _fits(kind: str, value: Typed) -> bool:
    return kind == "a" or value.type.base in _FITS[kind] or (value.type.base == "unknown" and kind not in "AMgpr")


def _ready(kind: str, value: Typed, node: Any) -> str:
    if kind == "d":
        return cast(value, DOUBLE).sql
    if kind == "p":
        return literal(pattern(value, node)) if text_of(value) is not None else f"lb_pattern({value.sql})"
    if kind == "r":
        return literal(_replacement(value, node))
    if kind == "T" and value.type.args:
        return cast(value, TIMESTAMP).sql
    if value.type.base == "unknown":
        return f"CAST(NULL AS {_NULLS.get(kind, 'DOUBLE')})"
    return value.sql


def _returned(returns: str, values: list[Typed]) -> Type:
    if not returns.startswith("$"):
        return _RETURNS[returns]
    kind = values[0].type
    if returns == "$0":
        return kind
    inner: Type = kind.args[1 if returns == "$v0" else 0]
    return array(inner) if returns in ("$k0", "$v0") else inner


def text_of(value: Typed) -> str | None:
    """The string a literal is, None for anything else."""
    found = re.fullmatch(r"'((?:[^']|'')*)'", value.sql)
    return found.group(1).replace("''", "'") if found and value.type.base == "varchar" else None


def pattern(value: Typed, node: Any) -> str:
    """A regular expression both Java and RE2 read alike; what RE2 lacks is refused."""
    text = text_of(value)
    if text is None:
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}this regular expression must be a string literal here")
    if re.search(r"\(\?(?:[=!>]|<[=!])|\\[1-9]|\\k<|[*+?}]\+", text):
        raise SqlFailure(
            "NOT_SUPPORTED", f"{where(node)}look-around, back references and possessive quantifiers are not built"
        )
    return re.sub(r"\(\?<([A-Za-z]\w*)>", r"(?P<\1>", text)


def _replacement(value: Typed, node: Any) -> str:
    text = text_of(value)
    if text is None or "${" in text:
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}replacements must be string literals with $1 groups here")
    made = re.sub(r"\\(.)", lambda m: "\x00" if m.group(1) == "$" else m.group(1), text).replace("\\", "\\\\")
    return re.sub(r"\$(\d)", r"\\\1", made).replace("\x00", "$")


def concat(of: Expressions, values: list[Typed], node: Any) -> Typed:
    """``||`` and concat of strings, binaries, arrays and elements."""
    if any(value.type.base == "array" for value in values):
        inner = next(value.type.args[0] for value in values if value.type.base == "array")
        kinds = [value.type.args[0] if value.type.base == "array" else value.type for value in values]
        for kind in kinds:
            merged = common(inner, kind)
            if merged is None:
                raise mismatch(f"{where(node)}Cannot concatenate {inner} and {kind}")
            inner = merged
        parts = [
            cast(value, array(inner)).sql if value.type.base == "array" else f"[{coerce(value, inner).sql}]"
            for value in values
        ]
        made = parts[0]
        for part in parts[1:]:
            made = f"({made} || {part})"
        return Typed(made, array(inner))
    bases = {value.type.base for value in values} - {"unknown"}
    if bases <= {"varchar", "char"}:
        return Typed("(" + " || ".join(_ready("v", value, node) for value in values) + ")", VARCHAR)
    if bases == {"varbinary"}:
        return Typed("(" + " || ".join(value.sql for value in values) + ")", VARBINARY)
    given = ", ".join(trino_text(value.type) for value in values)
    raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters ({given}) for function concat")


def trim(of: Expressions, node: exp.Trim) -> Typed:
    """TRIM(BOTH 'x' FROM y)"""
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    value = of.compile(node.this)
    characters = f", {of.compile(node.expression).sql}" if node.args.get("expression") is not None else ""
    if value.type.base not in ("varchar", "char", "unknown"):
        raise mismatch(f"{where(node)}trim takes a varchar")
    return Typed(f"{name}({value.sql}{characters})", VARCHAR)


# --- aggregates and windows -------------------------------------------------------------------------------------------


def aggregate(of: Expressions, name: str, arguments: list[Any], node: Any, order: str = "") -> Typed:
    """An aggregate call with the mark where FILTER and OVER go."""
    if not of.aggregates:
        raise SqlFailure("EXPRESSION_NOT_SCALAR", f"{where(node)}WHERE clause cannot contain aggregations: {name}")
    distinct, flat = "", []
    for argument in arguments:
        if isinstance(argument, exp.Distinct):
            distinct, argument = "DISTINCT ", argument.expressions[0] if len(argument.expressions) == 1 else exp.Tuple(
                expressions=argument.expressions)  # fmt: skip
        if isinstance(argument, exp.Order):
            order = f" ORDER BY {of.order_items(argument)}"
            argument = argument.this
            if isinstance(argument, exp.Distinct):
                distinct, argument = "DISTINCT ", argument.expressions[0]
        flat.append(argument)
    if name == "count" and (not flat or isinstance(flat[0], exp.Star)):
        return Typed(f"count(*){OVER}", BIGINT)
    values = [of.compile(argument) for argument in flat]
    made = AGGREGATES[name](values, distinct, order)
    if made is None:
        given = ", ".join(trino_text(value.type) for value in values)
        raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters ({given}) for function {name}")
    return made


def _ended(value: Typed, suffix: str = "") -> Typed:
    return Typed(value.sql.replace(OVER, suffix), value.type)


def filtered(of: Expressions, node: exp.Filter, *, keep: bool = False) -> Typed:
    """``agg(x) FILTER (WHERE ...)``"""
    inner, order = node.this, ""
    if isinstance(inner, exp.WithinGroup):
        order, inner = f" ORDER BY {of.order_items(inner.expression)}", inner.this
    if not isinstance(inner, exp.Anonymous) or inner.name.lower() not in AGGREGATES:
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}FILTER belongs to aggregates")
    condition = f" FILTER (WHERE {of.boolean(node.expression.this)})"
    return _ended(
        aggregate(of, inner.name.lower(), inner.expressions, inner, order), condition + (OVER if keep else "")
    )


def within_group(of: Expressions, node: exp.WithinGroup) -> Typed:
    """``listagg(x, ',') WITHIN GROUP (ORDER BY y)``"""
    if not isinstance(node.this, exp.Anonymous) or node.this.name.lower() != "listagg":
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}WITHIN GROUP belongs to listagg")
    return _ended(aggregate(of, "listagg", node.this.expressions, node, f" ORDER BY {of.order_items(node.expression)}"))


def window_call(of: Expressions, node: Any, nulls: str) -> Typed:
    """What stands before OVER, with the mark."""
    if isinstance(node, exp.Filter):
        return filtered(of, node, keep=True)
    if not isinstance(node, exp.Anonymous):
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}{type(node).__name__} OVER is not built")
    name = node.name.lower()
    if name in WINDOWS:
        made = WINDOWS[name]([of.compile(argument) for argument in node.expressions], nulls)
        if made is None:
            raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters for function {name}")
        return made
    if name in AGGREGATES and not nulls:
        return aggregate(of, name, node.expressions, node)
    raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Function '{name}' not registered")


# --- functions that look at more than their values --------------------------------------------------------------------


def _values(of: Expressions, arguments: list[Any]) -> list[Typed]:
    return [of.compile(argument) for argument in arguments]


def _coalesce(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    values, kind = unify(_values(of, arguments), f"{where(node)}All COALESCE operands must be the same type")
    return Typed(f"coalesce({', '.join(value.sql for value in values)})", kind)


def _nullif(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    first = of.compile(arguments[0])
    (a, b), _ = unify([first, of.compile(arguments[1])], f"{where(node)}NULLIF")
    return Typed(f"(CASE WHEN {a.sql} = {b.sql} THEN NULL ELSE {first.sql} END)", first.type)


def _extreme(name: str) -> Handler:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        values, kind = unify(_values(of, arguments), f"{where(node)}{name}")
        nulls = " OR ".join(f"{value.sql} IS NULL" for value in values)
        return Typed(f"(CASE WHEN {nulls} THEN NULL ELSE {name}({', '.join(v.sql for v in values)}) END)", kind)

    return made


def _try(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value = of.compile(arguments[0])
    if "random()" in value.sql or "uuid()" in value.sql:
        raise SqlFailure(
            "NOT_SUPPORTED", f"{where(node)}try() of this expression is not built; use element_at or TRY_CAST"
        )
    return Typed(f"TRY({value.sql})", value.type)


def _typeof(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    return Typed(literal(trino_text(of.compile(arguments[0]).type)), VARCHAR)


def _if(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    return of.compile(exp.If(this=arguments[0], true=arguments[1], false=arguments[2] if len(arguments) > 2 else None))


def _row(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    from lakebed.lake.sql.expressions import make_row

    return make_row(_values(of, arguments))


def _concat_ws(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    separator, *rest = _values(of, arguments)
    if len(rest) == 1 and rest[0].type.base == "array":
        return Typed(f"array_to_string({cast(rest[0], array(VARCHAR)).sql}, {separator.sql})", VARCHAR)
    if any(value.type.base not in ("varchar", "char", "unknown") for value in rest):
        raise mismatch(f"{where(node)}concat_ws takes varchars")
    return Typed(f"concat_ws({separator.sql}, {', '.join(_ready('v', value, node) for value in rest)})", VARCHAR)


def _json_path(template: str, returns: Type) -> Handler:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        value, path = _values(of, arguments)
        text = text_of(path)
        if text is None or value.type.base not in ("varchar", "json", "unknown"):
            raise SqlFailure(
                "NOT_SUPPORTED", f"{where(node)}JSON paths must be string literals over JSON or varchar here"
            )
        if not re.fullmatch(r"\$((\.[A-Za-z_][\w\-]*)|(\[\d+\])|(\[\"[^\"\\]+\"\]))*", text):
            raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{text[:100]}'")
        steps = _steps(text)
        return Typed(template.format(_ready("j", value, node), literal(steps)), returns)

    return made


def _steps(text: str) -> str:
    found = re.findall(r"\.([A-Za-z_][\w\-]*)|\[(\d+)\]|\[\"([^\"\\]+)\"\]", text)
    return "$" + "".join(f"[{index}]" if index else f'."{name or quoted}"' for name, index, quoted in found)


def _mod(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    return of.compile(exp.Mod(this=exp.Paren(this=arguments[0]), expression=exp.Paren(this=arguments[1])))


def _json_contains(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    """json_array_contains: an element of the value's own kind that equals it."""
    items, value = _values(of, arguments)
    kinds = {"varchar": ("VARCHAR", "{0}"), "boolean": ("BOOLEAN", "CAST({0} AS BOOLEAN)"), "double": ("DOUBLE", "CAST({0} AS DOUBLE)"),
             **dict.fromkeys(INTEGERS, ("BIGINT,UBIGINT", "CAST({0} AS BIGINT)"))}  # fmt: skip
    if items.type.base not in ("json", "varchar") or value.type.base not in kinds:
        raise mismatch(f"{where(node)}json_array_contains takes JSON and a boolean, number or varchar")
    types, template = kinds[value.type.base]
    listed = ", ".join(literal(each) for each in types.split(","))
    found = f"CASE WHEN json_type(w_) IN ({listed}) THEN {template.format(chr(39).join(('w_ ->> ', '$', '')))} = {value.sql} ELSE false END"
    made = f"len(list_filter(CAST(CAST(j_ AS JSON) AS JSON[]), lambda w_: {found})) > 0"
    whole = f"CASE WHEN NOT json_valid(j_) OR json_type(j_) <> 'ARRAY' THEN NULL ELSE {made} END"
    return Typed(f"list_transform([{items.sql}], lambda j_: {whole})[1]", BOOLEAN)


def _width_bucket(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    if len(arguments) != 2:
        return plain(of, "width_bucket", arguments, node)
    value, bins = cast(of.compile(arguments[0]), DOUBLE), of.compile(arguments[1])
    if bins.type.base != "array":
        raise mismatch(f"{where(node)}width_bucket takes a number and an array of bins")
    listed = cast(bins, array(DOUBLE)).sql
    return Typed(f"CAST(len(list_filter({listed}, lambda b_: b_ <= {value.sql})) AS BIGINT)", BIGINT)


def _split_to_map(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    values = _values(of, arguments)
    if len(values) != 3 or any(value.type.base not in ("varchar", "char") for value in values):
        raise mismatch(f"{where(node)}split_to_map takes three varchars")
    text, entry, key = (value.sql for value in values)
    pairs = f"string_split({text}, {entry})"
    keys = f"list_transform({pairs}, lambda w_: string_split(w_, {key})[1])"
    items = f"list_transform({pairs}, lambda w_: substr(w_, strpos(w_, {key}) + length({key})))"
    return Typed(f"MAP({keys}, {items})", map_of(VARCHAR, VARCHAR))


def _split_to_multimap(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    values = _values(of, arguments)
    if len(values) != 3 or any(value.type.base not in ("varchar", "char") for value in values):
        raise mismatch(f"{where(node)}split_to_multimap takes three varchars")
    text, entry, key = (value.sql for value in values)
    pair = f"struct_pack(key := string_split(w_, {key})[1], value := substr(w_, strpos(w_, {key}) + length({key})))"
    return Typed(
        f"lb_multimap(list_transform(string_split({text}, {entry}), lambda w_: {pair}))",
        map_of(VARCHAR, array(VARCHAR)),
    )


def _json_size(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    found = _json_path("lb_json_at({0}, {1})", JSON)(of, arguments, node)
    sizes = (
        "CASE json_type(j_) WHEN 'ARRAY' THEN json_array_length(j_) WHEN 'OBJECT' THEN len(json_keys(j_)) ELSE 0 END"
    )
    return Typed(f"list_transform([{found.sql}], lambda j_: CAST({sizes} AS BIGINT))[1]", BIGINT)


SPECIAL: dict[str, Handler] = {
    "coalesce": _coalesce, "nullif": _nullif, "greatest": _extreme("greatest"), "least": _extreme("least"), "try": _try,
    "typeof": _typeof, "if": _if, "row": _row, "concat_ws": _concat_ws, "mod": _mod, "split_to_map": _split_to_map, "split_to_multimap": _split_to_multimap,
    "concat": lambda of, arguments, node: concat(of, _values(of, arguments), node), "json_size": _json_size,
    "json_array_contains": _json_contains, "width_bucket": _width_bucket,
    "json_extract_scalar": _json_path("lb_scalar({0}, {1})", VARCHAR), "json_extract": _json_path("lb_json_at({0}, {1})", JSON),
    **times.SPECIAL, **nested.SPECIAL, **rounding.SPECIAL, **formatting.SPECIAL, **patterns.SPECIAL,
}  # fmt: skip
__all__ = ["OVER", "SPECIAL", "call", "concat", "filtered", "trim", "window_call", "within_group"]
