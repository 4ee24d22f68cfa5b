"""Tables of the Iceberg REST catalog: load, create (also staged), commit, register, drop.

A commit is made by the Iceberg engine over the table's state, its metadata file is placed with the caller's permissions, and
the catalogue's pointer is swapped by the table's version; the loser of a race makes its commit again over the new state, as
far as its requirements still hold. So Athena, Glue's own API and every REST client see one table.
https://docs.aws.amazon.com/glue/latest/dg/iceberg-rest-apis.html,
https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.lake import location
from lakebed.lake.tables import commit
from lakebed.lake.tables.state import is_iceberg, read
from lakebed.ports.house import Ports
from lakebed.ports.tables import Staged
from lakebed.services.glue.iceberg_rest_request import Call, refused

_ATTEMPTS = 5
_PURGED_AT_ONCE = 1000


class Tables:
    """Their operations."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p

    async def listed(self, call: Call) -> dict[str, Any]:
        """ListTables: those that are Iceberg's."""
        found = self._p.catalog.tables(call.ctx.principal, call.ctx.scope, call.namespace)
        names, following = call.page([table["Name"] for table in found if is_iceberg(table)])
        identifiers = [{"namespace": [call.namespace], "name": name} for name in names]
        return {"identifiers": identifiers, "next-page-token": following}

    async def loaded(self, call: Call) -> dict[str, Any]:
        """LoadTable"""
        table = self._table(call, call.table)
        place = table["Parameters"][commit.METADATA]
        metadata = await read(self._p.objects, call.ctx.principal, place)
        if call.query.get("snapshots") == "refs":
            wanted = {ref["snapshot-id"] for ref in (metadata.get("refs") or {}).values()}
            metadata["snapshots"] = [each for each in metadata.get("snapshots") or [] if each["snapshot-id"] in wanted]
        return _told(place, metadata)

    async def exists(self, call: Call) -> None:
        """TableExists"""
        self._table(call, call.table)

    async def created(self, call: Call) -> dict[str, Any]:
        """CreateTable; ``stage-create`` makes metadata for a commit that follows, and nothing else."""
        name = str(call.member("name", str)).lower()
        principal, scope = call.ctx.principal, call.ctx.scope
        database = self._p.catalog.database(principal, scope, call.namespace)
        if self._known(call, name) is not None:
            raise AwsError("AlreadyExistsException", f"Table already exists: {call.namespace}.{name}")
        place = call.body.get("location") or _beneath(database, name)
        location.parse(place)
        properties = call.member("properties", dict, {})
        if not all(isinstance(value, str) for value in properties.values()):
            raise refused(400, "BadRequestException", "the properties of a table are strings")
        request = {
            "schema": call.member("schema", dict), "spec": call.body.get("partition-spec"),
            "order": call.body.get("write-order"), "location": place, "properties": properties,
        }  # fmt: skip
        if call.member("stage-create", bool, False):
            self._allow(call, "CreateTable", name)
            with self._scratch(call) as scratch:
                staged = await self._p.tables.stage(principal, "create", None, request, scratch)
            return {"metadata": staged.metadata, "config": {}}
        with self._scratch(call) as scratch:
            staged = await self._p.tables.stage(principal, "create", None, request, scratch)
            await self._swap(call, name, staged, None)
        return _told(staged.metadata_location, staged.metadata)

    async def registered(self, call: Call) -> dict[str, Any]:
        """RegisterTable: metadata that lies in S3 already."""
        name, place = str(call.member("name", str)).lower(), call.member("metadata-location", str)
        self._p.catalog.database(call.ctx.principal, call.ctx.scope, call.namespace)
        metadata = await read(self._p.objects, call.ctx.principal, place)
        staged = Staged(place, [], metadata)
        if (known := self._known(call, name)) is not None:
            if not call.member("overwrite", bool, False):
                raise AwsError("AlreadyExistsException", f"Table already exists: {call.namespace}.{name}")
            given = commit.table_input(name, staged, known)
            scope = call.ctx.scope
            self._p.catalog.update_table(call.ctx.principal, scope, call.namespace, given, version=known["VersionId"])
        else:
            given = commit.table_input(name, staged, None)
            self._p.catalog.create_table(call.ctx.principal, call.ctx.scope, call.namespace, given)
        return _told(place, metadata)

    async def committed(self, call: Call) -> dict[str, Any]:
        """UpdateTable: requirements, then updates; the end of a staged creation where there is no table."""
        request = {
            "requirements": call.member("requirements", list, []),
            "updates": call.member("updates", list),
        }
        creates = any(
            isinstance(each, dict) and each.get("type") == "assert-create" for each in request["requirements"]
        )
        for _ in range(_ATTEMPTS):
            known = self._known(call, call.table)
            if known is None and not creates:
                self._table(call, call.table)  # says what is missing
            place = known["Parameters"][commit.METADATA] if known is not None else None
            with self._scratch(call) as scratch:
                staged = await self._p.tables.stage(call.ctx.principal, "apply", place, request, scratch)
                if known is None and not staged.metadata.get("location"):
                    raise refused(400, "BadRequestException", "a new table needs a location")
                try:
                    await self._swap(call, call.table, staged, known)
                except AwsError as lost:
                    if lost.error_code != "ConcurrentModificationException":
                        raise
                    continue
            return {"metadata-location": staged.metadata_location, "metadata": staged.metadata}
        raise refused(
            409, "CommitFailedException", f"Cannot commit to {call.namespace}.{call.table}: it keeps changing"
        )

    async def dropped(self, call: Call) -> None:
        """DeleteTable; ``purgeRequested`` takes the data too."""
        table = self._table(call, call.table)
        self._p.catalog.delete_table(call.ctx.principal, call.ctx.scope, call.namespace, call.table)
        if call.query.get("purgeRequested", "").lower() == "true":
            bucket, prefix = location.directory(table["StorageDescriptor"]["Location"])
            while prefix and (
                page := await self._p.objects.list(call.ctx.principal, bucket, prefix, limit=_PURGED_AT_ONCE)
            ):
                await self._p.objects.delete(call.ctx.principal, bucket, [info.key for info in page])

    async def measured(self, call: Call) -> None:
        """ReportMetrics: a client's own measurements of its scan, which nobody here asks for."""
        self._table(call, call.table)

    def _table(self, call: Call, name: str) -> Mapping[str, Any]:
        found = self._known(call, name)
        if found is None:
            self._p.catalog.database(call.ctx.principal, call.ctx.scope, call.namespace)
            raise refused(404, "NoSuchTableException", f"Table does not exist: {call.namespace}.{name}")
        return found

    def _known(self, call: Call, name: str) -> Mapping[str, Any] | None:
        try:
            found = self._p.catalog.table(call.ctx.principal, call.ctx.scope, call.namespace, name)
        except AwsError as missing:
            if missing.error_code != "EntityNotFoundException":
                raise
            return None
        if not is_iceberg(found) or not found["Parameters"].get(commit.METADATA):
            told = f"Table {call.namespace}.{name} is not an Iceberg table"
            raise refused(404, "NoSuchIcebergTableException", told)
        return found

    async def _swap(self, call: Call, name: str, staged: Staged, known: Mapping[str, Any] | None) -> None:
        """Place the files, then the pointer; they go again where somebody was first."""
        principal, scope, objects = call.ctx.principal, call.ctx.scope, self._p.objects
        if known is not None:
            self._allow(call, "UpdateTable", name)
        await commit.place(objects, principal, staged)
        given = commit.table_input(name, staged, known)
        try:
            if known is None:
                self._p.catalog.create_table(principal, scope, call.namespace, given)
            else:
                self._p.catalog.update_table(principal, scope, call.namespace, given, version=known["VersionId"])
        except AwsError:
            await commit.remove(objects, principal, commit.keys_of(staged))
            raise

    def _allow(self, call: Call, action: str, name: str) -> None:
        for resource in ("catalog", f"database/{call.namespace}", f"table/{call.namespace}/{name}"):
            self._p.identity.authorise(call.ctx.principal, f"glue:{action}", call.ctx.scope.arn("glue", resource))

    def _scratch(self, call: Call) -> _Scratch:
        return _Scratch(self._k, self._k.data / "scratch" / f"iceberg-{call.ctx.request_id}")


class _Scratch:
    """A directory that goes with the request."""

    def __init__(self, k: Kernel, path: Path) -> None:
        self._k, self._path = k, path

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._k.disk.remove(self._path)


def _beneath(database: Mapping[str, Any], name: str) -> str:
    place = str(database.get("LocationUri") or "").rstrip("/")
    if not place:
        told = (
            f"Cannot derive default warehouse location: database {database['Name']} has no LocationUri; give a location"
        )
        raise refused(400, "BadRequestException", told)
    return f"{place}/{name}"


def _told(place: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata-location": place, "metadata": metadata, "config": {}}
