"""Table formats: which serde reads what, in the classes' names that Glue stores.

https://docs.aws.amazon.com/athena/latest/ug/supported-serdes.html. Ion's is not built, since no light library reads it:
tables may be declared, queries over them are refused by the serde's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.ports.sql import SqlFailure

_TEXT = ("org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")
_PARQUET = ("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat")  # fmt: skip
LAZY = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
OPENCSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
OPENX = "org.openx.data.jsonserde.JsonSerDe"
HCATALOG = "org.apache.hive.hcatalog.data.JsonSerDe"
HIVE_JSON = "org.apache.hadoop.hive.serde2.JsonSerDe"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
ORC = "org.apache.hadoop.hive.ql.io.orc.OrcSerde"
AVRO = "org.apache.hadoop.hive.serde2.avro.AvroSerDe"
REGEX = "org.apache.hadoop.hive.serde2.RegexSerDe"
GROK = "com.amazonaws.glue.serde.GrokSerDe"
CLOUDTRAIL = "com.amazon.emr.hive.serde.CloudTrailSerde"
_AVRO = ("org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
         "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat")  # fmt: skip
_ORC = ("org.apache.hadoop.hive.ql.io.orc.OrcInputFormat", "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat")

_BUILT = {
    LAZY: "csv", OPENCSV: "opencsv", OPENX: "json", HCATALOG: "json", HIVE_JSON: "json", PARQUET: "parquet", ORC: "orc",
    AVRO: "avro", REGEX: "regex", "org.apache.hadoop.hive.contrib.serde2.RegexSerDe": "regex", GROK: "grok",
    CLOUDTRAIL: "cloudtrail", "org.apache.hive.hcatalog.data.CloudTrailSerde": "cloudtrail",
}  # fmt: skip
# What CTAS, INSERT and UNLOAD can write, in the engine's names.
WRITTEN = {"PARQUET": "parquet", "ORC": "orc", "AVRO": "avro", "JSON": "json", "TEXTFILE": "csv"}
_STORED = {
    "TEXTFILE": (LAZY, *_TEXT),
    "PARQUET": (PARQUET, *_PARQUET),
    "JSON": (HIVE_JSON, *_TEXT),
    "ORC": (ORC, *_ORC),
    "AVRO": (AVRO, *_AVRO),
}
_FILES = {PARQUET: _PARQUET, ORC: _ORC, AVRO: _AVRO}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4", ".snappy": "snappy", ".deflate": "deflate",
                ".zlib": "deflate", ".lzo": "lzo"}  # fmt: skip


def storage(facts: Mapping[str, Any]) -> dict[str, Any]:
    """SerDe and formats of a StorageDescriptor from what CREATE EXTERNAL TABLE says."""
    stored, serde = facts.get("stored", ""), facts.get("serde_name", "")
    if stored and stored not in _STORED:
        raise SqlFailure("NOT_SUPPORTED", f"STORED AS {stored} is not built in Lakebed")
    name, reader, writer = _STORED[stored or "TEXTFILE"]
    if serde == "delimited":
        name = LAZY if not stored or stored == "TEXTFILE" else name
    elif serde:
        name = serde
        if not stored and serde in _FILES:
            reader, writer = _FILES[serde]
    parameters = dict(facts.get("serde", {}))
    parameters.setdefault("serialization.format", "1")
    return {
        "InputFormat": facts.get("input", reader),
        "OutputFormat": facts.get("output", writer),
        "SerdeInfo": {"SerializationLibrary": name, "Parameters": parameters},
    }


def of_format(name: str, delimiter: str = "") -> dict[str, Any]:
    """The descriptor of a table CTAS makes."""
    if name not in WRITTEN:
        raise SqlFailure("NOT_SUPPORTED", f"CTAS format {name} is not built in Lakebed")
    facts: dict[str, Any] = {"stored": name, "serde": {"field.delim": delimiter} if delimiter else {}}
    return storage(facts)


def reading(table: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """How the engine reads a table: its format's name and the serde's and table's options; refused by name."""
    descriptor = table.get("StorageDescriptor", {})
    info = descriptor.get("SerdeInfo", {})
    serde = info.get("SerializationLibrary", "")
    parameters: dict[str, str] = dict(table.get("Parameters", {}))
    if parameters.get("table_type", "").upper() == "ICEBERG":
        raise SqlFailure("NOT_SUPPORTED", "Iceberg tables are not built in Lakebed")
    if not serde and "parquet" in descriptor.get("InputFormat", "").lower():
        serde = PARQUET
    if serde not in _BUILT:
        raise SqlFailure("NOT_SUPPORTED", f"SerDe {serde or '(none)'} is not built in Lakebed")
    options = {**parameters, **info.get("Parameters", {})}
    return _BUILT[serde], options


def compression(form: str, key: str) -> str:
    """How an object is compressed, by its key's ending; what the engine cannot read is refused by name."""
    if form in ("parquet", "orc", "avro"):
        return ""
    for ending, name in COMPRESSIONS.items():
        if key.lower().endswith(ending):
            if name == "lzo":
                raise SqlFailure("NOT_SUPPORTED", f"{name} compression of text is not built in Lakebed")
            return name
    return ""
