"""awswrangler and PyAthena as analysts use them: a frame to Parquet in the catalogue, and back by SQL."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.crash.rig import Server


@pytest.fixture
def flights() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "carrier": ["UA", "AA", "UA", None],
            "delay": [2.5, -1.0, None, 30.25],
            "flight": pd.array([1545, 1141, 725, 461], dtype="Int64"),
            "on_time": [True, True, False, False],
            "departed": pd.to_datetime(
                ["2013-01-01 05:17", "2013-01-01 05:42", "2013-01-02 05:44", "2013-01-02 05:54"]
            ),
            "month": ["01", "01", "02", "02"],
        }
    )


@pytest.mark.filterwarnings("ignore")
def test_awswrangler_writes_and_reads(aws: dict[str, str], server: Server, flights: pd.DataFrame) -> None:
    import awswrangler as wr

    wr.config.s3_endpoint_url = wr.config.athena_endpoint_url = wr.config.glue_endpoint_url = aws["AWS_ENDPOINT_URL"]
    wr.config.sts_endpoint_url = aws["AWS_ENDPOINT_URL"]
    server.client("s3").create_bucket(Bucket="wrangler")
    wr.catalog.create_database("wrangler")
    wr.s3.to_parquet(
        flights,
        path="s3://wrangler/flights/",
        dataset=True,
        database="wrangler",
        table="flights",
        partition_cols=["month"],
    )
    assert wr.catalog.get_table_types("wrangler", "flights") == {
        "carrier": "string", "delay": "double", "flight": "bigint", "on_time": "boolean", "departed": "timestamp",
        "month": "string",
    }  # fmt: skip
    assert len(wr.s3.read_parquet("s3://wrangler/flights/", dataset=True)) == 4
    sql = "SELECT carrier, delay, flight, on_time, departed FROM flights WHERE month = '02' ORDER BY flight"
    for ctas in (False, True):
        frame = wr.athena.read_sql_query(
            sql if not ctas else sql.replace(" ORDER BY flight", ""),
            database="wrangler",
            ctas_approach=ctas,
            s3_output="s3://wrangler/results/",
        ).sort_values("flight")
        assert frame["flight"].tolist() == [461, 725]
        assert frame["delay"].tolist()[0] == 30.25
        assert pd.isna(frame["delay"].tolist()[1])
        assert frame["on_time"].tolist() == [False, False]
        assert frame["departed"].tolist() == list(pd.to_datetime(["2013-01-02 05:54", "2013-01-02 05:44"]))


@pytest.mark.filterwarnings("ignore")
def test_pyathena_cursors(aws: dict[str, str], server: Server, flights: pd.DataFrame) -> None:
    from pyathena import connect
    from pyathena.pandas.cursor import PandasCursor

    server.client("s3").create_bucket(Bucket="pyathena")
    server.client("s3").put_object(Bucket="pyathena", Key="t/a.csv", Body=b"UA,2.5\nAA,-1\n")
    settings = {
        "s3_staging_dir": "s3://pyathena/staging/", "region_name": "us-east-1", "endpoint_url": aws["AWS_ENDPOINT_URL"],
        "poll_interval": 0.05,
    }  # fmt: skip
    cursor = connect(**settings).cursor()
    cursor.execute("CREATE DATABASE IF NOT EXISTS pyathena")
    cursor.execute(
        "CREATE EXTERNAL TABLE pyathena.t (carrier string, delay double) "
        "ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' LOCATION 's3://pyathena/t/'"
    )
    cursor.execute("SELECT carrier, delay FROM pyathena.t WHERE carrier = %(carrier)s", {"carrier": "UA"})
    assert cursor.fetchall() == [("UA", 2.5)]
    assert [column[0] for column in cursor.description] == ["carrier", "delay"]
    assert cursor.data_scanned_in_bytes == len(b"UA,2.5\nAA,-1\n")
    frame = (
        connect(cursor_class=PandasCursor, **settings)
        .cursor()
        .execute("SELECT * FROM pyathena.t ORDER BY 1")
        .as_pandas()
    )
    assert frame.values.tolist() == [["AA", -1.0], ["UA", 2.5]]
    with pytest.raises(Exception, match=r"TABLE_NOT_FOUND|does not exist"):
        cursor.execute("SELECT * FROM pyathena.nothing")
