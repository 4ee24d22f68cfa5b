"""What the models do not say about single services, in tables: the only place where the wire layer knows their names.

S3's root elements and namespace (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html), the codes with
which services report violated constraints, and the names of SQS's query protocol, which its model no longer holds
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-xml.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
S3_ROOTS: Mapping[str, str] = {
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketTagging": "Tagging",
    "GetObjectTagging": "Tagging",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetBucketLocation": "LocationConstraint",
}

# The code of a violated constraint, where it is not ValidationException.
CONSTRAINT_CODES: Mapping[str, str] = {
    "iam": "ValidationError",
    "sts": "ValidationError",
    "redshift": "ValidationError",
    "sns": "ValidationError",
    "cloudwatch": "ValidationError",
    "athena": "InvalidRequestException",
    "iot": "InvalidRequestException",
    "iot-data": "InvalidRequestException",
    "iot-jobs-data": "InvalidRequestException",
    "logs": "InvalidParameterException",
    "sqs": "InvalidParameterValue",
    "s3": "InvalidArgument",
}

# Patterns whose backtracking is exponential, in a form that matches the same texts in linear time; and "not blank", which
# AWS means of texts of several lines too (a schema's definition).
SAFE_PATTERNS: Mapping[str, str] = {
    r".*\S.*": r"[\s\S]*\S[\s\S]*",
    r"\$(\.[a-zA-Z0-9_.@\[\]\(\)-]+)*": r"\$(\.[a-zA-Z0-9_.@\[\]\(\)-]+)?",
}

# Labels that take slashes although the model does not say so: devices publish to /topics/a/b.
# https://docs.aws.amazon.com/iot/latest/developerguide/http.html
GREEDY_LABELS: Mapping[str, frozenset[str]] = {"iot-data": frozenset({"topic"})}

# Services that also speak the query protocol, with the namespace of its answers.
QUERY_NAMESPACES: Mapping[str, str] = {"sqs": "http://queue.amazonaws.com/doc/2012-11-05/"}

# SQS's codes in the query protocol, and in x-amzn-query-error, for the errors whose code is not their name.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html and the pages of its operations
_SQS_PREFIXED = (
    "BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId", "MessageNotInflight",
    "PurgeQueueInProgress", "QueueDeletedRecently", "TooManyEntriesInBatchRequest", "UnsupportedOperation",
)  # fmt: skip
QUERY_CODES: Mapping[str, Mapping[str, str]] = {
    "sqs": {
        "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
        "QueueNameExists": "QueueAlreadyExists",
        **{name: f"AWS.SimpleQueueService.{name}" for name in _SQS_PREFIXED},
        "KmsAccessDenied": "KMS.AccessDeniedException",
        "KmsDisabled": "KMS.DisabledException",
        "KmsInvalidKeyUsage": "KMS.InvalidKeyUsageException",
        "KmsInvalidState": "KMS.KMSInvalidStateException",
        "KmsNotFound": "KMS.NotFoundException",
        "KmsOptInRequired": "KMS.OptInRequired",
        "KmsThrottled": "KMS.ThrottlingException",
    }
}

_SQS_FLAT = {
    "AttributeNames": "AttributeName",
    "MessageSystemAttributeNames": "MessageSystemAttributeName",
    "MessageAttributeNames": "MessageAttributeName",
    "MessageAttributes": "MessageAttribute",
    "MessageSystemAttributes": "MessageSystemAttribute",
    "Attributes": "Attribute",
    "Tags": "Tag",
    "tags": "Tag",
    "TagKeys": "TagKey",
    "AWSAccountIds": "AWSAccountId",
    "Actions": "ActionName",
    "QueueUrls": "QueueUrl",
    "queueUrls": "QueueUrl",
    "Messages": "Message",
    "Failed": "BatchResultErrorEntry",
    "key": "Name",
    "value": "Value",
}


def sqs_names(operation: str) -> dict[str, str]:
    """Names of an SQS operation's members in the query protocol; batches name their entries after themselves."""
    names = dict(_SQS_FLAT)
    if operation.endswith("Batch"):
        names["Entries"] = f"{operation}RequestEntry"
        names["Successful"] = f"{operation}ResultEntry"
    if operation == "ListQueueTags":
        names["key"] = "Key"
    return names


def host_id(request_id: str) -> str:
    """S3's second id of a request, ``x-amz-id-2``: derived, as there is one host."""
    return sha256(request_id.encode()).hexdigest()
