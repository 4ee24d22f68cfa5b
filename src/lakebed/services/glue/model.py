"""Databases, tables and partitions as values: names, keys, the shapes Glue shows, and what is refused inside an input.

Glue folds names to lower case. A partition's key is its values in order, encoded so that partitions of equal first values
lie together and sort as their values do.
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.scope import Scope
from lakebed.wire.aws import pages

_Place = TypeVar("_Place")
Body = dict[str, Any]
_DATABASE_MEMBERS = ("Description", "LocationUri", "Parameters", "CreateTableDefaultPermissions")
_TABLE_MEMBERS = (
    "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "StorageDescriptor", "PartitionKeys",
    "ViewOriginalText", "ViewExpandedText", "TableType", "Parameters",
)  # fmt: skip
_PARTITION_MEMBERS = ("LastAccessTime", "LastAnalyzedTime", "StorageDescriptor", "Parameters")
_FUNCTION_MEMBERS = (
    "ClassName", "OwnerName", "OwnerType", "FunctionType", "ResourceUris", "ArtifactLocation", "GovernanceMode",
)  # fmt: skip
_END = b"\x00\x01"
_PERMISSIONS = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]


class Database(msgspec.Struct, frozen=True):
    """A database; ``body`` is its DatabaseInput without the name."""

    scope: Scope
    name: str
    body: Body
    created: float

    def shown(self) -> Body:
        """As GetDatabase tells it."""
        return {
            "CreateTableDefaultPermissions": _PERMISSIONS,
            **self.body,
            "Name": self.name,
            "CreateTime": self.created,
            "CatalogId": self.scope.account,
        }


class Table(msgspec.Struct, frozen=True):
    """A table at one of its versions; ``body`` is its TableInput without the name."""

    scope: Scope
    database: str
    name: str
    id: int
    version: int
    body: Body
    created: float
    updated: float
    created_by: str

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(name, type) of the partition keys."""
        return [(column["Name"], column.get("Type", "string")) for column in self.body.get("PartitionKeys") or ()]

    def shown(self) -> Body:
        """As GetTable tells it."""
        return {
            "Retention": 0,
            "PartitionKeys": [],
            **self.body,
            "Name": self.name,
            "DatabaseName": self.database,
            "CreateTime": self.created,
            "UpdateTime": self.updated,
            "CreatedBy": self.created_by,
            "IsRegisteredWithLakeFormation": False,
            "CatalogId": self.scope.account,
            "VersionId": str(self.version),
        }


class Partition(msgspec.Struct, frozen=True):
    """A partition; ``body`` is its PartitionInput without the values."""

    values: list[str]
    body: Body
    created: float

    def shown(self, table: Table) -> Body:
        """As GetPartition tells it."""
        return {
            **self.body,
            "Values": self.values,
            "DatabaseName": table.database,
            "TableName": table.name,
            "CreationTime": self.created,
            "CatalogId": table.scope.account,
        }


class Function(msgspec.Struct, frozen=True):
    """A user-defined function; ``body`` is its UserDefinedFunctionInput without the name."""

    scope: Scope
    database: str
    name: str
    body: Body
    created: float

    def shown(self) -> Body:
        """As GetUserDefinedFunction tells it."""
        return {
            **self.body,
            "FunctionName": self.name,
            "DatabaseName": self.database,
            "CreateTime": self.created,
            "CatalogId": self.scope.account,
        }


def encode_key(values: Sequence[str]) -> bytes:
    """The key of a partition, or the common beginning of keys where only the first values are given."""
    return b"".join(value.encode().replace(b"\x00", b"\x00\xff") + _END for value in values)


def decode_key(key: bytes) -> list[str]:
    """The values of a key."""
    if key.count(b"\x00") == key.count(_END):
        return key.decode()[:-2].split("\x00\x01")
    values, piece, at = [], bytearray(), 0
    while at < len(key):
        if key[at : at + 2] == _END:
            values.append(piece.decode())
            piece, at = bytearray(), at + 2
        else:
            piece.append(key[at])
            at += 2 if key[at] == 0 else 1
    return values


def prefix_of(key: bytes, values: Sequence[str], place: int) -> bytes:
    """The part of ``key`` up to and with the value at ``place``."""
    return key[: len(encode_key(values[: place + 1]))]


def check_values(table: Table, values: Sequence[str]) -> None:
    """One value for each partition key, none empty."""
    if len(values) != len(table.keys):
        raise api.InvalidInputException("The number of partition keys do not match the number of partition values")
    if any(not value for value in values):
        raise api.InvalidInputException("A partition value must not be empty")


def database_body(given: Mapping[str, Any], operation: str) -> tuple[str, Body]:
    """(name, body) of a DatabaseInput."""
    for member in ("TargetDatabase", "FederatedDatabase"):
        if given.get(member):
            raise not_built("glue", operation, f"DatabaseInput.{member}")
    return folded(given["Name"]), _kept(given, _DATABASE_MEMBERS)


def table_body(given: Mapping[str, Any], operation: str) -> tuple[str, Body]:
    """(name, body) of a TableInput, with the defaults Glue fills in."""
    for member in ("TargetTable", "FederatedTable", "ViewDefinition"):
        if given.get(member):
            raise not_built("glue", operation, f"TableInput.{member}")
    body = _kept(given, _TABLE_MEMBERS)
    _fill_storage(body, operation)
    names = [column["Name"].lower() for column in body.get("PartitionKeys") or ()]
    if len(set(names)) != len(names):
        raise api.InvalidInputException("A partition key is named twice")
    return folded(given["Name"]), body


def partition_body(given: Mapping[str, Any], operation: str) -> tuple[list[str], Body]:
    """(values, body) of a PartitionInput."""
    body = _kept(given, _PARTITION_MEMBERS)
    _fill_storage(body, operation)
    return list(given.get("Values") or ()), body


def function_body(given: Mapping[str, Any]) -> tuple[str, Body]:
    """(name, body) of a UserDefinedFunctionInput; the model does not demand the name, Glue does."""
    if not given.get("FunctionName"):
        raise api.InvalidInputException("A function needs a FunctionName.")
    return folded(given["FunctionName"]), _kept(given, _FUNCTION_MEMBERS)


def _kept(given: Mapping[str, Any], members: Sequence[str]) -> Body:
    """What is stored of an input and told as it was given; what it means is for those who read the table."""
    return {member: given[member] for member in members if member in given}


def _fill_storage(body: Body, operation: str) -> None:
    storage = body.get("StorageDescriptor")
    if storage is None:
        return
    if storage.get("SchemaReference"):
        raise not_built("glue", operation, "StorageDescriptor.SchemaReference")
    defaults = {"Compressed": False, "NumberOfBuckets": 0, "SortColumns": [], "StoredAsSubDirectories": False}
    body["StorageDescriptor"] = {**defaults, **storage}


def folded(name: str) -> str:
    """A name as Glue keeps it."""
    return name.lower()


def read_token(token: str | None, kind: type[_Place], first: _Place) -> _Place:
    """Where a page begins."""
    return pages.opened(token or None, kind, first, api.InvalidInputException("The next token is invalid."))
