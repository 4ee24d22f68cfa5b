"""Text tables: lines, taken apart by their serde, each field read as Hive reads it.

A line is one field to DuckDB's reader, so that what a delimiter, a quote or an escape means is decided here. The reader
leaves empty lines out, which Hive makes rows of; they are counted beforehand and added. A value that does not parse is NULL
for LazySimpleSerDe, RegexSerDe and Grok; OpenCSVSerde fails the query unless ``use.null.for.invalid.data`` is set, and takes
dates as days and timestamps as milliseconds. https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html,
.../csv-serde.html, .../regex-serde.html, .../grok-serde.html
"""

# ruff: noqa: ARG002, S608 - one signature for all serdes; SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lakebed.engines.sql_duckdb import deserialise
from lakebed.engines.sql_duckdb.instance import literal
from lakebed.lake.sql.times import joda_format
from lakebed.lake.sql.typed import Typed, cast
from lakebed.lake.types import INTEGERS, VARCHAR, Type, field_name, quote
from lakebed.ports.sql import Relation, SqlFailure

FORMATS = ("csv", "opencsv", "regex", "grok")
_NO_DELIMITER = "\U0010ffff"  # a code point that is no character
_NO_NULL = "\U0010fffe"
_BLOCK = 1 << 20
_numbers = itertools.count()
Columns = Sequence[tuple[str, Type]]


def select(connection: Any, relation: Relation, columns: Columns, paths: Sequence[str], file_column: str) -> str:
    """SELECT of the columns and of the file each row comes from."""
    options, form = relation.options, relation.format
    if options.get("skip.footer.line.count", "0") not in ("0", ""):
        raise SqlFailure("NOT_SUPPORTED", "skip.footer.line.count is not built")
    lines = _lines(paths, _header(options), file_column)
    if form == "csv":
        serde = _Lazy(connection, options)
        fields = serde.split("l", 0)
    else:
        fields = _fields(connection, relation, columns)
        serde = _Opencsv(options) if form == "opencsv" else _Strict(connection, {})
    rest = form == "csv" and options.get("serialization.last.column.takes.rest", "").lower() == "true"
    listed = []
    for at, (name, kind) in enumerate(columns):
        value = f"r[{at + 1}]"
        if rest and at == len(columns) - 1:
            value = f"array_to_string(r[{at + 1}:], {literal(serde.separator(0))})"
        listed.append(f"{serde.value(value, kind, 1)} AS {quote(name)}")
    return f"SELECT {', '.join([*listed, file_column])} FROM (SELECT {fields} AS r, {file_column} FROM ({lines}))"


def _header(options: Mapping[str, str]) -> int:
    text = options.get("skip.header.line.count", "0")
    return int(text) if text.isdigit() else 0


def _lines(paths: Sequence[str], skip: int, file_column: str) -> str:
    files = "[" + ", ".join(literal(path) for path in paths) + "]"
    scan = (
        f"read_csv({files}, columns={{'l': 'VARCHAR'}}, delim='{_NO_DELIMITER}', quote='', escape='', header=false, "
        f"skip={skip}, auto_detect=false, strict_mode=false, filename={literal(file_column)}, "
        f"nullstr={literal(_NO_NULL)}, max_line_size=33554432, compression='none')"
    )
    parts = [f"SELECT l, {file_column} FROM {scan}"]
    parts += [
        f"SELECT '' AS l, {literal(path)} AS {file_column} FROM range({count})"
        for path in paths
        if (count := empty_lines(Path(path), skip))
    ]
    return " UNION ALL ".join(parts)


def empty_lines(path: Path, skip: int) -> int:
    """How many lines behind the header are empty."""
    count, lines, before = 0, 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if lines >= skip and before != b"\n" and b"\n\n" not in block and b"\r" not in block and block[0] != 10:
                lines += block.count(b"\n")
                before = block[-1:]
                continue
            if b"\r" in block:
                block = (
                    (block + file.read(1) if block.endswith(b"\r") else block)
                    .replace(b"\r\n", b"\n")
                    .replace(b"\r", b"\n")
                )
            if lines < skip:
                before, block, lines = _past(before, block, lines, skip)
            joined = before + block
            at = joined.find(b"\n\n")
            while at >= 0:
                count += 1
                at = joined.find(b"\n\n", at + 1)
            lines += block.count(b"\n")
            before = joined[-1:]
    return count


def _past(before: bytes, block: bytes, lines: int, skip: int) -> tuple[bytes, bytes, int]:
    """What is left of a block behind the header's last line."""
    at = 0
    while lines < skip:
        end = block.find(b"\n", at)
        if end < 0:
            return b"x", b"", lines
        at, lines = end + 1, lines + 1
    return (b"\n", block[at:], lines) if at else (before, block, lines)


