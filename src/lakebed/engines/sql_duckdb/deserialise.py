"""Lines of text as fields, for what SQL cannot say: OpenCSV's quoting, escapes, regular expressions, Grok.

Each is a Python function that DuckDB calls with a line and that gives the list of its fields, NULL where there is none. The
rules are Hive's as Trino keeps them: a line that does not match is a row of NULLs, so is an empty line of OpenCSV; an
unterminated quote loses its field (https://docs.aws.amazon.com/athena/latest/ug/regex-serde.html, .../grok-serde.html,
.../csv-serde.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from lakebed.lake import grok, regex
from lakebed.ports.sql import SqlFailure

Fields = Callable[[str], list[str | None] | None]


def by_regex(pattern: str, count: int, *, fold: bool) -> Fields:
    """RegexSerDe: the whole line must match; a group for each column."""
    found = regex.compiled(pattern, flags=re.DOTALL | (re.IGNORECASE if fold else 0))

    def fields(line: str) -> list[str | None] | None:
        match = found.fullmatch(line)
        return list(match.groups())[:count] if match else None

    return fields


def by_grok(form: str, custom: str, columns: Sequence[str]) -> Fields:
    """Columns by the names of captures, or by their places where not all are named so."""
    try:
        text, names = grok.expand(form, grok.custom(custom))
        found = regex_of(text)
    except grok.GrokError as wrong:
        raise SqlFailure("HIVE_INVALID_METADATA", f"Grok compilation failure: {wrong}") from None
    places: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        places.setdefault(name.lower(), []).append(at + 1)
    wanted = [places.get(column.lower(), []) for column in columns]
    if not all(wanted):
        wanted = [[at + 1] if at < len(names) else [] for at in range(len(columns))]

    def fields(line: str) -> list[str | None] | None:
        match = found.search(line)
        if match is None:
            return None
        groups = [match.group(0), *(match.group(f"g{at}") for at in range(len(names)))]
        return [next((groups[at] for at in each if groups[at] is not None), None) for each in wanted]

    return fields


def regex_of(text: str) -> re.Pattern[str]:
    """A Grok pattern, already in Python's spelling."""
    try:
        return re.compile(text, re.ASCII)
    except (re.error, RecursionError, OverflowError):
        raise grok.GrokError("no regular expression") from None


def by_csv(separator: str, quote: str, escape: str, count: int) -> Fields:
    """OpenCSV."""

    def fields(line: str) -> list[str | None] | None:
        if not line:
            return None
        made: list[str | None] = []
        quoted = inside = False
        text: list[str] = []
        at, size = 0, len(line)
        while at < size and len(made) < count:
            mark = line[at]
            following = line[at + 1] if at + 1 < size else ""
            if mark == escape:
                if (quoted or inside) and following in (quote, escape) and following:
                    text.append(following)
                    at += 1
            elif mark == quote:
                if (quoted or inside) and following == quote:
                    text.append(following)
                    at += 1
                else:
                    if at > 2 and line[at - 1] != separator and following and following != separator:
                        if text and not "".join(text).strip():
                            text.clear()
                        else:
                            text.append(mark)
                    quoted = not quoted
                inside = not inside
            elif mark == separator and not quoted:
                made.append("".join(text))
                text.clear()
                inside = False
            else:
                text.append(mark)
                inside = True
            at += 1
        if len(made) < count and not quoted:
            made.append("".join(text))
        return made

    return fields


def splitter(separator: str, escape: str) -> Fields:
    """A split that steps over escaped characters, which stay escaped."""
    pattern = re.compile(
        rf"(?:[^{re.escape(separator)}{re.escape(escape)}]|{re.escape(escape)}.)*{re.escape(escape)}?", re.DOTALL
    )

    def fields(line: str) -> list[str | None] | None:
        made: list[str | None] = []
        at = 0
        while True:
            match = pattern.match(line, at)
            assert match is not None
            made.append(match.group())
            at = match.end() + 1
            if at > len(line):
                return made

    return fields


def unescaper(escape: str) -> Callable[[str], str]:
    """Every escaped character itself."""
    pattern = re.compile(rf"{re.escape(escape)}(.)", re.DOTALL)
    return lambda text: pattern.sub(r"\1", text)
