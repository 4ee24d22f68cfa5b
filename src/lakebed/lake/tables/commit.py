"""Placing a staged change and making it the table's state: files first, then the swap of the catalogue's pointer.

The swap is Glue's optimistic lock: UpdateTable with the VersionId the change was made over. Whoever loses has placed files
nobody refers to and takes them away again. Glue shows a table's place, its columns with their field ids (also those that
are gone) and two parameters, as every Iceberg client of Glue writes them.
https://iceberg.apache.org/docs/latest/aws/#glue-catalog, https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateTable.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.lake import location as places
from lakebed.lake.tables.types import hive_text
from lakebed.ports.objects import Objects
from lakebed.ports.tables import Staged

METADATA, PREVIOUS = "metadata_location", "previous_metadata_location"
_INPUT = (
    "Description",
    "Owner",
    "LastAccessTime",
    "LastAnalyzedTime",
    "Retention",
    "ViewOriginalText",
    "ViewExpandedText",
)


def keys_of(staged: Staged) -> dict[str, list[str]]:
    """The keys a change will place, by bucket."""
    found: dict[str, list[str]] = {}
    for name, _ in staged.files:
        place = places.parse(name)
        found.setdefault(place.bucket, []).append(place.prefix)
    return found


async def place(objects: Objects, principal: Principal, staged: Staged) -> None:
    """Move a change's files into S3, the metadata file last; none stays when one is refused."""
    try:
        for name, path in staged.files:
            at = places.parse(name)
            await objects.put_file(principal, at.bucket, at.prefix, path)
    except AwsError:
        await remove(objects, principal, keys_of(staged))
        raise


async def remove(objects: Objects, principal: Principal, keys: Mapping[str, Sequence[str]]) -> None:
    """Take files away again."""
    for bucket, listed in keys.items():
        await objects.delete(principal, bucket, listed)


def table_input(name: str, staged: Staged, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """The TableInput of the new state; ``known`` is the table as Glue has it, where there is one."""
    made: dict[str, Any] = {key: known[key] for key in _INPUT if key in known} if known else {}
    parameters = dict((known or {}).get("Parameters") or {})
    before = parameters.get(METADATA)
    parameters |= {"table_type": "ICEBERG", METADATA: staged.metadata_location}
    if before:
        parameters[PREVIOUS] = before
    descriptor = dict((known or {}).get("StorageDescriptor") or {})
    descriptor |= {"Columns": columns(staged.metadata), "Location": staged.metadata["location"]}
    descriptor.setdefault("SerdeInfo", {})
    return {
        **made, "Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": parameters, "StorageDescriptor": descriptor,
        "PartitionKeys": [],
    }  # fmt: skip


def columns(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The current columns, then those of earlier schemas that are gone."""
    schemas, current = metadata["schemas"], metadata["current-schema-id"]
    ordered = sorted(schemas, key=lambda schema: schema["schema-id"] != current)
    found: dict[str, dict[str, Any]] = {}
    for schema in ordered:
        for field in schema["fields"]:
            if field["name"] in found:
                continue
            column: dict[str, Any] = {
                "Name": field["name"],
                "Type": hive_text(field["type"], glue=True),
                "Parameters": {
                    "iceberg.field.current": "true" if schema["schema-id"] == current else "false",
                    "iceberg.field.id": str(field["id"]),
                    "iceberg.field.optional": "false" if field["required"] else "true",
                },
            }
            if field.get("doc"):
                column["Comment"] = field["doc"][:255]
            found[field["name"]] = column
    return list(found.values())
