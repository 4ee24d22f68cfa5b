"""User-defined functions through the wire: kept, listed, folded, gone with their database, there after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.glue import service
from tests.harness import ACCOUNT, SCOPE, Harness

HASH = {
    "FunctionName": "Hash",
    "ClassName": "org.example.Hash",
    "OwnerName": "ana",
    "OwnerType": "USER",
    "FunctionType": "REGULAR_FUNCTION",
    "ResourceUris": [{"ResourceType": "JAR", "Uri": "s3://lake/hash.jar"}],
}
NAMED = {"DatabaseName": "lake", "FunctionName": "hash"}


@pytest.fixture
async def glue(harness: Harness) -> Harness:
    harness.add(service)
    await harness.start()
    await harness.call("glue", "CreateDatabase", DatabaseInput={"Name": "lake"})
    return harness


async def create(glue: Harness, database: str, **given: Any) -> None:
    await glue.call("glue", "CreateUserDefinedFunction", DatabaseName=database, FunctionInput={**HASH, **given})


async def names(glue: Harness, pattern: str, **more: Any) -> list[str]:
    told = await glue.call("glue", "GetUserDefinedFunctions", Pattern=pattern, **more)
    return [one["FunctionName"] for one in told["UserDefinedFunctions"]]


async def fails(code: str, call: Any) -> str:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code == code
    return failure.value.message


async def test_a_function_is_told_as_it_was_given(glue: Harness) -> None:
    await create(glue, "Lake")
    told = (await glue.call("glue", "GetUserDefinedFunction", **NAMED))["UserDefinedFunction"]
    assert told == {
        **HASH, "FunctionName": "hash", "DatabaseName": "lake", "CatalogId": ACCOUNT, "CreateTime": glue.clock.now()
    }  # fmt: skip
    assert await fails("AlreadyExistsException", create(glue, "lake", FunctionName="HASH"))
    assert await fails("EntityNotFoundException", create(glue, "none")) == "Database none not found."
    nameless = glue.call("glue", "CreateUserDefinedFunction", DatabaseName="lake", FunctionInput={"ClassName": "x"})
    await fails("InvalidInputException", nameless)
    await fails("AccessDeniedException", glue.call("glue", "GetUserDefinedFunction", **NAMED, CatalogId="111122223333"))


async def test_update_replaces_all_but_name_and_birth(glue: Harness) -> None:
    await create(glue, "lake")
    born = glue.clock.now()
    await glue.clock.advance(60)
    await glue.call("glue", "UpdateUserDefinedFunction", **NAMED, FunctionInput={"ClassName": "org.example.Two"})
    told = (await glue.call("glue", "GetUserDefinedFunction", **NAMED))["UserDefinedFunction"]
    assert (told["ClassName"], told["CreateTime"], "OwnerName" in told) == ("org.example.Two", born, False)
    renamed = glue.call("glue", "UpdateUserDefinedFunction", **NAMED, FunctionInput={"FunctionName": "other"})
    await fails("InvalidInputException", renamed)
    await glue.call("glue", "DeleteUserDefinedFunction", **NAMED)
    for gone in ("GetUserDefinedFunction", "DeleteUserDefinedFunction"):
        assert await fails("EntityNotFoundException", glue.call("glue", gone, **NAMED)) == "Function not found."


async def test_listing_by_pattern_type_and_page(glue: Harness) -> None:
    await glue.call("glue", "CreateDatabase", DatabaseInput={"Name": "other"})
    for number in range(4):
        await create(glue, "lake", FunctionName=f"f{number}")
    await create(glue, "other", FunctionName="f9", FunctionType="AGGREGATE_FUNCTION")
    assert await names(glue, "*") == ["f0", "f1", "f2", "f3", "f9"]
    assert await names(glue, "f[12]", DatabaseName="lake") == ["f1", "f2"]
    assert await names(glue, "*", FunctionType="AGGREGATE_FUNCTION") == ["f9"]
    page = await glue.call("glue", "GetUserDefinedFunctions", Pattern="*", MaxResults=3)
    assert await names(glue, "*", MaxResults=3, NextToken=page["NextToken"]) == ["f3", "f9"]
    page = await glue.call("glue", "GetUserDefinedFunctions", DatabaseName="lake", Pattern="*", MaxResults=3)
    assert await names(glue, "*", DatabaseName="lake", NextToken=page["NextToken"]) == ["f3"]
    await fails("EntityNotFoundException", names(glue, "*", DatabaseName="none"))
    await fails("InvalidInputException", names(glue, "*", NextToken="%%"))
    await fails("InvalidInputException", names(glue, "(a)"))


async def test_a_database_takes_its_functions_with_it(glue: Harness) -> None:
    await create(glue, "lake")
    await glue.call("glue", "DeleteDatabase", Name="lake")
    await glue.call("glue", "CreateDatabase", DatabaseInput={"Name": "lake"})
    assert await names(glue, "*", DatabaseName="lake") == []


async def test_permission_is_asked_for_catalog_database_and_function(glue: Harness) -> None:
    for operation in glue.services["glue"].operations.values():
        if operation.name.endswith("UserDefinedFunction") and operation.resource:
            assert operation.resource(SCOPE, {**NAMED, "FunctionInput": HASH}) == [
                SCOPE.arn("glue", place) for place in ("catalog", "database/lake", "userDefinedFunction/lake/hash")
            ]


async def test_functions_survive_a_restart(tmp_path: Path) -> None:
    first = Harness(tmp_path)
    first.add(service)
    await first.start()
    await first.call("glue", "CreateDatabase", DatabaseInput={"Name": "lake"})
    await create(first, "lake")
    await first.stop()
    second = Harness(tmp_path)
    second.add(service)
    await second.start()
    assert await names(second, "*") == ["hash"]
    await second.stop()
