"""Functions over arrays, maps and rows, with their lambdas.

https://trino.io/docs/current/functions/array.html, https://trino.io/docs/current/functions/map.html,
https://trino.io/docs/current/functions/lambda.html
"""

# ruff: noqa: ARG001 - one signature for the whole table

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.scope import unnamed
from lakebed.lake.sql.typed import Typed, cast, coerce, common, mismatch, unify
from lakebed.lake.types import BIGINT, BOOLEAN, INTEGERS, VARCHAR, Type, array, duckdb_text, map_of, quote, row
from lakebed.ports.sql import SqlFailure

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


def _elements(of: Expressions, arguments: list[Any], node: Any) -> tuple[Typed, str, Typed]:
    """An array, a fresh name for its elements, and the lambda's body over that name."""
    items = of.compile(arguments[0]) if len(arguments) == 2 else None
    if items is None or items.type.base != "array":
        raise mismatch(f"{where(node)}an array and a lambda are expected")
    name = of.compiler.fresh("lbv")
    return items, name, of.lambda_body(arguments[1], [Typed(name, items.type.args[0])])


def _filter(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    items, name, body = _elements(of, arguments, node)
    return Typed(f"list_filter({items.sql}, lambda {name}: {_condition(body, node)})", items.type)


def _transform(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    items, name, body = _elements(of, arguments, node)
    return Typed(f"list_transform({items.sql}, lambda {name}: {body.sql})", array(body.type))


def _match(kind: str) -> Handler:
    """any_match, all_match, none_match: NULL where an unknown element decides."""

    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        items, name, body = _elements(of, arguments, node)
        found = f"list_transform({items.sql}, lambda {name}: {_condition(body, node)})"
        return Typed(f"lb_{kind}({found})", BOOLEAN)

    return made


def _condition(body: Typed, node: Any) -> str:
    if body.type.base not in ("boolean", "unknown"):
        raise mismatch(f"{where(node)}the lambda must return a boolean, not {body.type}")
    return body.sql if body.type == BOOLEAN else "CAST(NULL AS BOOLEAN)"


def _map_lambda(part: str) -> Handler:
    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        items = of.compile(arguments[0])
        if items.type.base != "map" or len(arguments) != 2:
            raise mismatch(f"{where(node)}a map and a lambda are expected")
        entry = of.compiler.fresh("lbv")
        key, value = Typed(f"{entry}.key", items.type.args[0]), Typed(f"{entry}.value", items.type.args[1])
        body, entries = of.lambda_body(arguments[1], [key, value]), f"map_entries({items.sql})"
        if part == "filter":
            return Typed(
                f"map_from_entries(list_filter({entries}, lambda {entry}: {_condition(body, node)}))", items.type
            )
        new_key, new_value = (body, value) if part == "keys" else (key, body)
        packed = f"struct_pack(key := {new_key.sql}, value := {new_value.sql})"
        return Typed(f"map_from_entries(list_transform({entries}, lambda {entry}: {packed}))",
                     map_of(new_key.type, new_value.type))  # fmt: skip

    return made


def _map_zip_with(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    if len(arguments) != 3:
        raise mismatch(f"{where(node)}map_zip_with takes two maps and a lambda")
    a, b = _values(of, arguments[:2])
    kind = common(a.type.args[0], b.type.args[0]) if a.type.base == b.type.base == "map" else None
    if kind is None:
        raise mismatch(f"{where(node)}map_zip_with takes two maps with the same type of key")
    a, b = cast(a, map_of(kind, a.type.args[1])), cast(b, map_of(kind, b.type.args[1]))
    key, both = of.compiler.fresh("lbv"), of.compiler.fresh("lbv")
    left, right = Typed(f"{both}.a[{key}]", a.type.args[1]), Typed(f"{both}.b[{key}]", b.type.args[1])
    body = of.lambda_body(arguments[2], [Typed(key, kind), left, right])
    keys = f"lb_distinct(list_concat(map_keys({both}.a), map_keys({both}.b)))"
    made = f"map_from_entries(list_transform({keys}, lambda {key}: struct_pack(key := {key}, value := {body.sql})))"
    made = f"CASE WHEN {both}.a IS NULL OR {both}.b IS NULL THEN NULL ELSE {made} END"
    return Typed(_once(f"struct_pack(a := {a.sql}, b := {b.sql})", both, made), map_of(kind, body.type))


def _once(value: str, name: str, body: str) -> str:
    """``body`` with ``name`` standing for a value that is computed once."""
    return f"list_transform([{value}], lambda {name}: {body})[1]"


def _array_sort(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    """By value, or by a comparator: an element's place is the number of elements that come before it."""
    items = of.compile(arguments[0])
    if items.type.base != "array" or len(arguments) > 2:
        raise mismatch(f"{where(node)}array_sort takes an array and a comparator")
    if len(arguments) == 1:
        return Typed(f"list_sort({items.sql}, 'ASC', 'NULLS LAST')", items.type)
    whole, i, j, rank = (of.compiler.fresh("lbv") for _ in range(4))
    element = items.type.args[0]
    body = of.lambda_body(arguments[1], [Typed(f"{whole}[{j}]", element), Typed(f"{whole}[{i}]", element)])
    if body.type.base not in INTEGERS:
        raise mismatch(f"{where(node)}the comparator must return an integer")
    places = f"range(1, len({whole}) + 1)"
    before = f"lb_before({body.sql}, {j} < {i})"
    ranks = (f"list_transform({places}, lambda {i}: struct_pack(n := len(list_filter({places}, lambda {j}: "
             f"{j} <> {i} AND {before})), i := {i}))")  # fmt: skip
    made = f"list_transform(list_sort({ranks}), lambda {rank}: {whole}[{rank}.i])"
    return Typed(_once(items.sql, whole, made), items.type)


def _combinations(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    items = of.compile(arguments[0])
    size = int(arguments[1].name) if len(arguments) == 2 and arguments[1].name.isdigit() else 0
    if items.type.base != "array" or not 1 <= size <= 5:
        raise SqlFailure(
            "INVALID_FUNCTION_ARGUMENT", f"{where(node)}combinations takes an array and a literal size from 1 to 5"
        )
    whole = of.compiler.fresh("lbv")
    found = f"list_transform(range(1, len({whole}) + 1), lambda c_: [c_])"
    for at in range(size - 1):
        further = f"list_transform(range(c{at}_[-1] + 1, len({whole}) + 1), lambda d{at}_: list_append(c{at}_, d{at}_))"
        found = f"flatten(list_transform({found}, lambda c{at}_: {further}))"
    made = f"list_transform({found}, lambda c_: list_transform(c_, lambda d_: {whole}[d_]))"
    return Typed(_once(items.sql, whole, made), array(items.type))


def _ngrams(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    items, size = _values(of, arguments)
    if items.type.base != "array" or size.type.base not in INTEGERS:
        raise mismatch(f"{where(node)}ngrams takes an array and a size")
    return Typed(f"lb_ngrams({items.sql}, {size.sql})", array(items.type))


def _map_concat(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    values, kind = unify(_values(of, arguments), f"{where(node)}map_concat")
    if kind.base != "map":
        raise mismatch(f"{where(node)}maps are expected")
    return Typed(f"map_concat({', '.join(value.sql for value in values)})", kind)


def _repeat(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value, count = _values(of, arguments)
    return Typed(f"list_transform(range(0, {count.sql}), lambda q_: {value.sql})", array(value.type))


def _zip_with(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    if len(arguments) != 3:
        raise mismatch(f"{where(node)}zip_with takes two arrays and a lambda")
    a, b = _values(of, arguments[:2])
    if a.type.base != "array" or b.type.base != "array":
        raise mismatch(f"{where(node)}zip_with takes two arrays and a lambda")
    pair, both = of.compiler.fresh("lbv"), of.compiler.fresh("lbv")
    body = of.lambda_body(arguments[2], [Typed(f"{pair}[1]", a.type.args[0]), Typed(f"{pair}[2]", b.type.args[0])])
    made = f"list_transform(list_zip({both}.a, {both}.b), lambda {pair}: {body.sql})"
    made = f"CASE WHEN {both}.a IS NULL OR {both}.b IS NULL THEN NULL ELSE {made} END"
    return Typed(_once(f"struct_pack(a := {a.sql}, b := {b.sql})", both, made), array(body.type))


def _map_from_entries(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value = of.compile(arguments[0])
    if value.type.base != "array" or value.type.args[0].base != "row" or len(value.type.args[0].args) != 2:
        raise mismatch(f"{where(node)}an array of pairs is expected")
    (k, key), (v, item) = of.row_lists(value)[0][1:], of.row_lists(value)[1][1:]
    return Typed(f"MAP({k}, {v})", map_of(key, item))


def _multimap_from_entries(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value = of.compile(arguments[0])
    if value.type.base != "array" or value.type.args[0].base != "row" or len(value.type.args[0].args) != 2:
        raise mismatch(f"{where(node)}an array of pairs is expected")
    (key_name, key), (item_name, item) = unnamed(value.type.args[0])
    pair = f"struct_pack(key := n_.{quote(key_name)}, value := n_.{quote(item_name)})"
    return Typed(f"lb_multimap(list_transform({value.sql}, lambda n_: {pair}))", map_of(key, array(item)))


def _reduce(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    """reduce(array, start, (s, x) -> s', s -> result)"""
    if len(arguments) != 4:
        raise mismatch(f"{where(node)}reduce takes an array, a start and two lambdas")
    items, start = _values(of, arguments[:2])
    if items.type.base != "array":
        raise mismatch(f"{where(node)}reduce takes an array")
    state, each, final = (of.compiler.fresh("lbv") for _ in range(3))
    item = Typed(each, items.type.args[0])
    kind = common(start.type, of.lambda_body(arguments[2], [Typed(state, start.type), item]).type)
    if kind is None:
        raise mismatch(f"{where(node)}reduce's state changes its type")
    body = of.lambda_body(arguments[2], [Typed(state, kind), item])
    result = of.lambda_body(arguments[3], [Typed(final, kind)])
    begin = f"CAST({coerce(start, kind).sql} AS {duckdb_text(kind)})"
    step = f"lambda {state}, {each}: CAST({coerce(body, kind).sql} AS {duckdb_text(kind)})"
    folded = f"list_reduce({items.sql}, {step}, {begin})"
    return Typed(_once(folded, final, result.sql), result.type)


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
    "arrays_overlap": _pair("lb_overlap({0}, {1})", BOOLEAN),
    "array_join": _array_join,
    "repeat": _repeat,
    "zip_with": _zip_with,
    "zip": _zip,
    "reduce": _reduce,
    "filter": _filter,
    "transform": _transform,
    "any_match": _match("any"),
    "none_match": _match("none"),
    "all_match": _match("all"),
    "array_sort": _array_sort,
    "combinations": _combinations,
    "ngrams": _ngrams,
    "map_zip_with": _map_zip_with,
    "multimap_from_entries": _multimap_from_entries,
    "contains_sequence": _pair("lb_contains_sequence({0}, {1})", BOOLEAN),
    "map_filter": _map_lambda("filter"),
    "transform_keys": _map_lambda("keys"),
    "transform_values": _map_lambda("values"),
    "map_concat": _map_concat,
    "map_from_entries": _map_from_entries,
    "map_entries": _entries,
}
