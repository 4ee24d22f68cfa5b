"""S3's errors that botocore's model does not list; each function says what went wrong and gives the error to raise.

Codes, statuses and messages: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.scalars import write_rfc822

if TYPE_CHECKING:
    from lakebed.services.s3.model.shapes import ObjectVersion


def no_such_bucket(bucket: str) -> AwsError:
    """No account owns a bucket of this name."""
    return AwsError("NoSuchBucket", "The specified bucket does not exist", status=404, members={"BucketName": bucket})


def no_such_key(key: str, marker: ObjectVersion | None = None) -> AwsError:
    """The bucket holds no current object of this key; ``marker`` is the delete marker that hides it."""
    members = {"Key": key} | (_marker_headers(marker) if marker is not None else {})
    return AwsError("NoSuchKey", "The specified key does not exist.", status=404, members=members)


def _marker_headers(marker: ObjectVersion) -> dict[str, str]:
    """Members that begin with ``x-amz-`` travel as headers."""
    return {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version_id}


def no_such_version(key: str, version_id: str) -> AwsError:
    """The key has no version of this id."""
    return AwsError(
        "NoSuchVersion",
        "The specified version does not exist.",
        status=404,
        members={"Key": key, "VersionId": version_id},
    )


def no_such_upload(upload_id: str) -> AwsError:
    """Never begun, aborted or completed."""
    return AwsError(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
        status=404,
        members={"UploadId": upload_id},
    )


def missing(code: str, message: str, bucket: str) -> AwsError:
    """A bucket configuration that was never put: each has a code of its own."""
    return AwsError(code, message, status=404, members={"BucketName": bucket})


def invalid_argument(message: str, name: str = "", value: object = None) -> AwsError:
    """An argument that the service itself finds wrong."""
    members = {"ArgumentName": name, "ArgumentValue": "" if value is None else str(value)} if name else {}
    return AwsError("InvalidArgument", message, status=400, members=members)


def invalid_request(message: str) -> AwsError:
    """A combination of members that S3 does not take."""
    return AwsError("InvalidRequest", message, status=400)


def malformed_xml() -> AwsError:
    """The document parses but is not what the schema asks for."""
    return AwsError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
        status=400,
    )


def precondition_failed(condition: str) -> AwsError:
    """A conditional request whose condition does not hold."""
    return AwsError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        status=412,
        members={"Condition": condition},
    )


def not_modified(found: ObjectVersion) -> AwsError:
    """The client's copy is still good; the answer has no body, only what a cache needs."""
    members = {"ETag": found.quoted_etag, "Last-Modified": write_rfc822(found.modified)}
    return AwsError("NotModified", "Not Modified", status=304, members=members)


def access_denied(message: str = "Access Denied") -> AwsError:
    """S3 spells IAM's decision without ``Exception``."""
    return AwsError("AccessDenied", message, status=403)


def method_not_allowed(method: str, marker: ObjectVersion) -> AwsError:
    """A delete marker is neither read nor tagged."""
    return AwsError(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        status=405,
        members={"Method": method, "ResourceType": "DeleteMarker", **_marker_headers(marker)},
    )
