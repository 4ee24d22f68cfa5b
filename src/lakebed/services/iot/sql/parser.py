"""From text to closures, by recursive descent: one function for each level of precedence, no tree in between.

``[SET @v = ..., ...] SELECT [VALUE] ... FROM 'filter' [WHERE ...]``. ``SELECT *`` alone keeps the payload's bytes
as they came, so a passthrough rule neither parses nor writes JSON and carries binary payloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lakebed.services.iot.sql import functions
from lakebed.services.iot.sql.lexer import SqlError, Token, tokens
from lakebed.services.iot.sql.outside import ROLE_AT_END
from lakebed.services.iot.sql.patterns import compiled
from lakebed.services.iot.sql.values import UNDEFINED, Env, Eval, arithmetic, boolean, compare, equal, number, output

_DEPTH_MAX = 64
_RESERVED = frozenset(
    ["select", "from", "where", "as", "and", "or", "not", "in", "case", "when", "then", "else", "end", "value"]
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A rule's query. ``topic_filter`` is empty where the rule lives by basic ingest alone."""

    topic_filter: str
    is_passthrough: bool
    select: Eval
    where: Eval | None
    variables: tuple[tuple[str, Eval], ...] = ()
    roles: tuple[str, ...] = ()

    def accepts(self, env: Env) -> bool:
        """WHERE; what is not true is not. SET comes first."""
        for name, value in self.variables:
            env.variables[name] = value(env)
        return self.where is None or boolean(self.where(env)) is True

    def result(self, env: Env) -> bytes | None:
        """The payload for the actions; None where nothing is selected."""
        if self.is_passthrough:
            return env.raw
        value = self.select(env)
        return None if value is UNDEFINED else output(value)


def parse(sql: str) -> Statement:
    """The compiled statement; SqlError says what is wrong."""
    return _Parser(sql).statement()


def parse_expression(sql: str) -> Eval:
    """An expression alone (substitution templates)."""
    parser = _Parser(sql, is_template=True)
    found = parser.expression()
    parser.expect("end", "")
    return found


