"""Glue's Schema Registry: registries, schemas, one schema with its versions, and what changed between two."""

from __future__ import annotations

import difflib
import json
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.parts import empty, facts, pages, panel, state, table
from lakebed.console.shell import Page

CURRENT = "/console/schemas"
_ROWS = 100


async def page(backend: Backend, asked: Asked) -> Page:
    """All registries, and the schemas of one or of all."""
    registry = asked.get("registry")
    params: dict[str, Any] = {"MaxResults": _ROWS} | ({"RegistryId": {"RegistryName": registry}} if registry else {})
    params |= {"NextToken": asked.get("token")} if asked.get("token") else {}
    answer = await backend.call("glue", "ListSchemas", params, backend.scope)
    registries = (await backend.call("glue", "ListRegistries", {"MaxResults": _ROWS}, backend.scope))["Registries"]
    lead = "What records look like, by name and version, agreed between those who write and those who read."
    if not (registries or answer["Schemas"]):
        text = (
            "A schema is Avro, JSON Schema or Protobuf; a new version must be compatible with those before. Make one:"
        )
        command = (
            "aws glue create-schema --schema-name orders --data-format AVRO --compatibility BACKWARD --schema-definition \\\n"
            '  \'{"type": "record", "name": "order", "fields": [{"name": "id", "type": "long"}]}\''
        )
        return Page("Schemas", lead, CURRENT, empty(f"No schema in {backend.scope.region}", text, command))
    rows = [
        (
            h.a(href=to("schemas/schema", registry=one["RegistryName"], schema=one["SchemaName"]))[one["SchemaName"]],
            one["RegistryName"],
            state(one["SchemaStatus"]),
            one.get("Description") or "—",
            one["UpdatedTime"],
        )
        for one in answer["Schemas"]
    ]
    following = asked.again(token=answer["NextToken"]) if answer.get("NextToken") else None
    content = [
        panel(
            f"Schemas of {registry}" if registry else "Schemas",
            table(("Schema", "Registry", "State", "Description", "Changed"), rows, key="schemas-table"),
            pages(asked.again(token=None) if asked.get("token") else None, following),
        ),
        panel(
            "Registries",
            table(
                ("Registry", "State", "Description", "Made"),
                [
                    (
                        h.a(href=to("schemas", registry=one["RegistryName"]))[one["RegistryName"]],
                        state(one["Status"]),
                        one.get("Description") or "—",
                        one["CreatedTime"],
                    )
                    for one in registries
                ],
            ),
        ),
    ]
    return Page("Schemas", lead, CURRENT, content)


async def schema(backend: Backend, asked: Asked) -> Page:
    """One schema: a version's text, and its difference from another."""
    name = {"RegistryName": asked.get("registry"), "SchemaName": asked.get("schema")}
    told = await backend.call("glue", "GetSchema", {"SchemaId": name}, backend.scope)
    params = {"SchemaId": name, "MaxResults": _ROWS}
    versions = (await backend.call("glue", "ListSchemaVersions", params, backend.scope)).get("Schemas", [])
    number = asked.number("version") or told["LatestSchemaVersion"]
    params = {"SchemaId": name, "SchemaVersionNumber": {"VersionNumber": number}}
    shown = await backend.call("glue", "GetSchemaVersion", params, backend.scope)
    details = [
        ("ARN", h.code[told["SchemaArn"]]),
        ("State", state(told["SchemaStatus"])),
        ("Format", told["DataFormat"]),
        ("Compatibility", h.code[told["Compatibility"]]),
        ("Checkpoint", f"version {told['SchemaCheckpoint']}"),
        ("Description", told.get("Description") or "—"),
        ("Made", told["CreatedTime"]),
    ]
    rows = [
        (
            h.a(href=asked.again(version=one["VersionNumber"], since=None))[f"Version {one['VersionNumber']}"],
            state(one["Status"]),
            one["CreatedTime"],
            h.code[one["SchemaVersionId"]],
            h.a(href=asked.again(version=number, since=one["VersionNumber"]))[f"to version {number}"]
            if one["VersionNumber"] < number and one["Status"] == "AVAILABLE"
            else "",
        )
        for one in sorted(versions, key=lambda one: -int(one["VersionNumber"]))
    ]
    content = [
        panel("Schema", facts(details)),
        panel(f"Version {number}", h.pre(tabindex="0")[_indented(shown["SchemaDefinition"])]),
        await _difference(backend, name, asked.number("since"), number, shown["SchemaDefinition"]),
        panel("Versions", table(("Version", "State", "Made", "Id", "What changed"), rows, key="versions-table")),
    ]
    crumbs = (("Schemas", CURRENT), (name["RegistryName"], to("schemas", registry=name["RegistryName"])))
    return Page(name["SchemaName"], "What it says, and how it came to say it.", CURRENT, content, crumbs=crumbs)


async def _difference(backend: Backend, name: dict[str, str], since: int | None, number: int, later: str) -> h.Node:
    """Line by line over the indented texts: a schema is often one line, of which GetSchemaVersionsDiff says only that it is
    another."""
    if since is None:
        return None
    params = {"SchemaId": name, "SchemaVersionNumber": {"VersionNumber": since}}
    earlier = (await backend.call("glue", "GetSchemaVersion", params, backend.scope))["SchemaDefinition"]
    lines = difflib.unified_diff(_indented(earlier).splitlines(), _indented(later).splitlines(), lineterm="", n=1000)
    kinds = {"+": ".added", "-": ".removed"}
    return panel(
        f"From version {since} to version {number}",
        h.pre(".diff", tabindex="0")[
            [h.span(kinds.get(line[:1], ".kept"))[line + "\n"] for line in list(lines)[3:]] or "The same."
        ],
    )


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
