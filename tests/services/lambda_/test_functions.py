"""Functions, versions, aliases, policies, limits: the operations as boto3 sees them."""

from __future__ import annotations

import json

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.lambda_.code import CodeStore
from tests.harness import make_kernel
from tests.services.lambda_.conftest import Lab
from tests.services.lambda_.fakes import ROLE, zipped

ARN = "arn:aws:lambda:us-east-1:000000000000:function:fn"


async def test_create_and_get(lab: Lab) -> None:
    made = await lab.create(Environment={"Variables": {"STAGE": "x"}}, Tags={"a": "b"}, Description="d")
    assert made["FunctionArn"] == ARN
    assert (made["State"], made["LastUpdateStatus"], made["Version"]) == ("Active", "Successful", "$LATEST")
    assert (made["Timeout"], made["MemorySize"]) == (3, 128)
    got = await lab.call("GetFunction", FunctionName=ARN)
    assert got["Configuration"]["CodeSha256"] == made["CodeSha256"]
    assert got["Tags"] == {"a": "b"}
    for name in ("fn", "function:fn", "000000000000:function:fn", ARN, f"{ARN}:$LATEST"):
        assert (await lab.call("GetFunctionConfiguration", FunctionName=name))["Environment"] == {
            "Variables": {"STAGE": "x"}
        }
    with pytest.raises(AwsError, match="Function already exist: fn") as refused:
        await lab.create()
    assert refused.value.error_code == "ResourceConflictException"


async def test_unknown_function(lab: Lab) -> None:
    for operation in ("GetFunction", "Invoke", "DeleteFunction", "GetFunctionConcurrency", "ListAliases"):
        with pytest.raises(AwsError, match=f"Function not found: {ARN}") as missing:
            await lab.call(operation, FunctionName="fn")
        assert missing.value.error_code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"Runtime": "nodejs20.x"}, "nodejs20.x"),
        ({"PackageType": "Image"}, "PackageType"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "VpcConfig"),
        ({"TracingConfig": {"Mode": "Active"}}, "TracingConfig"),
    ],
)
async def test_what_is_not_built_is_refused_by_name(lab: Lab, changes: dict[str, object], named: str) -> None:
    with pytest.raises(AwsError, match=named) as refused:
        await lab.create(**changes)
    assert refused.value.http_status == 501


@pytest.mark.parametrize(
    "changes",
    [
        {"Timeout": 901},
        {"MemorySize": 10241},
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        {"Environment": {"Variables": {"BIG": "x" * 5000}}},
        {"Code": {"ZipFile": b"not a zip"}},
        {"Code": {"ZipFile": zipped({})}},
        {"Code": {}},
    ],
)
async def test_invalid_values(lab: Lab, changes: dict[str, object]) -> None:
    with pytest.raises(AwsError) as refused:
        await lab.create(**changes)
    assert refused.value.error_code == "InvalidParameterValueException"


async def test_code_from_s3(lab: Lab) -> None:
    lab.objects.objects["bucket", "k.zip"] = zipped("x = 1")
    made = await lab.create(Code={"S3Bucket": "bucket", "S3Key": "k.zip"})
    assert made["CodeSize"] == len(zipped("x = 1"))


async def test_update_code_and_configuration(lab: Lab) -> None:
    made = await lab.create()
    changed = await lab.call("UpdateFunctionCode", FunctionName="fn", ZipFile=zipped("y = 2"))
    assert changed["CodeSha256"] != made["CodeSha256"]
    assert len(lab.runtime.retired) == 1
    told = await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=60, Environment={"Variables": {}})
    assert told["Timeout"] == 60
    assert "Environment" not in told
    with pytest.raises(AwsError) as refused:
        await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=61, RevisionId=made["RevisionId"])
    assert refused.value.error_code == "PreconditionFailedException"
    assert len(list((lab.harness.kernel.data / "lambda" / "zips").iterdir())) == 1  # the old package is gone


async def test_list_pages(lab: Lab) -> None:
    for number in range(5):
        await lab.create(f"f{number}")
    first = await lab.call("ListFunctions", MaxItems=3)
    second = await lab.call("ListFunctions", MaxItems=3, Marker=first["NextMarker"])
    assert [one["FunctionName"] for one in first["Functions"] + second["Functions"]] == [f"f{n}" for n in range(5)]
    assert "NextMarker" not in second
    await lab.call("PublishVersion", FunctionName="f1")
    everything = await lab.call("ListFunctions", FunctionVersion="ALL")
    assert len(everything["Functions"]) == 6


async def test_delete(lab: Lab) -> None:
    await lab.create()
    await lab.call("DeleteFunction", FunctionName="fn")
    with pytest.raises(AwsError):
        await lab.call("GetFunction", FunctionName="fn")
    assert not list((lab.harness.kernel.data / "lambda" / "zips").iterdir())
    await lab.create()


