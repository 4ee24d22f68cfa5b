"""The Data Catalog through the wire: what boto3 sees."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.services.glue import service
from tests.harness import ACCOUNT, ROOT, SCOPE, Harness

TABLE = {
    "Name": "Trips",
    "TableType": "EXTERNAL_TABLE",
    "PartitionKeys": [{"Name": "year", "Type": "int"}, {"Name": "month", "Type": "string"}],
    "StorageDescriptor": {
        "Columns": [{"Name": "id", "Type": "bigint"}],
        "Location": "s3://lake/trips/",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    },
    "Parameters": {"classification": "parquet"},
}
AT = {"DatabaseName": "Lake", "TableName": "trips"}


@pytest.fixture
async def glue(harness: Harness) -> Harness:
    harness.add(service)
    await harness.start()
    await harness.call("glue", "CreateDatabase", DatabaseInput={"Name": "Lake"}, Tags={"team": "data"})
    await harness.call("glue", "CreateTable", DatabaseName="lake", TableInput=TABLE)
    return harness


async def fails(code: str, call: Any) -> str:
    with pytest.raises(AwsError) as failure:
        await call
    assert failure.value.error_code == code
    return failure.value.message


def partition(year: str, month: str) -> dict[str, Any]:
    return {
        "Values": [year, month],
        "StorageDescriptor": {**TABLE["StorageDescriptor"], "Location": f"s3://l/{year}{month}"},
    }


async def test_databases(glue: Harness) -> None:
    told = (await glue.call("glue", "GetDatabase", Name="LAKE"))["Database"]
    assert (told["Name"], told["CatalogId"], told["CreateTime"]) == ("lake", ACCOUNT, glue.clock.now())
    assert await fails("AlreadyExistsException", glue.call("glue", "CreateDatabase", DatabaseInput={"Name": "lake"}))
    message = await fails("EntityNotFoundException", glue.call("glue", "GetDatabase", Name="none"))
    assert message == "Database none not found."
    arn = SCOPE.arn("glue", "database/lake")
    await glue.call("glue", "TagResource", ResourceArn=arn, TagsToAdd={"a": "b"})
    await glue.call("glue", "UntagResource", ResourceArn=arn, TagsToRemove=["team"])
    assert (await glue.call("glue", "GetTags", ResourceArn=arn))["Tags"] == {"a": "b"}
    for number in range(4):
        await glue.call("glue", "CreateDatabase", DatabaseInput={"Name": f"d{number}"})
    first = await glue.call("glue", "GetDatabases", MaxResults=3)
    rest = await glue.call("glue", "GetDatabases", MaxResults=3, NextToken=first["NextToken"])
    assert [found["Name"] for found in first["DatabaseList"] + rest["DatabaseList"]] == ["d0", "d1", "d2", "d3", "lake"]
    assert "NextToken" not in rest
    await glue.call("glue", "UpdateDatabase", Name="lake", DatabaseInput={"Name": "lake", "Description": "x"})
    assert (await glue.call("glue", "GetDatabase", Name="lake"))["Database"]["Description"] == "x"
    await fails("AccessDeniedException", glue.call("glue", "GetDatabase", Name="lake", CatalogId="111122223333"))
    await fails("InvalidInputException", glue.call("glue", "GetDatabases", NextToken="%%"))


async def test_tables_and_versions(glue: Harness) -> None:
    told = (await glue.call("glue", "GetTable", DatabaseName="lake", Name="TRIPS"))["Table"]
    assert (told["Name"], told["VersionId"], told["CreatedBy"]) == ("trips", "0", ROOT.arn)
    assert told["StorageDescriptor"]["Compressed"] is False
    await fails("AlreadyExistsException", glue.call("glue", "CreateTable", DatabaseName="lake", TableInput=TABLE))
    await fails("EntityNotFoundException", glue.call("glue", "CreateTable", DatabaseName="none", TableInput=TABLE))
    await fails("InvalidInputException", glue.call("glue", "CreateTable", DatabaseName="lake"))
    for comment in ("one", "two"):
        await glue.call("glue", "UpdateTable", DatabaseName="lake", TableInput={**TABLE, "Description": comment})
    versions = (await glue.call("glue", "GetTableVersions", **AT))["TableVersions"]
    assert [version["VersionId"] for version in versions] == ["2", "1", "0"]
    assert "Description" not in versions[2]["Table"]
    page = await glue.call("glue", "GetTableVersions", **AT, MaxResults=2)
    page = await glue.call("glue", "GetTableVersions", **AT, MaxResults=2, NextToken=page["NextToken"])
    assert [version["VersionId"] for version in page["TableVersions"]] == ["0"]
    await fails(
        "ConcurrentModificationException",
        glue.call("glue", "UpdateTable", DatabaseName="lake", TableInput=TABLE, VersionId="1"),
    )
    await glue.call("glue", "UpdateTable", DatabaseName="lake", TableInput=TABLE, VersionId="2", SkipArchive=True)
    versions = (await glue.call("glue", "GetTableVersions", **AT))["TableVersions"]
    assert [version["VersionId"] for version in versions] == ["3", "1", "0"]
    gone = await glue.call("glue", "BatchDeleteTableVersion", **AT, VersionIds=["1", "2"])
    assert [error["VersionId"] for error in gone["Errors"]] == ["2"]
    await fails("InvalidInputException", glue.call("glue", "DeleteTableVersion", **AT, VersionId="3"))
    assert (await glue.call("glue", "GetTableVersion", **AT))["TableVersion"]["VersionId"] == "3"
    await fails(
        "NotImplemented",
        glue.call("glue", "CreateTable", DatabaseName="lake", TableInput={"Name": "l", "TargetTable": {"Name": "x"}}),
    )


async def test_table_listing(glue: Harness) -> None:
    for name in ("sales_eu", "sales_us", "stock"):
        await glue.call("glue", "CreateTable", DatabaseName="lake", TableInput={"Name": name})
    first = await glue.call("glue", "GetTables", DatabaseName="lake", Expression="s*", MaxResults=2)
    rest = await glue.call(
        "glue", "GetTables", DatabaseName="lake", Expression="s*", MaxResults=2, NextToken=first["NextToken"]
    )
    assert [table["Name"] for table in first["TableList"] + rest["TableList"]] == ["sales_eu", "sales_us", "stock"]
    await fails("InvalidInputException", glue.call("glue", "GetTables", DatabaseName="lake", Expression="(a"))
    gone = await glue.call("glue", "BatchDeleteTable", DatabaseName="lake", TablesToDelete=["stock", "none"])
    assert [error["TableName"] for error in gone["Errors"]] == ["none"]
    names = await glue.call("glue", "GetTables", DatabaseName="lake", AttributesToGet=["NAME"])
    assert all("StorageDescriptor" not in table for table in names["TableList"])


async def test_partitions(glue: Harness) -> None:
    await glue.call("glue", "CreatePartition", **AT, PartitionInput=partition("2023", "12"))
    many = [partition(year, f"{month:02}") for year in ("2023", "2024") for month in range(1, 13)]
    errors = (await glue.call("glue", "BatchCreatePartition", **AT, PartitionInputList=many))["Errors"]
    assert [error["PartitionValues"] for error in errors] == [["2023", "12"]]
    assert errors[0]["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    found = await glue.call("glue", "GetPartitions", **AT, Expression="year > 2023 AND month IN ('01','02')")
    assert [one["Values"] for one in found["Partitions"]] == [["2024", "01"], ["2024", "02"]]
    assert found["Partitions"][0]["DatabaseName"] == "lake"
    seen, token = [], {}
    while True:
        page = await glue.call("glue", "GetPartitions", **AT, MaxResults=5, ExcludeColumnSchema=True, **token)
        seen += [tuple(one["Values"]) for one in page["Partitions"]]
        assert all("Columns" not in one["StorageDescriptor"] for one in page["Partitions"])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert seen == sorted({tuple(one["Values"]) for one in many})
    parts = []
    for number in range(3):
        segment = {"SegmentNumber": number, "TotalSegments": 3}
        parts += (await glue.call("glue", "GetPartitions", **AT, Segment=segment))["Partitions"]
    assert sorted(tuple(one["Values"]) for one in parts) == seen
    await fails("InvalidInputException", glue.call("glue", "GetPartitions", **AT, Expression="hour = 1"))
    await fails(
        "InvalidInputException", glue.call("glue", "CreatePartition", **AT, PartitionInput={"Values": ["2024"]})
    )
    moved = {**partition("2025", "01"), "Parameters": {"a": "b"}}
    await glue.call("glue", "UpdatePartition", **AT, PartitionValueList=["2024", "01"], PartitionInput=moved)
    got = await glue.call("glue", "GetPartition", **AT, PartitionValues=["2025", "01"])
    assert got["Partition"]["Parameters"] == {"a": "b"}
    await fails("EntityNotFoundException", glue.call("glue", "GetPartition", **AT, PartitionValues=["2024", "01"]))
    wanted = [{"Values": ["2025", "01"]}, {"Values": ["1", "1"]}]
    got = await glue.call("glue", "BatchGetPartition", **AT, PartitionsToGet=wanted)
    assert len(got["Partitions"]) == 1
    entries = [{"PartitionValueList": values, "PartitionInput": moved} for values in (["2025", "01"], ["9", "9"])]
    updated = await glue.call("glue", "BatchUpdatePartition", **AT, Entries=entries)
    assert [error["PartitionValueList"] for error in updated["Errors"]] == [["9", "9"]]
    gone = await glue.call("glue", "BatchDeletePartition", **AT, PartitionsToDelete=wanted)
    assert [error["PartitionValues"] for error in gone["Errors"]] == [["1", "1"]]
    await glue.call("glue", "DeletePartition", **AT, PartitionValues=["2024", "02"])
    await fails("EntityNotFoundException", glue.call("glue", "DeletePartition", **AT, PartitionValues=["2024", "02"]))


async def test_a_dropped_table_leaves_nothing(glue: Harness) -> None:
    await glue.call("glue", "CreatePartition", **AT, PartitionInput=partition("2023", "12"))
    await glue.call("glue", "DeleteTable", DatabaseName="lake", Name="trips")
    await fails("EntityNotFoundException", glue.call("glue", "GetPartitions", **AT))
    await glue.call("glue", "CreateTable", DatabaseName="lake", TableInput=TABLE)
    assert (await glue.call("glue", "GetPartitions", **AT))["Partitions"] == []
    await glue.call("glue", "DeleteDatabase", Name="lake")
    await glue.clock.settle()
    for table in ("glue_table", "glue_table_version", "glue_partition", "glue_discarded", "glue_tag"):
        assert glue.kernel.db.all(f"SELECT * FROM {table}") == [], table


async def test_the_port_asks_for_permission_and_survives_a_restart(tmp_path: Path) -> None:
    first = Harness(tmp_path / "house")
    first.add(service)
    catalog, asked = first.ports.catalog, []

    class Identity:
        def authorise(self, principal: Any, action: str, resource: str, **_: Any) -> None:
            asked.append((action, resource.rsplit(":", 1)[1]))

    first.ports.identity = Identity()  # type: ignore[assignment]
    catalog.create_database(ROOT, SCOPE, {"Name": "lake"})
    catalog.create_table(ROOT, SCOPE, "lake", TABLE)
    asked.clear()
    assert catalog.add_partitions(ROOT, SCOPE, "lake", "trips", [partition("2024", "1"), partition("2024", "2")]) == []
    assert [resource for _, resource in asked] == ["catalog", "database/lake", "table/lake/trips"]
    catalog.delete_partitions(ROOT, SCOPE, "lake", "trips", [["2024", "1"], ["0", "0"]])
    with pytest.raises(AwsError):
        catalog.update_table(ROOT, SCOPE, "lake", TABLE, version="7")
    await first.stop()
    second = Harness(tmp_path / "house", first.clock)
    second.add(service)
    found = second.ports.catalog.partitions(ROOT, SCOPE, "lake", "trips", expression="year = 2024")
    assert [one["Values"] for one in found] == [["2024", "2"]]
    assert [table["Name"] for table in second.ports.catalog.tables(ROOT, SCOPE, "lake")] == ["trips"]
    assert [database["Name"] for database in second.ports.catalog.databases(ROOT, SCOPE)] == ["lake"]
    await second.stop()


async def test_a_hundred_thousand_partitions_stay_quick(glue: Harness) -> None:
    db = glue.kernel.db
    table_id = db.one("SELECT id FROM glue_table")["id"]  # type: ignore[index]
    from lakebed.services.glue.model import encode_key

    with db.tx() as tx:
        rows = [
            (ACCOUNT, "us-east-1", table_id, encode_key([str(1000 + year), f"{month:04}"]), b"\x80", 0.0)
            for year in range(100)
            for month in range(1000)
        ]
        tx.executemany("INSERT INTO glue_partition VALUES (?,?,?,?,?,?)", rows)
    for expression, count, seconds in (
        ("year = 1050 AND month = '0500'", 1, 0.05),
        ("year >= 1099", 1000, 0.2),
        ("month = '0007'", 100, 1.0),
    ):
        started = time.process_time()
        found = await glue.call("glue", "GetPartitions", **AT, Expression=expression)
        spent = time.process_time() - started
        assert len(found["Partitions"]) == count
        print(expression, spent)
        assert spent < seconds * 5, f"{expression}: {spent:.3f}s"


async def test_searching_tables(glue: Harness) -> None:
    await glue.call("glue", "CreateDatabase", DatabaseInput={"Name": "other"})
    for name in ("customer-link", "xxlinkyy", "stock"):
        table = {"Name": name, "Parameters": {"owner": "sales"}, "Description": f"all of {name}"}
        await glue.call("glue", "CreateTable", DatabaseName="other", TableInput=table)

    async def search(**params: Any) -> list[str]:
        seen, token = [], {}
        while True:
            page = await glue.call("glue", "SearchTables", MaxResults=1, **params, **token)
            seen += [table["Name"] for table in page["TableList"]]
            if "NextToken" not in page:
                return seen
            token = {"NextToken": page["NextToken"]}

    assert await search() == ["trips", "customer-link", "stock", "xxlinkyy"]
    assert await search(SearchText="LINK") == ["customer-link", "xxlinkyy"]
    assert await search(SearchText='"stock"') == ["stock"]
    assert await search(Filters=[{"Key": "Name", "Value": "link"}]) == ["customer-link"]
    assert await search(Filters=[{"Key": "owner", "Value": "sales"}, {"Key": "Name", "Value": "stock"}]) == ["stock"]
    now = str(int(glue.clock.now()))
    assert await search(Filters=[{"Key": "UpdateTime", "Value": now, "Comparator": "LESS_THAN"}]) == []
    assert len(await search(Filters=[{"Key": "CreateTime", "Value": now, "Comparator": "GREATER_THAN_EQUALS"}])) == 4
    await fails("InvalidInputException", search(Filters=[{"Key": "CreateTime", "Value": "soon"}]))
