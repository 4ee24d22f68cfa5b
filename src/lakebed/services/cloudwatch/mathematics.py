"""Metric math: the arithmetic of GetMetricData and alarms, as a small language of its own.

Values are numbers, series (value by period) and arrays of series (METRICS()). Operators ``+ - * / ^``, comparisons, ``AND``,
``OR`` and the functions in ``FUNCTIONS``; others, SEARCH among them, are refused by name. Between two series an operator
yields the periods that both have; a division by zero yields none.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from lakebed.kernel.errors import AwsError, not_built

Series = dict[int, float]
Value = float | Series | list[Series] | str
_DEPTH_MAX = 40
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_]\w*)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'
    |(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^()<>,\[\]]))""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[float, float], float]] = {
    sign: (lambda left, right, test=test: float(test(left, right)))  # type: ignore[misc]  # a default binds the loop's value
    for sign, test in {
        "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    }.items()
}  # fmt: skip
_ROUND: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_AGGREGATE: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum, "MIN": lambda values: min(values), "MAX": lambda values: max(values),
    "AVG": lambda values: math.fsum(values) / len(values),
}  # fmt: skip
_ADD: dict[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub}
_MULTIPLY: dict[str, Callable[[float, float], float]] = {"*": operator.mul, "/": operator.truediv}
FUNCTIONS = ("SUM", "AVG", "MIN", "MAX", "METRICS", "IF", "FILL", "ABS", "CEIL", "FLOOR", "PERIOD")


class Times(NamedTuple):
    """The periods of a request."""

    start: int
    end: float
    period: int

    def all(self) -> range:
        """Every period's beginning."""
        return range(self.start, math.ceil(self.end), self.period)


def invalid(expression: str, reason: str) -> AwsError:
    """AWS's error for an expression it cannot read."""
    return AwsError("ValidationError", f"Error in expression '{expression[:100]}': {reason}")


def names_in(expression: str) -> set[str]:
    """The ids an expression names (it may also name all by METRICS())."""
    return {
        found["name"] for found in _TOKEN.finditer(expression)
        if found["name"] and found["name"].upper() not in (*FUNCTIONS, "AND", "OR", "REPEAT", "LINEAR")
    }  # fmt: skip


def evaluate(
    operation: str, expression: str, known: Mapping[str, Value], metrics: Mapping[str, Series], times: Times
) -> Value:
    """The value of an expression over the queries it may name; ``metrics`` are those METRICS() means."""
    try:
        return _Parser(operation, expression, known, metrics, times).parsed()
    except RecursionError:
        raise invalid(expression, "it is nested too deeply") from None


