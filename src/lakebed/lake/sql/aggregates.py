"""Aggregate and window functions. Each gives DuckDB text with ``OVER`` where FILTER and OVER belong, or None: no such form.

https://trino.io/docs/current/functions/aggregate.html, https://trino.io/docs/current/functions/window.html
"""

# ruff: noqa: ARG001 - one signature for the whole table

from __future__ import annotations

from collections.abc import Callable

from lakebed.lake.sql.arithmetic import rescaled, unscaled
from lakebed.lake.sql.typed import Typed, cast, is_numeric
from lakebed.lake.types import BIGINT, BOOLEAN, DOUBLE, INTEGERS, VARCHAR, Type, array, decimal, duckdb_text, map_of

OVER = "\x00over\x00"
Aggregate = Callable[[list[Typed], str, str], Typed | None]


def _simple(name: str, returns: Type | None = None) -> Aggregate:
    def made(values: list[Typed], distinct: str, order: str) -> Typed | None:
        if len(values) != 1:
            return None
        return Typed(f"{name}({distinct}{values[0].sql}{order}){OVER}", returns or values[0].type)

    return made


def _doubles(name: str, count: int = 1) -> Aggregate:
    def made(values: list[Typed], distinct: str, order: str) -> Typed | None:
        if len(values) != count or not all(is_numeric(value.type) for value in values):
            return None
        listed = ", ".join(cast(value, DOUBLE).sql for value in values)
        return Typed(f"{name}({distinct}{listed}{order}){OVER}", DOUBLE)

    return made


def _sum(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) != 1 or not is_numeric(values[0].type):
        return None
    kind = values[0].type
    returns = BIGINT if kind.base in INTEGERS else decimal(38, kind.args[1]) if kind.base == "decimal" else kind
    return Typed(f"CAST(sum({distinct}{values[0].sql}{order}){OVER} AS {duckdb_text(returns)})", returns)


def _avg(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) != 1 or not is_numeric(values[0].type):
        return None
    kind = values[0].type
    if kind.base == "decimal":
        total = f"sum({distinct}{unscaled(values[0])}){OVER}"
        return Typed(rescaled(f"lb_div({total}, nullif(count({distinct}{values[0].sql}){OVER}, 0))", kind), kind)
    returned = kind if kind.base == "real" else DOUBLE
    return Typed(f"CAST(avg({distinct}{cast(values[0], DOUBLE).sql}){OVER} AS {duckdb_text(returned)})", returned)


def _count(values: list[Typed], distinct: str, order: str) -> Typed | None:
    return Typed(f"count({distinct}{values[0].sql}){OVER}", BIGINT) if len(values) == 1 else None


def _by(name: str) -> Aggregate:
    def made(values: list[Typed], distinct: str, order: str) -> Typed | None:
        if len(values) not in (2, 3) or distinct:
            return None
        extra = f", {values[2].sql}" if len(values) == 3 else ""
        kind = values[0].type if len(values) == 2 else array(values[0].type)
        return Typed(f"{name}({values[0].sql}, {values[1].sql}{extra}){OVER}", kind)

    return made


def _extreme(name: str) -> Aggregate:
    def made(values: list[Typed], distinct: str, order: str) -> Typed | None:
        if len(values) == 1:
            return Typed(f"{name}({values[0].sql}){OVER}", values[0].type)
        if len(values) == 2:
            return Typed(f"{name}({values[0].sql}, {values[1].sql}){OVER}", array(values[0].type))
        return None

    return made


def _percentile(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) != 2 or distinct:
        return None
    kind = array(values[0].type) if values[1].type.base == "array" else values[0].type
    share = cast(values[1], array(DOUBLE) if values[1].type.base == "array" else DOUBLE).sql
    return Typed(f"quantile_disc({values[0].sql}, {share}){OVER}", kind)


def _map_agg(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) != 2 or distinct:
        return None
    kind = map_of(values[0].type, values[1].type)
    pairs = f"list(struct_pack(key := {values[0].sql}, value := {values[1].sql})){OVER}"
    unique = f"list_filter({pairs}, lambda w_, i_: w_.key IS NOT NULL)"
    return Typed(f"lb_first_keys({unique})", kind)


def _multimap_agg(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) != 2 or distinct:
        return None
    kind = map_of(values[0].type, array(values[1].type))
    return Typed(f"lb_multimap(list(struct_pack(key := {values[0].sql}, value := {values[1].sql})){OVER})", kind)


def _map_union(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) != 1 or distinct or values[0].type.base != "map":
        return None
    entries = f"flatten(list(map_entries({values[0].sql})){OVER})"
    return Typed(f"lb_first_keys({entries})", values[0].type)


def _skewness(values: list[Typed], distinct: str, order: str) -> Typed | None:
    """Trino's is the population's; DuckDB's corrects for the sample."""
    if len(values) != 1 or not is_numeric(values[0].type):
        return None
    x = cast(values[0], DOUBLE).sql
    n = f"CAST(count({x}){OVER} AS DOUBLE)"
    return Typed(f"(skewness({x}){OVER} * ({n} - 2) / sqrt({n} * ({n} - 1)))", DOUBLE)


