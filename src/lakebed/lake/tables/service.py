"""Requests of the server, by ``op``: stage, plan, inspect, reachable. Runs in the child."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg import exceptions

from lakebed.lake.tables import changes, inspecting, maintenance, planning
from lakebed.lake.tables.files import HouseFiles

Resolve = Callable[[str], Path]
# What the libraries raise over files they cannot read. pyiceberg's exceptions have no common base.
BROKEN: tuple[type[BaseException], ...] = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError,
    pa.ArrowException, *(each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, Exception)),
)  # fmt: skip


def answer(resolve: Resolve, request: dict[str, Any]) -> Any:
    """The result of a request."""
    return _OPS[request["op"]](HouseFiles(resolve, Path(request.get("scratch", "/nonexistent"))), request)


def _stage(io: HouseFiles, request: dict[str, Any]) -> dict[str, Any]:
    stage = changes.Stage(io, request["metadata_location"], request)
    made = changes.STAGES[request["operation"]](stage)
    return stage.finished(made)


def _selected(io: HouseFiles, request: dict[str, Any]) -> Any:
    return planning.at_snapshot(changes.load(io, request["metadata_location"]), request["snapshot_id"])


def _plan(io: HouseFiles, request: dict[str, Any]) -> dict[str, Any]:
    metadata = _selected(io, request)
    return planning.told(metadata, planning.scan(metadata, io, request["predicate"]))


def _inspect(io: HouseFiles, request: dict[str, Any]) -> dict[str, Any]:
    path = Path(request["scratch"]) / f"{request['name']}-{request['number']}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return {"path": str(path), "rows": inspecting.write(_selected(io, request), io, request["name"], path)}


def _reachable(io: HouseFiles, request: dict[str, Any]) -> dict[str, Any]:
    location = request["metadata_location"]
    metadata = changes.load(io, location)
    kept = int(metadata.properties.get("vacuum_max_metadata_files_to_keep") or 100)
    found = maintenance.reachable(metadata, io, location, kept)
    path = Path(request["scratch"]) / f"reachable-{request['number']}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{each}\n" for each in sorted(found)))
    return {"path": str(path)}


_OPS: dict[str, Any] = {"stage": _stage, "plan": _plan, "inspect": _inspect, "reachable": _reachable}
