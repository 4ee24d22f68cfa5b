"""ceil, floor, round, truncate and sign: what they return depends on the type of the number.

https://trino.io/docs/current/functions/math.html; decimals stay decimals, without a fraction or with their own scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lakebed.lake.sql.arithmetic import rescaled, unscaled
from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.typed import Typed, is_numeric
from lakebed.lake.types import INTEGERS, Type, decimal, duckdb_text
from lakebed.ports.sql import SqlFailure

if TYPE_CHECKING:
    from lakebed.lake.sql.expressions import Expressions

Handler = Callable[["Expressions", list[Any], Any], Typed]


def _number(of: Expressions, name: str, arguments: list[Any], node: Any, most: int = 1) -> list[Typed]:
    values = [of.compile(argument) for argument in arguments]
    fits = 1 <= len(values) <= most and is_numeric(values[0].type) and all(v.type.base in INTEGERS for v in values[1:])
    if not fits:
        given = ", ".join(str(value.type) for value in values)
        raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters ({given}) for function {name}")
    return values


def _whole(name: str) -> Handler:
    """ceil, floor"""

    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        (value,) = _number(of, name, arguments, node)
        if value.type.base in INTEGERS:
            return value
        if value.type.base == "decimal":
            precision, scale = value.type.args
            kind = decimal(precision - scale + min(scale, 1), 0)
            return Typed(f"CAST({name}({value.sql}) AS {duckdb_text(kind)})", kind)
        return Typed(f"CAST({name}({value.sql}) AS {duckdb_text(value.type)})", value.type)

    return made


def _round(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value, *rest = _number(of, "round", arguments, node, 2)
    kind = value.type
    if kind.base in ("double", "real"):
        places = f", CAST({rest[0].sql} AS INTEGER)" if rest else ""
        return Typed(f"CAST(round({value.sql}{places}) AS {duckdb_text(kind)})", kind)
    if not rest:
        if kind.base in INTEGERS:
            return value
        whole = decimal(kind.args[0] - kind.args[1] + min(kind.args[1], 1), 0)
        return Typed(_shortened(value, whole, kind.args[1], half_up=True), whole)
    digits = _constant(arguments[1], node)
    if kind.base in INTEGERS:
        return (
            value
            if digits >= 0
            else Typed(f"CAST({_to_power(f'CAST({value.sql} AS HUGEINT)', -digits)} AS {duckdb_text(kind)})", kind)
        )
    returned = decimal(kind.args[0] + 1, kind.args[1])
    if digits >= kind.args[1]:
        return Typed(f"CAST({value.sql} AS {duckdb_text(returned)})", returned)
    return Typed(rescaled(_to_power(unscaled(value), kind.args[1] - digits), returned), returned)


def _truncate(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    value, *rest = _number(of, "truncate", arguments, node, 2)
    kind = value.type
    if kind.base in ("double", "real") and not rest:
        return Typed(f"CAST(trunc({value.sql}) AS {duckdb_text(kind)})", kind)
    if kind.base != "decimal":
        raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters ({kind}) for function truncate")
    if not rest:
        whole = decimal(max(kind.args[0] - kind.args[1], 1), 0)
        return Typed(_shortened(value, whole, kind.args[1], half_up=False), whole)
    places = _constant(arguments[1], node)
    if places >= kind.args[1]:
        return value
    power = f"CAST('{10 ** min(kind.args[1] - places, 38)}' AS HUGEINT)"
    return Typed(rescaled(f"({unscaled(value)} // {power}) * {power}", kind), kind)


def _sign(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    (value,) = _number(of, "sign", arguments, node)
    kind = decimal(1, 0) if value.type.base == "decimal" else value.type
    return Typed(f"CAST(sign({value.sql}) AS {duckdb_text(kind)})", kind)


def _shortened(value: Typed, kind: Type, scale: int, *, half_up: bool) -> str:
    power = f"CAST('{10**scale}' AS HUGEINT)"
    digits = f"lb_div({unscaled(value)}, {power})" if half_up else f"({unscaled(value)} // {power})"
    return f"CAST({digits} AS {duckdb_text(kind)})"


def _to_power(digits: str, places: int) -> str:
    """Rounded half up to a multiple of ``10^places``."""
    if places > 37:
        return f"({digits} * 0)"
    power = f"CAST('{10**places}' AS HUGEINT)"
    return f"lb_div({digits}, {power}) * {power}"


def _constant(node: Any, call: Any) -> int:
    text = node.sql().replace(" ", "")
    if not text.lstrip("-").isdigit() or len(text) > 4:
        raise SqlFailure("NOT_SUPPORTED", f"{where(call)}the number of digits must be a literal here")
    return int(text)


SPECIAL: dict[str, Handler] = {
    "ceil": _whole("ceil"), "ceiling": _whole("ceil"), "floor": _whole("floor"), "round": _round, "truncate": _truncate,
    "sign": _sign,
}  # fmt: skip
