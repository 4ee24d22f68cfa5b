"""What a data catalog is, and what it leads to: Glue, a connector of our own, a connector that is a Lambda function.

A FEDERATED catalog names a connection type and its properties, where AWS would make a Lambda function from them; its password
is sealed with the account's key for Athena (``alias/aws/athena``) and shown to nobody. Only hosts that the settings name may
be reached. https://docs.aws.amazon.com/athena/latest/APIReference/API_DataCatalog.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import athena as api
from lakebed.kernel.errors import not_built
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.lake import location
from lakebed.ports import envelope
from lakebed.ports.house import Ports

_SHOWN = ("Name", "Description", "Type", "Parameters", "Status", "ConnectionType")
_KINDS = {"POSTGRESQL": "postgresql", "MYSQL": "mysql", "SQLITE": "sqlite"}
_PROPERTIES = {
    "postgresql": ("host", "port", "database", "username", "password", "sslmode"),
    "mysql": ("host", "port", "database", "username", "password"),
    "sqlite": ("location",),
}
_NEEDED = {"postgresql": ("host", "database"), "mysql": ("host",), "sqlite": ("location",)}
_MASK = "****"
Body = dict[str, Any]


class Catalogs:
    """Makes and opens bodies of data catalogs."""

    def __init__(self, k: Kernel, p: Ports, hosts: tuple[str, ...]) -> None:
        self._k, self._p, self._hosts = k, p, hosts

    def made(self, principal: Principal, scope: Scope, req: Any, operation: str) -> Body:
        """The body of a catalog as it is asked for; refuses by name what is not built."""
        kind, parameters = req["Type"], dict(req.get("Parameters") or {})
        made: Body = {"Name": req["Name"], "Type": kind, "Description": req.get("Description", "")}
        if kind == "HIVE":
            raise not_built("athena", operation, "Type HIVE")
        if kind == "GLUE":
            if set(parameters) != {"catalog-id"}:
                raise api.InvalidRequestException("A GLUE data catalog has the one parameter catalog-id")
            if parameters["catalog-id"] != scope.account:
                raise not_built("athena", operation, "catalog-id of another account or catalog")
        elif kind == "LAMBDA":
            functions(parameters)
        else:
            return self._federated(principal, scope, {**made, "Status": "CREATE_COMPLETE"}, parameters, operation)
        return {**made, "Parameters": parameters}

    def settings(self, principal: Principal, scope: Scope, body: Body) -> dict[str, str]:
        """A connection's properties, with what was sealed."""
        found: dict[str, str] = dict(body["properties"])
        if sealed := body.get("sealed"):
            wrapped, secret = (base64.b64decode(text) for text in sealed)
            key = self._p.keys.decrypt(principal, scope, wrapped, context=_context(scope, body), via="athena")
            found["password"] = envelope.opened(envelope.cipher(key), secret, body["Name"].encode()).decode()
        return found

    def check_host(self, properties: Mapping[str, str]) -> None:
        """InvalidRequestException where the settings do not let a host be reached."""
        host, port = properties.get("host", ""), properties.get("port", "")
        if host and host not in self._hosts and f"{host}:{port}" not in self._hosts:
            told = f"[services.athena] federation_hosts does not name the host {host}"
            raise api.InvalidRequestException(told)

    def _federated(
        self, principal: Principal, scope: Scope, made: Body, parameters: dict[str, str], operation: str
    ) -> Body:
        for name in parameters:
            if name not in ("connection-type", "connection-properties"):
                raise not_built("athena", operation, f"parameter {name} of a FEDERATED data catalog")
        named = parameters.get("connection-type", "").upper()
        if named not in _KINDS:
            raise not_built("athena", operation, f"connection-type {named or '(none)'}")
        kind, properties = _KINDS[named], _properties(parameters.get("connection-properties", ""))
        unknown = sorted(set(properties) - set(_PROPERTIES[kind]))
        if unknown:
            raise not_built("athena", operation, f"connection property {unknown[0]} of {named}")
        missing = [name for name in _NEEDED[kind] if not properties.get(name)]
        if missing:
            raise api.InvalidRequestException(f"connection-properties of {named} need {missing[0]}")
        if properties.get("port") and not properties["port"].isdigit():
            raise api.InvalidRequestException("port is a number")
        if kind == "sqlite":
            location.parse(properties["location"])
        self.check_host(properties)
        shown = {**properties, **({"password": _MASK} if "password" in properties else {})}
        made["Parameters"] = {"connection-type": named, "connection-properties": msgspec.json.encode(shown).decode()}
        if password := properties.pop("password", ""):
            made["sealed"] = self._sealed(principal, scope, made, password)
        return {**made, "ConnectionType": named, "kind": kind, "properties": properties}

    def _sealed(self, principal: Principal, scope: Scope, made: Body, password: str) -> list[str]:
        context = _context(scope, made)
        key = self._p.keys.generate_data_key(principal, scope, "alias/aws/athena", context=context, via="athena")
        nonce = self._k.ids.secret(12)
        secret = nonce + envelope.cipher(key.plaintext).encrypt(nonce, password.encode(), made["Name"].encode())
        return [base64.b64encode(part).decode() for part in (key.ciphertext, secret)]


def functions(parameters: Mapping[str, str]) -> tuple[str, str]:
    """A LAMBDA catalog's functions: for metadata, for records."""
    if set(parameters) == {"function"}:
        return parameters["function"], parameters["function"]
    if set(parameters) == {"metadata-function", "record-function"}:
        return parameters["metadata-function"], parameters["record-function"]
    raise api.InvalidRequestException("A LAMBDA data catalog has function, or metadata-function and record-function")


def shown(body: Body) -> Body:
    """DataCatalog."""
    return {name: body[name] for name in _SHOWN if name in body}


def _properties(text: str) -> dict[str, str]:
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, str | int])
    except msgspec.DecodeError:
        raise api.InvalidRequestException("connection-properties is a JSON object of texts") from None
    return {name.lower(): str(value) for name, value in found.items()}


def _context(scope: Scope, body: Body) -> dict[str, str]:
    return {"aws:athena:datacatalogArn": scope.arn("athena", f"datacatalog/{body['Name']}")}
