"""Regular expressions with groups: what the engine cannot tell apart is refused while the query runs.

The engine gives an empty string for a group that matched nothing and for one that took no part, Trino NULL for the second
(https://trino.io/docs/current/functions/regexp.html). Patterns whose every group takes part in every match are safe.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.typed import Typed, literal, mismatch
from lakebed.lake.types import BIGINT, BOOLEAN, INTEGERS, VARCHAR, Type, array
from lakebed.ports.sql import SqlFailure

if TYPE_CHECKING:
    from lakebed.lake.sql.expressions import Expressions

_BACKTRACKING = re.compile(r"\(\?(?:[=!>]|<[=!])|\\[1-9]|\\k<|[*+?}]\+")
_OPTIONAL = re.compile(r"\|\|?|\)[?*]|\)\{0")


def _read(of: Expressions, arguments: list[Any], node: Any, most: int) -> tuple[list[Typed], str, bool]:
    """The values, the pattern's SQL, and whether each group of it surely takes part in a match."""
    from lakebed.lake.sql.functions import pattern, text_of

    values = [of.compile(argument) for argument in arguments]
    fits = 2 <= len(values) <= most and all(v.type.base in INTEGERS for v in values[2:])
    if not fits or any(value.type.base not in ("varchar", "char", "unknown") for value in values[:2]):
        given = ", ".join(str(value.type) for value in values)
        raise SqlFailure("FUNCTION_NOT_FOUND", f"{where(node)}Unexpected parameters ({given}) for this function")
    text = text_of(values[1])
    if text is None:
        return values, f"lb_pattern(CAST({values[1].sql} AS VARCHAR))", False
    return values, literal(pattern(values[1], node)), not _OPTIONAL.search(text)


def _group(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    if (made := _slow(of, arguments, "lb_py_extract({0}, {1}, {2})", VARCHAR, "0")) is not None:
        return made
    values, found, safe = _read(of, arguments, node, 3)
    if len(values) == 2:
        return Typed(f"lb_group({values[0].sql}, {found}, 0)", VARCHAR)
    group = _literal_group(arguments[2], node)
    return Typed(f"lb_group{'' if safe else '_maybe'}({values[0].sql}, {found}, {group})", VARCHAR)


def _groups(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    if (made := _slow(of, arguments, "lb_py_extract_all({0}, {1}, {2})", array(VARCHAR), "0")) is not None:
        return made
    values, found, safe = _read(of, arguments, node, 3)
    if len(values) == 2:
        return Typed(f"regexp_extract_all({values[0].sql}, {found})", array(VARCHAR))
    told = "lb_fail('an empty group cannot be told from one that took no part')"
    sql = f"regexp_extract_all({values[0].sql}, {found}, {_literal_group(arguments[2], node)})"
    if not safe:
        sql = f"list_transform({sql}, lambda g_: CASE WHEN g_ = '' THEN left(g_, {told}) ELSE g_ END)"
    return Typed(sql, array(VARCHAR))


def _slow(of: Expressions, arguments: list[Any], template: str, returns: Type, last: str = "") -> Typed | None:
    """The call in the backtracking engine, where a literal pattern needs it: look-around, back references, possessive
    quantifiers, or a group that may take no part; None where RE2's answer is the same."""
    from lakebed.lake.sql.functions import text_of

    values = [of.compile(argument) for argument in arguments]
    if not 2 <= len(values) <= 3 or any(value.type.base not in ("varchar", "char", "unknown") for value in values[:2]):
        return None
    text = text_of(values[1])
    grouped = len(values) == 3 and last == "0"
    if text is None or not (_BACKTRACKING.search(text) or (grouped and _OPTIONAL.search(text))):
        return None
    third = f"CAST({values[2].sql} AS BIGINT)" if grouped else values[2].sql if len(values) == 3 else last
    return Typed(template.format(f"CAST({values[0].sql} AS VARCHAR)", values[1].sql, third), returns)


def _or_slow(name: str, template: str, returns: Type, last: str = "") -> Callable[[Expressions, list[Any], Any], Typed]:
    """RE2 where it can, the backtracking engine where it must."""

    def made(of: Expressions, arguments: list[Any], node: Any) -> Typed:
        from lakebed.lake.sql.functions import plain

        found = (
            _slow(of, arguments, template, returns, last)
            if len(arguments) in (2, 3) and not _lambda(arguments)
            else None
        )
        return found or plain(of, name, arguments, node)

    return made


def _lambda(arguments: list[Any]) -> bool:
    return any(type(argument).__name__ == "Lambda" for argument in arguments)


def _literal_group(node: Any, call: Any) -> int:
    if not node.name.isdigit() or len(node.name) > 2:
        raise SqlFailure("NOT_SUPPORTED", f"{where(call)}the number of the group must be a literal here")
    return int(node.name)


def _position(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    """The place of the n-th match: the text before it is what the matches and gaps so far take up."""
    values, found, _ = _read(of, arguments, node, 4)
    text = values[0].sql
    start = values[2].sql if len(values) > 2 else "1"
    nth = values[3].sql if len(values) > 3 else "1"
    return Typed(f"CAST(lb_nth_place({text}, {found}, {start}, {nth}) AS INTEGER)", BIGINT._replace(base="integer"))


def _url_parameter(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    values = [of.compile(argument) for argument in arguments]
    if len(values) != 2 or any(value.type.base not in ("varchar", "char", "unknown") for value in values):
        raise mismatch(f"{where(node)}url_extract_parameter takes a URL and a name")
    return Typed(f"lb_url_parameter({values[0].sql}, {values[1].sql})", VARCHAR)


SPECIAL: dict[str, Callable[[Expressions, list[Any], Any], Typed]] = {
    "regexp_extract": _group, "regexp_extract_all": _groups, "regexp_position": _position,
    "url_extract_parameter": _url_parameter,
    "regexp_like": _or_slow("regexp_like", "lb_py_like({0}, {1})", BOOLEAN),
    "regexp_split": _or_slow("regexp_split", "lb_py_split({0}, {1})", array(VARCHAR)),
    "regexp_count": _or_slow("regexp_count", "CAST(len(lb_py_extract_all({0}, {1}, 0)) AS BIGINT)", BIGINT),
    "regexp_replace": _or_slow("regexp_replace", "lb_py_replace({0}, {1}, {2})", VARCHAR, "''"),
}  # fmt: skip
