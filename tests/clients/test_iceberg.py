"""Iceberg by its real clients over sockets: PyIceberg through the REST catalog and through Glue, awswrangler, Athena."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.rig import Server

pa = pytest.importorskip("pyarrow")
pyiceberg_catalog = pytest.importorskip("pyiceberg.catalog")


@pytest.fixture
def place(server: Server, aws: dict[str, str], request: pytest.FixtureRequest) -> tuple[str, str]:
    """A database and a bucket of the test's own."""
    name = request.node.name.replace("[", "-").rstrip("]").replace("_", "-")
    s3: Any = server.client("s3")
    s3.create_bucket(Bucket=f"ice-{name}")
    database = name.replace("-", "_")
    server.client("glue").create_database(
        DatabaseInput={"Name": database, "LocationUri": f"s3://ice-{name}/warehouse/"}
    )
    return database, f"ice-{name}"


def catalog(server: Server, kind: str) -> Any:
    """PyIceberg's catalog, over the REST endpoint or over Glue's own API."""
    base = f"http://127.0.0.1:{server.http_port}"
    if kind == "rest":
        return pyiceberg_catalog.load_catalog(
            "rest",
            **{
                "type": "rest", "uri": f"{base}/iceberg", "warehouse": "000000000000", "rest.sigv4-enabled": "true",
                "rest.signing-name": "glue", "rest.signing-region": "us-east-1",
                "s3.access-key-id": "test", "s3.secret-access-key": "test",
            },
        )  # fmt: skip
    return pyiceberg_catalog.load_catalog(
        "glue",
        **{
            "type": "glue", "glue.endpoint": base, "glue.region": "us-east-1", "s3.endpoint": base,
            "glue.access-key-id": "test", "glue.secret-access-key": "test",
            "s3.access-key-id": "test", "s3.secret-access-key": "test", "s3.region": "us-east-1",
        },
    )  # fmt: skip


def athena(server: Server, bucket: str, database: str, sql: str) -> list[list[str | None]]:
    """Rows of a query, without the header."""
    client: Any = server.client("athena")
    started = client.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": database},
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"},
    )["QueryExecutionId"]
    while True:
        status = client.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
    assert status["State"] == "SUCCEEDED", status
    rows = client.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows][1:]


@pytest.mark.parametrize("kind", ["rest", "glue"])
def test_pyiceberg_and_athena_share_a_table(server: Server, place: tuple[str, str], kind: str) -> None:
    from pyiceberg.expressions import EqualTo
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import BucketTransform
    from pyiceberg.types import LongType, NestedField, StringType

    (database, bucket), client = place, catalog(server, kind)
    assert (database,) in client.list_namespaces()
    schema = Schema(
        NestedField(1, "id", LongType(), required=False), NestedField(2, "name", StringType(), required=False)
    )
    spec = PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "id_bucket"))
    table = client.create_table((database, "t"), schema, partition_spec=spec)
    assert client.list_tables(database) == [(database, "t")]
    table.append(pa.table({"id": pa.array(range(100), pa.int64()), "name": [f"n{at}" for at in range(100)]}))
    assert athena(server, bucket, database, "SELECT count(*), max(name) FROM t WHERE id >= 50") == [["50", "n99"]]
    athena(server, bucket, database, "DELETE FROM t WHERE id BETWEEN 10 AND 19")
    athena(server, bucket, database, "UPDATE t SET name = 'changed' WHERE id = 5")
    table.refresh()
    seen = table.scan().to_arrow()
    assert seen.num_rows == 90
    assert table.scan(row_filter=EqualTo("id", 5)).to_arrow()["name"].to_pylist() == ["changed"]
    with table.update_schema() as update:
        update.rename_column("name", "label")
    table.delete("id = 7")
    assert athena(server, bucket, database, "SELECT label FROM t WHERE id IN (5, 7)") == [["changed"]]
    assert client.load_table((database, "t")).metadata.current_snapshot() is not None
    with pytest.raises(Exception, match="already exists"):
        client.create_table((database, "t"), schema)
    client.drop_table((database, "t"))
    assert client.list_tables(database) == []


