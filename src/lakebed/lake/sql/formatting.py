"""``format``: Java's format strings, for literals, as SQL that makes each part.

https://trino.io/docs/current/functions/conversion.html#format. Numbers are rounded half up from their shortest decimal text,
as Java does, not from the binary value as C does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lakebed.lake.sql.dialect import where
from lakebed.lake.sql.render import java_double
from lakebed.lake.sql.typed import Typed, literal
from lakebed.lake.types import INTEGERS, VARCHAR
from lakebed.ports.sql import SqlFailure

if TYPE_CHECKING:
    from lakebed.lake.sql.expressions import Expressions

_SPEC = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])([A-Za-z])?")
_DATES = {"A": "%A", "a": "%a", "B": "%B", "b": "%b", "e": "%-d", "d": "%d", "Y": "%Y", "y": "%y", "m": "%m", "H": "%H",
          "M": "%M", "S": "%S", "j": "%j", "p": "%p", "F": "%Y-%m-%d", "T": "%H:%M:%S"}  # fmt: skip


def _format(of: Expressions, arguments: list[Any], node: Any) -> Typed:
    from lakebed.lake.sql.functions import text_of

    values = [of.compile(argument) for argument in arguments]
    text = text_of(values[0]) if len(values) > 1 else None
    if text is None:
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}format takes a literal format and values here")
    parts, at, following = [], 0, 0
    for match in _SPEC.finditer(text):
        parts.append(_plain(text[at : match.start()], node))
        kind, suffix = match.group(5), match.group(6) or ""
        at = match.end() - (len(suffix) if kind != "t" else 0)
        if kind in "%n":
            parts.append(literal("%" if kind == "%" else "\n"))
            continue
        number = int(match.group(1)) if match.group(1) else (following := following + 1)
        if not 1 <= number < len(values):
            raise SqlFailure(
                "INVALID_FUNCTION_ARGUMENT", f"{where(node)}Format specifier '{match.group(0)[:20]}' lacks its value"
            )
        made = _one(values[number], kind, suffix, match.group(2), match.group(4), node, int(match.group(3) or 0))
        parts.append(f"coalesce({made}, {literal(_padded_null(match))})")
    parts.append(_plain(text[at:], node))
    return Typed("(" + " || ".join(part for part in parts if part != "''") + ")" if text else "''", VARCHAR)


def _plain(text: str, node: Any) -> str:
    if "%" in text:
        raise SqlFailure("INVALID_FUNCTION_ARGUMENT", f"{where(node)}Invalid format string")
    return literal(text)


def _padded_null(match: re.Match[str]) -> str:
    width = int(match.group(3) or 0)
    return "null".ljust(width) if "-" in match.group(2) else "null".rjust(width)


def _one(value: Typed, kind: str, suffix: str, flags: str, digits: str | None, node: Any, width: int) -> str:
    base = value.type.base
    if kind == "s" and not set(flags) - {"-"}:
        made = _text(value, node)
        made = f"left({made}, {digits})" if digits is not None else made
    elif kind == "d" and base in INTEGERS and digits is None and not set(flags) - set("-0,+"):
        body = (
            f"format('{{:,}}', abs(CAST({value.sql} AS HUGEINT)))"
            if "," in flags
            else f"CAST(abs(CAST({value.sql} AS HUGEINT)) AS VARCHAR)"
        )
        return _signed(value.sql, body, flags, width)
    elif kind == "f" and base in ("decimal", "double", "real") and not set(flags) - set("-0,+"):
        return _fixed(value, int(digits or 6), flags, width)
    elif kind in "xX" and base in INTEGERS and not flags and digits is None:
        shown = f"lower(to_base(CASE WHEN {value.sql} < 0 THEN NULL ELSE {value.sql} END, 16))"
        made = f"upper({shown})" if kind == "X" else shown
        made = (
            f"CASE WHEN {value.sql} < 0 THEN left('', lb_fail('%x of negative numbers is not built')) ELSE {made} END"
        )
    elif kind == "b" and base == "boolean" and not set(flags) - {"-"}:
        made = f"CAST({value.sql} AS VARCHAR)"
    elif kind == "t" and base in ("date", "timestamp") and suffix in _DATES and not set(flags) - {"-"}:
        made = f"strftime({value.sql}, {literal(_DATES[suffix])})"
    else:
        raise SqlFailure("NOT_SUPPORTED", f"{where(node)}%{flags}{kind}{suffix} of {value.type} is not built")
    return _pad(made, width, left="-" in flags)


def _text(value: Typed, node: Any) -> str:
    base = value.type.base
    if base in ("varchar", "char", "json"):
        return value.sql
    if base in ("double", "real"):
        return java_double(value.sql)
    if base in (*INTEGERS, "decimal", "boolean", "date"):
        return f"CAST({value.sql} AS VARCHAR)"
    raise SqlFailure("NOT_SUPPORTED", f"{where(node)}%s of {value.type} is not built")


def _fixed(value: Typed, digits: int, flags: str, width: int) -> str:
    if digits > 18:
        raise SqlFailure("NOT_SUPPORTED", "more than 18 digits in format are not built")
    shown = f"CAST(CAST(CAST({value.sql} AS VARCHAR) AS DECIMAL(38,{digits})) AS VARCHAR)"
    body = f"ltrim({shown}, '-')"
    if "," in flags:
        whole = f"format('{{:,}}', CAST(split_part({body}, '.', 1) AS HUGEINT))"
        body = f"{whole} || substr({body}, length(split_part({body}, '.', 1)) + 1)"
    return _signed(value.sql, f"({body})", flags, width)


def _signed(sql: str, body: str, flags: str, width: int) -> str:
    plus = "'+'" if "+" in flags else "''"
    sign = f"CASE WHEN {sql} < 0 THEN '-' ELSE {plus} END"
    if "0" in flags:
        size = f"CAST(greatest({width} - length({sign}), length({body})) AS INTEGER)"
        return f"({sign} || lpad({body}, {size}, '0'))"
    return _pad(f"({sign} || {body})", width, left="-" in flags)


def _pad(sql: str, width: int, *, left: bool) -> str:
    if not width:
        return sql
    return f"{'rpad' if left else 'lpad'}({sql}, CAST(greatest({width}, length({sql})) AS INTEGER), ' ')"


SPECIAL: dict[str, Callable[[Expressions, list[Any], Any], Typed]] = {"format": _format}
