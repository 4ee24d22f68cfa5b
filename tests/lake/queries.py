"""A generator of queries that Trino and SQLite must answer alike: what differs between the two by design is not made.

No division by zero, no doubles, NULLs placed explicitly, no booleans in the output, LIKE with respect to case.
"""

# ruff: noqa: E501 - statements are kept whole

from __future__ import annotations

import random
from dataclasses import dataclass

Row = tuple[int | None, int | None, str | None, str]
COLUMNS = {"a": "int", "b": "int", "s": "text", "day": "text"}
WORDS = ("", "x", "xy", "Xy", "zz", "a b", "d1", "lbv_1_", "it''s")
DAYS = ("d1", "d2", "d3")


def table(rng: random.Random, most: int = 12) -> list[Row]:
    """Rows of (a, b, s, day)."""
    integers = (None, 0, 1, 2, 3, -1, 7)
    words = (None, *(word.replace("''", "'") for word in WORDS))
    return [
        (rng.choice(integers), rng.choice(integers), rng.choice(words), rng.choice(DAYS))
        for _ in range(rng.randrange(most))
    ]


@dataclass
class Generator:
    """Expressions over the columns of some aliases."""

    rng: random.Random
    aliases: tuple[str, ...] = ("t",)
    depth: int = 0

    def column(self, kind: str) -> str:
        names = [name for name, of in COLUMNS.items() if of == kind]
        return f"{self.rng.choice(self.aliases)}.{self.rng.choice(names)}"

    def integer(self, depth: int = 2) -> str:
        pick = self.rng.randrange(9 if depth else 3)
        if pick < 2:
            return self.column("int")
        if pick == 2:
            return str(self.rng.choice((0, 1, 2, 5, -3))).replace("-3", "(-3)")
        x, y = self.integer(depth - 1), self.integer(depth - 1)
        return {
            3: f"({x} + {y})", 4: f"({x} - {y})", 5: f"({x} * {y})",
            6: f"({x} {self.rng.choice('/%')} nullif({y}, 0))", 7: f"coalesce({x}, {y})",
            8: f"(CASE WHEN {self.predicate(depth - 1)} THEN {x} ELSE {y} END)",
        }[pick]  # fmt: skip

    def text(self, depth: int = 1) -> str:
        pick = self.rng.randrange(6 if depth else 3)
        if pick < 2:
            return self.column("text")
        if pick == 2:
            return f"'{self.rng.choice(WORDS)}'"
        x, y = self.text(depth - 1), self.text(depth - 1)
        return {3: f"({x} || {y})", 4: f"coalesce({x}, {y})", 5: f"nullif({x}, {y})"}[pick]

    def predicate(self, depth: int = 2) -> str:
        pick = self.rng.randrange(11 if depth else 6)
        operator = self.rng.choice(("=", "<>", "<", ">", "<=", ">="))
        if pick == 0:
            return f"{self.integer(1)} {operator} {self.integer(1)}"
        if pick == 1:
            return f"{self.text()} {operator} {self.text()}"
        if pick == 2:
            return f"{self.column('text')} {self.rng.choice(('', 'NOT '))}LIKE '{self.rng.choice(('x%', '_y', '%', 'd_', '% %'))}'"
        if pick == 3:
            return f"{self.column(self.rng.choice(('int', 'text')))} IS {self.rng.choice(('', 'NOT '))}NULL"
        if pick == 4:
            return f"{self.integer(1)} {self.rng.choice(('', 'NOT '))}IN (1, 2, {self.rng.choice(('3', 'NULL'))})"
        if pick == 5:
            return f"{self.column('text')} {operator} '{self.rng.choice(DAYS)}'"
        p, q = self.predicate(depth - 1), self.predicate(depth - 1)
        if pick in (6, 7):
            return f"({p} {self.rng.choice(('AND', 'OR'))} {q})"
        if pick == 8:
            return f"(NOT {p})"
        if pick == 9:
            return f"{self.integer(1)} BETWEEN {self.integer(0)} AND {self.integer(0)}"
        return self.subquery()

    def subquery(self) -> str:
        """EXISTS, IN and scalar subqueries, correlated or not."""
        inner = Generator(self.rng, ("i",))
        outer = (
            f"i.a = {self.column('int')}"
            if self.rng.randrange(2)
            else f"{self.column('text')} >= '{self.rng.choice(DAYS)}'"
        )
        condition = f"{inner.predicate(0)} AND {outer}" if self.rng.randrange(2) else inner.predicate(1)
        table_name = self.rng.choice(("t", "u"))
        form = self.rng.randrange(3)
        if form == 0:
            return f"{self.rng.choice(('', 'NOT '))}EXISTS (SELECT 1 FROM {table_name} i WHERE {condition})"
        if form == 1:
            return f"{self.column('int')} {self.rng.choice(('', 'NOT '))}IN (SELECT i.b FROM {table_name} i WHERE {inner.predicate(1)})"
        return f"{self.integer(0)} < (SELECT count(*) FROM {table_name} i WHERE {condition})"


def statement(rng: random.Random) -> str:
    """One query."""
    joined = rng.randrange(3) > 0
    of = Generator(rng, ("t", "u") if joined else ("t",))
    source = "t"
    if joined:
        kind = rng.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        extra = f" AND {rng.choice('tu')}.day >= '{rng.choice(DAYS)}'" if rng.randrange(2) else ""
        source = f"t {kind} u ON t.a = u.a{extra}"
    condition = f" WHERE {of.predicate()}" if rng.randrange(4) else ""
    form = rng.randrange(6)
    if form == 0:
        key = of.column(rng.choice(("int", "text")))
        having = f" HAVING count(*) > {rng.randrange(3)}" if rng.randrange(2) else ""
        return f"SELECT {key} AS k, count(*) AS n, sum({of.integer(1)}) AS x, min({of.text()}) AS y FROM {source}{condition} GROUP BY {key}{having}"
    if form == 1:
        return f"SELECT count(*), count({of.column('text')}), count(DISTINCT {of.column('int')}), max({of.integer()}) FROM {source}{condition}"
    if form == 2:
        word = rng.choice(("UNION", "UNION ALL", "EXCEPT", "INTERSECT"))
        other = Generator(rng, ("u",))
        return f"SELECT {of.integer(1)} AS k, {of.column('text')} AS v FROM {source}{condition} {word} SELECT {other.column('int')}, {other.text()} FROM u WHERE {other.predicate()}"
    if form == 3:
        order = "t.a NULLS FIRST, t.b NULLS LAST, t.s NULLS FIRST, t.day"
        return f"SELECT t.a, row_number() OVER (ORDER BY {order}) AS r, sum(t.b) OVER (PARTITION BY t.day) AS w FROM t WHERE {Generator(rng).predicate()}"
    if form == 4:
        return f"WITH c AS (SELECT {of.integer(1)} AS a, {of.column('text')} AS s FROM {source}{condition}) SELECT DISTINCT c.a, d.s FROM c LEFT JOIN c d ON c.a = d.a"
    return f"SELECT {of.integer()} AS x, {of.text()} AS y FROM {source}{condition}"
