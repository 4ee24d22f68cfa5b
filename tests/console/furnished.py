"""A real house with something of every kind in it, most of it with names and texts that would run if a page let them."""

from __future__ import annotations

import io
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from typing import Any

from lakebed.cli.pytest_plugin import RunningLakebed

HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"
BUCKET, STREAM, DELIVERY, QUEUE, FUNCTION = "landing", "clicks", "to-s3", "arrivals", "worker"
OBJECTS = 203
RESULT_ROWS = 250


def furnish(lakebed: RunningLakebed) -> None:
    """Make everything."""
    make_storage(lakebed)
    make_permissions(lakebed)
    make_streams(lakebed)
    make_compute(lakebed)
    make_signals(lakebed)
    make_logs(lakebed)
    make_tables(lakebed)
    lakebed.settle()


def make_storage(lakebed: RunningLakebed) -> None:
    s3 = lakebed.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(
        Bucket=BUCKET, Key=f"x/{HOSTILE}.csv", Body=f"a,b\n{HOSTILE!r},2\n".encode(), Metadata={"why": "<i>&"}
    )
    s3.put_object(Bucket=BUCKET, Key="x/a.json", Body=json.dumps({"text": HOSTILE}).encode())
    s3.put_object(Bucket=BUCKET, Key="x/a.txt", Body=HOSTILE.encode(), ContentType="text/html")
    s3.put_object(Bucket=BUCKET, Key="x/a.bin", Body=bytes(range(256)))
    s3.put_object(Bucket=BUCKET, Key="x/empty", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="t/part.parquet", Body=b"PAR1 not really")
    for number in range(OBJECTS):
        s3.put_object(Bucket=BUCKET, Key=f"many/{number:03d}", Body=b"1")


def make_permissions(lakebed: RunningLakebed) -> None:
    iam = lakebed.client("iam")
    allow = {"Effect": "Allow", "Action": ["*"], "Resource": "*", "Sid": "s"}
    services = [f"{name}.amazonaws.com" for name in ("firehose", "iot", "lambda")]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.create_role(
        RoleName="all", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    iam.put_role_policy(RoleName="all", PolicyName="p", PolicyDocument=document)
    policy = iam.create_policy(PolicyName="managed", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="all", PolicyArn=policy)
    iam.create_user(UserName="ann")
    iam.create_access_key(UserName="ann")


def make_streams(lakebed: RunningLakebed) -> None:
    kinesis, firehose, iot = lakebed.client("kinesis"), lakebed.client("firehose"), lakebed.client("iot")
    kinesis.create_stream(StreamName=STREAM, ShardCount=2)
    lakebed.advance(5)
    for number in range(20):
        kinesis.put_record(StreamName=STREAM, PartitionKey=f"{HOSTILE[:40]}{number}", Data=HOSTILE.encode())
    role = "arn:aws:iam::000000000000:role/all"
    firehose.create_delivery_stream(
        DeliveryStreamName=DELIVERY,
        ExtendedS3DestinationConfiguration={"RoleARN": role, "BucketARN": f"arn:aws:s3:::{BUCKET}", "Prefix": "<b>/"},
    )
    iot.create_thing(thingName="tower-1")
    iot.create_topic_rule(
        ruleName="to_stream",
        topicRulePayload={
            "sql": f"SELECT * FROM 'airports/+' WHERE note <> '{HOSTILE.replace(chr(39), '')}'",
            "description": HOSTILE,
            "actions": [{"kinesis": {"roleArn": role, "streamName": STREAM, "partitionKey": "x"}}],
        },
    )


def make_compute(lakebed: RunningLakebed) -> None:
    lakebed.client("sqs").create_queue(QueueName=QUEUE)
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return 1\n")
    lakebed.client("lambda").create_function(
        FunctionName=FUNCTION,
        Runtime="python3.12",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/all",
        Code={"ZipFile": body.getvalue()},
        Description=HOSTILE,
        Environment={"Variables": {"TEXT": HOSTILE, "DB_PASSWORD": "hunter2"}},
    )


def make_signals(lakebed: RunningLakebed) -> None:
    lakebed.client("sns").create_topic(Name="furnished")
    lakebed.client("kms").create_key(Description=HOSTILE)
    events = lakebed.client("events")
    events.put_rule(Name="furnished", EventPattern='{"source": ["<b>x</b>"]}', Description=HOSTILE)
    events.put_targets(
        Rule="furnished", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{QUEUE}", "Input": '"<u>"'}]
    )
    lakebed.client("cloudwatch").put_metric_alarm(
        AlarmName="<b>furnished</b>", Namespace="Furniture", MetricName="<i>x</i>", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", AlarmDescription=HOSTILE,
    )  # fmt: skip


def make_logs(lakebed: RunningLakebed) -> None:
    logs = lakebed.client("logs")
    for group in ("/aws/lambda/worker", "/app/plain"):
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="<b>one</b>")
        now = int(logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["creationTime"])
        events = [{"timestamp": now + number, "message": f"ERROR {number} {HOSTILE}"} for number in range(5)]
        logs.put_log_events(logGroupName=group, logStreamName="<b>one</b>", logEvents=events)


