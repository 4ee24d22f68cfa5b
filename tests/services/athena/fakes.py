"""A catalogue and an object store in memory and a directory, just enough to run statements over."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.ports.objects import ObjectInfo


class Objects:
    def __init__(self, directory: Path) -> None:
        self.directory, self.objects = directory, dict[tuple[str, str], ObjectInfo]()
        self.buckets = {"data", "results"}
        directory.mkdir(parents=True, exist_ok=True)

    def _path(self, bucket: str, key: str) -> Path:
        return self.directory / hashlib.sha256(f"{bucket}/{key}/{len(self.objects)}".encode()).hexdigest()

    async def put(self, principal, bucket, key, body, *, content_type="", metadata=None):
        if bucket not in self.buckets:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", status=404)
        path = self._path(bucket, key)
        path.write_bytes(body)
        info = self.objects[bucket, key] = ObjectInfo(bucket, key, len(body), "etag", 0.0, path)
        return info

    async def put_file(self, principal, bucket, key, path, *, content_type=""):
        body = path.read_bytes()
        path.unlink()
        return await self.put(principal, bucket, key, body)

    async def head(self, principal, bucket, key):
        if (bucket, key) not in self.objects:
            raise AwsError("NoSuchKey", "The specified key does not exist.", status=404)
        return self.objects[bucket, key]

    async def read(self, info, start=0, end=None):
        data = info.path.read_bytes()[start:end]
        for at in range(0, len(data), 1000):
            yield data[at : at + 1000]

    async def list(self, principal, bucket, prefix, *, after="", limit=1000, reading=False):
        if bucket not in self.buckets:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", status=404)
        keys = sorted(k for b, k in self.objects if b == bucket and k.startswith(prefix) and k > after)
        return [self.objects[bucket, key] for key in keys[:limit]]

    async def delete(self, principal, bucket, keys):
        for key in keys:
            self.objects.pop((bucket, key), None)

    def text(self, url: str) -> str:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return self.objects[bucket, key].path.read_text()


class Catalog:
    def __init__(self) -> None:
        self.databases_: dict[str, dict[str, Any]] = {"default": {"Name": "default"}}
        self.tables_: dict[tuple[str, str], dict[str, Any]] = {}
        self.partitions_: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def database(self, principal, scope, name):
        if name.lower() not in self.databases_:
            raise AwsError("EntityNotFoundException", f"Database {name} not found.")
        return self.databases_[name.lower()]

    def databases(self, principal, scope):
        return list(self.databases_.values())

    def table(self, principal, scope, database, name):
        self.database(principal, scope, database)
        if (database.lower(), name.lower()) not in self.tables_:
            raise AwsError("EntityNotFoundException", f"Table {name} not found.")
        return self.tables_[database.lower(), name.lower()]

    def tables(self, principal, scope, database, *, expression=""):
        self.database(principal, scope, database)
        found = [table for (db, _), table in self.tables_.items() if db == database.lower()]
        return [table for table in found if re.fullmatch(expression or ".*", table["Name"])]

    def partitions(self, principal, scope, database, table, *, expression=None):
        return self.partitions_.get((database, table), [])

    def create_database(self, principal, scope, database):
        if database["Name"] in self.databases_:
            raise AwsError("AlreadyExistsException", "Database already exists.")
        self.databases_[database["Name"]] = dict(database)

    def delete_database(self, principal, scope, name):
        self.database(principal, scope, name)
        del self.databases_[name]
        self.tables_ = {key: table for key, table in self.tables_.items() if key[0] != name}

    def create_table(self, principal, scope, database, table):
        self.database(principal, scope, database)
        if (database, table["Name"]) in self.tables_:
            raise AwsError("AlreadyExistsException", "Table already exists.")
        self.tables_[database, table["Name"]] = {"DatabaseName": database, **table}

    def update_table(self, principal, scope, database, table):
        self.tables_[database, table["Name"]] = {"DatabaseName": database, **table}

    def delete_table(self, principal, scope, database, name):
        self.table(principal, scope, database, name)
        del self.tables_[database, name]

    def add_partitions(self, principal, scope, database, table, partitions):
        known = self.partitions_.setdefault((database, table), [])
        errors = []
        for part in partitions:
            if part["Values"] in [each["Values"] for each in known]:
                errors.append(
                    {
                        "PartitionValues": part["Values"],
                        "ErrorDetail": {
                            "ErrorCode": "AlreadyExistsException",
                            "ErrorMessage": "Partition already exists.",
                        },
                    }
                )
            else:
                known.append(dict(part))
        return errors

    def delete_partitions(self, principal, scope, database, table, values):
        known = self.partitions_.get((database, table), [])
        self.partitions_[database, table] = [part for part in known if part["Values"] not in [list(v) for v in values]]

    def update_partition(self, principal, scope, database, table, values, partition):
        known = self.partitions_[database, table]
        others = [part for part in known if part["Values"] != list(values)]
        if len(others) == len(known):
            raise AwsError("EntityNotFoundException", "Partition not found.")
        if partition["Values"] in [part["Values"] for part in others]:
            raise AwsError("AlreadyExistsException", "Partition already exists.")
        self.partitions_[database, table] = [*others, dict(partition)]
