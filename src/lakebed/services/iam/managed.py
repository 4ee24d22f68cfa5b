"""AWS managed policies: the ones our data-analytics stack attaches, with what they allow.

The ARNs are AWS's, so that templates attach them unchanged; the documents say the same permissions in our own words,
limited to services Lakebed has. An ARN that is not here is NoSuchEntity: attaching a policy that would silently allow
nothing helps nobody.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec

from lakebed.services.iam.model import Policy, Version

_PREFIX = "arn:aws:iam::aws:policy"
_BEGAN = 1_423_000_000.0
_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_KINESIS_READ = (
    "kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator",
    "kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard",
)  # fmt: skip
_SQS_READ = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_GLUE_CATALOG = ("glue:*Database*", "glue:*Table*", "glue:*Partition*")

# path and name -> the actions allowed on every resource
_ALLOWED: dict[str, Sequence[str]] = {
    "/AdministratorAccess": ("*",),
    "/ReadOnlyAccess": (
        "athena:Batch*", "athena:Get*", "athena:List*", "firehose:Describe*", "firehose:List*", "glue:BatchGet*",
        "glue:Get*", "glue:List*", "glue:Search*", "iam:Get*", "iam:List*", "iot:Describe*", "iot:Get*", "iot:List*",
        "kinesis:Describe*", "kinesis:Get*", "kinesis:List*", "lambda:Get*", "lambda:List*", "logs:Describe*",
        "logs:FilterLogEvents", "logs:Get*", "s3:Get*", "s3:List*", "sqs:Get*", "sqs:List*",
    ),
    "/AmazonS3FullAccess": ("s3:*", "s3-object-lambda:*"),
    "/AmazonS3ReadOnlyAccess": ("s3:Get*", "s3:List*", "s3:Describe*"),
    "/AmazonKinesisFullAccess": ("kinesis:*",),
    "/AmazonKinesisReadOnlyAccess": ("kinesis:Get*", "kinesis:List*", "kinesis:Describe*"),
    "/AmazonKinesisFirehoseFullAccess": ("firehose:*",),
    "/AmazonKinesisFirehoseReadOnlyAccess": ("firehose:Describe*", "firehose:List*"),
    "/AmazonSQSFullAccess": ("sqs:*",),
    "/AmazonSQSReadOnlyAccess": ("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueues", "sqs:ListQueueTags"),
    "/AmazonAthenaFullAccess": (
        "athena:*", *_GLUE_CATALOG, "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket",
        "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload", "s3:CreateBucket",
        "s3:PutObject", "s3:ListAllMyBuckets", "lakeformation:GetDataAccess",
    ),
    "/AWSGlueConsoleFullAccess": ("glue:*", "s3:ListAllMyBuckets", "s3:ListBucket", "s3:GetBucketLocation"),
    "/service-role/AWSGlueServiceRole": (
        "glue:*", "s3:GetBucketLocation", "s3:ListBucket", "s3:ListAllMyBuckets", "s3:GetBucketAcl", *_LOGS,
    ),
    "/AWSLambda_FullAccess": ("lambda:*", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:FilterLogEvents"),
    "/AWSLambda_ReadOnlyAccess": ("lambda:Get*", "lambda:List*", "logs:DescribeLogGroups"),
    "/service-role/AWSLambdaBasicExecutionRole": _LOGS,
    "/service-role/AWSLambdaKinesisExecutionRole": (*_KINESIS_READ, *_LOGS),
    "/service-role/AWSLambdaSQSQueueExecutionRole": (*_SQS_READ, *_LOGS),
    "/service-role/AWSLambdaRole": ("lambda:InvokeFunction",),
    "/AWSLambdaInvocation-DynamoDB": ("lambda:InvokeFunction",),
    "/AWSIoTFullAccess": ("iot:*", "iotjobsdata:*"),
    "/AWSIoTDataAccess": ("iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive", "iot:*ThingShadow"),
    "/service-role/AWSIoTRuleActions": ("kinesis:PutRecord", "sqs:SendMessage*", "s3:PutObject", "iot:Publish"),
    "/service-role/AWSIoTLogging": (*_LOGS, "logs:PutRetentionPolicy"),
    "/CloudWatchLogsFullAccess": ("logs:*",),
    "/CloudWatchLogsReadOnlyAccess": ("logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents"),
    "/IAMFullAccess": ("iam:*",),
    "/IAMReadOnlyAccess": ("iam:Get*", "iam:List*", "iam:Simulate*"),
}  # fmt: skip


@cache
def all_policies() -> dict[str, tuple[Policy, Version]]:
    """Every AWS managed policy we know, by ARN."""
    made = {}
    for index, (place, actions) in enumerate(sorted(_ALLOWED.items())):
        path, _, name = place.rpartition("/")
        arn = f"{_PREFIX}{place}"
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
        }
        policy = Policy(name, f"{path}/", f"ANPALAKEBED{index:010d}", arn, _BEGAN, _BEGAN)
        made[arn] = (policy, Version(1, _BEGAN, msgspec.json.encode(document).decode()))
    return made


def is_managed(arn: str) -> bool:
    """Whether the ARN lies in AWS's own account."""
    return arn.startswith("arn:aws:iam::aws:policy/")
