"""The partition expression language against SQLite, which knows the same operators and the same three truth values."""

from __future__ import annotations

import re
import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.services.glue.model import decode_key, encode_key, prefix_of
from lakebed.services.glue.pattern import PatternError, compile_pattern
from lakebed.services.glue.predicate import HIVE_NULL, PredicateError, like, parse

KEYS = [("region", "string"), ("year", "int"), ("day", "date")]
REGIONS = ["eu", "EU", "us", "a'b", "a_b", HIVE_NULL]
YEARS = ["2023", "2024", "10", "9", HIVE_NULL]
DAYS = ["2024-01-01", "2024-02-29", "2023-12-31"]


def _literal(key: str) -> st.SearchStrategy[str]:
    if key == "year":
        return st.sampled_from(["9", "10", "2023", "2024", "-1"])
    values = REGIONS[:-1] if key == "region" else DAYS
    return st.sampled_from(values).map(lambda value: "'" + value.replace("'", "''") + "'")


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from([name for name, _ in KEYS]))
    shape = draw(st.sampled_from(["compare", "mirrored", "in", "between", "like", "null"]))
    negated = draw(st.sampled_from(["", "NOT "]))
    if shape in ("compare", "mirrored"):
        sign, literal = draw(st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])), draw(_literal(key))
        return f"{key} {sign} {literal}" if shape == "compare" else f"{literal} {sign} {key}"
    if shape == "in":
        return f"{key} {negated}IN ({', '.join(draw(st.lists(_literal(key), min_size=1, max_size=3)))})"
    if shape == "between":
        return f"{key} {negated}between {draw(_literal(key))} AND {draw(_literal(key))}"
    if shape == "like":
        pattern = draw(st.text(alphabet="eEuUa_%'b", max_size=4)).replace("'", "''")
        return f"region {negated}LIKE '{pattern}'"
    return f"{key} IS {negated}NULL"


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "or"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"NOT ({text})"),
    )


def _oracle() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA case_sensitive_like=ON")
    db.execute("CREATE TABLE p (n INTEGER, region TEXT, year INTEGER, day TEXT)")
    rows = [(region, year, day) for region in REGIONS for year in YEARS for day in DAYS]
    for number, row in enumerate(rows):
        db.execute(
            "INSERT INTO p VALUES (?,?,?,?)", (number, *(None if value == HIVE_NULL else value for value in row))
        )
    return db


ROWS = [[region, year, day] for region in REGIONS for year in YEARS for day in DAYS]
ORACLE = _oracle()


@settings(max_examples=400, deadline=None)
@given(st.recursive(comparisons(), _combined, max_leaves=8))
def test_agrees_with_sqlite(expression: str) -> None:
    predicate = parse(expression, KEYS)
    wanted = [number for (number,) in ORACLE.execute(f"SELECT n FROM p WHERE {expression} ORDER BY n")]
    assert [at for at, row in enumerate(ROWS) if predicate.fails_at(row) is None] == wanted
    for row in ROWS:
        place = predicate.fails_at(row)
        alike = [other for other in ROWS if place is not None and other[: place + 1] == row[: place + 1]]
        assert all(predicate.fails_at(other) is not None for other in alike)
        if place is None:
            assert tuple(row[: len(predicate.leading)]) == predicate.leading


@pytest.mark.parametrize(
    "expression",
    [
        "colour = 'x'", "year = 'abc'", "year", "year =", "year = 1 AND", "(year = 1", "year = 1)", "region = 'open",
        "year IN ()", "year BETWEEN 1", "day > '2024-13-01'", "year = 1; DROP", "region NOT = 'a'", "('" * 900,
        "(" * 500 + "year = 1" + ")" * 500, "region = year",
    ],
)  # fmt: skip
def test_refuses(expression: str) -> None:
    with pytest.raises(PredicateError):
        parse(expression, KEYS)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4), st.data())
def test_keys_round_trip_and_share_prefixes(values: list[str], data: st.DataObject) -> None:
    values = [value.encode("utf-8", "ignore").decode() or "x" for value in values]
    key = encode_key(values)
    assert decode_key(key) == values
    place = data.draw(st.integers(0, len(values) - 1))
    assert key.startswith(prefix_of(key, values, place))


@given(st.text(alphabet="ab", max_size=8), st.text(alphabet="ab%_", max_size=8))
def test_like(text: str, pattern: str) -> None:
    as_regex = "".join({"%": ".*", "_": "."}.get(character, character) for character in pattern)
    assert like(text, pattern) == bool(re.fullmatch(as_regex, text))


@given(
    st.text(alphabet="ab_", max_size=8), st.lists(st.sampled_from(["a", "b", "_", ".", ".*", "a+", "b?", "[ab]", "|"]))
)
def test_name_patterns_match_as_regular_expressions(name: str, pieces: list[str]) -> None:
    pattern = "".join(pieces)
    assert compile_pattern(pattern)(name) == bool(re.fullmatch(pattern, name))


def test_name_patterns_take_a_bare_star_and_stay_linear() -> None:
    assert compile_pattern("sales_*")("sales_2024")
    assert compile_pattern("*2024")("sales_2024")
    assert compile_pattern("^SALES_\\d+$")("sales_2024")
    assert not compile_pattern("sales_")("sales_2024")
    with pytest.raises(PatternError):
        compile_pattern("(a+)+")
    started = time.process_time()
    assert not compile_pattern(".*a" * 100 + "b")("a" * 255)
    assert time.process_time() - started < 1


def test_values_that_do_not_fit_their_type_match_nothing() -> None:
    keys = [("amount", "decimal(10,2)"), ("at", "timestamp")]
    predicate = parse("amount < 5 AND at >= TIMESTAMP '2024-01-01 00:00:00'", keys)
    assert predicate.fails_at(["4.50", "2024-01-01 00:00:00"]) is None
    assert predicate.fails_at(["4.5", "2024-01-01T00:00:00Z"]) is None
    for values in (["NaN", "2024-01-01 00:00:00"], ["x", "2024-01-01"], ["4", "never"], ["Infinity", "2024-01-01"]):
        assert predicate.fails_at(values) is not None