class _Parser:
    def __init__(self, sql: str, *, is_template: bool = False) -> None:
        self._sql, self._tokens, self._at, self._depth = sql, tokens(sql), 0, 0
        self._is_template = is_template
        self._roles: list[str] = []
        self._known: list[str] = []

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _word(self, word: str) -> bool:
        if self._next.kind == "name" and self._next.text.lower() == word:
            self._at += 1
            return True
        return False

    def _sign(self, *signs: str) -> str:
        if self._next.kind == "sign" and self._next.text in signs:
            return self._take().text
        return ""

    def expect(self, kind: str, what: str) -> Token:
        token = self._next
        if token.kind != kind or (what and token.text.lower() != what):
            raise SqlError(f"Expected {what.upper() or kind} but found '{token.text or 'end'}' at position {token.at}")
        return self._take()

    # Statement

    def statement(self) -> Statement:
        variables = self._variables() if self._word("set") else ()
        self.expect("name", "select")
        is_passthrough, select = self._selection()
        topic_filter = ""
        if self._word("from"):
            topic_filter = self.expect("string", "").text
            if not topic_filter:
                raise SqlError("FROM names no topic filter")
        where = self.expression() if self._word("where") else None
        self.expect("end", "")
        return Statement(topic_filter, is_passthrough, select, where, variables, tuple(self._roles))

    def _variables(self) -> tuple[tuple[str, Eval], ...]:
        """``SET @a = ..., @b = ...``: each is set once and may use those before it."""
        found: list[tuple[str, Eval]] = []
        while True:
            name = self.expect("variable", "")
            if name.text in self._known:
                raise SqlError(f"Variable {name.text} is set twice")
            self.expect("sign", "=")
            found.append((name.text, self.expression()))
            self._known.append(name.text)
            if not self._sign(","):
                return tuple(found)

    def _selection(self) -> tuple[bool, Eval]:
        following = self._tokens[self._at + 1]
        if self._next.kind == "name" and self._next.text.lower() == "value" and following.text.lower() != "from":
            self._at += 1
            if self._sign("*"):
                return False, lambda env: env.payload
            return False, self.expression()
        items: list[tuple[str | None, Eval]] = []
        while True:
            if self._sign("*"):
                items.append((None, lambda env: env.payload))
            else:
                start = self._next
                value = self.expression()
                end = self._tokens[self._at - 1]
                items.append((self._alias(start, end), value))
            if not self._sign(","):
                break
        if len(items) == 1 and items[0][0] is None:
            return True, items[0][1]
        return False, lambda env: _object(items, env)

    def _alias(self, start: Token, end: Token) -> str:
        if self._word("as"):
            token = self._take()
            if token.kind not in ("name", "quoted", "string"):
                raise SqlError(f"Expected an alias but found '{token.text}' at position {token.at}")
            return token.text
        if end.kind in ("name", "quoted") and end.text.lower() not in _RESERVED:
            return end.text  # a path is known by its last step
        return self._sql[start.at : end.end].strip()

    # Expressions, loosest first

    def expression(self) -> Eval:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise SqlError("Expression is nested too deeply")
        left = self._conjunction()
        while self._word("or"):
            left = _either(left, self._conjunction())
        self._depth -= 1
        return left

    def _conjunction(self) -> Eval:
        left = self._negation()
        while self._word("and"):
            left = _both(left, self._negation())
        return left

    def _negation(self) -> Eval:
        negations = 0
        while self._word("not"):
            negations += 1
        inner = self._comparison()
        if not negations:
            return inner

        def negate(env: Env) -> Any:
            value = boolean(inner(env))
            return value if value is UNDEFINED else value ^ (negations % 2 == 1)

        return negate

    def _comparison(self) -> Eval:
        left = self._sum()
        while True:
            sign = self._sign("=", "<>", "!=", "<", "<=", ">", ">=")
            if sign:
                left = _comparing(sign, left, self._sum())
            elif self._word("in"):
                left = self._membership(left)
            else:
                return left

    def _membership(self, left: Eval) -> Eval:
        if self._sign("("):
            if self._next.kind == "name" and self._next.text.lower() == "select":
                many = self._nested()
                self.expect("sign", ")")
                return _inside(left, many)
            options = [self.expression()]
            while self._sign(","):
                options.append(self.expression())
            self.expect("sign", ")")

            def among(env: Env) -> Any:
                value = left(env)
                return UNDEFINED if value is UNDEFINED else any(equal(value, one(env)) is True for one in options)

            return among
        return _inside(left, self._sum())

    def _sum(self) -> Eval:
        left = self._product()
        while sign := self._sign("+", "-"):
            left = _calculating(sign, left, self._product())
        return left

    def _product(self) -> Eval:
        left = self._signed()
        while sign := self._sign("*", "/", "%"):
            left = _calculating(sign, left, self._signed())
        return left

    def _signed(self) -> Eval:
        negative = 0
        while sign := self._sign("-", "+"):
            negative += sign == "-"
        inner = self._path()
        if negative % 2 == 0:
            return inner
        return lambda env: arithmetic("-", 0, number(inner(env)))

    def _path(self) -> Eval:
        value = self._primary()
        while True:
            if self._sign("."):
                token = self._take()
                if token.kind not in ("name", "quoted"):
                    raise SqlError(f"Expected a field name but found '{token.text}' at position {token.at}")
                value = _field(value, token.text)
            elif self._sign("["):
                index = self.expression()
                self.expect("sign", "]")
                value = _item(value, index)
            else:
                return value

    def _primary(self) -> Eval:
        token = self._take()
        if token.kind == "number":
            return _constant(float(token.text) if set(token.text) & set(".eE") else int(token.text))
        if token.kind == "string":
            return _constant(token.text)
        if token.kind == "quoted":
            return _root_field(token.text)
        if token.kind == "variable":
            return self._variable(token)
        if token.kind == "name":
            return self._named(token)
        if token.text == "(":
            is_select = self._next.kind == "name" and self._next.text.lower() == "select"
            inner = self._nested() if is_select else self.expression()
            self.expect("sign", ")")
            return inner
        if token.text == "[":
            return self._array()
        if token.text == "{":
            return self._object_literal()
        if token.text == "*":
            return lambda env: env.raw  # encode(*, 'base64')
        raise SqlError(f"Unexpected '{token.text or 'end'}' at position {token.at}")

    def _variable(self, token: Token) -> Eval:
        if not self._is_template and token.text not in self._known:
            raise SqlError(f"Variable {token.text} is not set at position {token.at}")
        name = token.text
        return lambda env: env.variables.get(name, UNDEFINED)

    def _named(self, token: Token) -> Eval:
        word = token.text.lower()
        if self._next.kind == "sign" and self._next.text == "(":
            return self._call(token)
        if word in ("true", "false"):
            return _constant(word == "true")
        if word == "null":
            return _constant(None)
        if word == "undefined":
            return _constant(UNDEFINED)
        if word == "case":
            return self._case()
        if word in _RESERVED - {"value", "end"}:
            raise SqlError(f"Unexpected {word.upper()} at position {token.at}")
        return _root_field(token.text)

    def _call(self, token: Token) -> Eval:
        self.expect("sign", "(")
        if token.text.lower() == "exists":
            return self._exists()
        arguments: list[Eval] = []
        start = self._at
        if not self._sign(")"):
            arguments.append(self.expression())
            if token.text.lower() == "cast" and self._word("as"):
                arguments.append(_constant(self.expect("name", "").text))
            while self._sign(","):
                arguments.append(self.expression())
            self.expect("sign", ")")
        self._check_literals(token.text.lower(), self._tokens[start : self._at - 1])
        return functions.call(token.text, arguments)

    def _check_literals(self, name: str, given: list[Token]) -> None:
        """What must be right when the rule is made: roles and patterns; and what a template can not wait for."""
        if name == "aws_lambda" and self._is_template:
            raise SqlError("Function aws_lambda is not implemented by Lakebed in substitution templates")
        if name in ROLE_AT_END:
            if not given or given[-1].kind != "string":
                raise SqlError(f"The role of {name} must be a string")
            self._roles.append(given[-1].text)
        if name in ("regexp_matches", "regexp_substr") and given and given[-1].kind == "string":
            try:
                compiled(given[-1].text)
            except ValueError as wrong:
                raise SqlError(f"Invalid regular expression: {wrong}") from None

    def _exists(self) -> Eval:
        """``EXISTS (SELECT ...)``: whether the query finds anything."""
        query = self._nested()
        self.expect("sign", ")")

        def found(env: Env) -> Any:
            value = query(env)
            return value is not UNDEFINED and value != []

        return found

    def _case(self) -> Eval:
        subject = None
        if not (self._next.kind == "name" and self._next.text.lower() == "when"):
            subject = self.expression()
        branches: list[tuple[Eval, Eval]] = []
        while self._word("when"):
            condition = self.expression()
            self.expect("name", "then")
            branches.append((condition, self.expression()))
        otherwise = self.expression() if self._word("else") else _constant(UNDEFINED)
        self.expect("name", "end")
        if not branches:
            raise SqlError("CASE has no WHEN")

        def choose(env: Env) -> Any:
            value = subject(env) if subject is not None else None
            for condition, result in branches:
                found = condition(env)
                if (equal(value, found) if subject is not None else boolean(found)) is True:
                    return result(env)
            return otherwise(env)

        return choose

    def _array(self) -> Eval:
        items: list[Eval] = []
        if not self._sign("]"):
            items.append(self.expression())
            while self._sign(","):
                items.append(self.expression())
            self.expect("sign", "]")
        return lambda env: [value for item in items if (value := item(env)) is not UNDEFINED]

    def _object_literal(self) -> Eval:
        items: list[tuple[str | None, Eval]] = []
        if not self._sign("}"):
            while True:
                key = self._take()
                if key.kind not in ("string", "name", "quoted"):
                    raise SqlError(f"Expected a key but found '{key.text}' at position {key.at}")
                self.expect("sign", ":")
                items.append((key.text, self.expression()))
                if not self._sign(","):
                    break
            self.expect("sign", "}")
        return lambda env: _object(items, env)

    def _nested(self) -> Eval:
        """``(SELECT ... FROM path [WHERE ...])`` over an object or each element of an array of the message."""
        self.expect("name", "select")
        whole, select = self._selection()
        self.expect("name", "from")
        source = self._path()
        where = self.expression() if self._word("where") else None
        del whole

        def one(env: Env) -> Any:
            return select(env) if where is None or boolean(where(env)) is True else UNDEFINED

        def run(env: Env) -> Any:
            value = source(env)
            if isinstance(value, list):
                return [found for item in value if (found := one(env.within(item))) is not UNDEFINED]
            return UNDEFINED if value is UNDEFINED else one(env.within(value))

        return run


