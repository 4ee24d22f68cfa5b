"""Namespaces of the Iceberg REST catalog: the databases of the Data Catalog, with the permissions of Glue's own calls.

A database's description and place are the properties ``comment`` and ``location``.
https://docs.aws.amazon.com/glue/latest/dg/iceberg-rest-apis.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.ports.house import Ports
from lakebed.services.glue.catalogue import Catalogue
from lakebed.services.glue.iceberg_rest_request import Call, level, refused

_OWN = {"comment": "Description", "location": "LocationUri"}


class Namespaces:
    """Their operations."""

    def __init__(self, p: Ports, catalogue: Catalogue) -> None:
        self._p, self._catalogue = p, catalogue

    async def listed(self, call: Call) -> dict[str, Any]:
        """ListNamespaces; there are none below a database."""
        found = [each["Name"] for each in self._p.catalog.databases(call.ctx.principal, call.ctx.scope)]
        if call.query.get("parent"):
            self._p.catalog.database(call.ctx.principal, call.ctx.scope, level(call.query["parent"].split("\x1f")))
            found = []
        names, following = call.page(found)
        return {"namespaces": [[name] for name in names], "next-page-token": following}

    async def created(self, call: Call) -> dict[str, Any]:
        """CreateNamespace"""
        name = level(call.member("namespace", list))
        properties = call.member("properties", dict, {})
        self._p.catalog.create_database(call.ctx.principal, call.ctx.scope, _input(name, properties))
        return {"namespace": [name], "properties": properties}

    async def loaded(self, call: Call) -> dict[str, Any]:
        """LoadNamespaceMetadata"""
        found = self._p.catalog.database(call.ctx.principal, call.ctx.scope, call.namespace)
        return {"namespace": [found["Name"]], "properties": _properties(found)}

    async def exists(self, call: Call) -> None:
        """NamespaceExists"""
        self._p.catalog.database(call.ctx.principal, call.ctx.scope, call.namespace)

    async def deleted(self, call: Call) -> None:
        """DeleteNamespace: only an empty one."""
        principal, scope = call.ctx.principal, call.ctx.scope
        self._p.catalog.database(principal, scope, call.namespace)
        if self._catalogue.tables.after(scope, call.namespace, "", 1):
            raise refused(409, "NamespaceNotEmptyException", f"Namespace {call.namespace} is not empty")
        self._p.catalog.delete_database(principal, scope, call.namespace)

    async def updated(self, call: Call) -> dict[str, Any]:
        """UpdateNamespaceProperties"""
        removals, updates = call.member("removals", list, []), call.member("updates", dict, {})
        if set(removals) & set(updates):
            told = "a property cannot be set and removed in one request"
            raise refused(422, "UnprocessableEntityException", told)
        principal, scope = call.ctx.principal, call.ctx.scope
        known = _properties(self._p.catalog.database(principal, scope, call.namespace))
        for resource in ("catalog", f"database/{call.namespace}"):
            self._p.identity.authorise(principal, "glue:UpdateDatabase", scope.arn("glue", resource))
        made = {key: value for key, value in known.items() if key not in removals} | updates
        self._catalogue.update_database(scope, call.namespace, _input(call.namespace, made))
        return {
            "updated": sorted(updates), "removed": sorted(set(removals) & set(known)),
            "missing": sorted(set(removals) - set(known)),
        }  # fmt: skip


def _input(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    if not all(isinstance(value, str) for value in properties.values()):
        raise AwsError("InvalidInputException", "the properties of a namespace are strings")
    made: dict[str, Any] = {"Name": name}
    made |= {member: properties[key] for key, member in _OWN.items() if key in properties}
    return made | {"Parameters": {key: value for key, value in properties.items() if key not in _OWN}}


def _properties(database: Mapping[str, Any]) -> dict[str, str]:
    own = {key: database[member] for key, member in _OWN.items() if database.get(member)}
    return {**(database.get("Parameters") or {}), **own}
