"""Expressions of a query, each compiled to SQL with what kind of value it is.

Fields that are no column of events are read from the message as JSON, as text: what is compared with a number or computed
with is converted, and is nothing where it is no number. Functions that are not in the tables are refused by name.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lakebed.services.logs.insights.tokens import Reader, Token, malformed

_DEPTH_MAX = 40
_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_LAMBDA = {
    "@requestId": r"RequestId: ([0-9a-fA-F-]+)", "@type": r"^(START|END|REPORT) ",
    "@duration": r"\tDuration: ([0-9.]+) ms", "@billedDuration": r"Billed Duration: ([0-9.]+) ms",
    "@initDuration": r"Init Duration: ([0-9.]+) ms", "@memorySize": r"Memory Size: ([0-9]+) MB",
    "@maxMemoryUsed": r"Max Memory Used: ([0-9]+) MB",
}  # fmt: skip
_MEGABYTES = ("@memorySize", "@maxMemoryUsed")


class Sql(NamedTuple):
    """A compiled expression; ``kind`` is text, number, truth or time (epoch milliseconds)."""

    text: str
    kind: str
    literal: str = ""  # the value of a string constant

    @property
    def number(self) -> str:
        """As a double."""
        if self.kind == "number":
            return self.text
        if self.kind == "truth":
            return f"CASE WHEN {self.text} THEN CAST(1 AS double) ELSE CAST(0 AS double) END"
        return f"{'TRY_CAST' if self.kind == 'text' else 'CAST'}({self.text} AS double)"

    @property
    def string(self) -> str:
        """As text."""
        if self.kind == "text":
            return self.text
        return f"CAST({self.text if self.kind != 'truth' else self.number} AS varchar)"

    @property
    def truth(self) -> str:
        """As a condition."""
        if self.kind == "truth":
            return self.text
        return f"({self.text} IS NOT NULL)" if self.kind == "text" else f"({self.text} <> 0)"


def quoted(text: str) -> str:
    """A string constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


def constant(value: float) -> str:
    """A number of SQL."""
    return f"CAST({value!r} AS double)"


_NUMERIC = {"abs": "abs", "ceil": "ceil", "floor": "floor", "sqrt": "sqrt", "log": "ln"}
_TEXTUAL = {"trim": "trim", "ltrim": "ltrim", "rtrim": "rtrim", "tolower": "lower", "toupper": "upper"}


def _each(name: str) -> Callable[[list[Sql]], Sql]:
    return lambda given: Sql(f"{name}({', '.join(one.number for one in given)})", "number")


def _coalesce(given: list[Sql]) -> Sql:
    if all(one.kind == "number" for one in given):
        return Sql(f"coalesce({', '.join(one.text for one in given)})", "number")
    return Sql(f"coalesce({', '.join(one.string for one in given)})", "text")


def _concat(given: list[Sql]) -> Sql:
    parts = [f"coalesce({one.string}, '')" for one in given]
    return Sql(f"concat({', '.join(parts)}, '')", "text")


def _contains(given: list[Sql]) -> Sql:
    found = Sql(f"(strpos({given[0].string}, {given[1].string}) > 0)", "truth")
    return Sql(found.number, "number")


def _substr(given: list[Sql]) -> Sql:
    start = f"CAST({given[1].number} AS bigint) + 1"
    length = f", CAST({given[2].number} AS bigint)" if len(given) > 2 else ""
    return Sql(f"substr({given[0].string}, {start}{length})", "text")


# name -> (least and most arguments, how it is made)
_FUNCTIONS: dict[str, tuple[int, int, Callable[[list[Sql]], Sql]]] = {
    **{name: (1, 1, _each(made)) for name, made in _NUMERIC.items()},
    **{name: (1, 1, lambda given, made=made: Sql(f"{made}({given[0].string})", "text"))  # type: ignore[misc]
       for name, made in _TEXTUAL.items()},
    "greatest": (1, 50, _each("greatest")),
    "least": (1, 50, _each("least")),
    "mod": (2, 2, lambda given: Sql(f"mod({given[0].number}, {given[1].number})", "number")),
    "strlen": (1, 1, lambda given: Sql(f"CAST(length({given[0].string}) AS double)", "number")),
    "concat": (1, 50, _concat),
    "substr": (2, 3, _substr),
    "replace": (3, 3, lambda given: Sql(f"replace({given[0].string}, {given[1].string}, {given[2].string})", "text")),
    "strcontains": (2, 2, _contains),
    "ispresent": (1, 1, lambda given: Sql(f"({given[0].text} IS NOT NULL)", "truth")),
    "isempty": (1, 1, lambda given: Sql(f"({given[0].text} IS NULL OR {given[0].string} = '')", "truth")),
    "isblank": (1, 1, lambda given: Sql(f"({given[0].text} IS NULL OR trim({given[0].string}) = '')", "truth")),
    "coalesce": (1, 50, _coalesce),
    "tomillis": (1, 1, lambda given: Sql(given[0].number, "number")),
    "frommillis": (1, 1, lambda given: Sql(f"CAST({given[0].number} AS bigint)", "time")),
    "now": (0, 0, lambda _: Sql("floor(to_unixtime(now()))", "number")),
}  # fmt: skip
AGGREGATES = (
    "count", "count_distinct", "sum", "avg", "min", "max", "stddev", "pct", "percentile", "median", "earliest", "latest",
    "sortsfirst", "sortslast",
)  # fmt: skip