def _inside(left: Eval, whole: Eval) -> Eval:
    def within(env: Env) -> Any:
        value, many = left(env), whole(env)
        if value is UNDEFINED or not isinstance(many, list):
            return UNDEFINED
        return any(equal(value, one) is True for one in many)

    return within


def _object(items: list[tuple[str | None, Eval]], env: Env) -> Any:
    made: dict[str, Any] = {}
    for name, value in items:
        found = value(env)
        if found is UNDEFINED:
            continue
        if name is not None:
            made[name] = found
        elif isinstance(found, dict):
            made.update(found)
    return made


def _constant(value: Any) -> Eval:
    return lambda env: value  # noqa: ARG005 - a constant does not look


def _root_field(name: str) -> Eval:
    def read(env: Env) -> Any:
        payload = env.payload
        return payload.get(name, UNDEFINED) if isinstance(payload, dict) else UNDEFINED

    return read


def _field(value: Eval, name: str) -> Eval:
    def read(env: Env) -> Any:
        inner = value(env)
        return inner.get(name, UNDEFINED) if isinstance(inner, dict) else UNDEFINED

    return read


def _item(value: Eval, index: Eval) -> Eval:
    return lambda env: functions.get(env, value(env), index(env))


def _calculating(sign: str, left: Eval, right: Eval) -> Eval:
    return lambda env: arithmetic(sign, left(env), right(env))


def _comparing(sign: str, left: Eval, right: Eval) -> Eval:
    if sign == "=":
        return lambda env: equal(left(env), right(env))
    if sign in ("<>", "!="):

        def differ(env: Env) -> Any:
            same = equal(left(env), right(env))
            return same if same is UNDEFINED else not same

        return differ
    return lambda env: compare(sign, left(env), right(env))


def _both(left: Eval, right: Eval) -> Eval:
    def run(env: Env) -> Any:
        first = boolean(left(env))
        if first is False:
            return False
        second = boolean(right(env))
        if second is False:
            return False
        return UNDEFINED if first is UNDEFINED or second is UNDEFINED else True

    return run


def _either(left: Eval, right: Eval) -> Eval:
    def run(env: Env) -> Any:
        first = boolean(left(env))
        if first is True:
            return True
        second = boolean(right(env))
        if second is True:
            return True
        return UNDEFINED if first is UNDEFINED or second is UNDEFINED else False

    return run
