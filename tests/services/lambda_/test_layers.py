"""Layers: published, listed, permitted, deleted, and seen by functions that use them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from tests.services.lambda_.conftest import Lab
from tests.services.lambda_.fakes import zipped

ARN = "arn:aws:lambda:us-east-1:000000000000:layer:l"


async def publish(lab: Lab, name: str = "l", files: Any = None, **changes: Any) -> dict[str, Any]:
    content = {"ZipFile": zipped(files or {"python/shared.py": "x = 1"})}
    return await lab.call("PublishLayerVersion", LayerName=name, Content=content, **changes)


async def test_publish_read_list_delete(lab: Lab) -> None:
    first = await publish(lab, CompatibleRuntimes=["python3.12"], Description="one", LicenseInfo="MIT")
    second = await publish(lab, CompatibleRuntimes=["nodejs20.x"])
    assert (first["LayerVersionArn"], second["Version"]) == (f"{ARN}:1", 2)
    found = await lab.call("GetLayerVersion", LayerName="l", VersionNumber=1)
    assert (found["Description"], found["LicenseInfo"]) == ("one", "MIT")
    assert found["Content"]["CodeSha256"] == first["Content"]["CodeSha256"]
    assert (await lab.call("GetLayerVersionByArn", Arn=f"{ARN}:1"))["Version"] == 1
    listed = await lab.call("ListLayerVersions", LayerName="l", MaxItems=1)
    assert [one["Version"] for one in listed["LayerVersions"]] == [2]
    rest = await lab.call("ListLayerVersions", LayerName="l", Marker=listed["NextMarker"])
    assert [one["Version"] for one in rest["LayerVersions"]] == [1]
    layers = await lab.call("ListLayers", CompatibleRuntime="python3.12")
    assert layers["Layers"][0]["LatestMatchingVersion"]["Version"] == 1
    await lab.call("DeleteLayerVersion", LayerName="l", VersionNumber=2)
    with pytest.raises(AwsError) as gone:
        await lab.call("GetLayerVersion", LayerName="l", VersionNumber=2)
    assert gone.value.error_code == "ResourceNotFoundException"
    assert (await publish(lab))["Version"] == 3  # numbers are never given twice


async def test_functions_see_their_layers_in_order(lab: Lab) -> None:
    await publish(lab, "a", {"python/m.py": "x = 1", "python/a.py": ""})
    await publish(lab, "b", {"python/m.py": "x = 2"})
    arns = [f"arn:aws:lambda:us-east-1:000000000000:layer:{name}:1" for name in "ab"]
    made = await lab.create(Layers=arns)
    assert [one["Arn"] for one in made["Layers"]] == arns
    await lab.call("Invoke", FunctionName="fn")
    folder = lab.runtime.specs[-1].layers
    assert folder is not None
    assert (folder / "python/m.py").read_text() == "x = 2"
    assert (folder / "python/a.py").exists()
    await lab.call("DeleteLayerVersion", LayerName="b", VersionNumber=1)
    await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=5)  # what a function uses stays
    await lab.call("Invoke", FunctionName="fn")
    await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Layers=[])
    await lab.call("Invoke", FunctionName="fn")
    assert lab.runtime.specs[-1].layers is None


@pytest.mark.parametrize(
    ("arns", "message"),
    [
        ([f"{ARN}:9"], "does not exist"),
        ([f"{ARN}:1", f"{ARN}:2"], "Two different versions"),
        ([f"{ARN}:{n}" for n in range(1, 7)], "less than or equal to 5"),
        (["arn:aws:lambda:eu-west-1:000000000000:layer:l:1"], "not in the same region"),
    ],
)
async def test_lists_that_can_not_be(lab: Lab, arns: list[str], message: str) -> None:
    await publish(lab)
    await publish(lab)
    with pytest.raises(AwsError, match=message):
        await lab.create(Layers=arns)


async def test_permissions(lab: Lab) -> None:
    await publish(lab)
    with pytest.raises(AwsError):
        await lab.call("GetLayerVersionPolicy", LayerName="l", VersionNumber=1)
    added = await lab.call(
        "AddLayerVersionPermission", LayerName="l", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion",
        Principal="111111111111",
    )  # fmt: skip
    policy = await lab.call("GetLayerVersionPolicy", LayerName="l", VersionNumber=1)
    assert policy["RevisionId"] == added["RevisionId"]
    assert json.loads(policy["Policy"])["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}
    await lab.call("RemoveLayerVersionPermission", LayerName="l", VersionNumber=1, StatementId="s")
    with pytest.raises(AwsError):
        await lab.call("RemoveLayerVersionPermission", LayerName="l", VersionNumber=1, StatementId="s")


async def test_the_link_to_a_package_holds_for_ten_minutes(lab: Lab) -> None:
    await lab.create()
    where = (await lab.call("GetFunction", FunctionName="fn"))["Code"]["Location"]
    path, _, query = where.removeprefix("http://127.0.0.1:4566").partition("?")
    answered = await lab.harness.ports.functions.serve_package(path, query)
    assert answered is not None
    assert answered == zipped("def handler(e, c): return e")
    assert await lab.harness.ports.functions.serve_package(path, query.replace("Signature=", "Signature=0")) is None
    assert await lab.harness.ports.functions.serve_package(path[:-1] + "x", query) is None
