"""AWS IoT SQL: statements one by one, and expressions against a small oracle."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.kernel.ids import CountingIds
from lakebed.ports.devices import MessageProperties
from lakebed.services.iot.sql import functions
from lakebed.services.iot.sql.lexer import SqlError
from lakebed.services.iot.sql.outside import ROLE_AT_END
from lakebed.services.iot.sql.parser import parse, parse_expression
from lakebed.services.iot.sql.template import UndefinedPartError, compile_template
from lakebed.services.iot.sql.values import UNDEFINED, Env
from tests.harness import SCOPE

MESSAGE = {
    "temp": 21.5, "n": 7, "s": "abc", "num": "12", "yes": True, "nil": None,
    "a": {"b": {"c": 3}, "list": [1, 2, {"x": 9}]}, "rows": [{"v": 1}, {"v": 5}, {"w": 1}],
}  # fmt: skip


def env(message: Any = MESSAGE, topic: str = "dt/line1/x") -> Env:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    properties = MessageProperties(content_type="json", user_properties=(("k", "v"), ("k", "w")))
    return Env(topic, raw, SCOPE, "client", "principal", 1_750_000_000.5, CountingIds(), "10.0.0.1", properties)


def run(sql: str, message: Any = MESSAGE) -> Any:
    statement, one = parse(sql), env(message)
    if not statement.accepts(one):
        return "no"
    result = statement.result(one)
    return None if result is None else json.loads(result)


@pytest.mark.parametrize(
    ("select", "wanted"),
    [
        ("temp", {"temp": 21.5}),
        ("a.b.c", {"c": 3}),
        ("a.b.c AS deep, n", {"deep": 3, "n": 7}),
        ("missing, n", {"n": 7}),
        ("VALUE a.b", {"c": 3}),
        ("a.list[2].x AS x, a.list[9] AS y, get(a.list, 0) AS z", {"x": 9, "z": 1}),
        ("topic(2) AS line, topic() AS t, topic(9) AS none", {"line": "line1", "t": "dt/line1/x"}),
        ("timestamp() AS at, clientid() AS c, principal() AS p",
         {"at": 1750000000500, "c": "client", "p": "principal"}),
        ("n + 1 AS a1, n - 0.5 AS b1, n * num AS c1, n / 2 AS d1, n % 4 AS e1, n / 2.0 AS f1",
         {"a1": 8, "b1": 6.5, "c1": 84, "d1": 3, "e1": 3, "f1": 3.5}),
        ("s + n AS x, -n AS y, n / 0 AS z", {"x": "abc7", "y": -7}),
        ("CASE WHEN temp > 30 THEN 'hot' WHEN temp > 20 THEN 'warm' ELSE 'cold' END AS t", {"t": "warm"}),
        ("CASE n WHEN 7 THEN 'seven' END AS t, CASE n WHEN 8 THEN 1 END AS u", {"t": "seven"}),
        ("n IN (1, 7) AS a1, n IN [1, 2] AS b1, missing IN (1) AS c1", {"a1": True, "b1": False}),
        ("upper(s) AS u, concat(s, '-', n) AS c, substring(s, 1) AS d, length(s) AS l",
         {"u": "ABC", "c": "abc-7", "d": "bc", "l": 3}),
        ("cast(num AS Int) AS i, cast(temp AS Int) AS j, cast(n AS String) AS k, cast('x' AS Int) AS l",
         {"i": 12, "j": 21, "k": "7"}),
        ("round(temp) AS r, floor(temp) AS f, ceil(temp) AS c, abs(-3) AS a1, power(2, 3) AS p",
         {"r": 22, "f": 21, "c": 22, "a1": 3, "p": 8}),
        ("isUndefined(missing) AS u, isNull(nil) AS n1, isNull(n) AS n2", {"u": True, "n1": True, "n2": False}),
        ("(SELECT VALUE v FROM rows WHERE v > 2) AS big", {"big": [5]}),
        ("(SELECT c FROM a.b) AS inner1", {"inner1": {"c": 3}}),
        ("{'k': n, 'l': [1, s]} AS o", {"o": {"k": 7, "l": [1, "abc"]}}),
        ("md5('a') AS h, encode('a', 'base64') AS e, decode('eyJ4IjoxfQ==', 'base64') AS d",
         {"h": "0cc175b9c0f1b6a831c399e269772661", "e": "YQ==", "d": {"x": 1}}),
        ("get_mqtt_property('content_type') AS c, get_user_properties('k') AS u", {"c": "json", "u": ["v", "w"]}),
        ("upper(missing) AS u, temp", {"temp": 21.5}),
        ("`temp` AS t, 'x''y' AS q", {"t": 21.5, "q": "x'y"}),
        ("length(s)", {"length(s)": 3}),
    ],
)  # fmt: skip
def test_selections(select: str, wanted: Any) -> None:
    assert run(f"SELECT {select} FROM 'dt/#'") == wanted


def test_star_alone_is_the_message_itself() -> None:
    statement = parse("SELECT * FROM 'dt/+/x'")
    assert statement.topic_filter == "dt/+/x"
    assert statement.result(env(b"\x00 not json")) == b"\x00 not json"
    assert run("SELECT *, topic(1) AS t FROM 'x'", {"a": 1}) == {"a": 1, "t": "dt"}
    assert run("SELECT encode(*, 'base64') AS d FROM 'x'", b"\xff") == {"d": "/w=="}
    assert run("SELECT missing FROM 'x'", b"\xff") == {}


@pytest.mark.parametrize(
    ("where", "accepted"),
    [
        ("temp > 20", True), ("temp > 30", False), ("missing > 1", False), ("NOT missing > 1", False),
        ("s = 'abc' AND yes", True), ("s <> 'abc' OR n = 7", True), ("num = 12", True), ("num > 3", True),
        ("s > 3", False), ("s > 'abb'", True), ("yes = 'true'", False), ("nil = null", True), ("nil = 1", False),
        ("missing = missing", False), ("a.b.c IN (3)", True), ("NOT (n = 7)", False), ("n", False), ("'true'", True),
        ("missing = 1 OR n = 7", True), ("topic(2) = 'line1'", True), ("startswith(topic(2), 'line')", True),
    ],
)  # fmt: skip
def test_conditions(where: str, accepted: bool) -> None:
    assert (run(f"SELECT * FROM 'x' WHERE {where}") != "no") is accepted


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT get_secret(a, 'b', 'c') FROM 'x'", "get_secret is not implemented"),
        ("SELECT md2(a) FROM 'x'", "md2 is not implemented"),
        ("SELECT nothing(a) FROM 'x'", "nothing does not exist"),
        ("SELECT upper() FROM 'x'", "upper does not take 0"),
        ("SELECT FROM 'x'", "FROM"),
        ("SELECT * FROM x", "Expected string"),
        ("SELECT * FROM 'x' GROUP BY a", "GROUP"),
        ("DELETE", "SELECT"),
        ("SELECT a ; FROM 'x'", "';'"),
        ("SELECT " + "(" * 100 + "a" + ")" * 100 + " FROM 'x'", "nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(sql: str, message: str) -> None:
    with pytest.raises(SqlError, match=message.replace("(", r"\(")):
        parse(sql)


numbers = st.integers(-50, 50)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 0) -> tuple[str, Any]:
    """An expression and its value, or None where it is undefined."""
    if depth > 3 or draw(st.booleans()):
        if draw(st.integers(0, 5)) == 0:
            return "missing", None
        value = draw(numbers)
        return (f"({value})", value)
    left, right = draw(expressions(depth + 1)), draw(expressions(depth + 1))
    operator = draw(st.sampled_from("+-*"))
    text = f"({left[0]} {operator} {right[0]})"
    if left[1] is None or right[1] is None:
        return text, None
    return text, {"+": left[1] + right[1], "-": left[1] - right[1], "*": left[1] * right[1]}[operator]


@given(expressions())
@settings(max_examples=100, deadline=None)
def test_arithmetic_is_pythons_and_undefined_spreads(case: tuple[str, Any]) -> None:
    text, wanted = case
    found = parse_expression(text)(env())
    assert found is UNDEFINED if wanted is None else found == wanted


@st.composite
def conditions(draw: st.DrawFn, depth: int = 0) -> tuple[str, bool | None]:
    if depth > 3 or draw(st.booleans()):
        return draw(
            st.sampled_from([("true", True), ("false", False), ("missing", None), ("7", None), ("'TRUE'", True)])
        )
    left, right = draw(conditions(depth + 1)), draw(conditions(depth + 1))
    kind = draw(st.sampled_from(["AND", "OR", "NOT"]))
    if kind == "NOT":
        return f"(NOT {left[0]})", None if left[1] is None else not left[1]
    values = {left[1], right[1]}
    decisive = kind == "OR"
    result = decisive if decisive in values else None if None in values else not decisive
    return f"({left[0]} {kind} {right[0]})", result


@given(conditions())
@settings(max_examples=150, deadline=None)
def test_logic_has_three_values(case: tuple[str, bool | None]) -> None:
    text, wanted = case
    statement = parse(f"SELECT * FROM 'x' WHERE {text}")
    assert statement.accepts(env()) is (wanted is True)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_says_why(text: str) -> None:
    for sql in (text, f"SELECT {text} FROM 'x'"):
        try:
            statement = parse(sql)
        except SqlError:
            continue
        assert statement.accepts(env()) in (True, False)


VALUES = [
    "0",
    "-1.5",
    "9223372036854775807",
    "1e300",
    "''",
    "'abc'",
    "'12'",
    "'é'",
    "true",
    "null",
    "missing",
    "a",
    "rows",
    "*",
]


@pytest.mark.parametrize("name", sorted(functions._FUNCTIONS))
def test_no_argument_brings_a_function_down(name: str) -> None:
    function = functions._FUNCTIONS[name]
    for count in range(function.least, min(function.most, 3) + 1):
        for arguments in itertools.product(VALUES, repeat=count):
            if name in ROLE_AT_END:
                arguments = (*arguments[:-1], "'arn:aws:iam::000000000000:role/r'")
            statement = parse(f"SELECT {name}({', '.join(arguments)}) AS x FROM 'x'")
            assert statement.result(env()) is not None


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "%", "=", "<>", "<", ">=", "AND", "OR", "IN"])
def test_no_operand_brings_an_operator_down(operator: str) -> None:
    for left, right in itertools.product(VALUES, repeat=2):
        statement = parse(f"SELECT ({left}) {operator} ({right}) AS x FROM 'x' WHERE {left} {operator} {right}")
        assert statement.result(env()) is not None
        assert statement.accepts(env()) in (True, False)


def test_a_nested_star_is_its_element() -> None:
    assert run("SELECT (SELECT encode(*, 'base64') AS e FROM rows WHERE v > 2) AS r FROM 'x'") == {
        "r": [{"e": "eyJ2Ijo1fQ=="}]
    }


def test_templates() -> None:
    assert compile_template("plain")(env()) == "plain"
    assert compile_template("a/${topic(2)}/${n + 1}/${a.b}")(env()) == 'a/line1/8/{"c":3}'
    assert compile_template("${concat('}', s)}")(env()) == "}abc"
    with pytest.raises(UndefinedPartError):
        compile_template("${missing}")(env())
    for broken in ("${", "${a", "${a +}"):
        with pytest.raises(SqlError):
            compile_template(broken)
