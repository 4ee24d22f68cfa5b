"""Requests of the server, by ``op``, and how their failures are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb

from lakebed.engines.sql_duckdb import demands, query
from lakebed.engines.sql_duckdb.convert import convert
from lakebed.engines.sql_duckdb.inspection import inspect
from lakebed.engines.sql_duckdb.instance import Instances
from lakebed.lake.sql.failures import translated
from lakebed.lake.types import UnknownTypeError
from lakebed.ports.sql import SqlFailure


def hello(instances: Instances, request: dict[str, Any]) -> bool:
    """The first request: limits."""
    instances.limit(request["threads"], request["memory_mb"], request["spill_gb"])
    return True


_OPS: dict[str, Callable[[Instances, dict[str, Any]], Any]] = {
    "hello": hello, "convert": convert, "references": query.references, "prune": query.prune, "describe": query.describe,
    "run": query.run, "explain": query.explain, "constants": query.constants, "predicates": query.predicates,
    "inspect": inspect,
    "demands": demands.demands,
}  # fmt: skip


def answer(instances: Instances, request: dict[str, Any]) -> dict[str, Any]:
    """The result, or a failure; never an exception."""
    try:
        return {"result": _OPS[request["op"]](instances, request)}
    except SqlFailure as failure:
        return _failed(failure)
    except UnknownTypeError as wrong:
        return _failed(SqlFailure("TYPE_NOT_FOUND", str(wrong)))
    except duckdb.Error as failure:
        return _failed(translated(str(failure)))
    except (MemoryError, RecursionError) as failure:
        return _failed(SqlFailure("EXCEEDED_LOCAL_MEMORY_LIMIT", type(failure).__name__))


def _failed(failure: SqlFailure) -> dict[str, Any]:
    told = {"name": failure.name, "message": failure.message, "category": failure.category}
    return {"failure": {**told, "retryable": failure.retryable}}
