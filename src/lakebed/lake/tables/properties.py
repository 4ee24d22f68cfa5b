"""Athena's table properties of Iceberg tables, and Iceberg's own they become.

Athena takes a fixed list and no custom ones; they live in the table's metadata, not in Glue.
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html#querying-iceberg-table-properties
"""

from __future__ import annotations

from collections.abc import Mapping

from lakebed.ports.sql import SqlFailure

_NUMBERS = {
    "optimize_rewrite_min_data_file_size_bytes": (1, 1 << 62),
    "optimize_rewrite_max_data_file_size_bytes": (1, 1 << 62),
    "optimize_rewrite_data_file_threshold": (1, 1 << 31),
    "optimize_rewrite_delete_file_threshold": (1, 1 << 31),
    "vacuum_min_snapshots_to_keep": (1, 1 << 31),
    "vacuum_max_snapshot_age_seconds": (0, 1 << 40),
    "vacuum_max_metadata_files_to_keep": (1, 1 << 31),
}
_CODECS = ("zstd", "snappy", "gzip", "uncompressed", "none", "lz4", "brotli")
_OWN = {"write_target_data_file_size_bytes": "write.target-file-size-bytes",
        "write_location_path": "write.object-storage.path",
        "write_object_storage_enabled": "write.object-storage.enabled"}  # fmt: skip
_BACK = {target: name for name, target in _OWN.items()}
_MAIN = {"table_type", "format", "write_compression", "is_external", "location", "partitioning", "compression_level"}


def made(given: Mapping[str, str]) -> dict[str, str]:
    """Iceberg's properties of what CREATE TABLE or SET TBLPROPERTIES gives, ``table_type`` left out."""
    found: dict[str, str] = {}
    for name, value in given.items():
        key = name.lower()
        if key == "table_type":
            if value.upper() != "ICEBERG":
                raise SqlFailure("INVALID_TABLE_PROPERTY", f"table_type {value} is not ICEBERG")
        elif key == "format":
            _format(value)
        elif key == "write_compression":
            found["write.parquet.compression-codec"] = _codec(value)
        elif key == "compression_level":
            found["write.parquet.compression-level"] = str(_number(key, value, 1, 22))
        elif key in _NUMBERS:
            found[key] = str(_number(key, value, *_NUMBERS[key]))
        elif key == "write_target_data_file_size_bytes":
            found[_OWN[key]] = str(_number(key, value, 1, 1 << 62))
        elif key in _OWN:
            found[_OWN[key]] = value
        elif key in _BACK:
            found[key] = value
        else:
            raise SqlFailure("INVALID_TABLE_PROPERTY", f"Unsupported table property key: {name}")
    return found


def fresh(given: Mapping[str, str]) -> dict[str, str]:
    """The properties of a new table: Athena's defaults under what is given."""
    defaults = {"write.parquet.compression-codec": "zstd", "write.object-storage.enabled": "true"}
    return {**defaults, **made({key: value for key, value in given.items() if key.lower() not in _MAIN - _KEPT})}


_KEPT = {"table_type", "format", "write_compression", "compression_level"}


def shown(properties: Mapping[str, str]) -> dict[str, str]:
    """A table's properties as SHOW TBLPROPERTIES and SHOW CREATE TABLE tell them."""
    told = {"table_type": "iceberg", "format": "parquet"}
    for key, value in properties.items():
        if key == "write.parquet.compression-codec":
            told["write_compression"] = value
        elif key == "write.parquet.compression-level":
            told["compression_level"] = value
        else:
            told[_BACK.get(key, key)] = value
    return told


def stored_name(name: str) -> str:
    """Under which key a property lies in the metadata (UNSET)."""
    key = name.lower()
    if key in ("table_type", "format"):
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"Table property {name} cannot be removed")
    own = {
        "write_compression": "write.parquet.compression-codec",
        "compression_level": "write.parquet.compression-level",
    }
    return own.get(key, _OWN.get(key, key))


def number(properties: Mapping[str, str], key: str, default: int) -> int:
    """A property that is a number; what a stranger wrote wrongly counts as the default."""
    text = properties.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default


def _number(key: str, value: str, low: int, high: int) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 19 or not low <= int(value) <= high:
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"Invalid value for table property {key}: {value[:100]}")
    return int(value)


def _format(value: str) -> None:
    if value.upper() not in ("PARQUET", "ORC", "AVRO"):
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"Unsupported format: {value[:100]}")
    if value.upper() != "PARQUET":
        raise SqlFailure("NOT_SUPPORTED", f"Iceberg tables in {value.upper()} are not written by Lakebed; use PARQUET")


def _codec(value: str) -> str:
    codec = value.lower()
    if codec not in _CODECS:
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"Unsupported write_compression: {value[:100]}")
    return "uncompressed" if codec == "none" else codec
