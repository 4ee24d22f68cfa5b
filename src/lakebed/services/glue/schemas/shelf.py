"""What happens in the registry: looking things up by the several ways Glue names them, and registering versions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.services.glue.schemas import model
from lakebed.services.glue.schemas.formats import Format, InvalidDefinitionError, format_of
from lakebed.services.glue.schemas.model import Registry, Schema, Version
from lakebed.services.glue.schemas.store import SchemaStore

# https://docs.aws.amazon.com/glue/latest/dg/schema-registry.html#schema-registry-quotas
_REGISTRIES_MAX, VERSIONS_MAX = 100, 10_000
_EARLIER_MAX = 1000  # versions one registration is compared with


class Shelf:
    """The registry over its store."""

    def __init__(self, k: Kernel, store: SchemaStore) -> None:
        self.k, self.store = k, store

    # Finding

    def registry(self, scope: Scope, given: Mapping[str, Any]) -> Registry:
        """The registry a RegistryId names."""
        name = given.get("RegistryName") or str(given.get("RegistryArn", "")).partition(":registry/")[2]
        if not name:
            raise api.InvalidInputException("One of RegistryName and RegistryArn has to be provided.")
        found = self.store.registry(scope, name)
        if found is None:
            raise api.EntityNotFoundException(f"Registry is not found. RegistryName: {name}")
        return found

    def schema(self, scope: Scope, given: Mapping[str, Any]) -> Schema:
        """The schema a SchemaId names."""
        registry, _, name = str(given.get("SchemaArn", "")).partition(":schema/")[2].partition("/")
        if given.get("SchemaName"):
            registry, name = given.get("RegistryName") or model.DEFAULT_REGISTRY, given["SchemaName"]
        if not name:
            raise api.InvalidInputException("One of SchemaArn and SchemaName has to be provided.")
        found = self.store.schema(scope, registry, name)
        if found is None:
            raise api.EntityNotFoundException(f"Schema is not found. RegistryName: {registry}, SchemaName: {name}")
        return found

    def version(self, schema: Schema, given: Mapping[str, Any]) -> Version:
        """The version a SchemaVersionNumber names."""
        if given.get("LatestVersion") and given.get("VersionNumber"):
            raise api.InvalidInputException("Only one of LatestVersion and VersionNumber may be provided.")
        number = schema.latest if given.get("LatestVersion") else given.get("VersionNumber")
        if number is None:
            raise api.InvalidInputException("One of LatestVersion and VersionNumber has to be provided.")
        found = self.store.numbered(schema, number)
        if found is None:
            raise api.EntityNotFoundException(f"Schema version is not found. SchemaVersionNumber: {number}")
        return found

    def located(self, scope: Scope, req: Mapping[str, Any]) -> tuple[Schema, Version]:
        """Schema and version of a request that names them by id, or by schema and number."""
        by_id, by_schema = req.get("SchemaVersionId"), req.get("SchemaId")
        if bool(by_id) == bool(by_schema):
            raise api.InvalidInputException("Provide SchemaVersionId, or SchemaId with SchemaVersionNumber.")
        if by_schema:
            schema = self.schema(scope, by_schema)
            return schema, self.version(schema, req.get("SchemaVersionNumber") or {})
        owner, version = self.store.schema_of(scope, str(by_id)), self.store.version(scope, str(by_id))
        if owner is None or version is None:
            raise api.EntityNotFoundException(f"Schema version is not found. SchemaVersionId: {by_id}")
        return owner, version

    # Making

    def make_registry(self, scope: Scope, name: str, description: str) -> Registry:
        """A new registry."""
        if self.store.registry(scope, name) is not None:
            raise api.AlreadyExistsException(f"Registry already exists. RegistryName: {name}")
        if len(self.store.registries(scope, "", _REGISTRIES_MAX)) >= _REGISTRIES_MAX:
            raise api.ResourceNumberLimitExceededException(f"There are {_REGISTRIES_MAX} registries already.")
        now = self.k.clock.now()
        made = Registry(scope, name, description, now, now)
        with self.k.db.tx() as tx:
            self.store.put_registry(tx, made)
        return made

    async def canonical(self, data_format: str, definition: str) -> str:
        """The definition's meaning; InvalidInputException for one that is none of its format."""
        kind = format_of(data_format)
        try:
            return await asyncio.to_thread(kind.canonical, definition)
        except InvalidDefinitionError as wrong:
            text = f"Schema definition of {data_format} data format is invalid: {wrong}"
            raise api.InvalidInputException(text) from None

    async def register(self, schema: Schema, definition: str) -> Version:
        """The version with this definition: one that is there, or a new one, AVAILABLE or FAILURE."""
        with self.k.clock.working():
            canonical = await self.canonical(schema.data_format, definition)
            for _ in range(3):
                schema = self.schema(schema.scope, {"SchemaArn": schema.arn})
                if (known := self.store.same(schema, canonical)) is not None:
                    return known
                if schema.compatibility == "DISABLED" and schema.latest:
                    raise api.InvalidInputException("Compatibility DISABLED does not allow another version.")
                kind, earlier = format_of(schema.data_format), self._earlier(schema)
                wrong = await asyncio.to_thread(_problems, kind, model.pairs(schema, earlier, definition))
                if (
                    made := self._insert(schema, definition, canonical, "FAILURE" if wrong else "AVAILABLE")
                ) is not None:
                    if wrong:
                        self.k.log.info(
                            "schema incompatible", schema=schema.arn, version=made.number, problems=wrong[:5]
                        )
                    return made
        raise api.ConcurrentModificationException("Other versions of this schema are being registered.")

    def _earlier(self, schema: Schema) -> Sequence[Version]:
        if schema.compatibility == "NONE":
            return ()
        from_checkpoint = self.store.versions(schema, schema.checkpoint - 1, _EARLIER_MAX)
        if len(from_checkpoint) < _EARLIER_MAX:
            return from_checkpoint
        return self.store.versions(schema, schema.next_version - 1 - _EARLIER_MAX, _EARLIER_MAX)

    def _insert(self, schema: Schema, definition: str, canonical: str, status: str) -> Version | None:
        """None where another version came in while this one was compared."""
        with self.k.db.tx() as tx:
            present = self.schema(schema.scope, {"SchemaArn": schema.arn})
            if present.next_version != schema.next_version or present.id != schema.id:
                return None
            if self.store.count_versions(schema.scope) >= VERSIONS_MAX:
                raise api.ResourceNumberLimitExceededException(f"There are {VERSIONS_MAX} schema versions already.")
            number, now = schema.next_version, self.k.clock.now()
            made = Version(self.k.ids.uuid(), number, definition, canonical, status, now)
            self.store.insert_version(tx, schema.scope, schema.id, made)
        return made


def _problems(kind: Format, pairs: Sequence[tuple[str, str]]) -> list[str]:
    found: list[str] = []
    for reader, writer in pairs:
        found += kind.problems(reader, writer)
        if found:
            break
    return found
