"""PostgreSQL and MySQL behind a connection: tables and columns from ``information_schema``, and the connection's test.

The path is ``database/schema/table`` (MySQL: ``database/table``), ``%`` and nothing stand for all. The drivers belong to
``lakebed[federation]`` and work in a thread. Other databases are refused by their URL's name.
https://docs.aws.amazon.com/glue/latest/dg/define-crawler.html#crawler-source-type
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lakebed.api import glue as api
from lakebed.kernel.kernel import Kernel
from lakebed.services.glue.crawlers import globs
from lakebed.services.glue.crawlers.model import Crawler
from lakebed.services.glue.settings import GlueSettings

_URL = re.compile(r"jdbc:([a-z0-9]+):(?://)?([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\])(?::(\d{1,5}))?/([^?;]+)(?:[?;].*)?")
_PORTS = {"postgresql": 5432, "mysql": 3306}
_SECONDS = 10
_COLUMNS_MAX = 200_000
_TYPES = {
    "smallint": "smallint", "integer": "int", "int": "int", "mediumint": "int", "bigint": "bigint", "tinyint": "tinyint",
    "real": "float", "float": "float", "double": "double", "double precision": "double", "boolean": "boolean",
    "bit": "boolean", "date": "date", "datetime": "timestamp", "timestamp": "timestamp", "bytea": "binary",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamp", "blob": "binary",
    "binary": "binary", "varbinary": "binary", "longblob": "binary", "mediumblob": "binary", "tinyblob": "binary",
    "year": "int",
}  # fmt: skip
_QUERY = (
    "SELECT c.table_schema, c.table_name, t.table_type, c.column_name, c.data_type, c.numeric_precision, c.numeric_scale "
    "FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema "
    "AND t.table_name = c.table_name WHERE c.table_schema LIKE %s AND c.table_name LIKE %s "
    "AND c.table_schema NOT IN ('information_schema', 'pg_catalog', 'mysql', 'performance_schema', 'sys') "
    "ORDER BY c.table_schema, c.table_name, c.ordinal_position LIMIT %s"
)


@dataclass(frozen=True, slots=True)
class Address:
    """What a JDBC URL says."""

    engine: str
    host: str
    port: int
    database: str


@dataclass(slots=True)
class Found:
    """A table of the database; ``path`` is ``database.schema.table``."""

    engine: str
    path: str
    view: bool
    columns: list[tuple[str, str]]


def address(url: str) -> Address:
    """InvalidInputException for a URL of another kind."""
    match = _URL.fullmatch(url)
    if match is None:
        raise api.InvalidInputException(f"The JDBC URL is invalid: {url[:200]}")
    engine, host, port, database = match.groups()
    if engine not in _PORTS:
        raise api.InvalidInputException(
            f"JDBC connections to {engine} are not built in Lakebed; postgresql and mysql are"
        )
    return Address(engine, host.strip("[]"), int(port or _PORTS[engine]), database)


async def test(k: Kernel, properties: Mapping[str, str]) -> None:
    """Log in and ask for one; InvalidInputException with the database's words."""
    await _ask(k, properties, "SELECT 1", ())


async def tables_of(k: Kernel, properties: Mapping[str, str], target: Mapping[str, Any]) -> list[Found]:
    """The tables a target names, without what it excludes."""
    place = address(properties.get("JDBC_CONNECTION_URL", ""))
    parts = (target.get("Path") or place.database).strip("/").split("/")
    if parts[0] not in (place.database, "%", ""):
        raise api.InvalidInputException(
            f"The path {target['Path']} is not in the connection's database {place.database}"
        )
    rest = [part or "%" for part in parts[1:]]
    if place.engine == "mysql":
        schema, table = place.database, rest[0] if rest else "%"
    else:
        schema, table = (*rest, "%", "%")[:2]
    excluded = globs.matcher(target.get("Exclusions") or ())
    found: dict[tuple[str, str], Found] = {}
    for home, name, sort, column, kind, precision, scale in await _ask(
        k, properties, _QUERY, (schema, table, _COLUMNS_MAX)
    ):
        below = name if place.engine == "mysql" else f"{home}/{name}"
        if excluded(below):
            continue
        path = f"{place.database}.{name}" if place.engine == "mysql" else f"{place.database}.{home}.{name}"
        one = found.setdefault((home, name), Found(place.engine, path, sort == "VIEW", []))
        one.columns.append((str(column).lower(), _type(str(kind).lower(), precision, scale)))
    return list(found.values())