def _listagg(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) not in (1, 2) or values[0].type.base not in ("varchar", "char"):
        return None
    separator = values[1].sql if len(values) == 2 else "''"
    return Typed(f"string_agg({distinct}{values[0].sql}, {separator}{order}){OVER}", VARCHAR)


def _count_if(values: list[Typed], distinct: str, order: str) -> Typed | None:
    return Typed(f"count(CASE WHEN {values[0].sql} THEN 1 END){OVER}", BIGINT) if len(values) == 1 else None


def _histogram(values: list[Typed], distinct: str, order: str) -> Typed | None:
    if len(values) != 1 or distinct:
        return None
    kind = map_of(values[0].type, BIGINT)
    return Typed(f"CAST(histogram({values[0].sql}){OVER} AS {duckdb_text(kind)})", kind)


def _checksumless(values: list[Typed], distinct: str, order: str) -> Typed | None:
    return Typed(f"count(DISTINCT {values[0].sql}){OVER}", BIGINT) if len(values) in (1, 2) else None


def _grouping(values: list[Typed], distinct: str, order: str) -> Typed | None:
    return Typed(f"CAST(grouping({', '.join(value.sql for value in values)}) AS BIGINT)", BIGINT) if values else None


def _array_agg(values: list[Typed], distinct: str, order: str) -> Typed | None:
    return (
        Typed(f"array_agg({distinct}{values[0].sql}{order}){OVER}", array(values[0].type)) if len(values) == 1 else None
    )


AGGREGATES: dict[str, Aggregate] = {
    "count": _count, "sum": _sum, "avg": _avg, "min": _extreme("min"), "max": _extreme("max"), "min_by": _by("min_by"),
    "max_by": _by("max_by"), "array_agg": _array_agg, "arbitrary": _simple("any_value"), "any_value": _simple("any_value"),
    "bool_and": _simple("bool_and", BOOLEAN), "every": _simple("bool_and", BOOLEAN), "bool_or": _simple("bool_or", BOOLEAN),
    "count_if": _count_if, "approx_distinct": _checksumless, "approx_percentile": _percentile, "listagg": _listagg,
    "stddev": _doubles("stddev_samp"), "stddev_samp": _doubles("stddev_samp"), "stddev_pop": _doubles("stddev_pop"),
    "variance": _doubles("var_samp"), "var_samp": _doubles("var_samp"), "var_pop": _doubles("var_pop"),
    "corr": _doubles("corr", 2), "covar_pop": _doubles("covar_pop", 2), "covar_samp": _doubles("covar_samp", 2),
    "regr_slope": _doubles("regr_slope", 2), "regr_intercept": _doubles("regr_intercept", 2),
    "kurtosis": _doubles("kurtosis"), "geometric_mean": _doubles("geomean"),
    "bitwise_and_agg": _simple("bit_and", BIGINT), "bitwise_or_agg": _simple("bit_or", BIGINT),
    "bitwise_xor_agg": _simple("bit_xor", BIGINT), "map_union": _map_union, "map_agg": _map_agg,
    "histogram": _histogram, "multimap_agg": _multimap_agg, "skewness": _skewness, "grouping": _grouping,
}  # fmt: skip


def _rank(name: str, returns: Type) -> Callable[[list[Typed], str], Typed | None]:
    def made(values: list[Typed], nulls: str) -> Typed | None:
        return Typed(f"{name}(){OVER}", returns) if not values and not nulls else None

    return made


def _ntile(values: list[Typed], nulls: str) -> Typed | None:
    return Typed(f"ntile({values[0].sql}){OVER}", BIGINT) if len(values) == 1 and not nulls else None


def _shift(name: str) -> Callable[[list[Typed], str], Typed | None]:
    def made(values: list[Typed], nulls: str) -> Typed | None:
        if not 1 <= len(values) <= 3:
            return None
        parts = [
            values[0].sql,
            *[value.sql for value in values[1:2]],
            *[cast(value, values[0].type).sql for value in values[2:]],
        ]
        return Typed(f"{name}({', '.join(parts)}{nulls}){OVER}", values[0].type)

    return made


def _value(name: str, count: int) -> Callable[[list[Typed], str], Typed | None]:
    def made(values: list[Typed], nulls: str) -> Typed | None:
        if len(values) != count:
            return None
        return Typed(f"{name}({', '.join(value.sql for value in values)}{nulls}){OVER}", values[0].type)

    return made


WINDOWS: dict[str, Callable[[list[Typed], str], Typed | None]] = {
    "row_number": _rank("row_number", BIGINT), "rank": _rank("rank", BIGINT), "dense_rank": _rank("dense_rank", BIGINT),
    "percent_rank": _rank("percent_rank", DOUBLE), "cume_dist": _rank("cume_dist", DOUBLE), "ntile": _ntile,
    "lag": _shift("lag"), "lead": _shift("lead"), "first_value": _value("first_value", 1),
    "last_value": _value("last_value", 1), "nth_value": _value("nth_value", 2),
}  # fmt: skip
