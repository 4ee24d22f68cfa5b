"""A valid request for every built operation, aimed at ALPHA's resources: required members from the model, and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import Shape

from tests.security.stage import ALPHA, BETA, MARK, REGION, SERVICES, Stage, allow, document

_SOURCE = Path(__file__).resolve().parents[2] / "src" / "lakebed" / "services"
_FOLDERS = {"lambda": "lambda_"}
_session = botocore.session.get_session()


def built() -> list[tuple[str, str]]:
    """Every operation of every built service."""
    found = []
    for service in SERVICES:
        folder = _SOURCE / {"iot-data": "iot", "iot-jobs-data": "iot"}.get(service, _FOLDERS.get(service, service))
        own = folder / f"operations.{service}.txt"
        path = own if own.exists() else folder / "operations.txt"
        if path.exists():
            found += [(service, line) for line in sorted(path.read_text().split()) if not line.startswith("#")]
    return found


def method(operation: str) -> str:
    """boto3's name."""
    from botocore import xform_name

    return xform_name(operation)


def parameters(stage: Stage, service: str, operation: str) -> dict[str, Any]:
    """What a client would send; names are ALPHA's."""
    shape = _session.get_service_model(service).operation_model(operation).input_shape
    given: dict[str, Any] = {}
    if shape is not None:
        known = names(stage, service, operation)
        for member, inner in shape.members.items():
            if member in known:
                given[member] = known[member]
            elif member in shape.required_members:
                given[member] = _value(inner, member, known)
    return given


def _value(shape: Shape, name: str, known: dict[str, Any]) -> Any:
    if name in known:
        return known[name]
    kind = shape.type_name
    if kind == "structure":
        return {
            member: _value(inner, member, known)
            for member, inner in shape.members.items()
            if member in shape.required_members
        }
    if kind == "list":
        return [_value(shape.member, name, known)]
    if kind == "map":
        return {"k": _value(shape.value, name, known)}
    if kind == "string":
        text = shape.enum[0] if shape.enum else f"{MARK}x"
        return text.ljust(int(shape.metadata.get("min", 0)), "x")
    if kind in ("integer", "long", "double", "float"):
        return max(1, int(shape.metadata.get("min", 1)))
    return {"boolean": False, "timestamp": 1_700_000_000, "blob": b"x"}[kind]


def names(stage: Stage, service: str, operation: str) -> dict[str, Any]:
    """ALPHA's names by member."""
    table = _TABLES[service](stage)
    table |= _SPECIAL.get((service, operation), lambda _: {})(stage)
    return {key: value for key, value in table.items() if value is not None}


