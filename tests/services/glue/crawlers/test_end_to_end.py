"""Objects of several formats are crawled, and Athena reads them back."""

from __future__ import annotations

import gzip
import io

import pytest

from tests.services.glue.crawlers.conftest import Lake, columns

CSV = "id,name,price\n1,apple,1.5\n2,pear,2.25\n"


async def test_text_is_crawled_and_queried(lake: Lake) -> None:
    await lake.put(
        {
            "shop/sales/year=2025/a.csv": CSV,
            "shop/sales/year=2026/b.csv": CSV,
            "shop/events/a.json": '{"Id": 7, "at": {"x": 1.5}, "tags": ["a"]}\n{"Id": 3000000000, "at": {"y": "z"}}\n',
            "shop/zipped/a.csv.gz": gzip.compress(CSV.encode()),
            "shop/access/log": '1.2.3.4 - bob [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326\n',
            "shop/quoted/q.csv": 'id,note\n1,"a, b"\n2,"c"\n',
        }
    )
    await lake.create(path="s3://lake/shop/", TablePrefix="T_")
    await lake.succeed()
    tables = await lake.tables()
    assert set(tables) == {"t_sales", "t_events", "t_zipped", "t_access", "t_quoted"}
    sales = tables["t_sales"]
    assert columns(sales) == {"id": "bigint", "name": "string", "price": "double"}
    assert [key["Name"] for key in sales["PartitionKeys"]] == ["year"]
    assert sales["Parameters"]["classification"] == "csv"
    assert sales["Parameters"]["skip.header.line.count"] == "1"
    assert sales["Parameters"]["recordCount"] == "4"
    assert sales["Parameters"]["objectCount"] == "2"
    assert columns(tables["t_events"]) == {
        "id": "bigint", "at": "struct<x:double,y:string>", "tags": "array<string>",
    }  # fmt: skip
    assert tables["t_zipped"]["Parameters"]["compressionType"] == "gzip"
    assert await lake.query("SELECT sum(price), max(year) FROM t_sales") == [["_col0", "_col1"], ["7.5", "2026"]]
    assert (await lake.query("SELECT id, at.x FROM t_events ORDER BY id"))[1:] == [["7", "1.5"], ["3000000000", None]]
    assert (await lake.query("SELECT name FROM t_zipped WHERE id = 2"))[1:] == [["pear"]]
    assert (await lake.query("SELECT clientip, auth, response FROM t_access"))[1:] == [["1.2.3.4", "bob", "200"]]
    assert (await lake.query("SELECT note FROM t_quoted WHERE id = 1"))[1:] == [["a, b"]]
    logged = await lake.harness.call(
        "logs", "GetLogEvents", logGroupName="/aws-glue/crawlers", logStreamName="c", startFromHead=True
    )
    text = "\n".join(event["message"] for event in logged["events"])
    assert "Created table t_sales in database db" in text
    assert "is in state READY" in text


async def test_columnar_files_are_crawled_and_queried(lake: Lake) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    fastavro = pytest.importorskip("fastavro")
    from pyarrow import orc, parquet

    rows = pyarrow.table({"Id": [1, 2], "name": ["a", "b"], "m": [{"x": 1}, {"x": 2}]})
    made: dict[str, io.BytesIO] = {name: io.BytesIO() for name in ("parquet", "orc", "avro")}
    parquet.write_table(rows, made["parquet"])
    orc.write_table(rows, made["orc"])
    schema = {"type": "record", "name": "r", "fields": [
        {"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]},
        {"name": "m", "type": {"type": "record", "name": "inner", "fields": [{"name": "x", "type": "long"}]}}]}  # fmt: skip
    fastavro.writer(
        made["avro"], schema, [{"id": 1, "name": "a", "m": {"x": 1}}, {"id": 2, "name": "b", "m": {"x": 2}}]
    )
    await lake.put({f"{name}/data/f": body.getvalue() for name, body in made.items()})
    for name in made:
        await lake.create(name=name, path=f"s3://lake/{name}/data", TablePrefix=f"{name}_")
        await lake.succeed(name)
        table = (await lake.tables())[f"{name}_data"]
        assert table["Parameters"]["classification"] == name
        assert table["Parameters"]["recordCount"] == "2"
        assert columns(table) == {"id": "bigint", "name": "string", "m": "struct<x:bigint>"}
        assert (await lake.query(f"SELECT name, m.x FROM {name}_data WHERE id = 2"))[1:] == [["b", "2"]]