async def test_versions_are_frozen(lab: Lab) -> None:
    await lab.create(Description="one")
    first = await lab.call("PublishVersion", FunctionName="fn")
    assert first["Version"] == "1"
    assert first["FunctionArn"] == f"{ARN}:1"
    assert (await lab.call("PublishVersion", FunctionName="fn"))["Version"] == "1"  # nothing changed
    await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=9)
    assert (await lab.call("PublishVersion", FunctionName="fn", Description="two"))["Version"] == "2"
    got = await lab.call("GetFunctionConfiguration", FunctionName="fn", Qualifier="1")
    assert got["Timeout"] == 3
    versions = (await lab.call("ListVersionsByFunction", FunctionName="fn"))["Versions"]
    assert [one["Version"] for one in versions] == ["$LATEST", "1", "2"]
    await lab.call("DeleteFunction", FunctionName="fn", Qualifier="1")
    with pytest.raises(AwsError, match=f"{ARN}:1"):
        await lab.call("GetFunction", FunctionName="fn:1")


async def test_aliases(lab: Lab) -> None:
    await lab.create(Publish=True)
    made = await lab.call("CreateAlias", FunctionName="fn", Name="live", FunctionVersion="1")
    assert made["AliasArn"] == f"{ARN}:live"
    await lab.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=9)
    await lab.call("PublishVersion", FunctionName="fn")
    weights = {"AdditionalVersionWeights": {"2": 1.0}}
    told = await lab.call("UpdateAlias", FunctionName="fn", Name="live", RoutingConfig=weights)
    assert told["RoutingConfig"] == weights
    assert (await lab.call("Invoke", FunctionName="fn:live"))["ExecutedVersion"] == "2"
    await lab.call("UpdateAlias", FunctionName="fn", Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    assert (await lab.call("Invoke", FunctionName="fn", Qualifier="live"))["ExecutedVersion"] == "1"
    with pytest.raises(AwsError, match="used by an alias"):
        await lab.call("DeleteFunction", FunctionName="fn", Qualifier="1")
    assert [one["Name"] for one in (await lab.call("ListAliases", FunctionName="fn"))["Aliases"]] == ["live"]
    await lab.call("DeleteAlias", FunctionName="fn", Name="live")
    with pytest.raises(AwsError, match="Cannot find alias arn"):
        await lab.call("GetAlias", FunctionName="fn", Name="live")


async def test_permissions(lab: Lab) -> None:
    await lab.create()
    statement = {
        "FunctionName": "fn", "StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::b", "SourceAccount": "000000000000",
    }  # fmt: skip
    told = json.loads((await lab.call("AddPermission", **statement))["Statement"])
    assert told["Principal"] == {"Service": "s3.amazonaws.com"}
    assert told["Condition"]["ArnLike"] == {"AWS:SourceArn": "arn:aws:s3:::b"}
    with pytest.raises(AwsError, match="already exists"):
        await lab.call("AddPermission", **statement)
    policy = json.loads((await lab.call("GetPolicy", FunctionName="fn"))["Policy"])
    assert policy["Statement"] == [told]
    await lab.call("RemovePermission", FunctionName="fn", StatementId="s3")
    with pytest.raises(AwsError) as missing:
        await lab.call("GetPolicy", FunctionName="fn")
    assert missing.value.error_code == "ResourceNotFoundException"


async def test_tags_concurrency_and_account(lab: Lab) -> None:
    await lab.create()
    await lab.call("TagResource", Resource=ARN, Tags={"a": "1", "b": "2"})
    await lab.call("UntagResource", Resource=ARN, TagKeys=["a"])
    assert (await lab.call("ListTags", Resource=ARN))["Tags"] == {"b": "2"}
    await lab.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=0)
    with pytest.raises(AwsError) as throttled:
        await lab.call("Invoke", FunctionName="fn")
    assert throttled.value.error_code == "TooManyRequestsException"
    with pytest.raises(AwsError, match="below its minimum value"):
        await lab.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=950)
    await lab.call("DeleteFunctionConcurrency", FunctionName="fn")
    assert "ReservedConcurrentExecutions" not in await lab.call("GetFunctionConcurrency", FunctionName="fn")
    account = await lab.call("GetAccountSettings")
    assert account["AccountUsage"]["FunctionCount"] == 1
    assert account["AccountLimit"]["ConcurrentExecutions"] == 1000


async def test_a_restart_keeps_functions_and_sweeps_orphans(lab: Lab) -> None:
    await lab.create(Role=ROLE)
    data = lab.harness.kernel.data
    (data / "lambda" / "zips" / "dead.zip").write_bytes(b"x")
    (data / "scratch" / "lambda" / ".half.draft").mkdir()
    again = make_kernel(data.parent / "other")
    again = type(again)(**{name: getattr(again, name) for name in again.__slots__} | {"data": data})
    names = [path.stem for path in (data / "lambda" / "zips").iterdir() if path.stem != "dead"]
    assert CodeStore(again).sweep(names) == 2
    assert (await CodeStore(again).folder(names[0]) / "app.py").exists()
    again.db.close()