def _s3(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "Bucket": n["bucket"], "Key": f"{MARK}-key", "UploadId": n["upload"], "PartNumber": 1, "Body": b"attack",
        "CopySource": f"{n['bucket']}/{MARK}-key", "Policy": document(
            {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{n['bucket']}/*"}),
        "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}, "Delete": {"Objects": [{"Key": f"{MARK}-key"}]},
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"x"'}]}, "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]},
        "NotificationConfiguration": {}, "ObjectAttributes": ["ETag"], "ACL": "private",
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": False},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
        "RequestPaymentConfiguration": {"Payer": "BucketOwner"},
    }  # fmt: skip


def _sqs(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "QueueUrl": n["queue_url"], "QueueName": f"{MARK}-queue", "ReceiptHandle": n["receipt"], "SourceArn": n["queue_arn"],
        "VisibilityTimeout": 0, "MessageBody": "attack", "Label": "attack", "AWSAccountIds": ["111111111111"],
        "Actions": ["SendMessage"], "QueueOwnerAWSAccountId": ALPHA, "TaskHandle": "x",
    }  # fmt: skip


def _kms(s: Stage) -> dict[str, Any]:
    n = s.names
    policy = document({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"})
    return {
        "KeyId": n["key"], "TargetKeyId": n["key"], "DestinationKeyId": n["key"], "AliasName": f"alias/{MARK}-alias",
        "CiphertextBlob": n["ciphertext"], "Plaintext": b"attack", "Policy": policy, "GrantId": n["grant"],
        "GranteePrincipal": f"arn:aws:iam::{BETA}:root", "Operations": ["Decrypt"], "NumberOfBytes": 16,
        "RetiringPrincipal": f"arn:aws:iam::{ALPHA}:root", "Tags": [{"TagKey": "a", "TagValue": "b"}], "TagKeys": ["a"],
        "KeyPairSpec": "ECC_NIST_P256",
    }  # fmt: skip


def _events(s: Stage) -> dict[str, Any]:
    n = s.names
    event = {"Source": "attack", "DetailType": "attack", "Detail": "{}", "EventBusName": n["bus_arn"]}
    return {
        "EventBusName": n["bus_arn"], "Name": f"{MARK}-rule", "Rule": f"{MARK}-rule", "ResourceARN": n["rule_arn"],
        "TargetArn": n["queue_arn"], "EventPattern": '{"source": ["a"]}', "Entries": [event],
        "Targets": [{"Id": "attack", "Arn": n["queue_arn"]}], "Ids": [f"{MARK}-target"], "Action": "events:PutEvents",
        "Principal": BETA, "StatementId": "attack", "Tags": [{"Key": "a", "Value": "b"}], "TagKeys": ["a"],
        "ArchiveName": f"{MARK}-archive", "EventSourceArn": n["archive_arn"], "ReplayName": f"{MARK}-replay",
        "Destination": {"Arn": n["bus_arn"]}, "EventStartTime": 1_700_000_000, "EventEndTime": 1_700_000_001,
        "Event": '{"id": "1", "detail-type": "d", "source": "a", "account": "1", "time": "t", "region": "r", "resources": []}',
    }  # fmt: skip


def _no_filter(_: Stage) -> dict[str, Any]:
    return {"EventSourceArn": None, "NamePrefix": None, "State": None}


def _bus(_: Stage) -> dict[str, Any]:
    return {"Name": f"{MARK}-bus"}


def _kinesis(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "StreamName": f"{MARK}-stream", "StreamARN": n["stream_arn"], "ShardId": "shardId-000000000000", "Data": b"attack",
        "PartitionKey": "k", "ShardIterator": n["iterator"], "ConsumerARN": n["consumer_arn"],
        "ConsumerName": f"{MARK}-consumer", "ResourceARN": n["stream_arn"], "ShardToMerge": "shardId-000000000000",
        "AdjacentShardToMerge": "shardId-000000000001", "ShardToSplit": "shardId-000000000000",
        "NewStartingHashKey": "170141183460469231731687303715884105728", "ShardIteratorType": "TRIM_HORIZON",
        "RetentionPeriodHours": 48, "TargetShardCount": 2, "Tags": {"a": "b"}, "TagKeys": ["a"],
        "StreamModeDetails": {"StreamMode": "ON_DEMAND"}, "StartingPosition": {"Type": "TRIM_HORIZON"},
        "MaxRecordSizeInKiB": 2048,
    }  # fmt: skip


def _firehose(_: Stage) -> dict[str, Any]:
    return {
        "DeliveryStreamName": f"{MARK}-firehose", "Record": {"Data": b"attack"}, "Records": [{"Data": b"attack"}],
        "CurrentDeliveryStreamVersionId": "1", "DestinationId": "destinationId-000000000001",
        "Tags": [{"Key": "a", "Value": "b"}], "TagKeys": ["a"],
        "ExtendedS3DestinationUpdate": {"Prefix": "attack/"},
    }  # fmt: skip


def _lambda(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "FunctionName": n["function_arn"], "Name": f"{MARK}-alias", "FunctionVersion": "1", "UUID": n["mapping"],
        "Resource": n["function_arn"], "Tags": {"a": "b"}, "TagKeys": ["a"], "StatementId": "attack",
        "Action": "lambda:InvokeFunction", "Principal": "111111111111", "Payload": b"{}", "ZipFile": n["zip"],
        "ReservedConcurrentExecutions": 1, "Timeout": 5, "MaximumRetryAttempts": 1, "BatchSize": 5,
        "LayerName": f"arn:aws:lambda:{REGION}:{ALPHA}:layer:{MARK}-layer", "VersionNumber": 1,
        "Arn": f"arn:aws:lambda:{REGION}:{ALPHA}:layer:{MARK}-layer:1", "Content": {"ZipFile": n["zip"]},
        "ProvisionedConcurrentExecutions": 1, "AuthType": "NONE", "RecursiveLoop": "Allow",
        "UpdateRuntimeOn": "FunctionUpdate",
    }  # fmt: skip


def _glue(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "CatalogId": ALPHA, "DatabaseName": f"{MARK}_db", "TableName": f"{MARK}_table", "Name": f"{MARK}_db",
        "DatabaseInput": {"Name": f"{MARK}_db"}, "PartitionValues": ["1"], "VersionId": "1", "VersionIds": ["1"],
        "TableInput": {"Name": f"{MARK}_table", "StorageDescriptor": n["descriptor"]}, "PartitionValueList": ["1"],
        "PartitionInput": {"Values": ["1"], "StorageDescriptor": n["descriptor"]}, "TablesToDelete": [f"{MARK}_table"],
        "PartitionsToDelete": [{"Values": ["1"]}], "PartitionsToGet": [{"Values": ["1"]}],
        "PartitionInputList": [{"Values": ["1"], "StorageDescriptor": n["descriptor"]}],
        "FunctionName": f"{MARK}_function", "FunctionInput": {"FunctionName": f"{MARK}_function"}, "Pattern": "*",
        "Entries": [{"PartitionValueList": ["1"], "PartitionInput": {"Values": ["1"], "StorageDescriptor": n["descriptor"]}}],
        "ResourceArn": f"arn:aws:glue:{REGION}:{ALPHA}:database/{MARK}_db", "TagsToAdd": {"a": "b"}, "TagsToRemove": ["a"],
    }  # fmt: skip


def _athena(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "WorkGroup": f"{MARK}-group", "QueryExecutionId": n["execution"], "QueryExecutionIds": [n["execution"]],
        "NamedQueryId": n["named_query"], "NamedQueryIds": [n["named_query"]], "StatementName": f"{MARK}_statement",
        "PreparedStatementNames": [f"{MARK}_statement"], "DatabaseName": f"{MARK}_db", "TableName": f"{MARK}_table",
        "CatalogName": "AwsDataCatalog", "Name": f"{MARK}-query", "Database": "default", "QueryString": "SELECT 1",
        "QueryStatement": "SELECT 2", "ResourceARN": f"arn:aws:athena:{REGION}:{ALPHA}:workgroup/{MARK}-group",
        "Tags": [{"Key": "a", "Value": "b"}], "TagKeys": ["a"],
        "ResultConfiguration": {"OutputLocation": f"s3://{n['bucket']}/attack/"},
        "CapacityReservationName": f"{MARK}-reservation", "TargetDpus": 24,
        "CapacityAssignments": [{"WorkGroupNames": [f"{MARK}-group"]}],
    }  # fmt: skip


def _iam(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "UserName": f"{MARK}-user", "RoleName": f"{MARK}-role", "PolicyArn": n["policy_arn"], "VersionId": "v1",
        "PolicyName": f"{MARK}-inline", "PolicyDocument": document(allow("*")), "AccessKeyId": n["access_key"],
        "AssumeRolePolicyDocument": document(
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"}, "Action": "sts:AssumeRole"}),
        "PermissionsBoundary": n["policy_arn"], "Status": "Inactive", "PolicySourceArn": f"arn:aws:iam::{ALPHA}:user/{MARK}-user",
        "ActionNames": ["s3:GetObject"], "Tags": [{"Key": "a", "Value": "b"}], "TagKeys": ["a"], "Description": "attack",
    }  # fmt: skip


def _iot(s: Stage) -> dict[str, Any]:
    n = s.names
    return {
        "thingName": f"{MARK}-thing", "thingTypeName": None, "policyName": f"{MARK}-iotpolicy",
        "target": n["certificate_arn"], "principal": n["certificate_arn"], "certificateId": n["certificate_id"],
        "policyDocument": document(allow("iot:*")), "policyVersionId": "1", "ruleName": f"{MARK}_rule",
        "topicRulePayload": n["rule_payload"], "newStatus": "INACTIVE", "clientId": f"{MARK}-client",
        "resourceArn": f"arn:aws:iot:{REGION}:{ALPHA}:rule/{MARK}_rule",
        "tags": [{"Key": "a", "Value": "b"}], "tagKeys": ["a"], "certificateSigningRequest": _CSR,
        "certificatePem": n["certificate"], "topic": f"{MARK}/retained", "payload": b"attack",
        "thingGroupName": f"{MARK}-group", "billingGroupName": f"{MARK}-billing", "roleAlias": f"{MARK}-alias",
        "caCertificateId": n["certificate_id"],
        "jobId": f"{MARK}-job", "targets": [f"arn:aws:iot:{REGION}:{ALPHA}:thing/{MARK}-thing"], "document": "{}",
        "thingGroupProperties": {"thingGroupDescription": "attack"}, "executionNumber": 1,
        "billingGroupProperties": {"billingGroupDescription": "attack"}, "roleArn": n["iot_role"],
        "authInfos": [{"actionType": "PUBLISH", "resources": ["*"]}],
    }  # fmt: skip


def _logs(_: Stage) -> dict[str, Any]:
    return {
        "logGroupName": f"{MARK}-group", "logStreamName": f"{MARK}-logs", "retentionInDays": 7,
        "logEvents": [{"timestamp": 1_700_000_000_000, "message": "attack"}], "tags": {"a": "b"}, "tagKeys": ["a"],
        "resourceArn": f"arn:aws:logs:{REGION}:{ALPHA}:log-group:{MARK}-group",
    }  # fmt: skip


def _sts(s: Stage) -> dict[str, Any]:
    return {"RoleArn": s.names["role"], "RoleSessionName": "attack", "AccessKeyId": s.names["access_key"]}


def _cloudwatch(_: Stage) -> dict[str, Any]:
    return {
        "AlarmNames": [f"{MARK}-alarm"], "DashboardNames": [f"{MARK}-dashboard"], "DashboardName": f"{MARK}-dashboard",
        "ResourceARN": f"arn:aws:cloudwatch:{REGION}:{ALPHA}:alarm:{MARK}-alarm", "AlarmName": f"{MARK}-alarm",
        "DashboardBody": '{"widgets": []}', "Tags": [{"Key": "a", "Value": "b"}], "TagKeys": ["a"],
        "StateValue": "OK", "StateReason": "attack", "MetricName": "m", "Namespace": f"{MARK}/n", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 1.0, "Statistic": "Sum", "ComparisonOperator": "GreaterThanThreshold",
        "MetricData": [{"MetricName": "m", "Value": 1.0}], "Statistics": ["Sum"], "StartTime": 1_700_000_000,
        "EndTime": 1_700_000_060,
        "MetricDataQueries": [{"Id": "a", "MetricStat": {
            "Metric": {"Namespace": f"{MARK}/n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}}],
    }  # fmt: skip


def _sns(_: Stage) -> dict[str, Any]:
    topic = f"arn:aws:sns:{REGION}:{ALPHA}:{MARK}-topic"
    return {
        "TopicArn": topic, "ResourceArn": topic, "Name": f"{MARK}-topic", "Message": "attack", "Protocol": "sqs",
        "Endpoint": f"arn:aws:sqs:{REGION}:{ALPHA}:{MARK}-queue",
        "SubscriptionArn": f"{topic}:00000000-0000-0000-0000-000000000000",
        "Label": "a", "AWSAccountId": ["111111111111"], "ActionName": ["Publish"], "AttributeName": "DisplayName",
        "AttributeValue": "x", "Token": "x", "Tags": [{"Key": "a", "Value": "b"}], "TagKeys": ["a"],
    }  # fmt: skip


def _csr() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "attack")])
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


_CSR = _csr()
_TABLES = {
    "s3": _s3, "sqs": _sqs, "kinesis": _kinesis, "firehose": _firehose, "lambda": _lambda, "glue": _glue, "athena": _athena,
    "iam": _iam, "iot": _iot, "iot-data": _iot, "iot-jobs-data": _iot, "logs": _logs, "sts": _sts,
    "cloudwatch": _cloudwatch, "sns": _sns,
    "kms": _kms, "events": _events,
}  # fmt: skip


def _function(s: Stage) -> dict[str, Any]:
    return {
        "FunctionName": "attack-function", "Role": s.names["role"], "Code": {"ZipFile": s.names["zip"]},
        "Handler": "app.handler", "Runtime": "python3.11", "Timeout": None, "Tags": None,
    }  # fmt: skip


def _no_stream_name(_: Stage) -> dict[str, Any]:
    return {"StreamName": None}


_SPECIAL: dict[tuple[str, str], Any] = {
    ("cloudwatch", "PutCompositeAlarm"): lambda _: {"AlarmName": "attack", "AlarmRule": "FALSE"},
    ("events", "PutPermission"): lambda _: {"EventBusName": f"{MARK}-bus"},
    ("events", "RemovePermission"): lambda _: {"EventBusName": f"{MARK}-bus"},
    ("events", "CreateEventBus"): lambda _: {"Name": "attack"},
    ("events", "DeleteEventBus"): _bus,
    ("events", "DescribeEventBus"): _bus,
    ("events", "UpdateEventBus"): _bus,
    ("events", "CreateArchive"): lambda s: {"ArchiveName": "attack", "EventSourceArn": s.names["bus_arn"]},
    ("events", "ListArchives"): _no_filter,
    ("events", "ListReplays"): _no_filter,
    ("events", "PutRule"): lambda _: {"Tags": None},
    ("kms", "CreateKey"): lambda _: {"KeyId": None, "Policy": None},
    ("kms", "CreateAlias"): lambda _: {"AliasName": "alias/attack"},
    ("kms", "ListGrants"): lambda _: {"GranteePrincipal": None},
    ("kms", "Sign"): lambda s: {"KeyId": s.names["signing_key"], "SigningAlgorithm": "ECDSA_SHA_256"},
    ("kms", "Verify"): lambda s: {"KeyId": s.names["signing_key"], "SigningAlgorithm": "ECDSA_SHA_256"},
    ("kms", "GetPublicKey"): lambda s: {"KeyId": s.names["signing_key"]},
    ("s3", "CreateBucket"): lambda _: {"Bucket": "attack-bucket", "ACL": None},
    ("s3", "PutBucketAcl"): lambda _: {},
    ("lambda", "CreateFunction"): _function,
    ("lambda", "CreateEventSourceMapping"): lambda s: {
        "EventSourceArn": s.names["queue_arn"], "Tags": None, "MaximumRetryAttempts": None},
    ("lambda", "UpdateEventSourceMapping"): lambda _: {"MaximumRetryAttempts": None},
    ("lambda", "CreateAlias"): lambda _: {"Name": "attack"},
    ("lambda", "AddLayerVersionPermission"): lambda _: {"Action": "lambda:GetLayerVersion"},
    ("lambda", "RemoveLayerVersionPermission"): lambda _: {"StatementId": "own"},
    ("lambda", "CreateFunctionUrlConfig"): lambda _: {"Qualifier": f"{MARK}-alias"},
    ("lambda", "PutProvisionedConcurrencyConfig"): lambda _: {"Qualifier": f"{MARK}-alias"},
    ("lambda", "GetProvisionedConcurrencyConfig"): lambda _: {"Qualifier": f"{MARK}-alias"},
    ("lambda", "DeleteProvisionedConcurrencyConfig"): lambda _: {"Qualifier": f"{MARK}-alias"},
    ("iam", "CreateUser"): lambda _: {"UserName": "attack", "PermissionsBoundary": None},
    ("iam", "CreateRole"): lambda _: {"RoleName": "attack", "PermissionsBoundary": None},
    ("iam", "CreatePolicy"): lambda _: {"PolicyName": "attack"},
    ("iam", "UpdateAssumeRolePolicy"): lambda s: {"PolicyDocument": _iam(s)["AssumeRolePolicyDocument"]},
    ("iot", "CreateTopicRule"): lambda _: {"ruleName": "attack", "tags": None},
    ("iot", "CreateThing"): lambda _: {"thingName": "attack", "billingGroupName": None},
    ("iot", "UpdateThingType"): lambda _: {"thingTypeName": f"{MARK}-type"},
    ("iot", "CreateThingGroup"): lambda _: {"thingGroupName": "attack"},
    ("iot", "CreateBillingGroup"): lambda _: {"billingGroupName": "attack"},
    ("iot", "CreateRoleAlias"): lambda _: {"roleAlias": "attack"},
    ("iot", "CreateJob"): lambda _: {"jobId": "attack"},
    ("iot-data", "UpdateThingShadow"): lambda _: {"payload": b'{"state":{"desired":{"a":1}}}'},
    ("iot-jobs-data", "UpdateJobExecution"): lambda _: {"status": "SUCCEEDED"},
    ("iot", "CreateThingType"): lambda _: {"thingTypeName": "attack"},
    ("iot", "DeleteThingType"): lambda _: {"thingTypeName": f"{MARK}-type"},
    ("iot", "DescribeThingType"): lambda _: {"thingTypeName": f"{MARK}-type"},
    ("iot", "DeprecateThingType"): lambda _: {"thingTypeName": f"{MARK}-type"},
    ("iot", "CreatePolicy"): lambda _: {"policyName": "attack"},
    ("logs", "CreateLogGroup"): lambda _: {"logGroupName": "attack"},
    ("logs", "CreateLogStream"): lambda _: {"logStreamName": "attack"},
    ("kinesis", "CreateStream"): lambda _: {"StreamName": "attack", "Tags": None},
    ("kinesis", "RegisterStreamConsumer"): lambda _: {"Tags": None},
    ("kinesis", "PutRecords"): lambda _: {"Records": [{"Data": b"attack", "PartitionKey": "k"}]},
    ("kinesis", "ListShards"): _no_stream_name,
    ("kinesis", "TagResource"): lambda _: {"Tags": {"a": "b"}},
    ("kinesis", "DescribeStreamConsumer"): lambda _: {"StreamARN": None, "ConsumerName": None},
    ("kinesis", "DeregisterStreamConsumer"): lambda _: {"StreamARN": None, "ConsumerName": None},
    ("firehose", "CreateDeliveryStream"): lambda s: {
        "DeliveryStreamName": "attack",
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": s.names["firehose_role"], "BucketARN": f"arn:aws:s3:::{s.names['bucket']}"}},
    ("glue", "CreateDatabase"): lambda _: {"DatabaseInput": {"Name": "attack"}, "Tags": None},
    **{
        ("glue", f"{verb}Connection"): lambda _: {
            "ConnectionInput": {
                "Name": "attack", "ConnectionType": "JDBC",
                "ConnectionProperties": {"JDBC_CONNECTION_URL": "jdbc:postgresql://localhost/x", "USERNAME": "u"}},
            "Tags": None,
        }
        for verb in ("Create", "Update")
    },
    ("glue", "CreateRegistry"): lambda _: {"RegistryName": "attack", "Tags": None},
    ("glue", "CreateSchema"): lambda _: {
        "SchemaName": "attack", "DataFormat": "JSON", "SchemaDefinition": "{}", "RegistryId": None, "Tags": None},
    ("glue", "CheckSchemaVersionValidity"): lambda _: {"DataFormat": "JSON", "SchemaDefinition": "{}"},
    ("glue", "DeleteSchemaVersions"): lambda _: {"Versions": "2"},
    ("glue", "CreateTable"): lambda s: {
        "TableInput": {"Name": "attack", "StorageDescriptor": s.names["descriptor"]}, "Name": None},
    ("glue", "CreatePartition"): lambda s: {
        "PartitionInput": {"Values": ["2"], "StorageDescriptor": s.names["descriptor"]}},
    ("glue", "CreateUserDefinedFunction"): lambda _: {"FunctionInput": {"FunctionName": "attack"}},
    ("glue", "GetTable"): lambda _: {"Name": f"{MARK}_table"},
    ("glue", "UpdateTable"): lambda _: {"Name": None},
    ("glue", "DeleteTable"): lambda _: {"Name": f"{MARK}_table"},
    ("athena", "CreateWorkGroup"): lambda _: {"Name": "attack"},
    ("athena", "CreateCapacityReservation"): lambda _: {"Name": "attack"},
    **{
        ("athena", f"{verb}CapacityReservation"): lambda _: {"Name": f"{MARK}-reservation"}
        for verb in ("Get", "Update", "Cancel", "Delete")
    },
    ("athena", "CreatePreparedStatement"): lambda _: {"StatementName": "attack"},
    ("athena", "GetDataCatalog"): lambda _: {"Name": "AwsDataCatalog", "WorkGroup": None},
    ("athena", "CreateNamedQuery"): lambda _: {"Name": "attack"},
    ("sns", "CreateTopic"): lambda _: {"Name": "attack"},
    ("sqs", "CreateQueue"): lambda _: {"QueueName": "attack"},
    ("sqs", "AddPermission"): lambda _: {"Actions": ["SendMessage"]},
    ("sqs", "StartMessageMoveTask"): lambda _: {},
    ("sqs", "SetQueueAttributes"): lambda _: {"Attributes": {"DelaySeconds": "1"}},
    ("sqs", "SendMessageBatch"): lambda _: {"Entries": [{"Id": "1", "MessageBody": "attack"}]},
    ("sqs", "DeleteMessageBatch"): lambda s: {"Entries": [{"Id": "1", "ReceiptHandle": s.names["receipt"]}]},
    ("sqs", "ChangeMessageVisibilityBatch"): lambda s: {
        "Entries": [{"Id": "1", "ReceiptHandle": s.names["receipt"], "VisibilityTimeout": 0}]},
    ("sqs", "TagQueue"): lambda _: {"Tags": {"a": "b"}},
    ("logs", "UntagLogGroup"): lambda _: {"tags": ["a"]},
    ("lambda", "ListFunctions"): lambda _: {"FunctionVersion": "ALL"},
    ("s3", "PutObject"): lambda _: {"Tagging": None, "ACL": None},
    ("s3", "CopyObject"): lambda _: {"Tagging": None, "ACL": None},
    ("s3", "CreateMultipartUpload"): lambda _: {"Tagging": None, "ACL": None},
    ("s3", "PutObjectAcl"): lambda _: {},
}  # fmt: skip
