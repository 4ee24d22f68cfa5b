"""The stage of the attacks: a real server, a victim account with one resource of every kind, and its enemies.

``ALPHA`` (000000000000) owns everything here; every name it chose contains ``MARK``, so that a leak can be searched for.
``BETA`` is root of another account. ``nobody`` is a user of ALPHA without any policy.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lakebed.house import open_kernel
from lakebed.kernel.ids import RandomIds
from lakebed.kernel.settings import Settings
from lakebed.kernel.vault import Vault
from lakebed.ports.house import Ports
from lakebed.services import iam
from lakebed.services.iam.port import IamIdentity
from tests.crash.rig import Server

MARK = "alphamark"
ALPHA, BETA, REGION = "000000000000", "111111111111", "us-east-1"
BETA_KEY, BETA_SECRET = "BETAROOTKEY000000001", "beta-secret-value-not-to-be-told"
# Small, so that bombs reach them soon.
LIMITS = {
    "LAKEBED_ENGINES_SQL_DUCKDB_MEMORY_MB": "512",
    "LAKEBED_ENGINES_SQL_DUCKDB_SPILL_GB": "1",
    "LAKEBED_SERVICES_ATHENA_DML_TIMEOUT_SECONDS": "1.5",
}
SERVICES = (
    "athena", "cloudwatch", "events", "firehose", "glue", "iam", "iot", "iot-data", "iot-jobs-data", "kinesis", "kms", "lambda",
    "logs", "s3", "sns", "sqs", "sts",
)  # fmt: skip


def seed_second_account(data: Path) -> None:
    """Before the server starts: BETA's root key, stored like any other."""
    k = open_kernel(data, Settings(), None, RandomIds(), io.StringIO())
    ports = Ports()
    iam.service(k, ports)
    vault = Vault(k.data / "iam.master.key", k.ids)
    assert isinstance(ports.identity, IamIdentity)
    iam.seed_root(k, ports.identity, vault, (BETA, BETA_KEY, BETA_SECRET))
    k.segments.close()
    k.db.close()


@dataclass
class Enemy:
    """Someone with credentials."""

    key: str
    secret: str
    token: str | None = None