def test_rest_catalog_alone(server: Server, place: tuple[str, str]) -> None:
    from pyiceberg.exceptions import (
        CommitFailedException,
        NamespaceAlreadyExistsError,
        NamespaceNotEmptyError,
        NoSuchNamespaceError,
        NoSuchTableError,
    )

    (database, bucket), client = place, catalog(server, "rest")
    client.create_namespace("another", {"owner": "me"})
    with pytest.raises(NamespaceAlreadyExistsError):
        client.create_namespace("another")
    told = client.update_namespace_properties("another", removals={"owner"}, updates={"comment": "hello"})
    assert (told.removed, told.updated) == (["owner"], ["comment"])
    assert client.load_namespace_properties("another")["comment"] == "hello"
    with pytest.raises(NoSuchNamespaceError):
        client.load_namespace_properties("nowhere")
    with pytest.raises(NoSuchTableError):
        client.load_table((database, "absent"))
    rows = pa.table({"a": pa.array([1, 2, 3], pa.int64())})
    with client.create_table_transaction((database, "staged"), rows.schema) as transaction:
        assert not client.table_exists((database, "staged"))
        transaction.append(rows)
    first = client.load_table((database, "staged"))
    assert first.scan().to_arrow().num_rows == 3
    other = client.load_table((database, "staged"))
    first.append(rows)
    other.append(rows)  # made again over the new state
    assert client.load_table((database, "staged")).scan().to_arrow().num_rows == 9
    transaction = other.transaction()
    with transaction.update_schema() as update:
        update.add_column("b", first.schema().find_type("a"))
    with client.load_table((database, "staged")).update_schema() as update:
        update.add_column("c", first.schema().find_type("a"))
    with pytest.raises(CommitFailedException):
        transaction.commit_transaction()
    with pytest.raises(NamespaceNotEmptyError):
        client.drop_namespace(database)
    again = client.register_table((database, "registered"), first.metadata_location)
    assert again.scan().to_arrow().num_rows == 6
    client.drop_table((database, "registered"))
    client.purge_table((database, "staged"))
    listed = server.client("s3").list_objects_v2(Bucket=bucket, Prefix="warehouse/staged/")
    assert listed["KeyCount"] == 0
    client.drop_namespace("another")


def test_awswrangler(server: Server, place: tuple[str, str]) -> None:
    wr, pd = pytest.importorskip("awswrangler"), pytest.importorskip("pandas")
    database, bucket = place
    of = {
        "database": database,
        "table": "w",
        "temp_path": f"s3://{bucket}/temp/",
        "keep_files": False,
        "s3_output": f"s3://{bucket}/results/",
    }
    frame = pd.DataFrame({"id": [1, 2, 3], "name": ["a", "b", "c"]})
    wr.athena.to_iceberg(df=frame, table_location=f"s3://{bucket}/w/", partition_cols=["bucket(2, id)"], **of)
    changed = pd.DataFrame({"id": [3, 4], "name": ["C", "D"]})
    wr.athena.to_iceberg(df=changed, merge_cols=["id"], **of)
    wr.athena.to_iceberg(df=pd.DataFrame({"id": [5], "name": ["E"], "extra": [1.5]}), schema_evolution=True, **of)
    wr.athena.delete_from_iceberg_table(df=pd.DataFrame({"id": [1]}), merge_cols=["id"], **of)
    read = wr.athena.read_sql_query(
        "SELECT id, name, extra FROM w ORDER BY id",
        database=database,
        s3_output=f"s3://{bucket}/results/",
        ctas_approach=False,
    )
    assert read["id"].tolist() == [2, 3, 4, 5]
    assert read["name"].tolist() == ["b", "C", "D", "E"]
    assert read["extra"].tolist()[3] == 1.5


def test_files_added_from_elsewhere(server: Server, place: tuple[str, str]) -> None:
    """Parquet without field ids joins a table: columns are then found by name, also after one is renamed."""
    import io

    pq = pytest.importorskip("pyarrow.parquet")
    (database, bucket), client = place, catalog(server, "glue")
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["a", "b"]})
    table = client.create_table((database, "added"), rows.schema)
    table.append(rows)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"name": ["c"], "id": pa.array([3], pa.int64())}), buffer)
    server.client("s3").put_object(Bucket=bucket, Key="elsewhere/a.parquet", Body=buffer.getvalue())
    table.add_files([f"s3://{bucket}/elsewhere/a.parquet"])
    assert athena(server, bucket, database, "SELECT id, name FROM added ORDER BY id") == [
        ["1", "a"],
        ["2", "b"],
        ["3", "c"],
    ]
    with table.update_schema() as update:
        update.rename_column("name", "label")
    assert athena(server, bucket, database, "SELECT label FROM added ORDER BY id") == [["a"], ["b"], ["c"]]
    athena(server, bucket, database, "UPDATE added SET label = upper(label) WHERE id > 1")
    table.refresh()
    assert sorted(table.scan().to_arrow()["label"].to_pylist()) == ["B", "C", "a"]
