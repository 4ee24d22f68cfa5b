"""What a statement needs of a relation of another data source: told before its rows are read there.

Columns it reads, conditions that every row must meet, and a limit where the statement is one table's rows and nothing else
(a condition or an order would have to be the source's to the letter).
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from lakebed.engines.sql_duckdb import iceberg, query
from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.lake.sql.dialect import bind, parse

_PLAIN = ("expressions", "from_", "limit", "kind")


def demands(instances: Instances, request: dict[str, Any]) -> list[Any]:
    """For each relation of another data source."""
    job = query.job_of(request)
    _, compiler = query.compiled(job)
    connection = instances.open([], [])
    limit = _limit(parse(bind(job.sql, list(job.parameters))))
    return [
        {
            "columns": sorted(compiler.used.get(number, ())),
            "predicate": iceberg.demands(connection, compiler, number),
            "limit": 0 if number not in compiler.used else limit,
        }
        if relation.catalog
        else None
        for number, relation in enumerate(job.relations)
    ]


def _limit(tree: exp.Expr) -> int | None:
    """Of ``SELECT columns FROM table LIMIT n``."""
    if not isinstance(tree, exp.Select) or any(tree.args.get(name) for name in tree.args if name not in _PLAIN):
        return None
    source, limit = tree.args.get("from_"), tree.args.get("limit")
    if not isinstance(limit, exp.Limit) or source is None or not isinstance(source.this, exp.Table):
        return None
    table = source.this
    plain = not any(table.args.get(name) for name in ("joins", "sample", "pivots", "laterals"))
    simple = all(isinstance(each, exp.Column | exp.Star | exp.Alias) for each in tree.expressions)
    aliased = [each.this for each in tree.expressions if isinstance(each, exp.Alias)]
    if not plain or not simple or not all(isinstance(each, exp.Column | exp.Literal) for each in aliased):
        return None
    number = limit.expression
    return int(number.name) if isinstance(number, exp.Literal) and not number.is_string else None