def table_input(one: Found, connection: str, crawler: Crawler, taken: Collection[str]) -> dict[str, Any]:
    """As CreateTable takes it: a table that names its connection, without files."""
    from lakebed.services.glue.crawlers.tables import name_of

    name = name_of(one.path.replace(".", "_"), crawler.body.get("TablePrefix", ""), taken)
    parameters = {
        "classification": one.engine, "connectionName": connection, "typeOfData": "view" if one.view else "table",
        "compressionType": "none", "CrawlerSchemaDeserializerVersion": "1.0", "CrawlerSchemaSerializerVersion": "1.0",
        "UPDATED_BY_CRAWLER": crawler.name,
    }  # fmt: skip
    columns = [{"Name": column, "Type": kind} for column, kind in one.columns]
    storage = {"Columns": columns, "Location": one.path, "Compressed": False, "NumberOfBuckets": -1,
               "SerdeInfo": {"Parameters": {}}, "BucketColumns": [], "SortColumns": [], "Parameters": parameters}  # fmt: skip
    return {"Name": name, "Owner": "owner", "Retention": 0, "TableType": "EXTERNAL_TABLE", "PartitionKeys": [],
            "StorageDescriptor": storage, "Parameters": parameters}  # fmt: skip


def prefix_of(path: str) -> str:
    """What the locations of a target's tables begin with."""
    return "".join(f"{part}." for part in path.split("%")[0].strip("/").split("/") if part).removesuffix(".")


def _type(kind: str, precision: Any, scale: Any) -> str:
    if kind in ("numeric", "decimal"):
        wide = int(precision) if precision is not None and int(precision) <= 38 else 38
        return f"decimal({wide},{min(int(scale) if scale is not None else 18, wide)})"
    return _TYPES.get(kind, "string")


async def _ask(k: Kernel, properties: Mapping[str, str], sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    place = address(properties.get("JDBC_CONNECTION_URL", ""))
    user, password = properties.get("USERNAME", ""), properties.get("PASSWORD", "")
    secure = properties.get("JDBC_ENFORCE_SSL", "false").lower() == "true"
    _check_host(k, place)
    reader = _postgresql if place.engine == "postgresql" else _mysql
    with k.clock.working():
        rows: list[tuple[Any, ...]] = await asyncio.to_thread(reader, place, (user, password, secure), (sql, values))
        return rows


def _check_host(k: Kernel, place: Address) -> None:
    """A name that a user wrote leads only where the operator allows it, asked at each use."""
    allowed = k.settings.section("services", "glue", GlueSettings).jdbc_hosts
    if place.host not in allowed and f"{place.host}:{place.port}" not in allowed:
        raise api.InvalidInputException(
            f"Unable to use the connection: [services.glue] jdbc_hosts does not name the host {place.host}"
        )


def _postgresql(place: Address, who: tuple[str, str, bool], what: tuple[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    try:
        import psycopg
    except ImportError:
        raise api.InvalidInputException("PostgreSQL needs a driver: install lakebed[federation]") from None
    user, password, secure = who
    try:
        with psycopg.connect(
            host=place.host, port=place.port, dbname=place.database, user=user, password=password,
            connect_timeout=_SECONDS, sslmode="require" if secure else "prefer", options="-c statement_timeout=60000",
            passfile="/nonexistent",
        ) as connection:  # fmt: skip
            rows: list[tuple[Any, ...]] = connection.execute(what[0].encode(), what[1]).fetchall()
            return rows
    except psycopg.Error as wrong:
        raise api.InvalidInputException(f"Unable to use the connection: {_words(wrong)}") from None


def _mysql(place: Address, who: tuple[str, str, bool], what: tuple[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    try:
        import pymysql
    except ImportError:
        raise api.InvalidInputException("MySQL needs a driver: install lakebed[federation]") from None
    user, password, secure = who
    try:
        with pymysql.connect(
            host=place.host, port=place.port, database=place.database, user=user, password=password,
            connect_timeout=_SECONDS, read_timeout=60, ssl={"check_hostname": False} if secure else None,
        ) as connection, connection.cursor() as cursor:  # fmt: skip
            cursor.execute(*what)
            return list(cursor.fetchall())
    except (pymysql.Error, RuntimeError) as wrong:
        raise api.InvalidInputException(f"Unable to use the connection: {_words(wrong)}") from None


def _words(wrong: Exception) -> str:
    return " ".join(str(wrong).split())[:300]