def _fields(connection: Any, relation: Relation, columns: Columns) -> str:
    options, count = relation.options, len(columns)
    if relation.format == "regex":
        pattern = options.get("input.regex", "")
        if not pattern:
            raise SqlFailure("HIVE_INVALID_METADATA", "RegexSerDe needs the property input.regex")
        fold = options.get("input.regex.case.insensitive", "").lower() == "true"
        return f"{_function(connection, deserialise.by_regex(pattern, count, fold=fold))}(l)"
    if relation.format == "grok":
        form = options.get("input.format", "")
        if not form:
            raise SqlFailure("HIVE_INVALID_METADATA", "the Grok SerDe needs the property input.format")
        names = [name for name, _ in columns]
        return (
            f"{_function(connection, deserialise.by_grok(form, options.get('input.grokCustomPatterns', ''), names))}(l)"
        )
    marks = [_mark(options.get(name, default)) for name, default in
             (("separatorChar", ","), ("quoteChar", '"'), ("escapeChar", "\\"))]  # fmt: skip
    separator, quoting, escape = marks
    if separator in (quoting, escape):
        raise SqlFailure("HIVE_INVALID_METADATA", "Separator cannot be the quote or escape character")
    escape = "" if escape == quoting else escape
    special = " OR ".join(f"contains(l, {literal(mark)})" for mark in (quoting, escape) if mark) or "false"
    function = _function(connection, deserialise.by_csv(separator, quoting, escape, count))
    plain = f"string_split(l, {literal(separator)})"
    return f"CASE WHEN l = '' THEN NULL WHEN {special} THEN {function}(l) ELSE {plain} END"


def _mark(text: str) -> str:
    text = {"\\t": "\t", "\\\\": "\\", '\\"': '"', "\\'": "'", "\\001": "\x01"}.get(text, text)
    return text[:1].replace("\x00", "")


def _function(connection: Any, function: Any, returns: str = "VARCHAR[]") -> str:
    name = f"lb_serde_{next(_numbers)}"
    connection.create_function(
        name, lambda text: None if text is None else function(text), ["VARCHAR"], returns, null_handling="special"
    )
    return name


class _Lazy:
    """LazySimpleSerDe's fields: nested by level, each level with its own separator."""

    trims = True

    def __init__(self, connection: Any, options: Mapping[str, str]) -> None:
        self._connection, self._options = connection, options
        self._null = options.get("serialization.null.format", "\\N")
        self._escape = _byte(options["escape.delim"]) if options.get("escape.delim") else ""
        self._separators = [
            _delimiter(options),
            _byte(options.get("collection.delim", options.get("colelction.delim", "\x02"))),
            _byte(options.get("mapkey.delim", "\x03")),
            *(chr(at) for at in range(4, 9)),
        ]
        self._made: dict[str, str] = {}

    def separator(self, level: int) -> str:
        """Between the parts of a value of this depth."""
        if level >= len(self._separators):
            raise SqlFailure("NOT_SUPPORTED", "text columns nested so deeply are not built")
        return self._separators[level]

    def split(self, sql: str, level: int) -> str:
        """The parts of a text."""
        separator = self.separator(level)
        if not self._escape:
            return f"string_split({sql}, {literal(separator)})"
        plain = f"CASE WHEN contains({sql}, {literal(self._escape)})"
        return f"{plain} THEN {self._made_of(separator)}({sql}) ELSE string_split({sql}, {literal(separator)}) END"

    def _made_of(self, separator: str) -> str:
        if separator not in self._made:
            self._made[separator] = _function(self._connection, deserialise.splitter(separator, self._escape))
        return self._made[separator]

    def value(self, sql: str, kind: Type, level: int) -> str:
        """A field's text as a value."""
        text = f"nullif({sql}, {literal(self._null)})"
        if kind.base == "array":
            name = f"t{level}_"
            parts = f"CASE WHEN {text} = '' THEN [] ELSE {self.split(text, level)} END"
            return f"list_transform({parts}, lambda {name}: {self.value(name, kind.args[0], level + 1)})"
        if kind.base == "map":
            return self._map(text, kind, level)
        if kind.base == "row":
            return self._row(text, kind, level)
        return self.leaf(text, kind)

    def _map(self, text: str, kind: Type, level: int) -> str:
        name, pair = f"m{level}_", f"n{level}_"
        key, value = (
            self.value(f"{pair}[{at}]", part, level + 2) for at, part in ((1, kind.args[0]), (2, kind.args[1]))
        )
        parts = f"CASE WHEN {text} = '' THEN [] ELSE {self.split(text, level)} END"
        pairs = f"list_transform({parts}, lambda {name}: {self.split(name, level + 1)})"
        made = f"list_transform({pairs}, lambda {pair}: struct_pack(key := {key}, value := {value}))"
        filled = f"list_filter({made}, lambda f{level}_: f{level}_.key IS NOT NULL)"
        return f"CASE WHEN {text} IS NULL THEN NULL WHEN {text} = '' THEN MAP {{}} ELSE lb_first_keys({filled}) END"

    def _row(self, text: str, kind: Type, level: int) -> str:
        name = f"s{level}_"
        packed = ", ".join(
            f"{quote(field_name(label, at))} := {self.value(f'{name}[{at + 1}]', part, level + 1)}"
            for at, (label, part) in enumerate(kind.args)
        )
        made = f"list_transform([{self.split(text, level)}], lambda {name}: struct_pack({packed}))[1]"
        return f"CASE WHEN {text} IS NULL THEN NULL ELSE {made} END"

    def leaf(self, sql: str, kind: Type) -> str:
        """A value without parts."""
        if self._escape:
            if "" not in self._made:
                self._made[""] = _function(self._connection, deserialise.unescaper(self._escape), "VARCHAR")
            sql = f"CASE WHEN contains({sql}, {literal(self._escape)}) THEN {self._made['']}({sql}) ELSE {sql} END"
        formats = self._options.get("timestamp.formats", "")
        if kind.base == "timestamp" and formats:
            return _formatted(sql, formats)
        return leaf(sql, kind, trims=self.trims)


