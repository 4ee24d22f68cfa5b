"""The pytest plugin as a user has it: the example of docs/testing.md, whole."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from lakebed.cli.pytest_plugin import RunningLakebed

TRANSFORM = """
import base64, json

def handler(event, context):
    out = []
    for record in event["records"]:
        order = json.loads(base64.b64decode(record["data"]))
        order["total"] = order["price"] * order["quantity"]
        data = base64.b64encode((json.dumps(order) + "\\n").encode()).decode()
        out.append({"recordId": record["recordId"], "result": "Ok", "data": data})
    return {"records": out}
"""


def role(lakebed: RunningLakebed, name: str, service: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam = lakebed.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
    return arn


def build_pipeline(lakebed: RunningLakebed) -> None:
    lakebed.client("s3").create_bucket(Bucket="orders")
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("transform.py", TRANSFORM)
    function = lakebed.client("lambda").create_function(
        FunctionName="transform",
        Runtime="python3.12",
        Handler="transform.handler",
        Role=role(lakebed, "function", "lambda.amazonaws.com"),
        Code={"ZipFile": package.getvalue()},
    )["FunctionArn"]
    lakebed.client("firehose").create_delivery_stream(
        DeliveryStreamName="orders",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::orders",
            "RoleARN": role(lakebed, "delivery", "firehose.amazonaws.com"),
            "Prefix": "in/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": function}]}
                ],
            },
        },
    )
    glue = lakebed.client("glue")
    glue.create_database(DatabaseInput={"Name": "shop"})
    glue.create_table(
        DatabaseName="shop",
        TableInput={
            "Name": "orders",
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": "bigint"} for name in ("price", "quantity", "total")],
                "Location": "s3://orders/in/",
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
            },
        },
    )


def query(lakebed: RunningLakebed, sql: str) -> list[list[str]]:
    athena = lakebed.client("athena")
    started = athena.start_query_execution(
        QueryString=sql, ResultConfiguration={"OutputLocation": "s3://orders/results/"}
    )["QueryExecutionId"]
    lakebed.settle()
    status = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
    assert status["State"] == "SUCCEEDED", status
    rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"][1:]
    return [[cell["VarCharValue"] for cell in row["Data"]] for row in rows]


def test_orders_arrive_with_a_total(lakebed: RunningLakebed) -> None:
    build_pipeline(lakebed)
    firehose, s3 = lakebed.client("firehose"), lakebed.client("s3")
    for quantity in range(1, 4):
        order = {"price": 10, "quantity": quantity}
        firehose.put_record(DeliveryStreamName="orders", Record={"Data": json.dumps(order).encode()})

    lakebed.advance(119)
    assert s3.list_objects_v2(Bucket="orders")["KeyCount"] == 0
    lakebed.advance(1)
    assert s3.list_objects_v2(Bucket="orders")["KeyCount"] == 1

    assert query(lakebed, "SELECT sum(total) FROM shop.orders") == [["60"]]


def test_the_documentation_shows_this_very_test() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "testing.md").read_text("utf-8")
    here = Path(__file__).read_text("utf-8")
    shown = page.split("```python\n")[1].split("```")[0]
    for line in shown.splitlines():
        code = line.split("  # ")[0].split("   # ")[0].strip()
        if code and not code.startswith("def test_"):
            assert code in here, f"docs/testing.md shows a line that is not tested: {code}"
