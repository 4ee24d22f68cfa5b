"""A table's metadata as the server reads it: plain JSON, without pyiceberg.

https://iceberg.apache.org/spec/#table-metadata-and-snapshots
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.lake import location as places
from lakebed.lake.tables.types import hive_text
from lakebed.ports.objects import Objects
from lakebed.ports.sql import SqlFailure

_METADATA_BYTES_MAX = 128 << 20


class State:
    """One state of a table."""

    def __init__(self, metadata_location: str, raw: Mapping[str, Any]) -> None:
        self.metadata_location, self.raw = metadata_location, raw

    @property
    def location(self) -> str:
        """Where the table lies."""
        return str(self.raw["location"])

    @property
    def properties(self) -> dict[str, str]:
        """Its Iceberg properties."""
        return dict(self.raw.get("properties") or {})

    @property
    def reading(self) -> dict[str, str]:
        """What the SQL engine must know to read the files: the names of columns in files without field ids."""
        mapping = self.properties.get("schema.name-mapping.default")
        return {"name_mapping": mapping} if mapping else {}

    def schema(self, snapshot_id: int | None = None) -> Mapping[str, Any]:
        """The current schema, or that of a snapshot."""
        schemas = self.raw.get("schemas") or [{"schema-id": 0, **self.raw["schema"]}]
        wanted = self.raw.get("current-schema-id", 0)
        if snapshot_id is not None:
            snapshot = self._snapshot(snapshot_id)
            wanted = snapshot.get("schema-id", wanted) if snapshot else wanted
        return next(each for each in schemas if each.get("schema-id", 0) == wanted)

    def columns(self, snapshot_id: int | None = None) -> list[tuple[str, str]]:
        """(name in lower case, Hive type)."""
        return [(field["name"].lower(), hive_text(field["type"])) for field in self.schema(snapshot_id)["fields"]]

    def field_ids(self, snapshot_id: int | None = None) -> dict[str, int]:
        """Field ids by column name in lower case."""
        return {field["name"].lower(): field["id"] for field in self.schema(snapshot_id)["fields"]}

    def spec(self) -> list[Mapping[str, Any]]:
        """The fields of the default partition spec."""
        specs = self.raw.get("partition-specs")
        if specs is None:
            return list(self.raw.get("partition-spec", []))
        wanted = self.raw.get("default-spec-id", 0)
        return list(next(each for each in specs if each["spec-id"] == wanted)["fields"])

    def snapshot(self, as_of: str) -> int:
        """The snapshot a FOR … AS OF means: ``id:<snapshot>``, ``ref:<name>``, ``millis:<epoch milliseconds>``."""
        kind, _, value = as_of.partition(":")
        if kind == "id":
            if self._snapshot(int(value)) is None:
                raise SqlFailure("INVALID_ARGUMENTS", f"Iceberg snapshot ID does not exists: {value}")
            return int(value)
        if kind == "ref":
            ref = (self.raw.get("refs") or {}).get(value)
            if ref is None:
                raise SqlFailure("INVALID_ARGUMENTS", f"Cannot find snapshot with reference name: {value}")
            return int(ref["snapshot-id"])
        before = [entry for entry in self.raw.get("snapshot-log") or [] if entry["timestamp-ms"] <= int(value)]
        if not before:
            moment = datetime.fromtimestamp(int(value) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
            raise SqlFailure("INVALID_ARGUMENTS", f"No version history table at or before {moment}Z")
        return int(before[-1]["snapshot-id"])

    def _snapshot(self, snapshot_id: int) -> Mapping[str, Any] | None:
        return next((each for each in self.raw.get("snapshots") or [] if each["snapshot-id"] == snapshot_id), None)


def is_iceberg(table: Mapping[str, Any]) -> bool:
    """Whether a table of the catalogue is one."""
    return str((table.get("Parameters") or {}).get("table_type", "")).upper() == "ICEBERG"


async def load(objects: Objects, principal: Principal, metadata_location: str) -> State:
    """A table's state, read as the caller."""
    return State(metadata_location, await read(objects, principal, metadata_location))


async def read(objects: Objects, principal: Principal, metadata_location: str) -> dict[str, Any]:
    """The metadata at a location, as JSON."""
    try:
        place = places.parse(metadata_location)
        info = await objects.head(principal, place.bucket, place.prefix)
    except AwsError as wrong:
        if wrong.error_code in ("NoSuchKey", "NoSuchBucket"):
            told = f"Metadata not found in metadata location for table: {metadata_location}"
            raise SqlFailure("ICEBERG_MISSING_METADATA", told) from None
        raise
    if info.size > _METADATA_BYTES_MAX:
        raise SqlFailure("ICEBERG_INVALID_METADATA", "the metadata file is too large")
    body = b"".join([piece async for piece in objects.read(info)])
    try:
        if body[:2] == b"\x1f\x8b":
            body = zlib.decompressobj(31).decompress(body, _METADATA_BYTES_MAX)
        found: dict[str, Any] = msgspec.json.decode(body, type=dict)
        State(metadata_location, found).columns()
    except (msgspec.MsgspecError, zlib.error, gzip.BadGzipFile, KeyError, StopIteration, TypeError):
        raise SqlFailure("ICEBERG_INVALID_METADATA", f"Invalid metadata file: {metadata_location}") from None
    return found
