"""The REST catalog without sockets: permissions asked for each route, errors in the specification's form, paging."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lakebed.engines import iceberg
from lakebed.kernel.errors import AwsError
from lakebed.services import glue, s3
from lakebed.wire.aws.message import HttpRequest
from tests.harness import Harness, OpenIdentity

pytest.importorskip("pyiceberg")
BASE = "/iceberg/v1/catalogs/000000000000"
SCHEMA = {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": False, "type": "long"}]}


class Listening(OpenIdentity):
    """Writes down what was asked, refuses one action."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refused = ""

    def authorise(self, principal: Any, action: str, resource: str, **_: Any) -> None:
        self.asked.append((action, resource.rpartition(":")[2]))
        if action == self.refused:
            raise AwsError("AccessDeniedException", f"not allowed: {action}", status=403)


class Catalog:
    """Requests in, status and JSON out."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.identity = harness.ports.identity = Listening()  # type: ignore[assignment]

    async def ask(self, method: str, path: str, body: Any = None, query: str = "") -> tuple[int, Any]:
        door = self.harness.services["glue"].door
        assert door is not None
        self.identity.asked.clear()
        request = HttpRequest(method, path, query, {}, json.dumps(body).encode() if body is not None else b"")
        try:
            answer = await door.handle(self.harness.context("glue", door.operation(request)), request)
        except AwsError as error:
            answer = door.failed(error)
        assert isinstance(answer.body, bytes)
        return answer.status, json.loads(answer.body) if answer.body else None

    def actions(self) -> set[str]:
        return {action.removeprefix("glue:") for action, _ in self.identity.asked if action.startswith("glue:")}


@pytest.fixture
async def catalog(harness: Harness) -> AsyncIterator[Catalog]:
    made = Catalog(harness)
    engine = iceberg.engine(harness.kernel, harness.ports)
    harness.add(s3.service, glue.service)
    await harness.start()
    await harness.call("s3", "CreateBucket", Bucket="lake")
    yield made
    await engine.stop()


async def test_each_route_asks_for_glues_permission(catalog: Catalog) -> None:
    table, rename = f"{BASE}/namespaces/db/tables/t", {"source": {}, "destination": {}}
    steps: list[tuple[str, str, Any, int, set[str]]] = [
        ("GET", "/iceberg/v1/config", None, 200, {"GetCatalog"}),
        ("POST", f"{BASE}/namespaces", {"namespace": ["db"], "properties": {"location": "s3://lake/db"}}, 200,
         {"CreateDatabase"}),
        ("POST", f"{BASE}/namespaces", {"namespace": ["db"]}, 409, {"CreateDatabase"}),
        ("GET", f"{BASE}/namespaces", None, 200, {"GetDatabases"}),
        ("GET", f"{BASE}/namespaces/db", None, 200, {"GetDatabase"}),
        ("HEAD", f"{BASE}/namespaces/db", None, 204, {"GetDatabase"}),
        ("POST", f"{BASE}/namespaces/db/properties", {"updates": {"a": "b"}}, 200, {"GetDatabase", "UpdateDatabase"}),
        ("POST", f"{BASE}/namespaces/db/tables", {"name": "t", "schema": SCHEMA}, 200,
         {"GetDatabase", "GetTable", "CreateTable"}),
        ("POST", f"{BASE}/namespaces/db/tables", {"name": "t", "schema": SCHEMA}, 409, {"GetDatabase", "GetTable"}),
        ("GET", f"{BASE}/namespaces/db/tables", None, 200, {"GetTables"}),
        ("GET", table, None, 200, {"GetTable"}),
        ("HEAD", table, None, 204, {"GetTable"}),
        ("POST", table, {"requirements": [], "updates": [{"action": "set-properties", "updates": {"x": "y"}}]}, 200,
         {"GetTable", "UpdateTable"}),
        ("POST", table, {"requirements": [{"type": "assert-table-uuid", "uuid": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}],
                         "updates": []}, 409, {"GetTable"}),
        ("POST", table, {"updates": [{"action": "make-it-so"}]}, 400, {"GetTable"}),
        ("POST", f"{BASE}/tables/rename", rename, 406, set()),
        ("DELETE", f"{BASE}/namespaces/db", None, 409, {"GetDatabase"}),
        ("DELETE", table, None, 204, {"GetTable", "DeleteTable"}),
        ("GET", table, None, 404, {"GetTable", "GetDatabase"}),
        ("DELETE", f"{BASE}/namespaces/db", None, 204, {"GetDatabase", "DeleteDatabase"}),
        ("GET", f"{BASE}/namespaces/db", None, 404, {"GetDatabase"}),
    ]  # fmt: skip
    for method, path, body, status, actions in steps:
        found, told = await catalog.ask(method, path, body)
        assert found == status, (method, path, told)
        assert catalog.actions() == actions, (method, path)
        if status >= 400 and told is not None:
            assert told["error"]["code"] == status
            assert set(told["error"]) == {"message", "type", "code"}


async def test_what_a_refused_caller_sees(catalog: Catalog) -> None:
    await catalog.ask("POST", f"{BASE}/namespaces", {"namespace": ["db"], "properties": {"location": "s3://lake/db"}})
    catalog.identity.refused = "glue:CreateTable"
    status, told = await catalog.ask("POST", f"{BASE}/namespaces/db/tables", {"name": "t", "schema": SCHEMA})
    assert (status, told["error"]["type"]) == (403, "ForbiddenException")
    listed = await catalog.harness.call("s3", "ListObjectsV2", Bucket="lake")
    assert listed["KeyCount"] == 0  # the metadata that was placed is gone again
    catalog.identity.refused = "s3:PutObject"
    status, told = await catalog.ask("POST", f"{BASE}/namespaces/db/tables", {"name": "t", "schema": SCHEMA})
    assert (status, told["error"]["type"]) == (403, "ForbiddenException")
    catalog.identity.refused = ""
    assert (await catalog.ask("GET", f"{BASE}/namespaces/db/tables"))[1]["identifiers"] == []


async def test_paths_and_pages(catalog: Catalog) -> None:
    for name in "abc":
        await catalog.ask("POST", f"{BASE}/namespaces", {"namespace": [name]})
    status, first = await catalog.ask("GET", f"{BASE}/namespaces", query="pageSize=2&pageToken=")
    assert (status, first["namespaces"]) == (200, [["a"], ["b"]])
    _, second = await catalog.ask("GET", f"{BASE}/namespaces", query=f"pageSize=2&pageToken={first['next-page-token']}")
    assert (second["namespaces"], second["next-page-token"]) == ([["c"]], None)
    assert (await catalog.ask("GET", "/iceberg/v1/catalogs/111111111111/namespaces"))[0] == 404
    assert (await catalog.ask("GET", "/iceberg/v2/config"))[0] == 404
    assert (await catalog.ask("POST", f"{BASE}/namespaces", ["no object"]))[0] == 400
    assert (await catalog.ask("POST", f"{BASE}/namespaces", {"namespace": ["x", "y"]}))[0] == 400
    told = (await catalog.ask("POST", f"{BASE}/namespaces/a/tables", {"name": "t", "schema": SCHEMA}))[1]
    assert "location" in told["error"]["message"]


async def test_metadata_of_a_stranger_reads_no_file_of_the_host(catalog: Catalog) -> None:
    await catalog.ask("POST", f"{BASE}/namespaces", {"namespace": ["db"]})
    for place in ("file:///etc/passwd", "/etc/passwd", "s3://lake/absent.json"):
        status, _ = await catalog.ask(
            "POST", f"{BASE}/namespaces/db/register", {"name": "t", "metadata-location": place}
        )
        assert status in (400, 404), place
    for wrong in (
        {"location": "file:///tmp/x"},
        {"location": "s3://lake/t", "schema": {"type": "struct", "fields": [{"id": 1, "type": "number"}]}},
        {"location": "s3://lake/t", "partition-spec": {"spec-id": 0, "fields": [{"source-id": 9}]}},
        {"location": "s3://lake/t", "properties": {"format-version": "17"}},
    ):
        status, told = await catalog.ask(
            "POST", f"{BASE}/namespaces/db/tables", {"name": "t", "schema": SCHEMA, **wrong}
        )
        assert status == 400, (wrong, told)
