"""Versions of a schema: registering, finding, comparing, deleting, and what is noted of them.

https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-schema-registry-api.html
"""

from __future__ import annotations

import difflib
from typing import Any

from lakebed.api import glue as api
from lakebed.ports.service import Context, operation
from lakebed.services.glue import model as glue_model
from lakebed.services.glue.provider.registries import schema_arn
from lakebed.services.glue.schemas.model import Schema, Version, iso, numbers
from lakebed.services.glue.schemas.shelf import Shelf
from lakebed.wire.aws.pages import sealed

_PAGE, _NOTES_MAX, _DELETED_MAX, _DIFF_CHARACTERS_MAX = 25, 10, 25, 340_000


class SchemaVersionOperations:
    """Everything on versions."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self._k, self._store = shelf, shelf.k, shelf.store

    @operation("CheckSchemaVersionValidity")
    async def check_schema_version_validity(
        self, ctx: Context, req: api.CheckSchemaVersionValidityInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_CheckSchemaVersionValidity.html"""
        del ctx
        try:
            await self._shelf.canonical(req["DataFormat"], req["SchemaDefinition"])
        except api.InvalidInputException as wrong:
            return {"Valid": False, "Error": wrong.message}
        return {"Valid": True}

    @operation("RegisterSchemaVersion", resource=schema_arn)
    async def register_schema_version(self, ctx: Context, req: api.RegisterSchemaVersionInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_RegisterSchemaVersion.html"""
        schema = self._shelf.schema(ctx.scope, req["SchemaId"])
        version = await self._shelf.register(schema, req["SchemaDefinition"])
        return {"SchemaVersionId": version.id, "VersionNumber": version.number, "Status": version.status}

    @operation("GetSchemaVersion", resource=schema_arn)
    async def get_schema_version(self, ctx: Context, req: api.GetSchemaVersionInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetSchemaVersion.html"""
        schema, version = self._shelf.located(ctx.scope, req)
        facts = {"SchemaDefinition": version.definition, "DataFormat": schema.data_format}
        return _version(schema, version) | facts

    @operation("GetSchemaByDefinition", resource=schema_arn)
    async def get_schema_by_definition(self, ctx: Context, req: api.GetSchemaByDefinitionInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetSchemaByDefinition.html"""
        schema = self._shelf.schema(ctx.scope, req["SchemaId"])
        found = self._store.same(schema, await self._shelf.canonical(schema.data_format, req["SchemaDefinition"]))
        if found is None:
            raise api.EntityNotFoundException("Schema version is not found for this definition.")
        return {
            "SchemaVersionId": found.id,
            "SchemaArn": schema.arn,
            "DataFormat": schema.data_format,
            "Status": found.status,
            "CreatedTime": iso(found.created),
        }

    @operation("ListSchemaVersions", resource=schema_arn)
    async def list_schema_versions(self, ctx: Context, req: api.ListSchemaVersionsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_ListSchemaVersions.html"""
        schema, limit = self._shelf.schema(ctx.scope, req["SchemaId"]), req.get("MaxResults", _PAGE)
        (after,) = glue_model.read_token(req.get("NextToken"), tuple[int], (0,))
        found = self._store.versions(schema, after, limit + 1)
        result: dict[str, Any] = {"Schemas": [_version(schema, one) for one in found[:limit]]}
        if len(found) > limit:
            result["NextToken"] = sealed((found[limit - 1].number,))
        return result

    @operation("GetSchemaVersionsDiff", resource=schema_arn)
    async def get_schema_versions_diff(self, ctx: Context, req: api.GetSchemaVersionsDiffInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_GetSchemaVersionsDiff.html"""
        schema = self._shelf.schema(ctx.scope, req["SchemaId"])
        first = self._shelf.version(schema, req["FirstSchemaVersionNumber"])
        second = self._shelf.version(schema, req["SecondSchemaVersionNumber"])
        lines = difflib.unified_diff(
            first.definition.splitlines(), second.definition.splitlines(), str(first.number), str(second.number), lineterm=""
        )  # fmt: skip
        return {"Diff": "\n".join(lines)[:_DIFF_CHARACTERS_MAX] or " no difference"}

    @operation("DeleteSchemaVersions", resource=schema_arn)
    async def delete_schema_versions(self, ctx: Context, req: api.DeleteSchemaVersionsInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_DeleteSchemaVersions.html"""
        schema, wanted = self._shelf.schema(ctx.scope, req["SchemaId"]), numbers(req["Versions"])
        if wanted is None or len(wanted) > _DELETED_MAX:
            raise api.InvalidInputException(f"Versions is a number or a range of at most {_DELETED_MAX}.")
        if schema.checkpoint in wanted and schema.checkpoint != 1:
            raise api.ConcurrentModificationException("The range contains the version that is the checkpoint.")
        errors = []
        with self._k.db.tx() as tx:
            for number in wanted:
                found = self._store.numbered(schema, number)
                if found is None:
                    errors.append(_error(number, "EntityNotFoundException", "Schema version is not found."))
                elif number == 1:
                    text = "The first version can only be deleted with its schema."
                    errors.append(_error(number, "InvalidInputException", text))
                else:
                    self._store.delete_version(tx, ctx.scope, found)
        return {"SchemaVersionErrors": errors}

    @operation("PutSchemaVersionMetadata", resource=schema_arn)
    async def put_schema_version_metadata(self, ctx: Context, req: api.PutSchemaVersionMetadataInput) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_PutSchemaVersionMetadata.html"""
        schema, version = self._shelf.located(ctx.scope, req)
        pair = _pair(req["MetadataKeyValue"])
        with self._k.db.tx() as tx:
            if not self._store.put_metadata(tx, ctx.scope, version.id, pair, self._k.clock.now()):
                raise api.AlreadyExistsException("Resource already exist for schema version id.")
            if len(self._store.metadata(ctx.scope, version.id)) > _NOTES_MAX:
                raise api.ResourceNumberLimitExceededException(f"A version has at most {_NOTES_MAX} metadata pairs.")
        return _noted(schema, version, pair)

    @operation("RemoveSchemaVersionMetadata", resource=schema_arn)
    async def remove_schema_version_metadata(
        self, ctx: Context, req: api.RemoveSchemaVersionMetadataInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_RemoveSchemaVersionMetadata.html"""
        schema, version = self._shelf.located(ctx.scope, req)
        pair = _pair(req["MetadataKeyValue"])
        with self._k.db.tx() as tx:
            if not self._store.remove_metadata(tx, ctx.scope, version.id, pair):
                raise api.EntityNotFoundException("Metadata is not found for schema version id.")
        return _noted(schema, version, pair)

    @operation("QuerySchemaVersionMetadata", resource=schema_arn)
    async def query_schema_version_metadata(
        self, ctx: Context, req: api.QuerySchemaVersionMetadataInput
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/glue/latest/webapi/API_QuerySchemaVersionMetadata.html"""
        _, version = self._shelf.located(ctx.scope, req)
        wanted = [(one.get("MetadataKey"), one.get("MetadataValue")) for one in req.get("MetadataList") or ()]
        after, limit = glue_model.read_token(req.get("NextToken"), str, ""), req.get("MaxResults", _NOTES_MAX)
        found: dict[str, dict[str, Any]] = {}
        for key, value, created in self._store.metadata(ctx.scope, version.id):
            if wanted and not any(name in (None, key) and text in (None, value) for name, text in wanted):
                continue
            note = {"MetadataValue": value, "CreatedTime": iso(created)}
            if key in found:
                found[key].setdefault("OtherMetadataValueList", []).append(note)
            else:
                found[key] = note
        keys = [key for key in found if key > after]
        result: dict[str, Any] = {
            "MetadataInfoMap": {key: found[key] for key in keys[:limit]},
            "SchemaVersionId": version.id,
        }
        if len(keys) > limit:
            result["NextToken"] = sealed(keys[limit - 1])
        return result


def _version(schema: Schema, one: Version) -> dict[str, Any]:
    return {
        "SchemaArn": schema.arn,
        "SchemaVersionId": one.id,
        "VersionNumber": one.number,
        "Status": one.status,
        "CreatedTime": iso(one.created),
    }


def _error(number: int, code: str, text: str) -> dict[str, Any]:
    return {"VersionNumber": number, "ErrorDetails": {"ErrorCode": code, "ErrorMessage": text}}


def _pair(given: api.MetadataKeyValuePair) -> tuple[str, str]:
    key, value = given.get("MetadataKey"), given.get("MetadataValue")
    if not key or not value:
        raise api.InvalidInputException("MetadataKey and MetadataValue have to be provided.")
    return key, value


def _noted(schema: Schema, version: Version, pair: tuple[str, str]) -> dict[str, Any]:
    return {
        "SchemaArn": schema.arn,
        "SchemaName": schema.name,
        "RegistryName": schema.registry,
        "LatestVersion": version.number == schema.latest,
        "VersionNumber": version.number,
        "SchemaVersionId": version.id,
        "MetadataKey": pair[0],
        "MetadataValue": pair[1],
    }
