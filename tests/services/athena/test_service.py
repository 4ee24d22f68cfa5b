"""Reuse of results, limits, capacity reservations, stopping."""

from __future__ import annotations

import time

import pytest

from lakebed.kernel.errors import AwsError
from tests.harness import ACCOUNT, REGION
from tests.services.athena.conftest import House

REUSE = {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 10}}


async def test_a_result_is_reused_while_it_is_young(house: House) -> None:
    await house.put("s3://data/r/a.csv", "1\n")
    await house.execute("CREATE EXTERNAL TABLE r (n int) LOCATION 's3://data/r/'")
    sql = "SELECT sum(n) FROM r"
    first = await house.execute(sql, ResultReuseConfiguration=REUSE)
    assert first["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": False}
    await house.put("s3://data/r/b.csv", "2\n")
    again = await house.execute(sql, ResultReuseConfiguration=REUSE)
    assert again["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": True}
    assert again["Statistics"]["DataScannedInBytes"] == 0
    assert again["ResultConfiguration"]["OutputLocation"] == first["ResultConfiguration"]["OutputLocation"]
    assert again["ResultReuseConfiguration"] == REUSE
    assert (await house.rows(sql, ResultReuseConfiguration=REUSE))[1:] == [["1"]]
    assert (await house.rows(sql))[1:] == [["3"]]  # not asked for
    other = await house.execute(sql, ResultReuseConfiguration=REUSE, QueryExecutionContext={"Database": "other"})
    assert not other["Statistics"].get("ResultReuseInformation", {}).get("ReusedPreviousResult")
    await house.harness.clock.advance(3600)
    late = await house.execute(sql, ResultReuseConfiguration=REUSE)
    assert late["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": False}


async def test_stopping_answers_at_once(house: House) -> None:
    three = "UNNEST(sequence(1, 9000)) a(x), UNNEST(sequence(1, 9000)) b(y), UNNEST(sequence(1, 900)) c(z)"
    sql = f"SELECT count(*) FROM {three} WHERE x * y % 7 = z % 5"
    started = await house.call(
        "StartQueryExecution", QueryString=sql, ResultConfiguration={"OutputLocation": "s3://results/q/"}
    )
    before = time.perf_counter()
    await house.call("StopQueryExecution", QueryExecutionId=started["QueryExecutionId"])
    spent = time.perf_counter() - before
    found = await house.call("GetQueryExecution", QueryExecutionId=started["QueryExecutionId"])
    assert found["QueryExecution"]["Status"]["State"] == "CANCELLED"
    assert spent < 0.5  # 50 ms on a machine that is not shared
    await house.harness.clock.settle()


async def test_capacity_reservations_are_records(house: House) -> None:
    await house.call("CreateCapacityReservation", Name="fast", TargetDpus=24, Tags=[{"Key": "k", "Value": "v"}])
    with pytest.raises(AwsError, match="already exists"):
        await house.call("CreateCapacityReservation", Name="fast", TargetDpus=24)
    with pytest.raises(AwsError, match="multiple of 4"):
        await house.call("UpdateCapacityReservation", Name="fast", TargetDpus=26)
    await house.call("UpdateCapacityReservation", Name="fast", TargetDpus=48)
    got = (await house.call("GetCapacityReservation", Name="fast"))["CapacityReservation"]
    assert (got["Status"], got["TargetDpus"], got["AllocatedDpus"]) == ("ACTIVE", 48, 48)
    await house.call("CreateWorkGroup", Name="g")
    given = [{"WorkGroupNames": ["g"]}]
    await house.call("PutCapacityAssignmentConfiguration", CapacityReservationName="fast", CapacityAssignments=given)
    told = await house.call("GetCapacityAssignmentConfiguration", CapacityReservationName="fast")
    assert told["CapacityAssignmentConfiguration"]["CapacityAssignments"] == given
    arn = f"arn:aws:athena:{REGION}:{ACCOUNT}:capacity-reservation/fast"
    assert (await house.call("ListTagsForResource", ResourceARN=arn))["Tags"] == [{"Key": "k", "Value": "v"}]
    with pytest.raises(AwsError, match="must be cancelled"):
        await house.call("DeleteCapacityReservation", Name="fast")
    await house.call("CancelCapacityReservation", Name="fast")
    assert [each["Status"] for each in (await house.call("ListCapacityReservations"))["CapacityReservations"]] == [
        "CANCELLED"
    ]
    await house.call("DeleteCapacityReservation", Name="fast")
    assert (await house.call("ListCapacityReservations"))["CapacityReservations"] == []


async def test_minimum_encryption_needs_an_encryption(house: House) -> None:
    with pytest.raises(AwsError, match="EncryptionConfiguration"):
        await house.call("CreateWorkGroup", Name="e", Configuration={"EnableMinimumEncryptionConfiguration": True})
    results = {"OutputLocation": "s3://results/e/", "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"}}
    configuration = {"EnableMinimumEncryptionConfiguration": True, "ResultConfiguration": results}
    await house.call("CreateWorkGroup", Name="e", Configuration=configuration)
