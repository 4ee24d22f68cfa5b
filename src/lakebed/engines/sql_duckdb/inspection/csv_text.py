"""CSV: the delimiter that cuts the lines alike, the header rule, and types by what every row holds.

The rules are Glue's (https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html#classifier-built-in): comma, pipe, tab,
semicolon or Ctrl-A; at least two columns and two rows; a header where every cell of the first row reads as a string of less
than 150 characters and some later cell does not. Quoted cells need OpenCSVSerDe to be read back as they are.
https://docs.aws.amazon.com/glue/latest/dg/custom-classifier.html#custom-classifier-csv
"""

from __future__ import annotations

import csv
import re
from typing import Any

from lakebed.engines.sql_duckdb.inspection.sample import Sample

_DELIMITERS = (",", "|", "\t", ";", "\x01")
_ROWS = 1000
_NAME_CHARS_MAX = 150
_ALIKE = 0.9
_INTEGER, _DOUBLE = (
    re.compile(r"[+-]?\d{1,19}", re.ASCII),
    re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII),
)
Rows = list[list[str]]


def classify(sample: Sample) -> dict[str, Any] | None:
    """None where no delimiter fits."""
    text = sample.text
    if text is None:
        return None
    for delimiter in _DELIMITERS:
        rows = _read(text, delimiter, '"')
        if _fits(rows, 2) and len(rows) >= 2:
            quoted = f'"{delimiter}' in text or f'{delimiter}"' in text
            header = _has_header(rows)
            return _found(sample, text, rows, {"delimiter": delimiter, "quote": '"' if quoted else ""}, header=header)
    return None


def classify_custom(sample: Sample, one: dict[str, Any]) -> dict[str, Any] | None:
    """As a custom classifier says; what it leaves open is found out."""
    text = sample.text
    if text is None:
        return None
    quote = one.get("QuoteSymbol", '"')
    least = 1 if one.get("AllowSingleColumn") else 2
    for delimiter in [one["Delimiter"]] if one.get("Delimiter") else _DELIMITERS:
        rows = _read(text, delimiter, quote)
        if not one.get("DisableValueTrimming"):
            rows = [[cell.strip() for cell in row] for row in rows]
        if rows and _fits(rows, least):
            break
    else:
        return None
    names = [name.strip().lower() for name in one.get("Header", ())]
    first = [cell.strip().lower() for cell in rows[0]]
    said = one.get("ContainsHeader", "UNKNOWN")
    header = said == "PRESENT" or (said == "UNKNOWN" and (first == names if names else _has_header(rows)))
    if names and len(names) != len(rows[0]):
        return None
    options = {"delimiter": delimiter, "quote": quote if one.get("QuoteSymbol") or quote in text else ""}
    if one.get("Serde", "None") != "None":
        options["serde"] = one["Serde"]
    found = _found(sample, text, rows, options, header=header, names=names)
    if one.get("CustomDatatypes"):
        kinds = [
            {"LONG": "bigint", "SHORT": "smallint"}.get(kind.upper(), kind.lower()) for kind in one["CustomDatatypes"]
        ]
        if len(kinds) != len(found["columns"]):
            return None
        found["columns"] = [(name, kind) for (name, _), kind in zip(found["columns"], kinds, strict=True)]
    return found


def _read(text: str, delimiter: str, quote: str) -> Rows:
    rows: Rows = []
    try:
        for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter, quotechar=quote):
            if row:
                rows.append(row)
            if len(rows) > _ROWS:
                break
    except (csv.Error, ValueError, TypeError):
        return []
    return rows


def _fits(rows: Rows, least: int) -> bool:
    if not rows or len(rows[0]) < least:
        return False
    return sum(len(row) == len(rows[0]) for row in rows) >= _ALIKE * len(rows)


def _has_header(rows: Rows) -> bool:
    first = rows[0]
    cells = first if first[-1] else first[:-1]
    if not all(cell.strip() and len(cell) < _NAME_CHARS_MAX and _kind(cell) == "string" for cell in cells):
        return False
    return any(_kind(cell) not in ("string", "") for row in rows[1:] for cell in row)


def _kind(cell: str) -> str:
    text = cell.strip()
    if not text:
        return ""
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return "bigint"
    if _DOUBLE.fullmatch(text):
        return "double"
    return "boolean" if text.lower() in ("true", "false") else "string"


def _column(cells: list[str]) -> str:
    kinds = {_kind(cell) for cell in cells} - {""}
    if len(kinds) == 1:
        return kinds.pop()
    return "double" if kinds == {"bigint", "double"} else "string"


def _found(
    sample: Sample, text: str, rows: Rows, options: dict[str, str], *, header: bool, names: list[str] | None = None
) -> dict[str, Any]:
    body = rows[1:] if header else rows
    width = len(rows[0])
    given = names or ([cell.strip().lower() for cell in rows[0]] if header else [])
    labels: list[str] = []
    for at in range(width):
        name = given[at] if at < len(given) and given[at] else f"col{at}"
        labels.append(name if name not in labels else f"{name}_{at}")
    columns = [(labels[at], _column([row[at] for row in body if at < len(row)])) for at in range(width)]
    options = {**options, **({"header": "1"} if header else {})}
    lines = sum(1 for line in text.splitlines() if line.strip()) - header
    records = sample.records(max(lines, 0), len(text.encode()))
    return {"classification": "csv", "columns": columns, "records": records, "options": options}