class _Parser:
    """A recursive descent that computes as it reads."""

    def __init__(
        self, operation: str, text: str, known: Mapping[str, Value], metrics: Mapping[str, Series], times: Times
    ) -> None:
        self._operation, self._text, self._known, self._metrics, self._times = operation, text, known, metrics, times
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise invalid(text, f"unexpected {text[at:].strip()[:20]}")
            kind = "string" if found.lastgroup in ("double", "single") else found.lastgroup
            self._tokens.append((kind, found[found.lastgroup]))
            at = found.end()
        self._at = self._depth = 0

    def parsed(self) -> Value:
        if self._tokens and self._tokens[0] == ("name", "SELECT"):
            raise not_built("cloudwatch", self._operation, "Metrics Insights queries")
        value = self._either()
        if self._at < len(self._tokens):
            raise invalid(self._text, f"unexpected {self._tokens[self._at][1]}")
        return value

    def _either(self) -> Value:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise invalid(self._text, "it is nested too deeply")
        value = self._both()
        while self._word("OR", "||"):
            value = self._combine(lambda left, right: float(bool(left) or bool(right)), value, self._both())
        self._depth -= 1
        return value

    def _both(self) -> Value:
        value = self._compared()
        while self._word("AND", "&&"):
            value = self._combine(lambda left, right: float(bool(left) and bool(right)), value, self._compared())
        return value

    def _compared(self) -> Value:
        value = self._sum()
        while (sign := self._sign(_COMPARE)) is not None:
            value = self._combine(_COMPARE[sign], value, self._sum())
        return value

    def _sum(self) -> Value:
        value = self._product()
        while (sign := self._sign(_ADD)) is not None:
            value = self._combine(_ADD[sign], value, self._product())
        return value

    def _product(self) -> Value:
        value = self._power()
        while (sign := self._sign(_MULTIPLY)) is not None:
            value = self._combine(_MULTIPLY[sign], value, self._power())
        return value

    def _power(self) -> Value:
        if self._sign(("-",)):
            return self._combine(operator.mul, -1.0, self._power())
        value = self._one()
        if self._sign(("^",)):
            return self._combine(math.pow, value, self._power())
        return value

    def _one(self) -> Value:
        kind, text = self._next()
        if kind == "number":
            return float(text)
        if kind == "string":
            return text
        if (kind, text) == ("sign", "("):
            value = self._either()
            self._expect(")")
            return value
        if (kind, text) == ("sign", "["):
            return self._array()
        if kind != "name":
            raise invalid(self._text, f"unexpected {text}")
        if self._sign(("(",)):
            return self._call(text)
        if text == "REPEAT":
            return text
        if text not in self._known:
            raise invalid(self._text, f"{text} is not the id of a query")
        return self._known[text]

    def _array(self) -> Value:
        found: list[Series] = []
        while True:
            value = self._either()
            found += [value] if isinstance(value, dict) else value if isinstance(value, list) else []
            if not self._sign((",",)):
                break
        self._expect("]")
        return found

    def _call(self, name: str) -> Value:
        if name not in FUNCTIONS:
            raise not_built("cloudwatch", self._operation, f"metric math function {name}")
        given: list[Value] = []
        if not self._sign((")",)):
            given.append(self._either())
            while self._sign((",",)):
                given.append(self._either())
            self._expect(")")
        try:
            return self._apply(name, given)
        except (TypeError, ValueError, IndexError):
            raise invalid(self._text, f"the arguments of {name} do not fit") from None

    def _apply(self, name: str, given: Sequence[Value]) -> Value:
        if name == "METRICS":
            part = given[0] if given else ""
            if len(given) > 1 or not isinstance(part, str):
                raise TypeError
            return [series for key, series in self._metrics.items() if part in key]
        if name == "IF":
            condition, then = given[0], given[1]
            return _choose(condition, then, given[2] if len(given) > 2 else {})
        if name == "FILL":
            series, filling = given
            if isinstance(series, list):
                return [_filled(one, filling, self._times) for one in series]
            return _filled(series, filling, self._times)
        (one,) = given
        if name == "PERIOD":
            return float(self._times.period)
        if name in ("ABS", "CEIL", "FLOOR"):
            return _each(_ROUND[name], one)
        return _aggregated(name, one)

    def _combine(self, compute: Callable[[float, float], float], left: Value, right: Value) -> Value:
        if isinstance(left, list) or isinstance(right, list):
            if isinstance(left, list) and isinstance(right, list):
                raise invalid(self._text, "two arrays cannot be combined")
            if isinstance(left, list):
                return [_series(self._combine(compute, one, right)) for one in left]
            return [_series(self._combine(compute, left, one)) for one in right]  # type: ignore[union-attr]
        if isinstance(left, str) or isinstance(right, str):
            raise invalid(self._text, "a string cannot be computed with")
        return _paired(compute, left, right)

    def _sign(self, signs: Mapping[str, object] | Sequence[str]) -> str | None:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind == "sign" and text in signs:
                self._at += 1
                return text
        return None

    def _word(self, word: str, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in (("name", word), ("sign", sign)):
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._sign((sign,)):
            raise invalid(self._text, f"{sign} is expected")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise invalid(self._text, "it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]


def _paired(compute: Callable[[float, float], float], left: float | Series, right: float | Series) -> float | Series:
    if not isinstance(left, dict) and not isinstance(right, dict):
        return _safe(compute, left, right) or 0.0
    times = (
        left.keys() & right.keys() if isinstance(left, dict) and isinstance(right, dict)
        else left.keys() if isinstance(left, dict) else right.keys() if isinstance(right, dict) else ()
    )  # fmt: skip
    found: Series = {}
    for at in sorted(times):
        value = _safe(
            compute, left[at] if isinstance(left, dict) else left, right[at] if isinstance(right, dict) else right
        )
        if value is not None:
            found[at] = value
    return found


def _safe(compute: Callable[[float, float], float], left: float, right: float) -> float | None:
    try:
        value = compute(left, right)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _series(value: Value) -> Series:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _each(compute: Callable[[float], float], value: Value) -> Value:
    if isinstance(value, list):
        return [{at: float(compute(one)) for at, one in series.items()} for series in value]
    if isinstance(value, dict):
        return {at: float(compute(one)) for at, one in value.items()}
    return float(compute(_number(value)))


def _aggregated(name: str, value: Value) -> Value:
    """A series of an array, period by period; a number of a series."""
    compute = _AGGREGATE[name]
    if isinstance(value, list):
        by_time: dict[int, list[float]] = {}
        for series in value:
            for at, one in series.items():
                by_time.setdefault(at, []).append(one)
        return {at: compute(values) for at, values in sorted(by_time.items())}
    if isinstance(value, dict):
        return compute(list(value.values())) if value else 0.0
    return _number(value)


def _number(value: Value) -> float:
    if not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _choose(condition: Value, then: Value, other: Value) -> Value:
    if isinstance(condition, int | float):
        return then if condition else other
    found: Series = {}
    for at, test in _series(condition).items():
        chosen = then if test else other
        value = chosen.get(at) if isinstance(chosen, dict) else _number(chosen)
        if value is not None:
            found[at] = value
    return found


def _filled(value: Value, filling: Value, times: Times) -> Series:
    series = _series(value)
    found: Series = {}
    last: float | None = None
    for at in times.all():
        if at in series:
            last = found[at] = series[at]
        elif isinstance(filling, dict):
            if at in filling:
                found[at] = filling[at]
        elif filling == "REPEAT":
            if last is not None:
                found[at] = last
        else:
            found[at] = _number(filling)
    return found