def make_tables(lakebed: RunningLakebed) -> None:
    glue, athena = lakebed.client("glue"), lakebed.client("athena")
    glue.create_database(DatabaseInput={"Name": "lake", "Description": "<i>&"})
    storage = {"Columns": [{"Name": "a", "Type": "string", "Comment": "<i>it</i>"}], "Location": f"s3://{BUCKET}/t/"}
    glue.create_table(
        DatabaseName="lake",
        TableInput={"Name": "<u>t</u>", "StorageDescriptor": storage, "Parameters": {"note": HOSTILE}},
    )
    fields = [{"name": "id", "type": "long"}]
    for number in range(2):
        text = json.dumps({"type": "record", "name": "r", "doc": HOSTILE, "fields": fields})
        fields.append({"name": "note", "type": "string", "default": "<i>"})
        if number:
            glue.register_schema_version(
                SchemaId={"RegistryName": "shared", "SchemaName": "orders"}, SchemaDefinition=text
            )
        else:
            glue.create_registry(RegistryName="shared", Description="<b>")
            glue.create_schema(
                RegistryId={"RegistryName": "shared"}, SchemaName="orders", DataFormat="AVRO", Compatibility="BACKWARD",
                SchemaDefinition=text, Description=HOSTILE,
            )  # fmt: skip
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam = lakebed.client("iam")
    iam.create_role(RoleName="crawls", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    iam.put_role_policy(RoleName="crawls", PolicyName="all", PolicyDocument=json.dumps({"Statement": [allowed]}))
    glue.create_crawler(
        Name="finds", Role="crawls", DatabaseName="lake", Targets={"S3Targets": [{"Path": f"s3://{BUCKET}/crawled/"}]}
    )
    athena.create_named_query(Name="<b>saved</b>", Database="lake", QueryString=f"SELECT 1 -- {HOSTILE}")
    sql = f"SELECT n, '<img src=x onerror=alert(3)>' AS text FROM UNNEST(sequence(1, {RESULT_ROWS})) AS t(n) ORDER BY n"
    start = athena.start_query_execution(
        QueryString=sql, ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/results/"}
    )
    wrong = athena.start_query_execution(
        QueryString="SELECT * FROM lake.missing -- <img src=x>",
        ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/results/"},
    )
    for one in (start, wrong):
        wait_for(lakebed, one["QueryExecutionId"])
    rows = [{"id": at, "day": f"2026-01-{at % 10 + 1:02d}", "note": f"<b>again {at % 7}</b>"} for at in range(2000)]
    lakebed.client("s3").put_object(Bucket=BUCKET, Key="lines/a.json", Body="\n".join(map(json.dumps, rows)).encode())
    for sql in (
        f"CREATE TABLE lake.ice (id bigint, name string) LOCATION 's3://{BUCKET}/ice/' TBLPROPERTIES ('table_type'='ICEBERG')",
        "INSERT INTO lake.ice VALUES (1, '<b>a</b>'), (2, NULL)",
        "DELETE FROM lake.ice WHERE id = 2",
        "CREATE VIEW lake.over_ice AS SELECT id FROM lake.ice",
        "SELECT * FROM lake.ice",
        f"""CREATE EXTERNAL TABLE lake.lines (id int, day string, note string)
            ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{BUCKET}/lines/'""",
        "SELECT note FROM lake.lines WHERE day = '2026-01-04'",
    ):
        run(lakebed, sql)


def run(lakebed: RunningLakebed, sql: str) -> str:
    """Run a statement to its good end; its id."""
    place = {"OutputLocation": f"s3://{BUCKET}/results/"}
    query: str = lakebed.client("athena").start_query_execution(QueryString=sql, ResultConfiguration=place)[
        "QueryExecutionId"
    ]
    state = wait_for(lakebed, query)
    assert state == "SUCCEEDED", lakebed.client("athena").get_query_execution(QueryExecutionId=query)
    return query


def wait_for(lakebed: RunningLakebed, query: str) -> str:
    """A query's last state."""
    athena = lakebed.client("athena")
    for _ in range(400):
        state = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"]
        if state in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return str(state)
        lakebed.settle()
        time.sleep(0.02)
    raise AssertionError("the query does not end")


class Browser:
    """As much of one as HTTP tests need."""

    def __init__(self, base: str, link: str) -> None:
        self.base, self.link = base, link
        cookies = urllib.request.HTTPCookieProcessor()
        self._opener = urllib.request.build_opener(cookies)
        self._opener.open(link, timeout=30).close()
        self._cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies.cookiejar)

    def get(self, path: str, region: str = "us-east-1") -> tuple[int, str, Any]:
        """Status, text and headers of a page."""
        headers = {"Cookie": f"{self._cookie}; lb-region={region}"}
        return self._ask(urllib.request.Request(self.base + path, headers=headers))

    def post(self, path: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, str, Any]:
        """The answer to a form; redirects are followed by a GET."""
        return self.send(path, urllib.parse.urlencode(form).encode(), headers)

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, Any]:
        """The answer to a body; redirects are followed by a GET."""
        return self._ask(urllib.request.Request(self.base + path, data=body, headers=headers, method="POST"))

    def _ask(self, request: urllib.request.Request) -> tuple[int, str, Any]:
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode("utf-8", "replace"), answer
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode("utf-8", "replace"), refused
