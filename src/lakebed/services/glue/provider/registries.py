"""Registries and schemas of the Schema Registry.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-schema-registry-api.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from lakebed.api import glue as api
from lakebed.kernel.scope import Scope
from lakebed.ports.service import Context, Request, operation
from lakebed.services.glue import model as glue_model
from lakebed.services.glue.schemas.model import DEFAULT_REGISTRY, Registry, Schema, iso
from lakebed.services.glue.schemas.shelf import Shelf
from lakebed.services.glue.store import DatabaseStore
from lakebed.wire.aws.pages import sealed

_PAGE = 25
_STATUS = "AVAILABLE"


def registry_arn(scope: Scope, req: Request) -> str:
    """The registry a request names, by name or ARN; all of them where it names none."""
    given = req.get("RegistryId") or {}
    if given.get("RegistryArn"):
        return str(given["RegistryArn"])
    return scope.arn("glue", f"registry/{given.get('RegistryName') or req.get('RegistryName') or '*'}")


def schema_arn(scope: Scope, req: Request) -> str:
    """The schema a request names; all of them where it names a version by its id."""
    given = req.get("SchemaId") or {}
    if given.get("SchemaArn"):
        return str(given["SchemaArn"])
    if given.get("SchemaName"):
        return scope.arn("glue", f"schema/{given.get('RegistryName') or DEFAULT_REGISTRY}/{given['SchemaName']}")
    return scope.arn("glue", "schema/*")


def _created_arns(scope: Scope, req: Request) -> list[str]:
    """CreateSchema asks for the registry and for the schema to be."""
    registry = registry_arn(scope, req if req.get("RegistryId") else {"RegistryName": DEFAULT_REGISTRY})
    return [registry, f"{registry.replace(':registry/', ':schema/', 1)}/{req['SchemaName']}"]


class RegistryOperations:
    """Everything on registries and schemas but their versions."""

    def __init__(self, shelf: Shelf, tags: DatabaseStore) -> None:
        self._shelf, self._tags = shelf, tags
        self._k, self._store = shelf.k, shelf.store

    @operation("CreateRegistry", resource=registry_arn)
    async def create_registry(self, ctx: Context, req: api.CreateRegistryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateRegistry.html"""
        made = self._shelf.make_registry(ctx.scope, req["RegistryName"], req.get("Description", ""))
        self._tag(ctx.scope, made.arn, req.get("Tags") or {})
        return {
            "RegistryArn": made.arn,
            "RegistryName": made.name,
            "Description": made.description,
            "Tags": req.get("Tags") or {},
        }

    def _tag(self, scope: Scope, arn: str, tags: dict[str, str]) -> None:
        with self._k.db.tx() as tx:
            self._tags.set_tags(tx, scope, arn, tags)

    @operation("GetRegistry", resource=registry_arn)
    async def get_registry(self, ctx: Context, req: api.GetRegistryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetRegistry.html"""
        return _registry(self._shelf.registry(ctx.scope, req["RegistryId"]))

    @operation("ListRegistries", resource=registry_arn)
    async def list_registries(self, ctx: Context, req: api.ListRegistriesInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_ListRegistries.html"""
        limit = req.get("MaxResults", _PAGE)
        after = glue_model.read_token(req.get("NextToken"), str, "")
        found = self._store.registries(ctx.scope, after, limit + 1)
        result: dict[str, Any] = {"Registries": [_registry(one) for one in found[:limit]]}
        if len(found) > limit:
            result["NextToken"] = sealed(found[limit - 1].name)
        return result

    @operation("UpdateRegistry", resource=registry_arn)
    async def update_registry(self, ctx: Context, req: api.UpdateRegistryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateRegistry.html"""
        known = self._shelf.registry(ctx.scope, req["RegistryId"])
        changed = msgspec.structs.replace(known, description=req["Description"], updated=self._k.clock.now())
        with self._k.db.tx() as tx:
            self._store.put_registry(tx, changed)
        return {"RegistryName": changed.name, "RegistryArn": changed.arn}

    @operation("DeleteRegistry", resource=registry_arn)
    async def delete_registry(self, ctx: Context, req: api.DeleteRegistryInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteRegistry.html"""
        known = self._shelf.registry(ctx.scope, req["RegistryId"])
        with self._k.db.tx() as tx:
            self._store.delete_registry(tx, known)
            self._tags.set_tags(tx, ctx.scope, known.arn, {})
        return {"RegistryName": known.name, "RegistryArn": known.arn, "Status": "DELETING"}

    @operation("CreateSchema", resource=_created_arns)
    async def create_schema(self, ctx: Context, req: api.CreateSchemaInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CreateSchema.html"""
        scope, name, definition = ctx.scope, req["SchemaName"], req.get("SchemaDefinition")
        if definition is not None:
            await self._shelf.canonical(req["DataFormat"], definition)
        given = req.get("RegistryId")
        if not given and self._store.registry(scope, DEFAULT_REGISTRY) is None:
            self._shelf.make_registry(scope, DEFAULT_REGISTRY, "")
        registry = self._shelf.registry(scope, given or {"RegistryName": DEFAULT_REGISTRY})
        if self._store.schema(scope, registry.name, name) is not None:
            raise api.AlreadyExistsException(
                f"Schema already exists. SchemaName: {name}, RegistryName: {registry.name}"
            )
        now, mode = self._k.clock.now(), req.get("Compatibility", "NONE")
        draft = Schema(
            scope, registry.name, name, 0, req["DataFormat"], mode, req.get("Description", ""), 1, 0, 1, now, now
        )  # fmt: skip
        with self._k.db.tx() as tx:
            self._store.insert_schema(tx, draft)
            self._tags.set_tags(tx, scope, draft.arn, req.get("Tags") or {})
        result: dict[str, Any] = {}
        if definition is not None:
            version = await self._shelf.register(draft, definition)
            result = {"SchemaVersionId": version.id, "SchemaVersionStatus": version.status}
        made = self._shelf.schema(scope, {"SchemaArn": draft.arn}).shown()
        times = ("CreatedTime", "UpdatedTime")
        return (
            {key: value for key, value in made.items() if key not in times} | {"Tags": req.get("Tags") or {}} | result
        )

    @operation("GetSchema", resource=schema_arn)
    async def get_schema(self, ctx: Context, req: api.GetSchemaInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetSchema.html"""
        return self._shelf.schema(ctx.scope, req["SchemaId"]).shown()

    @operation("ListSchemas", resource=registry_arn)
    async def list_schemas(self, ctx: Context, req: api.ListSchemasInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_ListSchemas.html"""
        limit, given = req.get("MaxResults", _PAGE), req.get("RegistryId")
        registry = self._shelf.registry(ctx.scope, given).name if given else None
        after = glue_model.read_token(req.get("NextToken"), tuple[str, str], ("", ""))
        found = self._store.schemas(ctx.scope, registry, after, limit + 1)
        told = ("RegistryName", "SchemaName", "SchemaArn", "Description", "SchemaStatus", "CreatedTime", "UpdatedTime")
        shown = [{key: one.shown()[key] for key in told} for one in found[:limit]]
        result: dict[str, Any] = {"Schemas": shown}
        if len(found) > limit:
            result["NextToken"] = sealed((found[limit - 1].registry, found[limit - 1].name))
        return result

    @operation("UpdateSchema", resource=schema_arn)
    async def update_schema(self, ctx: Context, req: api.UpdateSchemaInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_UpdateSchema.html"""
        known = self._shelf.schema(ctx.scope, req["SchemaId"])
        mode, number = req.get("Compatibility"), req.get("SchemaVersionNumber")
        if not (mode or number or "Description" in req):
            raise api.InvalidInputException("One of SchemaVersionNumber and Compatibility has to be provided.")
        if mode and not number:
            raise api.InvalidInputException("SchemaVersionNumber, a checkpoint, is required to change Compatibility.")
        changed = msgspec.structs.replace(
            known,
            compatibility=mode or known.compatibility,
            checkpoint=self._shelf.version(known, number).number if number else known.checkpoint,
            description=req.get("Description", known.description),
            updated=self._k.clock.now(),
        )
        with self._k.db.tx() as tx:
            self._store.update_schema(tx, changed)
        return {"SchemaArn": known.arn, "SchemaName": known.name, "RegistryName": known.registry}

    @operation("DeleteSchema", resource=schema_arn)
    async def delete_schema(self, ctx: Context, req: api.DeleteSchemaInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteSchema.html"""
        known = self._shelf.schema(ctx.scope, req["SchemaId"])
        with self._k.db.tx() as tx:
            self._store.delete_schema(tx, known)
            self._tags.set_tags(tx, ctx.scope, known.arn, {})
        return {"SchemaArn": known.arn, "SchemaName": known.name, "Status": "DELETING"}


def _registry(one: Registry) -> dict[str, Any]:
    return {
        "RegistryName": one.name,
        "RegistryArn": one.arn,
        "Description": one.description,
        "Status": _STATUS,
        "CreatedTime": iso(one.created),
        "UpdatedTime": iso(one.updated),
    }
