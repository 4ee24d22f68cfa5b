"""Files as DuckDB can read them: what it cannot is made plain, exploded or turned into Parquet in the scratch directory.

A staged file keeps its place among the relation's files, so that ``$path`` and partition values stay those of the object.
Everything staged for one statement is bounded by its spill. CloudTrail's files are one document each, with ``Records``; a
record's request, response and additional data are text whatever they hold
(https://docs.aws.amazon.com/athena/latest/ug/cloudtrail-serde.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lakebed.engines.sql_duckdb import columnar, plain, text
from lakebed.lake.types import Type
from lakebed.ports.sql import DataFile, Relation, SqlFailure

_NATIVE = ("", "gzip", "zstd")  # DuckDB's JSON reader takes these as they are
_AS_TEXT = ("requestParameters", "responseElements", "additionalEventData", "serviceEventDetails")
_DOCUMENT_MAX = 512 << 20


@dataclass(slots=True)
class Stage:
    """One statement's scratch: where, how much more it may take, and what raises when the statement was cancelled."""

    directory: Path
    left: int
    stop: Callable[[], None]
    _count: int = 0

    def path(self) -> Path:
        """A new file's name."""
        self._count += 1
        place = self.directory / "staged"
        place.mkdir(exist_ok=True)
        return place / f"{self._count:06d}"

    def took(self, size: int) -> None:
        """Bytes were written."""
        self.left -= size
        if self.left < 0:
            raise SqlFailure("EXCEEDED_LOCAL_MEMORY_LIMIT", "Staged data exceed the spill limit")


def readable(
    stage: Stage, relation: Relation, columns: list[tuple[str, Type]], wanted: set[str]
) -> list[tuple[str, str, DataFile]]:
    """(path, compression, file) of each of the relation's files."""
    form = relation.format
    found = []
    for file in relation.files:
        path, compression = Path(file.path), file.compression
        if form in ("orc", "avro"):
            path = _parquet(stage, path, form, columns, wanted, relation.options)
        else:
            if compression and (form in (*text.FORMATS, "cloudtrail") or compression not in _NATIVE):
                path, compression = _plain(stage, path, compression), ""
            if form == "cloudtrail":
                path = _records(stage, path)
        found.append((str(path), compression, file))
    return found


def _plain(stage: Stage, source: Path, compression: str) -> Path:
    target = stage.path()
    stage.took(plain.write_plain(source, target, compression, stage.left, stage.stop))
    return target


def _parquet(
    stage: Stage, source: Path, form: str, columns: list[tuple[str, Type]], wanted: set[str], options: Mapping[str, str]
) -> Path:
    target = stage.path()
    convert = columnar.orc_to_parquet if form == "orc" else columnar.avro_to_parquet
    convert(source, target, columns, wanted, columnar.Job(options, stage.stop))
    stage.took(target.stat().st_size)
    return target


def _records(stage: Stage, source: Path) -> Path:
    """A record a line."""
    target = stage.path()
    encode = msgspec.json.Encoder().encode
    with target.open("wb") as out:
        for record in _documents(source):
            for name in _AS_TEXT:
                if (value := record.get(name)) is not None and not isinstance(value, str):
                    record[name] = encode(value).decode()
            if record.get("userIdentity") is not None:
                record["userIdentity_as_string"] = encode(record["userIdentity"]).decode()
            stage.took(out.write(encode(record) + b"\n"))
        stage.stop()
    return target


def _documents(source: Path) -> Iterator[dict[str, Any]]:
    if source.stat().st_size > _DOCUMENT_MAX:
        raise SqlFailure("NOT_SUPPORTED", "CloudTrail files of more than 512 MB are not built")
    data = source.read_bytes()
    for document in (data, *data.split(b"\n")):
        try:
            found = msgspec.json.decode(document) if document.strip() else None
        except msgspec.DecodeError:
            continue  # as Athena: what is no document is left out
        if isinstance(found, dict) and isinstance(found.get("Records"), list):
            yield from (record for record in found["Records"] if isinstance(record, dict))
        if document is data:
            return
