"""Permissions on the way: denies, boundaries and sessions narrow; roles are handed over only by those who may; a service
that acts as a role can do what the role's policies allow, and nothing else, on the data path as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.security.stage import ALPHA, MARK, REGION, Enemy, Stage, allow, deny, document, package


def refused(call: Callable[..., Any], **given: Any) -> str:
    """The code a call is refused with."""
    with pytest.raises(ClientError) as error:
        call(**given)
    return str(error.value.response["Error"]["Code"])


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_deny_beats_every_allow(stage: Stage) -> None:
    bucket = stage.names["bucket"]
    enemy = stage.user("denied", allow("*"), deny("s3:GetObject", "sqs:*", "kinesis:Put*"))
    assert "AccessDenied" in refused(stage.client("s3", enemy).get_object, Bucket=bucket, Key=f"{MARK}-key")
    assert "AccessDenied" in refused(
        stage.client("sqs", enemy).send_message, QueueUrl=stage.names["queue_url"], MessageBody="x"
    )
    assert "AccessDenied" in refused(
        stage.client("kinesis", enemy).put_record, StreamName=f"{MARK}-stream", Data=b"x", PartitionKey="x"
    )
    assert stage.client("s3", enemy).head_bucket(Bucket=bucket)


def test_a_resources_deny_beats_the_identitys_allow(stage: Stage) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket="denying")
    s3.put_object(Bucket="denying", Key="k", Body=b"x")
    enemy = stage.user("allowed-all", allow("*"))
    statement = {"Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{ALPHA}:user/allowed-all"}, "Action": "s3:*",
                 "Resource": ["arn:aws:s3:::denying", "arn:aws:s3:::denying/*"]}  # fmt: skip
    s3.put_bucket_policy(Bucket="denying", Policy=document(statement))
    assert "AccessDenied" in refused(stage.client("s3", enemy).get_object, Bucket="denying", Key="k")


def test_a_boundary_narrows(stage: Stage) -> None:
    boundary = stage.client("iam").create_policy(PolicyName="narrow", PolicyDocument=document(allow("s3:ListBucket")))[
        "Policy"
    ]["Arn"]
    enemy = stage.user("bounded", allow("*"))
    stage.client("iam").put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=boundary)
    assert stage.client("s3", enemy).list_objects_v2(Bucket=stage.names["bucket"])
    assert "AccessDenied" in refused(
        stage.client("s3", enemy).get_object, Bucket=stage.names["bucket"], Key=f"{MARK}-key"
    )
    assert "AccessDenied" in refused(stage.client("iam", enemy).delete_user_permissions_boundary, UserName="bounded")


def test_session_policies_narrow_and_sessions_end_with_the_role(stage: Stage) -> None:
    iam = stage.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ALPHA}:root"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName="assumed", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="assumed", PolicyName="p", PolicyDocument=document(allow("*")))
    keys = stage.client("sts").assume_role(
        RoleArn=arn, RoleSessionName="enemy", Policy=document(allow("s3:ListBucket"))
    )["Credentials"]
    enemy = Enemy(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    bucket = stage.names["bucket"]
    assert stage.client("s3", enemy).list_objects_v2(Bucket=bucket)
    assert "AccessDenied" in refused(stage.client("s3", enemy).get_object, Bucket=bucket, Key=f"{MARK}-key")
    assert "AccessDenied" in refused(stage.client("iam", enemy).create_user, UserName="born-of-a-session")
    for stolen in (Enemy(enemy.key, enemy.secret), Enemy(enemy.key, enemy.secret, (enemy.token or "")[:-4] + "AAAA"),
                   Enemy("test", "test", enemy.token)):  # fmt: skip
        assert refused(stage.client("s3", stolen).list_objects_v2, Bucket=bucket)
    iam.delete_role_policy(RoleName="assumed", PolicyName="p")
    assert "AccessDenied" in refused(stage.client("s3", enemy).list_objects_v2, Bucket=bucket)


def test_a_key_that_is_made_inactive_ends_at_once(stage: Stage) -> None:
    enemy = stage.user("leaver", allow("*"))
    s3 = stage.client("s3", enemy)
    assert s3.list_buckets()
    stage.client("iam").update_access_key(UserName="leaver", AccessKeyId=enemy.key, Status="Inactive")
    assert refused(s3.list_buckets) == "InvalidAccessKeyId"


def test_nobody_hands_a_role_over_unless_allowed(stage: Stage) -> None:
    """iam:PassRole for every role that a service is given, also when it is changed later."""
    n = stage.names
    enemy = stage.user(
        "no-passrole",
        allow("lambda:*", "firehose:*", "iot:*", "athena:*", "s3:*", "glue:*", "kinesis:*", "sqs:*", "logs:*"),
    )
    other = stage.role("another-hose", "firehose.amazonaws.com", allow("*"))
    functions, hoses, iot = stage.client("lambda", enemy), stage.client("firehose", enemy), stage.client("iot", enemy)
    destination = {"RoleARN": n["firehose_role"], "BucketARN": f"arn:aws:s3:::{n['bucket']}"}
    code = {"ZipFile": n["zip"]}
    sql = "SELECT * FROM 'x'"
    for action in (
        {"kinesis": {"roleArn": n["iot_role"], "streamName": "x", "partitionKey": "x"}},
        {"firehose": {"roleArn": n["iot_role"], "deliveryStreamName": "x"}},
        {"sqs": {"roleArn": n["iot_role"], "queueUrl": n["queue_url"]}},
        {"s3": {"roleArn": n["iot_role"], "bucketName": "x", "key": "x"}},
        {"republish": {"roleArn": n["iot_role"], "topic": "x"}},
        {"cloudwatchLogs": {"roleArn": n["iot_role"], "logGroupName": "x"}},
    ):
        for more in ({"actions": [action]}, {"actions": [], "errorAction": action}):
            code_given = refused(iot.create_topic_rule, ruleName="handed", topicRulePayload={"sql": sql, **more})
            assert "AccessDenied" in code_given or code_given == "NotImplemented", (action, code_given)
            code_given = refused(iot.replace_topic_rule, ruleName=f"{MARK}_rule", topicRulePayload={"sql": sql, **more})
            assert "AccessDenied" in code_given or code_given == "NotImplemented", (action, code_given)
    assert "AccessDenied" in refused(
        functions.create_function, FunctionName="handed", Runtime="python3.11", Role=n["role"], Handler="a.b", Code=code
    )
    assert "AccessDenied" in refused(
        functions.update_function_configuration, FunctionName=f"{MARK}-function", Role=n["iot_role"]
    )
    assert "AccessDenied" in refused(
        hoses.create_delivery_stream, DeliveryStreamName="handed", ExtendedS3DestinationConfiguration=destination
    )
    assert "AccessDenied" in refused(
        hoses.create_delivery_stream, DeliveryStreamName="handed", S3DestinationConfiguration=destination
    )
    assert "AccessDenied" in refused(
        hoses.create_delivery_stream, DeliveryStreamName="handed", DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": n["stream_arn"], "RoleARN": n["firehose_role"]},
        ExtendedS3DestinationConfiguration=destination,
    )  # fmt: skip
    assert "AccessDenied" in refused(
        hoses.update_destination, DeliveryStreamName=f"{MARK}-firehose", CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001", ExtendedS3DestinationUpdate={"RoleARN": other},
    )  # fmt: skip
    schema = {"RoleARN": n["iot_role"], "DatabaseName": f"{MARK}_db", "TableName": f"{MARK}_table", "Region": REGION}
    conversion = {"Enabled": True, "SchemaConfiguration": schema,
                  "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                  "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}}}  # fmt: skip
    only_firehose = stage.user("half-passrole", allow("firehose:*"), allow("iam:PassRole", resource=n["firehose_role"]))
    assert "AccessDenied" in refused(
        stage.client("firehose", only_firehose).create_delivery_stream, DeliveryStreamName="handed",
        ExtendedS3DestinationConfiguration={
            **destination, "DataFormatConversionConfiguration": conversion,
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60}},
    )  # fmt: skip


def test_a_role_must_trust_the_service_it_is_given_to(stage: Stage) -> None:
    n = stage.names
    assert refused(
        stage.client("lambda").create_function, FunctionName="wrong", Runtime="python3.11", Role=n["iot_role"], Handler="a.b",
        Code={"ZipFile": n["zip"]},
    )  # fmt: skip
    assert refused(
        stage.client("firehose").create_delivery_stream, DeliveryStreamName="wrong",
        ExtendedS3DestinationConfiguration={"RoleARN": n["role"], "BucketARN": f"arn:aws:s3:::{n['bucket']}"},
    )  # fmt: skip


def test_firehose_writes_only_what_its_role_may(stage: Stage) -> None:
    role = stage.role("hose-without-put", "firehose.amazonaws.com", allow("s3:ListBucket", "s3:GetBucketLocation"))
    hoses, bucket = stage.client("firehose"), stage.names["bucket"]
    hoses.create_delivery_stream(
        DeliveryStreamName="without-put",
        ExtendedS3DestinationConfiguration={
            "RoleARN": role, "BucketARN": f"arn:aws:s3:::{bucket}", "Prefix": "without-put/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        },
    )  # fmt: skip
    hoses.put_record(DeliveryStreamName="without-put", Record={"Data": b"not to be written"})
    time.sleep(1.0)
    found = stage.client("s3").list_objects_v2(Bucket=bucket, Prefix="without-put/")
    assert found["KeyCount"] == 0
    stage.client("iam").put_role_policy(
        RoleName="hose-without-put", PolicyName="now", PolicyDocument=document(allow("s3:PutObject"))
    )


def test_rules_do_only_what_their_role_may(stage: Stage) -> None:
    iot, data, n = stage.client("iot"), stage.client("iot-data"), stage.names
    role = stage.role("rule-without-put", "iot.amazonaws.com", allow("kinesis:DescribeStream", "sqs:GetQueueUrl"))
    sqs = stage.client("sqs")
    queue = sqs.create_queue(QueueName="rule-target")["QueueUrl"]
    actions = [{"kinesis": {"roleArn": role, "streamName": f"{MARK}-stream", "partitionKey": "x"}},
               {"sqs": {"roleArn": role, "queueUrl": queue}}]  # fmt: skip
    iot.create_topic_rule(
        ruleName="without_put", topicRulePayload={"sql": "SELECT * FROM 'forbidden/x'", "actions": actions}
    )
    good = stage.role("rule-with-put", "iot.amazonaws.com", allow("sqs:SendMessage"))
    iot.create_topic_rule(
        ruleName="with_put",
        topicRulePayload={
            "sql": "SELECT * FROM 'forbidden/x'",
            "actions": [{"sqs": {"roleArn": good, "queueUrl": queue}}],
        },
    )
    data.publish(topic="forbidden/x", payload=json.dumps({"a": 1}).encode(), qos=1)
    attributes = {"QueueUrl": queue, "AttributeNames": ["ApproximateNumberOfMessages"]}

    def waiting() -> int:
        return int(sqs.get_queue_attributes(**attributes)["Attributes"]["ApproximateNumberOfMessages"])

    eventually(lambda: waiting() >= 1, "the allowed action")
    time.sleep(0.3)
    assert waiting() == 1, "the action without permission sent as well"
    kinesis = stage.client("kinesis")
    iterator = kinesis.get_shard_iterator(
        StreamName=f"{MARK}-stream", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert all(b'"a"' not in record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"])
    assert n["queue_url"]


def test_a_mapping_reads_only_what_the_functions_role_may(stage: Stage) -> None:
    functions, sqs, iam = stage.client("lambda"), stage.client("sqs"), stage.client("iam")
    queue = sqs.create_queue(QueueName="mapped")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{ALPHA}:mapped"
    role = stage.role("mapped-role", "lambda.amazonaws.com", allow("logs:*"))
    functions.create_function(
        FunctionName="mapped", Runtime="python3.11", Role=role, Handler="app.handler", Timeout=3,
        Code={"ZipFile": package("def handler(event, context):\n    return 1\n")},
    )  # fmt: skip
    assert refused(functions.create_event_source_mapping, EventSourceArn=queue_arn, FunctionName="mapped")
    iam.put_role_policy(RoleName="mapped-role", PolicyName="sqs", PolicyDocument=document(allow("sqs:*")))
    functions.create_event_source_mapping(EventSourceArn=queue_arn, FunctionName="mapped")
    iam.delete_role_policy(RoleName="mapped-role", PolicyName="sqs")
    sqs.send_message(QueueUrl=queue, MessageBody="stays")
    time.sleep(1.0)
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert found["ApproximateNumberOfMessages"] == "1"
    assert found["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_services_are_no_confused_deputies(stage: Stage) -> None:
    """BETA can not make a service touch ALPHA's resources for it."""
    n, beta = stage.names, stage.beta
    s3, iam, iot = stage.client("s3", beta), stage.client("iam", beta), stage.client("iot", beta)
    s3.create_bucket(Bucket="beta-deputy")
    assert refused(
        s3.put_bucket_notification_configuration, Bucket="beta-deputy",
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": n["queue_arn"], "Events": ["s3:ObjectCreated:*"]}]},
    )  # fmt: skip
    before = stage.client("sqs").get_queue_attributes(QueueUrl=n["queue_url"], AttributeNames=["All"])["Attributes"]
    trust = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="beta-iot", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="beta-iot", PolicyName="p", PolicyDocument=document(allow("*")))
    actions = [
        {"sqs": {"roleArn": role, "queueUrl": n["queue_url"]}},
        {"lambda": {"functionArn": n["function_arn"]}},
        {"s3": {"roleArn": role, "bucketName": n["bucket"], "key": "planted"}},
        {"sqs": {"roleArn": n["iot_role"], "queueUrl": n["queue_url"]}},
    ]
    for at, action in enumerate(actions):
        try:
            iot.create_topic_rule(
                ruleName=f"deputy{at}", topicRulePayload={"sql": "SELECT * FROM 'deputy'", "actions": [action]}
            )
        except ClientError:
            continue
    stage.client("iot-data", beta).publish(topic="deputy", payload=b"{}", qos=1)
    time.sleep(0.8)
    after = stage.client("sqs").get_queue_attributes(QueueUrl=n["queue_url"], AttributeNames=["All"])["Attributes"]
    assert after == before
    assert refused(stage.client("s3").head_object, Bucket=n["bucket"], Key="planted") == "404"
    streams = stage.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{MARK}-function")["logGroups"]
    assert streams == [], "ALPHA's function ran for BETA"
    iam.put_role_policy(RoleName="beta-iot", PolicyName="q", PolicyDocument=document(allow("*")))
    lambda_trust = trust | {"Principal": {"Service": "lambda.amazonaws.com"}}
    role = iam.create_role(RoleName="beta-lambda", AssumeRolePolicyDocument=document(lambda_trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="beta-lambda", PolicyName="p", PolicyDocument=document(allow("*")))
    functions = stage.client("lambda", beta)
    assert refused(
        functions.create_function, FunctionName="thief", Runtime="python3.11", Role=role, Handler="a.b",
        Code={"S3Bucket": n["bucket"], "S3Key": f"{MARK}-key"},
    )  # fmt: skip
    functions.create_function(
        FunctionName=f"{MARK}-function",
        Runtime="python3.11",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": n["zip"]},
    )
    for source in (n["queue_arn"], n["stream_arn"]):
        for name in (f"{MARK}-function", n["function_arn"]):
            assert refused(
                functions.create_event_source_mapping, EventSourceArn=source, FunctionName=name,
                **({} if source == n["queue_arn"] else {"StartingPosition": "TRIM_HORIZON"}),
            )  # fmt: skip
    with_letters = {"DeadLetterConfig": {"TargetArn": n["queue_arn"]}}
    try:
        functions.update_function_configuration(FunctionName=f"{MARK}-function", **with_letters)
        functions.invoke(FunctionName=f"{MARK}-function", InvocationType="Event", Payload=b"{}")
    except ClientError:
        pass


def test_a_devices_certificate_belongs_to_one_account(stage: Stage) -> None:
    n = stage.names
    iot = stage.client("iot", stage.beta)
    assert refused(iot.register_certificate_without_ca, certificatePem=n["certificate"], status="ACTIVE") == (
        "ResourceAlreadyExistsException"
    )
    assert (
        refused(iot.update_certificate, certificateId=n["certificate_id"], newStatus="REVOKED")
        == "ResourceNotFoundException"
    )