class _Strict(_Lazy):
    """RegexSerDe and Grok: no NULL text, no trimming, no parts."""

    trims = False

    def value(self, sql: str, kind: Type, level: int) -> str:
        if kind.base in ("array", "map", "row", "varbinary"):
            raise SqlFailure("NOT_SUPPORTED", f"Unsupported column type: {kind}")
        return leaf(sql, kind, trims=False)


class _Opencsv(_Lazy):
    """OpenCSVSerde: text as it stands; numbers must be numbers."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._lenient = options.get("use.null.for.invalid.data", "").lower() == "true"

    def value(self, sql: str, kind: Type, level: int) -> str:
        if kind.base in ("varchar", "char"):
            return leaf(sql, kind, trims=False)
        if kind.base in ("array", "map", "row", "varbinary", "time"):
            raise SqlFailure("NOT_SUPPORTED", f"OpenCSVSerde has no columns of {kind}")
        if kind.base in ("date", "timestamp"):
            whole = leaf(sql, Type("bigint"), trims=True)
            unit = (
                "CAST(DATE '1970-01-01' + CAST({0} AS INTEGER) AS DATE)"
                if kind.base == "date"
                else "make_timestamp({0} * 1000)"
            )
            made = f"TRY({unit.format(whole)})"
        else:
            made = leaf(sql, kind, trims=True)
        if self._lenient:
            return made
        told = f"lb_fail('HIVE_BAD_DATA: Error parsing field value ''' || {sql} || ''' for a column of {kind}')"
        return f"CASE WHEN {sql} IS NULL THEN NULL WHEN {made} IS NULL AND {told} = 0 THEN NULL ELSE {made} END"


def leaf(sql: str, kind: Type, *, trims: bool) -> str:
    """A plain value of a text, NULL where it is none."""
    if kind.base in ("varchar", "char"):
        return cast(Typed(sql, VARCHAR), kind).sql
    if kind.base == "boolean":
        return f"CASE lower({sql}) WHEN 'true' THEN true WHEN 'false' THEN false ELSE NULL END"
    if kind.base == "varbinary":
        return f"coalesce(TRY(from_base64({sql})), encode({sql}))"
    text = f"trim({sql})" if trims and kind.base != "timestamp" else sql
    made = f"TRY({cast(Typed(text, VARCHAR), kind).sql})"
    if kind.base in ("double", "real", "decimal"):
        return f"CASE WHEN contains({sql}, '_') THEN NULL ELSE {made} END"
    if kind.base in INTEGERS or kind.base in ("date", "timestamp"):
        return made
    raise SqlFailure("NOT_SUPPORTED", f"{kind} columns of text tables are not built")


def _formatted(sql: str, formats: str) -> str:
    """``timestamp.formats``: Joda's patterns, or ``millis``."""
    tries = []
    for form in formats.split(","):
        if form.strip().lower() == "millis":
            tries.append(f"TRY(make_timestamp(CAST({sql} AS BIGINT) * 1000))")
        else:
            pattern = joda_format(form).replace("%-", "%")
            tries.append(f"try_strptime({sql}, {literal(pattern)})")
    return f"coalesce({', '.join([*tries, leaf(sql, Type('timestamp'), trims=False)])})"


def _byte(text: str) -> str:
    text = {"\\t": "\t", "\\001": "\x01", "\\\\": "\\", "\\n": "\n"}.get(text, text)
    if text.lstrip("-").isdigit() and len(text) > 1 and 0 <= int(text) < 128:
        return chr(int(text))
    if len(text) == 1 and text in "123456789":
        return chr(int(text))
    if len(text) != 1:
        raise SqlFailure("NOT_SUPPORTED", "delimiters of more than one character are not built")
    return text


def _delimiter(options: Mapping[str, str]) -> str:
    return _byte(options.get("field.delim") or options.get("serialization.format") or "\x01")
