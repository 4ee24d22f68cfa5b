"""DuckDB's errors in Trino's names: what a failed query says must not tell of files, settings or the engine itself.

https://trino.io/docs/current/language/types.html, https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
"""

# ruff: noqa: E501 - a table

from __future__ import annotations

import re

from lakebed.ports.sql import SqlFailure

_RULES: tuple[tuple[str, str, str], ...] = (
    (r"Division by zero", "DIVISION_BY_ZERO", "Division by zero"),
    (r"must appear in the GROUP BY clause|must be part of the GROUP BY", "EXPRESSION_NOT_AGGREGATE",
     "an expression must be an aggregate expression or appear in GROUP BY clause"),
    (r"date field value out of range|timestamp field value out of range|invalid (date|timestamp) field", "INVALID_CAST_ARGUMENT", ""),
    (r"Cannot convert value to JSON: .*", "INVALID_FUNCTION_ARGUMENT", "Cannot convert value to JSON"),
    (r"Malformed JSON|JSON transform error|Invalid Input Error: .*JSON", "HIVE_CURSOR_ERROR",
     "Row is not a valid JSON Object"),
    (r"SQL array indices start at 1|Array subscript|Key not present in map",
     "INVALID_FUNCTION_ARGUMENT", ""),
    (r"[Oo]verflow|Out of Range Error|out of range", "NUMERIC_VALUE_OUT_OF_RANGE", ""),
    (r"More than one row returned by a subquery", "SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows"),
    (r"Could not parse string .* according to format", "INVALID_FUNCTION_ARGUMENT", ""),
    (r"Conversion Error", "INVALID_CAST_ARGUMENT", ""),
    (r"Out of Memory|maximum temp directory size|failed to allocate", "EXCEEDED_LOCAL_MEMORY_LIMIT",
     "Query exceeded the memory and spill limits of this engine"),
    (r"INTERRUPT", "USER_CANCELED", "Query was canceled"),
    ((r"repetition|missing [])]|unexpected \)|invalid (escape sequence|character class|perl operator|named capture)|"
     r"trailing \\|pattern too large"), "INVALID_FUNCTION_ARGUMENT", "Invalid regular expression"),
    (r"nested aggregate|aggregate function calls cannot be nested", "NESTED_AGGREGATION",
     "Cannot nest aggregations inside aggregation"),
    (r"Duplicate named argument|needs at least one column", "HIVE_INVALID_METADATA",
     "the table's columns are not valid: none, or two of one name"),
    ((r"Invalid Input Error: CSV|IO Error|not a parquet file|No magic bytes|Footer length|TProtocol|"
     r"don't know what type|Invalid unicode|(quote|escape|delimiter|separator) option|Snappy|ZSTD|gzip|GZIP"), "HIVE_CURSOR_ERROR",
     "a data file of the table cannot be read in its declared format"),
)  # fmt: skip
_OURS = re.compile(r"Could not convert string 'lb!(.*)' to INT32", re.DOTALL)
_PLACES = re.compile(r"(/[\w.\-]+){2,}")


def translated(message: str) -> SqlFailure:
    """The failure a DuckDB message means; an unknown one is ours, not the user's."""
    if (ours := _OURS.search(message)) is not None:
        named = re.match(r"(HIVE_[A-Z_]+): (.*)", ours.group(1), re.DOTALL)
        if named is not None:
            return SqlFailure(named.group(1), named.group(2)[:1000])
        return SqlFailure("INVALID_FUNCTION_ARGUMENT", ours.group(1)[:1000])
    if (raised := re.search(r"executing the UDF: ValueError: (.*)", message, re.DOTALL)) is not None:
        return SqlFailure("INVALID_FUNCTION_ARGUMENT", raised.group(1).strip()[:1000])
    if (raised := re.search(r"executing the UDF: SqlFailure: ([A-Z_]+): (.*)", message, re.DOTALL)) is not None:
        return SqlFailure(raised.group(1), raised.group(2).strip()[:1000])
    first = message.split("\n")[0].strip()
    for pattern, name, text in _RULES:
        if re.search(pattern, first):
            told = text or first.split(": ", 1)[-1]
            told = re.sub(r"\s*(Use TRY|This can be|Set ).*", "", _PLACES.sub("<file>", told))
            return SqlFailure(name, told[:1000])
    return SqlFailure("GENERIC_INTERNAL_ERROR", _PLACES.sub("<file>", first)[:500], category=1)
