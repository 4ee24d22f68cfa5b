"""Lakebed's own endpoints: what they tell, and who may change something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import Fragment
from tests.edge.test_door import ask


async def get(fragment: Fragment, path: str, **headers: str) -> tuple[int, Any]:
    headers.setdefault("X_Lakebed_Token", fragment.token)
    status, _, body = await fragment.run(ask, fragment, "GET", f"/_lakebed/{path}", **headers)
    return status, json.loads(body)


async def post(fragment: Fragment, path: str, document: Any = None, **headers: str) -> tuple[int, Any]:
    headers.setdefault("X_Lakebed_Token", fragment.token)
    status, _, body = await fragment.run(
        ask, fragment, "POST", f"/_lakebed/{path}", json.dumps(document or {}), **headers
    )
    return status, json.loads(body)


async def test_what_is_told(fragment: Fragment) -> None:
    assert await get(fragment, "health") == (200, {"status": "ok"})
    status = (await get(fragment, "status"))[1]
    assert (status["version"], status["http"], status["services"]["sts"]) == ("test", fragment.url, 4)
    assert any(task["name"] == "iam:housekeeping" for task in (await get(fragment, "tasks"))[1]["tasks"])
    fragment.k.meters.out("arn:a", 3, 10, to="arn:b")
    flow = (await get(fragment, "flow?account=000000000000&region=us-east-1"))[1]
    assert flow["resources"]["arn:a"]["recordsOut"] == 3
    assert flow["links"][0]["records"] == 3
    fragment.k.log.info("hello")
    assert (await get(fragment, "logs?limit=1"))[1]["lines"][0]["event"] == "hello"
    await fragment.run(fragment.client("sts").get_caller_identity)
    row = (await get(fragment, "journal?limit=1"))[1]["requests"][0]
    assert (row["service"], row["operation"], row["status"]) == ("sts", "GetCallerIdentity", 200)
    assert (await get(fragment, "clock"))[1]["scale"] == 1.0
    assert (await get(fragment, "nothing"))[0] == 404


async def test_changes(fragment: Fragment, tmp_path: Path) -> None:
    assert (await post(fragment, "clock", {"advance": 60}))[0] == 200
    assert (await post(fragment, "clock", {"scale": 10}))[0] == 200
    assert fragment.world.moved == [("advance", 60.0), ("scale", 10.0)]
    for wrong in ({"advance": -1}, {"advance": "1"}, {}, {"advance": 1, "scale": 2}):
        assert (await post(fragment, "clock", wrong))[0] == 400
    archive = str(tmp_path / "a.tar")
    assert (await post(fragment, "backup", {"path": archive}))[1]["path"] == archive
    assert (await post(fragment, "backup", {"path": "relative.tar"}))[0] == 400
    assert (await post(fragment, "reset"))[0] == 200
    assert fragment.resets == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Lakebed_Token": ""},
        {"X_Lakebed_Token": "guess"},
        {"Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "rebound.example"},
    ],
)
async def test_changes_are_refused(fragment: Fragment, headers: dict[str, str]) -> None:
    assert (await post(fragment, "reset", **headers))[0] == 403
    assert fragment.resets == 0


async def test_reading_under_a_foreign_name_is_refused(fragment: Fragment) -> None:
    assert (await get(fragment, "status", Host="rebound.example"))[0] == 403
    assert (await get(fragment, "reset"))[0] == 405


@pytest.mark.parametrize(
    "headers", [{"X_Lakebed_Token": ""}, {"X_Lakebed_Token": "guess"}, {"Origin": "http://x.example"}]
)
async def test_reading_needs_the_token(fragment: Fragment, headers: dict[str, str]) -> None:
    for name in ("status", "tasks", "flow", "logs", "journal", "clock"):
        assert (await get(fragment, name, **headers))[0] == 403
    assert (await get(fragment, "health", **headers))[0] == 200


async def test_the_token_is_the_owners(fragment: Fragment) -> None:
    assert (fragment.k.data / "admin.token").stat().st_mode & 0o777 == 0o600