@dataclass
class Stage:
    """What a test holds."""

    server: Server
    names: dict[str, Any] = field(default_factory=dict)
    nobody: Enemy = field(default_factory=lambda: Enemy("", ""))
    beta: Enemy = field(default_factory=lambda: Enemy(BETA_KEY, BETA_SECRET))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.http_port}"

    def client(self, service: str, enemy: Enemy | None = None, region: str = REGION, **config: Any) -> Any:
        """A client of ALPHA's root, or of an enemy."""
        who = enemy or Enemy("test", "test")
        settings = {"retries": {"max_attempts": 0}, "connect_timeout": 3, "read_timeout": 40} | config
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id=who.key,
            aws_secret_access_key=who.secret, aws_session_token=who.token, config=Config(**settings),
        )  # fmt: skip

    def user(self, name: str, *statements: dict[str, Any]) -> Enemy:
        """A new user of ALPHA with an inline policy of these statements."""
        client = self.client("iam")
        client.create_user(UserName=name)
        if statements:
            client.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        key = client.create_access_key(UserName=name)["AccessKey"]
        return Enemy(key["AccessKeyId"], key["SecretAccessKey"])

    def role(self, name: str, service: str, *statements: dict[str, Any]) -> str:
        """A new role of ALPHA that a service may assume."""
        client = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        arn: str = client.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        if statements:
            client.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return arn

    def query(self, sql: str, seconds: float = 30.0, **more: Any) -> dict[str, Any]:
        """Run a statement through Athena to its end."""
        import time

        athena = self.client("athena")
        query = athena.start_query_execution(
            QueryString=sql, ResultConfiguration={"OutputLocation": f"s3://{self.names['bucket']}/athena/"}, **more
        )["QueryExecutionId"]
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            if found["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return found
            assert time.monotonic() < deadline, f"no end of {sql[:200]}"
            time.sleep(0.01)


def document(*statements: dict[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: str | list[str] = "*") -> dict[str, Any]:
    """An Allow statement."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def deny(*actions: str, resource: str | list[str] = "*") -> dict[str, Any]:
    """A Deny statement."""
    return {"Effect": "Deny", "Action": list(actions), "Resource": resource}


def package(source: str, name: str = "app.py") -> bytes:
    """A Lambda package of one module."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, source)
    return made.getvalue()


def furnish(stage: Stage) -> None:
    """One resource of every kind for ALPHA."""
    n, m = stage.names, MARK
    everything = allow("*")
    n["role"] = stage.role(f"{m}-role", "lambda.amazonaws.com", everything)
    n["firehose_role"] = stage.role(f"{m}-firehose", "firehose.amazonaws.com", everything)
    n["iot_role"] = stage.role(f"{m}-iot", "iot.amazonaws.com", everything)
    _keys(stage)
    _storage(stage)
    _events(stage)
    _streams(stage)
    _functions(stage)
    _lake(stage)
    _devices(stage)
    _people(stage)


def _keys(stage: Stage) -> None:
    n, m = stage.names, MARK
    kms = stage.client("kms")
    n["key"] = kms.create_key(Description=f"{m}-key")["KeyMetadata"]["Arn"]
    n["signing_key"] = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=f"alias/{m}-alias", TargetKeyId=n["key"])
    n["ciphertext"] = kms.encrypt(KeyId=n["key"], Plaintext=f"{m}-plaintext".encode())["CiphertextBlob"]
    n["grant"] = kms.create_grant(
        KeyId=n["key"], GranteePrincipal=f"arn:aws:iam::{ALPHA}:role/{m}-role", Operations=["Decrypt"]
    )["GrantId"]


def _events(stage: Stage) -> None:
    n, m = stage.names, MARK
    events = stage.client("events")
    events.create_event_bus(Name=f"{m}-bus")
    n["rule_arn"] = events.put_rule(Name=f"{m}-rule", EventBusName=f"{m}-bus", EventPattern='{"source": ["never"]}')[
        "RuleArn"
    ]
    events.put_targets(
        Rule=f"{m}-rule", EventBusName=f"{m}-bus", Targets=[{"Id": f"{m}-target", "Arn": n["queue_arn"]}]
    )
    n["bus_arn"] = f"arn:aws:events:{REGION}:{ALPHA}:event-bus/{m}-bus"
    n["archive_arn"] = events.create_archive(ArchiveName=f"{m}-archive", EventSourceArn=n["bus_arn"])["ArchiveArn"]
    events.start_replay(
        ReplayName=f"{m}-replay", EventSourceArn=n["archive_arn"], EventStartTime=1_700_000_000,
        EventEndTime=1_700_000_001, Destination={"Arn": n["bus_arn"]},
    )  # fmt: skip


def _storage(stage: Stage) -> None:
    n, m = stage.names, MARK
    s3 = stage.client("s3")
    n["bucket"] = f"{m}-bucket"
    s3.create_bucket(Bucket=n["bucket"])
    s3.put_object(Bucket=n["bucket"], Key=f"{m}-key", Body=b"alpha's content")
    n["upload"] = s3.create_multipart_upload(Bucket=n["bucket"], Key=f"{m}-key")["UploadId"]
    s3.upload_part(Bucket=n["bucket"], Key=f"{m}-key", UploadId=n["upload"], PartNumber=1, Body=b"part")
    sqs = stage.client("sqs")
    n["queue_url"] = sqs.create_queue(QueueName=f"{m}-queue")["QueueUrl"]
    n["queue_arn"] = f"arn:aws:sqs:{REGION}:{ALPHA}:{m}-queue"
    sqs.send_message(QueueUrl=n["queue_url"], MessageBody=f"{m}-message")
    n["receipt"] = sqs.receive_message(QueueUrl=n["queue_url"], VisibilityTimeout=3600)["Messages"][0]["ReceiptHandle"]
    sqs.send_message(QueueUrl=n["queue_url"], MessageBody=f"{m}-message-2")


def _streams(stage: Stage) -> None:
    n, m = stage.names, MARK
    kinesis = stage.client("kinesis")
    kinesis.create_stream(StreamName=f"{m}-stream", ShardCount=1)
    n["stream_arn"] = f"arn:aws:kinesis:{REGION}:{ALPHA}:stream/{m}-stream"
    kinesis.get_waiter("stream_exists").wait(StreamName=f"{m}-stream", WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})
    kinesis.put_record(StreamName=f"{m}-stream", Data=f"{m}-record".encode(), PartitionKey="k")
    n["iterator"] = kinesis.get_shard_iterator(
        StreamName=f"{m}-stream", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    n["consumer_arn"] = kinesis.register_stream_consumer(StreamARN=n["stream_arn"], ConsumerName=f"{m}-consumer")[
        "Consumer"
    ]["ConsumerARN"]
    stage.client("firehose").create_delivery_stream(
        DeliveryStreamName=f"{m}-firehose",
        ExtendedS3DestinationConfiguration={
            "RoleARN": n["firehose_role"],
            "BucketARN": f"arn:aws:s3:::{n['bucket']}",
            "Prefix": "firehose/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 900},
        },
    )
    logs = stage.client("logs")
    logs.create_log_group(logGroupName=f"{m}-group")
    logs.create_log_stream(logGroupName=f"{m}-group", logStreamName=f"{m}-logs")


def _functions(stage: Stage) -> None:
    n, m = stage.names, MARK
    functions = stage.client("lambda")
    n["zip"] = package("def handler(event, context):\n    return event\n")
    functions.create_function(
        FunctionName=f"{m}-function",
        Runtime="python3.11",
        Role=n["role"],
        Handler="app.handler",
        Code={"ZipFile": n["zip"]},
    )
    n["function_arn"] = f"arn:aws:lambda:{REGION}:{ALPHA}:function:{m}-function"
    functions.publish_version(FunctionName=f"{m}-function")
    functions.create_alias(FunctionName=f"{m}-function", Name=f"{m}-alias", FunctionVersion="1")
    functions.publish_layer_version(LayerName=f"{m}-layer", Content={"ZipFile": n["zip"]})
    functions.add_layer_version_permission(
        LayerName=f"{m}-layer", VersionNumber=1, StatementId="own", Action="lambda:GetLayerVersion", Principal=ALPHA
    )
    functions.create_function_url_config(FunctionName=f"{m}-function", AuthType="AWS_IAM")
    functions.put_provisioned_concurrency_config(
        FunctionName=f"{m}-function", Qualifier=f"{m}-alias", ProvisionedConcurrentExecutions=1
    )
    n["mapping"] = functions.create_event_source_mapping(
        EventSourceArn=n["queue_arn"], FunctionName=f"{m}-function", Enabled=False
    )["UUID"]


def _lake(stage: Stage) -> None:
    n, m = stage.names, MARK
    glue = stage.client("glue")
    glue.create_database(DatabaseInput={"Name": f"{m}_db"})
    columns = [{"Name": "x", "Type": "string"}]
    n["descriptor"] = {
        "Columns": columns,
        "Location": f"s3://{n['bucket']}/table/",
        "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
    }
    stage.client("s3").put_object(Bucket=n["bucket"], Key="table/day=1/a.json", Body=b'{"x": "alpha row"}\n')
    glue.create_table(
        DatabaseName=f"{m}_db",
        TableInput={
            "Name": f"{m}_table", "StorageDescriptor": n["descriptor"], "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "day", "Type": "string"}],
        },
    )  # fmt: skip
    glue.create_user_defined_function(DatabaseName=f"{m}_db", FunctionInput={"FunctionName": f"{m}_function"})
    glue.create_partition(
        DatabaseName=f"{m}_db", TableName=f"{m}_table",
        PartitionInput={
            "Values": ["1"], "StorageDescriptor": n["descriptor"] | {"Location": f"s3://{n['bucket']}/table/day=1/"},
        },
    )  # fmt: skip
    athena = stage.client("athena")
    athena.create_work_group(Name=f"{m}-group")
    athena.create_capacity_reservation(Name=f"{m}-reservation", TargetDpus=24)
    n["named_query"] = athena.create_named_query(
        Name=f"{m}-query", Database="default", QueryString=f"SELECT '{m}'", WorkGroup=f"{m}-group"
    )["NamedQueryId"]
    athena.create_prepared_statement(StatementName=f"{m}_statement", WorkGroup=f"{m}-group", QueryStatement="SELECT 1")
    n["execution"] = stage.query(f"SELECT '{m}' AS secret")["QueryExecutionId"]


def _devices(stage: Stage) -> None:
    n, m = stage.names, MARK
    iot = stage.client("iot")
    iot.create_thing(thingName=f"{m}-thing")
    iot.create_thing_type(thingTypeName=f"{m}-type")
    iot.create_thing_group(thingGroupName=f"{m}-group")
    iot.add_thing_to_thing_group(thingGroupName=f"{m}-group", thingName=f"{m}-thing")
    iot.create_billing_group(billingGroupName=f"{m}-billing")
    iot.create_job(jobId=f"{m}-job", targets=[f"arn:aws:iot:{REGION}:{ALPHA}:thing/{m}-thing"], document="{}")
    stage.client("iot-data").update_thing_shadow(thingName=f"{m}-thing", payload=b'{"state":{"reported":{"a":1}}}')
    made = iot.create_keys_and_certificate(setAsActive=True)
    n["certificate_id"], n["certificate_arn"] = made["certificateId"], made["certificateArn"]
    n["certificate"], n["private_key"] = made["certificatePem"], made["keyPair"]["PrivateKey"]
    iot.create_policy(policyName=f"{m}-iotpolicy", policyDocument=document(allow("iot:*")))
    iot.attach_policy(policyName=f"{m}-iotpolicy", target=n["certificate_arn"])
    iot.attach_thing_principal(thingName=f"{m}-thing", principal=n["certificate_arn"])
    n["kinesis_action"] = {
        "kinesis": {"roleArn": n["iot_role"], "streamName": f"{m}-stream", "partitionKey": "${topic()}"}
    }
    n["rule_payload"] = {"sql": f"SELECT * FROM '{m}/never'", "actions": [n["kinesis_action"]], "ruleDisabled": True}
    iot.create_topic_rule(ruleName=f"{m}_rule", topicRulePayload=n["rule_payload"])
    stage.client("iot-data").publish(topic=f"{m}/retained", payload=b"retained by alpha", retain=True, qos=1)


def _people(stage: Stage) -> None:
    n, m = stage.names, MARK
    client = stage.client("iam")
    client.create_user(UserName=f"{m}-user")
    client.put_user_policy(UserName=f"{m}-user", PolicyName=f"{m}-inline", PolicyDocument=document(allow("s3:*")))
    n["access_key"] = client.create_access_key(UserName=f"{m}-user")["AccessKey"]["AccessKeyId"]
    n["policy_arn"] = client.create_policy(PolicyName=f"{m}-policy", PolicyDocument=document(allow("s3:*")))["Policy"][
        "Arn"
    ]
    stage.nobody = stage.user("nobody")


def build(directory: Path) -> Stage:
    """A furnished stage."""
    data = directory / "data"
    data.mkdir(mode=0o700)
    seed_second_account(data)
    server = Server(data)
    before = {name: os.environ.get(name) for name in LIMITS}
    os.environ |= LIMITS
    try:
        server.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    stage = Stage(server)
    try:
        furnish(stage)
    except BaseException:
        server.stop()
        raise
    return stage