class Expressions:
    """Compiles from a reader. ``known`` are fields by name; where ``message`` is empty there are no others."""

    def __init__(self, reader: Reader, known: Mapping[str, Sql], message: str) -> None:
        self._reader, self._known, self._message = reader, known, message
        self._aggregating = self._inside = False
        self._depth = 0

    def one(self) -> Sql:
        """The next expression."""
        return self._either()

    def aggregate(self) -> Sql:
        """The next expression over aggregates (stats)."""
        self._aggregating = True
        return self._either()

    def field(self, name: str) -> Sql:
        """A field by name."""
        if self._aggregating and not self._inside:
            raise malformed(f"{name} must stand inside an aggregate function or behind by")
        if name in self._known:
            return self._known[name]
        if not self._message:
            raise malformed(f"Field {name} does not exist after the preceding command")
        if name in _LAMBDA:
            found = f"regexp_extract({self._message}, {quoted(_LAMBDA[name])}, 1)"
            if name in _MEGABYTES:
                return Sql(f"TRY_CAST({found} AS double) * CAST(1000000 AS double)", "number")
            return Sql(found, "text")
        if name.startswith("@") and not name.startswith("@@"):
            return Sql("CAST(NULL AS varchar)", "text")
        return Sql(f"json_extract_scalar({self._message}, {quoted(_path(name.removeprefix('@')))})", "text")

    def _either(self) -> Sql:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise malformed("the expression is nested too deeply")
        value = self._both()
        while self._reader.word("or") or self._reader.sign("||"):
            value = Sql(f"({value.truth} OR {self._both().truth})", "truth")
        self._depth -= 1
        return value

    def _both(self) -> Sql:
        value = self._negated()
        while self._reader.word("and") or self._reader.sign("&&"):
            value = Sql(f"({value.truth} AND {self._negated().truth})", "truth")
        return value

    def _negated(self) -> Sql:
        if self._reader.word("not"):
            self._depth += 1
            if self._depth > _DEPTH_MAX:
                raise malformed("the expression is nested too deeply")
            value = Sql(f"(NOT coalesce({self._negated().truth}, FALSE))", "truth")
            self._depth -= 1
            return value
        return self._compared()

    def _compared(self) -> Sql:
        left = self._sum()
        if sign := self._reader.sign("=", "!=", "<", "<=", ">", ">="):
            return _comparison(sign, left, self._sum())
        if self._reader.sign("=~"):
            return self._like(left)
        negative = bool(self._reader.word("not"))
        if self._reader.word("like"):
            made = self._like(left)
        elif self._reader.word("in"):
            made = self._within(left)
        elif negative:
            raise malformed("like or in is expected behind not")
        else:
            return left
        return Sql(f"(NOT coalesce({made.text}, FALSE))", "truth") if negative else made

    def _like(self, left: Sql) -> Sql:
        token = self._reader.next()
        if token.kind == "regex":
            return Sql(f"regexp_like({left.string}, {quoted(token.text)})", "truth")
        if token.kind != "string":
            raise malformed(f"a string or a regular expression is expected behind like, not {token.text}")
        return Sql(f"(strpos({left.string}, {quoted(token.text)}) > 0)", "truth")

    def _within(self, left: Sql) -> Sql:
        self._reader.expect("[")
        tests = [_comparison("=", left, self._sum()).text]
        while self._reader.sign(","):
            tests.append(_comparison("=", left, self._sum()).text)
        self._reader.expect("]")
        return Sql(f"({' OR '.join(tests)})", "truth")

    def _sum(self) -> Sql:
        value = self._product()
        while sign := self._reader.sign("+", "-"):
            value = Sql(f"({value.number} {sign} {self._product().number})", "number")
        return value

    def _product(self) -> Sql:
        value = self._power()
        while sign := self._reader.sign("*", "/", "%"):
            other = self._power().number
            # Nothing rather than a failure where the divisor is zero.
            divisor = f"nullif({other}, CAST(0 AS double))" if sign != "*" else other
            value = Sql(f"({value.number} {sign} {divisor})", "number")
        return value

    def _power(self) -> Sql:
        value = self._unary()
        if self._reader.sign("^"):
            self._depth += 1
            if self._depth > _DEPTH_MAX:
                raise malformed("the expression is nested too deeply")
            value = Sql(f"power({value.number}, {self._power().number})", "number")
            self._depth -= 1
        return value

    def _unary(self) -> Sql:
        if self._reader.sign("-"):
            value = self._primary()
            return Sql(f"(-{value.number})", "number")
        return self._primary()

    def _primary(self) -> Sql:
        token = self._reader.next()
        if token.kind == "number":
            return Sql(constant(float(token.text)), "number")
        if token.kind == "string":
            return Sql(quoted(token.text), "text", token.text)
        if token.kind == "quoted":
            return self.field(token.text)
        if token.kind == "sign" and token.text == "(":
            value = self._either()
            self._reader.expect(")")
            return value
        if token.kind != "name":
            raise malformed(f"unexpected symbol found {token.text} at position {token.at}")
        if self._reader.sign("("):
            return self._call(token)
        return self.field(token.text)

    def _call(self, token: Token) -> Sql:
        name = token.text.lower()
        if name == "bin" or name == "datefloor" or name == "dateceil":
            return self._binned(name)
        if name in AGGREGATES:
            if not self._aggregating or self._inside:
                raise malformed(f"{token.text} is an aggregate function: it belongs to stats")
            return self._aggregated(name)
        if name not in _FUNCTIONS:
            raise malformed(f"Invalid function: {token.text} is unknown or not built")
        least, most, made = _FUNCTIONS[name]
        given = self._arguments()
        if not least <= len(given) <= most:
            raise malformed(f"{token.text} takes {least} to {most} arguments, not {len(given)}")
        return made(given)

    def _arguments(self) -> list[Sql]:
        given: list[Sql] = []
        if self._reader.sign(")"):
            return given
        given.append(self._either())
        while self._reader.sign(","):
            given.append(self._either())
        self._reader.expect(")")
        return given

    def _binned(self, name: str) -> Sql:
        of = self.field("@timestamp") if name == "bin" else self._either()
        if name != "bin":
            self._reader.expect(",")
        token = self._reader.next()
        if token.kind != "duration":
            raise malformed(f"{name} takes a period of ms, s, m, h, d or w, not {token.text}")
        number, unit = re.findall(r"(\d+)(\w+)", token.text)[0]
        width = int(number) * _UNITS_MS[unit]
        if not 0 < width < 1 << 50:
            raise malformed(f"{name}: the period {token.text} is out of range")
        self._reader.expect(")")
        value = of.text if of.kind == "time" else f"CAST({of.number} AS bigint)"
        if name == "dateceil":
            return Sql(f"({value} + mod({width} - mod({value}, {width}), {width}))", "time")
        return Sql(f"({value} - mod({value}, {width}))", "time")

    def _aggregated(self, name: str) -> Sql:
        self._inside = True
        if name == "count" and (self._reader.sign("*") or (self._reader.peek().text == ")")):
            self._reader.expect(")")
            self._inside = False
            return Sql("CAST(count(*) AS double)", "number")
        given = self._arguments()
        times = self._known.get("@timestamp") if name in ("earliest", "latest") else None
        self._inside = False
        if len(given) != (2 if name in ("pct", "percentile") else 1):
            raise malformed(f"{name} takes another number of arguments")
        value = given[0]
        if name == "count":
            return Sql(f"CAST(count({value.text}) AS double)", "number")
        if name == "count_distinct":
            return Sql(f"CAST(count(DISTINCT {value.string}) AS double)", "number")
        if name in ("pct", "percentile"):
            found = re.fullmatch(r"CAST\(([\d.]+) AS double\)", given[1].text)
            if not found or not 0 <= float(found[1]) <= 100:
                raise malformed(f"{name} takes a number from 0 to 100")
            return Sql(f"approx_percentile({value.number}, {float(found[1]) / 100})", "number")
        if name == "median":
            return Sql(f"approx_percentile({value.number}, 0.5)", "number")
        if name in ("earliest", "latest"):
            if times is None:
                raise malformed(f"{name} needs @timestamp")
            return Sql(f"{'min' if name == 'earliest' else 'max'}_by({value.text}, {times.text})", value.kind)
        if name in ("sortsfirst", "sortslast"):
            return Sql(f"{'min' if name == 'sortsfirst' else 'max'}({value.string})", "text")
        if name in ("min", "max") and value.kind == "time":
            return Sql(f"{name}({value.text})", "time")
        return Sql(f"{name}({value.number})", "number")


def _comparison(sign: str, left: Sql, right: Sql) -> Sql:
    sign = "<>" if sign == "!=" else sign
    numeric = "text" not in (left.kind, right.kind) or "number" in (left.kind, right.kind)
    if not numeric and "time" in (left.kind, right.kind):
        numeric = True
    if not numeric and sign not in ("=", "<>") and not (left.literal or right.literal):
        numeric = True
    if numeric:
        return Sql(f"({left.number} {sign} {right.number})", "truth")
    return Sql(f"({left.string} {sign} {right.string})", "truth")


def _path(name: str) -> str:
    steps = name.split(".")
    if any(not step or '"' in step or "\\" in step for step in steps):
        raise malformed(f"{name} is no name of a field")
    return "$" + "".join(f"[{step}]" if step.isdigit() else f'["{step}"]' for step in steps)
