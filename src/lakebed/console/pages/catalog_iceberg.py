"""An Iceberg table's snapshots, as its metadata file tells them: what each changed, and the table as it was then.

The file is read bounded; what queries know of a table (``$files``, ``$history``) is asked of Athena, on demand.
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-table-data.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.asked import to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, size
from lakebed.console.pages.s3_object import all_of
from lakebed.console.parts import notice, panel, state, table, time_of
from lakebed.kernel.errors import AwsError

_METADATA_BYTES_MAX, _SNAPSHOTS = 8 << 20, 50


def is_iceberg(told: Mapping[str, Any]) -> bool:
    """Whether Glue's table is one."""
    return str((told.get("Parameters") or {}).get("table_type", "")).upper() == "ICEBERG"


async def snapshots(backend: Backend, database: str, told: Mapping[str, Any]) -> h.Node:
    """The panel of snapshots, the newest first."""
    location = told["Parameters"].get("metadata_location", "")
    try:
        metadata = await _metadata(backend, location)
    except AwsError as failure:
        return panel("Snapshots", notice("error", f"{failure.error_code}. ", failure.message))
    if metadata is None:
        return panel(
            "Snapshots", h.p(".nothing")["Its metadata file is too large to be shown here, or not to be read."]
        )
    found = [one for one in metadata.get("snapshots") or [] if isinstance(one, dict)]
    found.sort(key=lambda one: (_whole(one.get("timestamp-ms")), _whole(one.get("sequence-number"))), reverse=True)
    current = metadata.get("current-snapshot-id")
    names = {
        ref.get("snapshot-id"): name
        for name, ref in (metadata.get("refs") or {}).items()
        if isinstance(ref, dict) and name != "main"
    }
    rows = [_row(backend, database, told["Name"], one, current, names) for one in found[:_SNAPSHOTS]]
    columns = ("Snapshot", "When", "Change", "Rows added", "Rows deleted", "Rows in files", "Files", "Size", "")
    kept = f"{count(len(found))} kept" + (f", the newest {_SNAPSHOTS} shown" if len(found) > _SNAPSHOTS else "")
    return panel(
        "Snapshots",
        table(columns, rows, numbers=columns[3:8], key="snapshots-table", nothing="Nothing was written to it yet."),
        h.p(".muted")["Metadata: ", h.code[location], f"; format version {metadata.get('format-version', '?')}"],
        note=kept,
    )


def _row(
    backend: Backend, database: str, name: str, one: Mapping[str, Any], current: object, names: Mapping[Any, str]
) -> tuple[h.Node, ...]:
    summary = one.get("summary") if isinstance(one.get("summary"), dict) else {}
    assert isinstance(summary, dict)
    identifier, at = one.get("snapshot-id"), _whole(one.get("timestamp-ms")) / 1000
    deleted = _whole(summary.get("deleted-records")) + _whole(summary.get("added-position-deletes"))
    label = names.get(identifier, "")
    return (
        [h.code[str(identifier)], [" ", state("current")] if identifier == current else None, f" {label}"],
        time_of(backend.clock.now(), at),
        str(summary.get("operation", "—")),
        count(_whole(summary.get("added-records"))),
        count(deleted),
        count(_whole(summary.get("total-records"))),
        count(_whole(summary.get("total-data-files"))),
        size(_whole(summary.get("total-files-size"))),
        h.a(href=to("athena", database=database, table=name, snapshot=identifier))["The table then"],
    )


def _whole(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


async def _metadata(backend: Backend, location: str) -> dict[str, Any] | None:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    params = {"Bucket": bucket, "Key": key}
    head = await backend.call("s3", "HeadObject", params, backend.scope)
    if head["ContentLength"] > _METADATA_BYTES_MAX:
        return None
    body = await all_of((await backend.call("s3", "GetObject", params, backend.scope))["Body"])
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
