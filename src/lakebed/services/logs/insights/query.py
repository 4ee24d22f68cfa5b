"""Commands of a query: each wraps the statement so far. Built: fields, display, filter, parse, stats, sort, limit, dedup.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

# ruff: noqa: S608 - the statement runs in the engine's locked process, over one file, and every constant is quoted
from __future__ import annotations

import re
from typing import NamedTuple

from lakebed.services.logs.insights.expressions import Expressions, Sql, quoted
from lakebed.services.logs.insights.tokens import Reader, Token, malformed

ROWS_MAX = 10_000
COLUMNS = (("ts", "bigint"), ("ingested", "bigint"), ("message", "string"), ("stream", "string"), ("grp", "string"),
           ("ptr", "string"))  # fmt: skip
_RAW = {
    "@timestamp": Sql("ts", "time"), "@ingestionTime": Sql("ingested", "time"), "@message": Sql("message", "text"),
    "@logStream": Sql("stream", "text"), "@log": Sql("grp", "text"), "@ptr": Sql("ptr", "text"),
}  # fmt: skip
_KNOWN_ELSEWHERE = ("pattern", "diff", "unmask", "unnest", "anomaly", "filterindex", "source", "lookup", "join")
_COMMANDS_MAX = 50


class Shown(NamedTuple):
    """A column of the result: its name for the user, its name in the statement, its kind."""

    name: str
    column: str
    kind: str


class Compiled(NamedTuple):
    """A statement; rows come in the order of column ``n_``."""

    sql: str
    shown: list[Shown]


def compile_query(text: str, limit: int) -> Compiled:
    """A query as one statement over the table ``events``; MalformedQueryException for what it is not."""
    return _Query(text, limit).compiled()


class _Query:
    def __init__(self, text: str, limit: int) -> None:
        self._reader = Reader(text)
        self._sql, self._columns = "events", [name for name, _ in COLUMNS]
        self._known = dict(_RAW)
        self._message = "message"
        self._fields: list[str] = []
        self._displayed: list[str] | None = None
        self._order: list[tuple[str, str]] = []
        self._limit = min(limit, ROWS_MAX)
        self._made = 0

    def compiled(self) -> Compiled:
        commands = {
            "fields": self._fields_command, "display": self._display, "filter": self._filter, "parse": self._parse,
            "stats": self._stats, "sort": self._sort, "limit": self._limited, "dedup": self._dedup,
        }  # fmt: skip
        count = 0
        while not self._reader.done:
            token = self._reader.next()
            name = token.text.lower() if token.kind == "name" else ""
            if name in _KNOWN_ELSEWHERE:
                raise malformed(f"The command {token.text} is not built")
            if name not in commands:
                raise malformed(f"unexpected symbol found {token.text} at position {token.at}")
            commands[name]()
            count += 1
            if count > _COMMANDS_MAX:
                raise malformed(f"a query has at most {_COMMANDS_MAX} commands")
            if not self._reader.done:
                self._reader.expect("|")
        return self._finished()

    def _finished(self) -> Compiled:
        aggregated = not self._message
        names = self._displayed or self._fields or ([] if aggregated else ["@timestamp", "@message"])
        if not aggregated and "@ptr" not in names:
            names = [*names, "@ptr"]
        shown: list[Shown] = []
        parts: list[str] = []
        for at, name in enumerate(dict.fromkeys(names)):
            value = Expressions(self._reader, self._known, self._message).field(name)
            kind = "number" if value.kind == "truth" else value.kind
            parts.append(f"{value.number if value.kind == 'truth' else value.text} AS o{at}")
            shown.append(Shown(name, f"o{at}", kind))
        order = self._ordering()
        sql = (
            f"SELECT row_number() OVER (ORDER BY {order}) AS n_, {', '.join(parts)} FROM {self._source()} "
            f"ORDER BY {order} LIMIT {self._limit}"
        )
        return Compiled(sql, shown)

    def _ordering(self) -> str:
        if self._order:
            return ", ".join(f"{sql} {way} NULLS LAST" for sql, way in self._order)
        return (
            "ts DESC, ptr DESC" if self._message else "1" if not self._columns else f"{self._columns[0]} ASC NULLS LAST"
        )

    def _source(self) -> str:
        return self._sql if self._sql == "events" else f"({self._sql}) q"

    def _expressions(self) -> Expressions:
        return Expressions(self._reader, self._known, self._message)

    def _column(self, name: str, value: Sql) -> None:
        """Add a column, which ``name`` then means."""
        self._made += 1
        column = f"v{self._made}"
        self._sql = f"SELECT {', '.join(self._columns)}, {value.text} AS {column} FROM {self._source()}"
        self._columns.append(column)
        self._known[name] = Sql(column, value.kind)

    def _fields_command(self) -> None:
        while True:
            start, plain = self._reader.place, self._reader.peek()
            value = self._expressions().one()
            name = self._reader.text_since(start)
            simple = plain.kind in ("name", "quoted") and name == plain.text
            alias = self._alias()
            if alias or not simple:
                self._column(alias or name, value)
            self._fields.append(alias or name)
            if not self._reader.sign(","):
                return

    def _display(self) -> None:
        self._displayed = self._names()
        for name in self._displayed:
            self._expressions().field(name)

    def _filter(self) -> None:
        condition = self._expressions().one()
        self._sql = f"SELECT {', '.join(self._columns)} FROM {self._source()} WHERE {condition.truth}"

    def _parse(self) -> None:
        token = self._reader.peek()
        source = Sql(self._message or "NULL", "text")
        if token.kind in ("name", "quoted"):
            source = self._expressions().field(self._reader.next().text)
        elif not self._message:
            raise malformed("parse needs a field after stats")
        pattern = self._reader.next()
        if pattern.kind == "string":
            expression, names = _glob(pattern), self._parsed_names()
            if len(names) != pattern.text.count("*"):
                raise malformed("parse needs as many names as wildcards")
        elif pattern.kind == "regex":
            expression, names = _groups(pattern.text)
        else:
            raise malformed(f"parse takes a string or a regular expression, not {pattern.text}")
        for group, name in names:
            found = f"regexp_extract({source.string}, {quoted(expression)}, {group})"
            self._column(name, Sql(found, "text"))
            self._fields = [*(self._fields or ["@timestamp", "@message"]), name]

    def _parsed_names(self) -> list[tuple[int, str]]:
        if self._reader.word("as") is None:
            raise malformed("as is expected behind the pattern of parse")
        return list(enumerate(self._names(), 1))

    def _stats(self) -> None:
        made: list[tuple[str, Sql]] = []
        while True:
            start = self._reader.place
            value = self._expressions().aggregate()
            name = self._reader.text_since(start)
            made.append((self._alias() or name, value))
            if not self._reader.sign(","):
                break
        keys: list[tuple[str, Sql]] = []
        if self._reader.word("by"):
            while True:
                start = self._reader.place
                value = self._expressions().one()
                name = self._reader.text_since(start)
                keys.append((self._alias() or name, value))
                if not self._reader.sign(","):
                    break
        parts = [f"{value.text} AS g{at}" for at, (_, value) in enumerate([*keys, *made])]
        grouped = f" GROUP BY {', '.join(str(at) for at in range(1, len(keys) + 1))}" if keys else ""
        self._sql = f"SELECT {', '.join(parts)} FROM {self._source()}{grouped}"
        self._columns = [f"g{at}" for at in range(len(parts))]
        self._known = {name: Sql(f"g{at}", value.kind) for at, (name, value) in enumerate([*keys, *made])}
        self._message, self._fields, self._displayed, self._order = "", list(self._known), None, []

    def _sort(self) -> None:
        self._order = []
        while True:
            value = self._sorted_by(self._reader.peek())
            way = (self._reader.word("asc", "desc") or "asc").upper()
            if value.kind == "text":
                self._order.append((value.number, way))
            self._order.append((value.text, way))
            if not self._reader.sign(","):
                return

    def _sorted_by(self, token: Token) -> Sql:
        """An expression, or the name of a column of stats written as there (``count(*)``)."""
        for name, value in self._known.items():
            if "(" in name and token.kind == "name" and self._reader.taken(name):
                return value
        return self._expressions().one()

    def _limited(self) -> None:
        token = self._reader.next()
        if token.kind != "number" or not token.text.isdigit() or not 0 < int(token.text) <= ROWS_MAX:
            raise malformed(f"limit takes a number from 1 to {ROWS_MAX}")
        self._limit = min(self._limit, int(token.text))

    def _dedup(self) -> None:
        keys = [self._expressions().field(name).string for name in self._names()]
        missing = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        ranked = (
            f"SELECT {', '.join(self._columns)}, row_number() OVER (PARTITION BY {', '.join(keys)} "
            f"ORDER BY {self._ordering()}) AS r_ FROM {self._source()} WHERE {missing}"
        )
        self._sql = f"SELECT {', '.join(self._columns)} FROM ({ranked}) r WHERE r_ = 1"

    def _names(self) -> list[str]:
        names = [self._name()]
        while self._reader.sign(","):
            names.append(self._name())
        return names

    def _name(self) -> str:
        token = self._reader.next()
        if token.kind not in ("name", "quoted"):
            raise malformed(f"the name of a field is expected, not {token.text}")
        for name in self._known:
            if "(" in name and name.startswith(token.text + "(") and self._reader.taken(name[len(token.text) :]):
                return name
        return token.text

    def _alias(self) -> str:
        if self._reader.word("as") is None:
            return ""
        token = self._reader.next()
        if token.kind not in ("name", "quoted"):
            raise malformed(f"a name is expected behind as, not {token.text}")
        return token.text


def _glob(pattern: Token) -> str:
    pieces = [re.sub(r"([^\w\s])", r"\\\1", piece) for piece in pattern.text.split("*")]
    if len(pieces) < 2:
        raise malformed("the pattern of parse needs a wildcard")
    lazy = "(.*?)".join(pieces[:-1])
    return f"(?s){lazy}{'(.*)' if not pieces[-1] else '(.*?)' + pieces[-1]}"


def _groups(expression: str) -> tuple[str, list[tuple[int, str]]]:
    """The expression with plain groups, and the names of those that have one."""
    names: list[tuple[int, str]] = []
    number = at = 0
    bracketed = False
    while at < len(expression):
        if expression[at] == "\\":
            at += 2
            continue
        bracketed = expression[at] == "[" or (bracketed and expression[at] != "]")
        if expression[at] == "(" and not bracketed:
            found = re.match(r"\(\?P?<([A-Za-z_]\w*)>", expression[at:])
            if found or not expression.startswith("(?", at):
                number += 1
            if found:
                names.append((number, found[1]))
        at += 1
    if not names:
        raise malformed("a regular expression of parse needs named groups")
    return re.sub(r"\(\?P?<([A-Za-z_]\w*)>", "(", expression), names
