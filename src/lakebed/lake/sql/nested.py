"""Functions over arrays, maps and rows, with their lambdas.

https://trino.io/docs/current/functions/array.html, https://trino.io/docs/current/functions/map.html,
https://trino.io/docs/current/functions/lambda.html
"""

# ruff: noqa: ARG001 - one signature for the whole table

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.typed import Typed, cast, coerce, common, mismatch, unify
from lakebed.lake.types import BIGINT, BOOLEAN, INTEGERS, VARCHAR, Type, array, duckdb_text, map_of, row

if TYPE_CHECKING:
    from lakebed.lake.sql.expressions import Expressions

Handler = Callable[["Expressions", list[Any], Any], Typed]


def _values(of: Expressions, arguments: list[Any]) -> list[Typed]:
    return [of.compile(argument) for argument in arguments]


def _map(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    if not arguments:
        return Typed("MAP([]::INTEGER[], []::INTEGER[])", map_of(Type("unknown"), Type("unknown")))
    keys, values = _values(of, arguments)
    if keys.type.base != "array" or values.type.base != "array":
        raise mismatch(f"{where(node)}map takes two arrays")
    return Typed(f"MAP({keys.sql}, {values.sql})", map_of(keys.type.args[0], values.type.args[0]))


def _element_at(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value, key = _values(of, arguments)
    if value.type.base == "array" and key.type.base in INTEGERS:
        return Typed(f"lb_element({value.sql}, {key.sql})", value.type.args[0])
    if value.type.base == "map" and common(value.type.args[0], key.type) is not None:
        return Typed(f"({value.sql})[{cast(key, value.type.args[0]).sql}]", value.type.args[1])
    raise mismatch(f"{where(node)}element_at takes an array and an index, or a map and a key")


def _member(template: str, returns: Type | None) -> Handler:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        items, item = _values(of, arguments)
        kind = common(items.type.args[0], item.type) if items.type.base == "array" else None
        if kind is None:
            raise mismatch(f"{where(node)}the array's elements and the value do not match")
        listed = cast(items, array(kind))
        return Typed(template.format(listed.sql, coerce(item, kind).sql), returns or listed.type)

    return made


def _pair(template: str, returns: Type | None) -> Handler:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        (a, b), kind = unify(_values(of, arguments), f"{where(node)}arrays")
        if kind.base != "array":
            raise mismatch(f"{where(node)}two arrays are expected")
        return Typed(template.format(a.sql, b.sql), returns or kind)

    return made


def _array_join(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    items, *rest = _values(of, arguments)
    if items.type.base != "array" or not rest:
        raise mismatch(f"{where(node)}array_join takes an array and a delimiter")
    texts = cast(items, array(VARCHAR)).sql
    if len(rest) > 1:
        texts = f"list_transform({texts}, lambda j_: coalesce(j_, {rest[1].sql}))"
    return Typed(f"array_to_string({texts}, {rest[0].sql})", VARCHAR)


def _lambda(template: str, result: str) -> Handler:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        items = of.compile(arguments[0])
        if items.type.base != "array" or len(arguments) != 2:
            raise mismatch(f"{where(node)}an array and a lambda are expected")
        (name,), body = of.lambda_body(arguments[1], [items.type.args[0]])
        kind = {"same": items.type, "body": array(body.type), "boolean": BOOLEAN}[result]
        return Typed(template.format(items.sql, f"lambda {name}: {body.sql}"), kind)

    return made


def _map_lambda(part: str) -> Handler:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        items = of.compile(arguments[0])
        if items.type.base != "map" or len(arguments) != 2:
            raise mismatch(f"{where(node)}a map and a lambda are expected")
        (key, value), body = of.lambda_body(arguments[1], list(items.type.args))
        text = body.sql.replace(key, "m_.key").replace(value, "m_.value")
        entries = f"map_entries({items.sql})"
        if part == "filter":
            return Typed(f"map_from_entries(list_filter({entries}, lambda m_: {text}))", items.type)
        kinds = (body.type, items.type.args[1]) if part == "keys" else (items.type.args[0], body.type)
        fields = f"key := {text}, value := m_.value" if part == "keys" else f"key := m_.key, value := {text}"
        return Typed(f"map_from_entries(list_transform({entries}, lambda m_: struct_pack({fields})))", map_of(*kinds))

    return made


def _map_concat(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    values, kind = unify(_values(of, arguments), f"{where(node)}map_concat")
    if kind.base != "map":
        raise mismatch(f"{where(node)}maps are expected")
    return Typed(f"map_concat({', '.join(value.sql for value in values)})", kind)


def _repeat(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value, count = _values(of, arguments)
    return Typed(f"list_transform(range(0, {count.sql}), lambda q_: {value.sql})", array(value.type))


def _zip_with(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    a, b = _values(of, arguments[:2])
    (x, y), body = of.lambda_body(arguments[2], [a.type.args[0], b.type.args[0]])
    text = body.sql.replace(x, f"({a.sql})[z_]").replace(y, f"({b.sql})[z_]")
    return Typed(f"list_transform(range(1, greatest(len({a.sql}), len({b.sql})) + 1), lambda z_: {text})", array(body.type))


def _map_from_entries(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value = of.compile(arguments[0])
    if value.type.base != "array" or value.type.args[0].base != "row" or len(value.type.args[0].args) != 2:
        raise mismatch(f"{where(node)}an array of pairs is expected")
    (k, key), (v, item) = of.row_lists(value)[0][1:], of.row_lists(value)[1][1:]
    return Typed(f"MAP({k}, {v})", map_of(key, item))


def _reduce(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    """reduce(array, start, (s, x) -> s', s -> result)"""
    if len(arguments) != 4:
        raise mismatch(f"{where(node)}reduce takes an array, a start and two lambdas")
    items, start = _values(of, arguments[:2])
    if items.type.base != "array":
        raise mismatch(f"{where(node)}reduce takes an array")
    item = items.type.args[0]
    (state, each), body = of.lambda_body(arguments[2], [start.type, item])
    kind = common(start.type, body.type)
    if kind is None:
        raise mismatch(f"{where(node)}reduce's state changes its type")
    (state, each), body = of.lambda_body(arguments[2], [kind, item])
    first = of.compiler.fresh("lbv")
    (final,), result = of.lambda_body(arguments[3], [kind])
    wrapped = f"list_transform({items.sql}, lambda {first}: struct_pack(s := CAST(NULL AS {duckdb_text(kind)}), x := {first}))"
    begin = f"struct_pack(s := {coerce(start, kind).sql}, x := CAST(NULL AS {duckdb_text(item)}))"
    text = coerce(body, kind).sql.replace(state, f"{first}a_.s").replace(each, f"{first}b_.x")
    step = f"lambda {first}a_, {first}b_: struct_pack(s := {text}, x := CAST(NULL AS {duckdb_text(item)}))"
    folded = f"list_reduce({wrapped}, {step}, {begin}).s"
    return Typed(f"list_transform([{folded}], lambda {final}: {result.sql})[1]", result.type)


def _zip(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    values = _values(of, arguments)
    if any(value.type.base != "array" for value in values) or len(values) < 2:
        raise mismatch(f"{where(node)}zip takes arrays")
    longest = f"greatest({', '.join(f'len({value.sql})' for value in values)})"
    packed = ", ".join(f"field{at} := ({value.sql})[z_]" for at, value in enumerate(values))
    kind = array(row(*[(None, value.type.args[0]) for value in values]))
    return Typed(f"list_transform(range(1, {longest} + 1), lambda z_: struct_pack({packed}))", kind)


def _entries(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value = of.compile(arguments[0])
    if value.type.base != "map":
        raise mismatch(f"{where(node)}a map is expected")
    packed = f"list_transform(map_entries({value.sql}), lambda n_: struct_pack(field0 := n_.key, field1 := n_.value))"
    return Typed(packed, array(row((None, value.type.args[0]), (None, value.type.args[1]))))


SPECIAL: dict[str, Handler] = {
    "map": _map,
    "element_at": _element_at,
    "contains": _member("list_contains({0}, {1})", BOOLEAN),
    "array_position": _member("CAST(coalesce(list_position({0}, {1}), 0) AS BIGINT)", BIGINT),
    "array_remove": _member("list_filter({0}, lambda v_: v_ IS DISTINCT FROM {1})", None),
    "array_append": _member("list_append({0}, {1})", None),
    "array_union": _pair("lb_distinct(list_concat({0}, {1}))", None),
    "array_intersect": _pair("lb_distinct(list_filter({0}, lambda v_: list_contains({1}, v_)))", None),
    "array_except": _pair("lb_distinct(list_filter({0}, lambda v_: NOT list_contains({1}, v_)))", None),
    "arrays_overlap": _pair("list_has_any({0}, {1})", BOOLEAN),
    "array_join": _array_join,
    "repeat": _repeat,
    "zip_with": _zip_with,
    "zip": _zip,
    "reduce": _reduce,
    "filter": _lambda("list_filter({0}, {1})", "same"),
    "transform": _lambda("list_transform({0}, {1})", "body"),
    "any_match": _lambda("(len(list_filter({0}, {1})) > 0)", "boolean"),
    "none_match": _lambda("(len(list_filter({0}, {1})) = 0)", "boolean"),
    "all_match": _lambda("(len(list_filter({0}, {1})) = len({0}))", "boolean"),
    "map_filter": _map_lambda("filter"),
    "transform_keys": _map_lambda("keys"),
    "transform_values": _map_lambda("values"),
    "map_concat": _map_concat,
    "map_from_entries": _map_from_entries,
    "map_entries": _entries,
}
