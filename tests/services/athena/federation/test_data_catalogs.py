"""Data catalogs as records."""

from __future__ import annotations

import pytest

from lakebed.kernel.errors import AwsError
from tests.services.athena.conftest import House
from tests.services.athena.federation.conftest import connected


async def test_life_of_a_catalog(house: House) -> None:
    await connected(
        house, "Pg", "POSTGRESQL", host="127.0.0.1", port="1", database="d", username="u", password="secret"
    )
    found = (await house.call("GetDataCatalog", Name="Pg"))["DataCatalog"]
    assert (found["Type"], found["Status"], found["ConnectionType"]) == ("FEDERATED", "CREATE_COMPLETE", "POSTGRESQL")
    assert "secret" not in str(found)
    assert b"secret" not in b"".join(path.read_bytes() for path in house.harness.kernel.data.glob("state.db*"))
    await house.call("UpdateDataCatalog", Name="Pg", Type="FEDERATED", Description="mine")
    arn = "arn:aws:athena:us-east-1:000000000000:datacatalog/Pg"
    await house.call("TagResource", ResourceARN=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert (await house.call("ListTagsForResource", ResourceARN=arn))["Tags"] == [{"Key": "a", "Value": "b"}]
    await house.call("CreateDataCatalog", Name="alias", Type="GLUE", Parameters={"catalog-id": "000000000000"})
    first = await house.call("ListDataCatalogs", MaxResults=2)
    assert [each["CatalogName"] for each in first["DataCatalogsSummary"]] == ["AwsDataCatalog", "alias"]
    rest = await house.call("ListDataCatalogs", MaxResults=2, NextToken=first["NextToken"])
    assert [each["CatalogName"] for each in rest["DataCatalogsSummary"]] == ["Pg"]
    told = "GENERIC_USER_ERROR"
    assert told in await house.failure("SELECT 1 FROM pg.public.t")
    gone = await house.call("DeleteDataCatalog", Name="Pg")
    assert gone["DataCatalog"]["Status"] == "DELETE_COMPLETE"
    with pytest.raises(AwsError):
        await house.call("GetDataCatalog", Name="Pg")


async def test_glue_alias(house: House) -> None:
    await house.call("CreateDataCatalog", Name="alias", Type="GLUE", Parameters={"catalog-id": "000000000000"})
    await house.put("s3://data/t/a.csv", "1\n2\n")
    await house.execute("CREATE EXTERNAL TABLE t (id int) LOCATION 's3://data/t/'")
    assert (await house.rows("SELECT sum(id) FROM alias.default.t"))[1] == ["3"]
    assert (await house.rows("SHOW TABLES", QueryExecutionContext={"Catalog": "alias"})) == [["t"]]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Type": "HIVE", "Parameters": {"metadata-function": "arn"}}, "NotImplemented"),
        ({"Type": "LAMBDA", "Parameters": {"record-function": "arn"}}, "InvalidRequestException"),
        ({"Type": "FEDERATED", "Parameters": {"connection-type": "DYNAMODB"}}, "NotImplemented"),
        ({"Type": "FEDERATED", "Parameters": {"connection-type": "OPENSEARCH"}}, "NotImplemented"),
        ({"Type": "FEDERATED", "Parameters": {"connection-arn": "arn"}}, "NotImplemented"),
        (
            {
                "Type": "FEDERATED",
                "Parameters": {
                    "connection-type": "MYSQL",
                    "connection-properties": '{"host": "169.254.169.254", "port": "80"}',
                },
            },
            "InvalidRequestException",
        ),
        (
            {
                "Type": "FEDERATED",
                "Parameters": {
                    "connection-type": "POSTGRESQL",
                    "connection-properties": '{"host": "/var/run", "database": "x"}',
                },
            },
            "InvalidRequestException",
        ),
    ],
)
async def test_refused(house: House, params: dict[str, object], code: str) -> None:
    with pytest.raises(AwsError) as wrong:
        await house.call("CreateDataCatalog", Name="x", **params)
    assert wrong.value.error_code == code
