"""Settings: one ``lakebed.toml``, environment overrides, every key documented where it is declared.

A section is a frozen msgspec Struct whose fields carry a description (``Annotated[int, Meta(description=...)]``);
``docs/settings.md`` is generated from them. ``LAKEBED_HTTP_PORT=4600`` overrides ``port`` in ``[http]``; a service's
section ``[services.firehose]`` is overridden as ``LAKEBED_SERVICES_FIREHOSE_<KEY>``. An unknown key is an error, not a
silent nothing. Lists are comma-separated there.

The kernel does not know which services there are, and their names contain underscores (``sql_duckdb``): an override of
theirs is kept as it came until its section is read, and ``refuse_unknown`` tells, once all were, what nobody wanted.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import msgspec.inspect
from msgspec import Meta

Kind = Literal["services", "engines"]
_OVERRIDES = ""  # no section has an empty name: where overrides wait for theirs to be read
_Section = TypeVar("_Section", bound=msgspec.Struct)


class SettingsError(Exception):
    """A key that does not exist or a value that does not fit; the message names file, section and key."""


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The door of all AWS HTTP APIs and the console."""

    host: Annotated[str, Meta(description="Address to listen on. Loopback unless you say otherwise.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port; 0 takes any free one.")] = 4566
    body_bytes_max: Annotated[int, Meta(ge=1 << 20, description="Largest body of a non-streaming request.")] = 70 << 20
    header_bytes_max: Annotated[int, Meta(ge=1 << 12, description="Largest request head.")] = 64 << 10
    connections_max: Annotated[int, Meta(ge=1, description="Connections beyond this are answered 503.")] = 2000
    virtual_host_suffixes: Annotated[
        tuple[str, ...], Meta(description="Host suffixes under which the first label is an S3 bucket.")
    ] = ("localhost", "s3.localhost", "s3.localhost.localstack.cloud", "s3.amazonaws.com")


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The MQTT door of IoT Core."""

    enabled: Annotated[bool, Meta(description="Whether to listen at all.")] = True
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TLS port with client certificates; 0 takes any.")] = 8883


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How durable an acknowledgement is."""

    durability: Annotated[
        Literal["process", "power"],
        Meta(
            description="`process`: what was acknowledged survives kill -9 (files are synced within a second). "
            "`power`: every acknowledgement waits for the disk."
        ),
    ] = "process"


class Seed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The development principal that exists in a new data directory."""

    access_key_id: Annotated[str, Meta(description="Access key id of the seeded root; empty: none is seeded.")] = "test"
    secret_access_key: Annotated[str, Meta(description="Its secret, verified by SigV4 like any other.")] = "test"  # noqa: S105 - a documented development key, loopback only
    account: Annotated[str, Meta(pattern=r"^\d{12}$", description="Its account.")] = "000000000000"


class Admin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The administrator's own endpoints under ``/_lakebed``."""

    reset: Annotated[
        bool, Meta(description="Whether POST /_lakebed/reset exists (loopback and administrator's token only).")
    ] = False
    journal_rows_max: Annotated[int, Meta(ge=0, description="Requests kept in the journal.")] = 100_000


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lakebed's own log."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="Least level written.")] = "info"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """All of ``lakebed.toml``."""

    http: Http = Http()
    mqtt: Mqtt = Mqtt()
    storage: Storage = Storage()
    seed: Seed = Seed()
    admin: Admin = Admin()
    log: LogSection = LogSection()
    services: dict[str, dict[str, Any]] = {}
    engines: dict[str, dict[str, Any]] = {}

    def section(self, kind: Kind, name: str, shape: type[_Section]) -> _Section:
        """A service's or an engine's own section, checked against its Struct."""
        table: dict[str, dict[str, Any]] = getattr(self, kind)
        self._read.add((kind, name))
        values = dict(table.get(name, {}))
        overrides = table.get(_OVERRIDES, {})
        for field in msgspec.structs.fields(shape):
            variable = f"{name}_{field.name}"
            if variable in overrides:
                self._read.add((kind, variable))
                values[field.name] = _value(field, overrides[variable])
        try:
            return msgspec.convert(values, shape, strict=False)
        except msgspec.ValidationError as wrong:
            raise SettingsError(f"[{kind}.{name}]: {wrong}") from None

    def refuse_unknown(self) -> None:
        """Once every service and engine has read its section: SettingsError for what none of them reads."""
        tables: dict[Kind, dict[str, dict[str, Any]]] = {"services": self.services, "engines": self.engines}
        for kind, table in tables.items():
            for name in table:
                if name != _OVERRIDES and (kind, name) not in self._read:
                    raise SettingsError(f"[{kind}.{name}]: there is no such section")
            for variable in table.get(_OVERRIDES, {}):
                if (kind, variable) not in self._read:
                    raise SettingsError(f"LAKEBED_{kind.upper()}_{variable.upper()}: there is no such setting")

    @property
    def _read(self) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = self.__dict__.setdefault("read", set())
        return found


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read ``path`` (None or absent: defaults) and apply the environment's overrides."""
    environ = os.environ if environ is None else environ
    tree: dict[str, Any] = {}
    if path is not None and path.exists():
        try:
            tree = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
            raise SettingsError(f"{path}: {wrong}") from None
    for name, value in environ.items():
        if name.startswith("LAKEBED_") and (place := _place(name)) is not None:
            table = tree
            for part in place[:-1]:
                table = table.setdefault(part, {})
                if not isinstance(table, dict):
                    raise SettingsError(f"{path}: {part} is a section, not a value")
            table[place[-1]] = _typed(place, value)
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as wrong:
        raise SettingsError(f"{path or 'environment'}: {wrong}") from None


def _place(variable: str) -> list[str] | None:
    """``LAKEBED_HTTP_PORT`` -> [http, port]; None for variables that are not settings (LAKEBED_DATA)."""
    first, _, rest = variable.removeprefix("LAKEBED_").lower().partition("_")
    if not rest or first not in Settings.__struct_fields__:
        return None
    return [first, _OVERRIDES, rest] if first in ("services", "engines") else [first, rest]


def _typed(place: list[str], text: str) -> Any:
    if len(place) > 2:
        return text
    sections = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for field in msgspec.structs.fields(sections[place[0]]):
        if field.name == place[1]:
            return _value(field, text)
    return text


def _value(field: msgspec.structs.FieldInfo, text: Any) -> Any:
    """The environment's text as the field's type wants it: only lists need help, msgspec reads the rest."""
    kind = msgspec.inspect.type_info(field.type)
    if isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.CollectionType):
        return [part.strip() for part in str(text).split(",") if part.strip()]
    return text
