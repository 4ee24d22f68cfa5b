"""HTTP endpoints: configuration, and the request and answer that carry a buffer there. Pure.

https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html: a POST of one JSON object with the buffer's
records in base64, headers ``X-Amz-Firehose-*``, optionally compressed; the endpoint answers 200 with the request's id. Any
other answer is a failure and is tried again until the retry duration is over; then the records go to the backup bucket,
where all of them go anyway with S3BackupMode AllData. A refused size (413) would not get better by trying: it ends at once.
Where an endpoint may be is ``kernel/outward.py``'s question. Secrets Manager is refused by name.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.api import firehose as api
from lakebed.kernel import outward
from lakebed.kernel.errors import AwsError, not_built
from lakebed.services.firehose.destinations import Settings, s3

KIND = "http"
CONFIGURATION = "HttpEndpointDestinationConfiguration"
UPDATE = "HttpEndpointDestinationUpdate"
FAILED = "http-endpoint-failed"
ACCESS_KEY = "AccessKey"
_RETRY_DEFAULT = 300
_ANSWER_TOLD_MAX = 1000


def complete(given: Settings) -> dict[str, Any]:
    """A checked destination with its defaults."""
    if "SecretsManagerConfiguration" in given and given["SecretsManagerConfiguration"].get("Enabled"):
        raise not_built("firehose", "CreateDeliveryStream", "SecretsManagerConfiguration")
    endpoint = dict(given["EndpointConfiguration"])
    try:
        outward.check_url(endpoint["Url"])
    except ValueError as wrong:
        raise api.InvalidArgumentException(f"The HTTP endpoint URL {wrong}.") from None
    storage = given.get("S3Configuration") or given.get("S3DestinationDescription")
    if not storage:
        raise api.InvalidArgumentException("S3Configuration must be specified.")
    made: dict[str, Any] = {
        "EndpointConfiguration": endpoint,
        "BufferingHints": s3.hints(given.get("BufferingHints") or {}),
        "CloudWatchLoggingOptions": s3.logging(given.get("CloudWatchLoggingOptions") or {}),
        "RequestConfiguration": {"ContentEncoding": "NONE", **(given.get("RequestConfiguration") or {})},
        "ProcessingConfiguration": s3.processing(given.get("ProcessingConfiguration") or {}),
        "RetryOptions": {"DurationInSeconds": _RETRY_DEFAULT, **(given.get("RetryOptions") or {})},
        "S3BackupMode": given.get("S3BackupMode", "FailedDataOnly"),
        "S3DestinationDescription": s3.basic(storage),
    }
    if given.get("RoleARN"):
        made["RoleARN"] = given["RoleARN"]
    if s3.extraction_query(made) is not None:
        raise api.InvalidArgumentException("MetadataExtraction is only supported with dynamic partitioning.")
    return made


def merged(current: Settings, update: Settings) -> dict[str, Any]:
    """The destination after UpdateDestination: members that are given replace, others stay."""
    if current["S3BackupMode"] == "AllData" and update.get("S3BackupMode") == "FailedDataOnly":
        raise api.InvalidArgumentException("S3BackupMode cannot be changed from AllData to FailedDataOnly.")
    together = {**current, **{key: value for key, value in update.items() if key != "S3Update"}}
    if "S3Update" in update:
        together["S3DestinationDescription"] = {**current["S3DestinationDescription"], **update["S3Update"]}
    return complete(together)


def described(made: Settings) -> dict[str, Any]:
    """The description: an access key is never told."""
    endpoint = {key: value for key, value in made["EndpointConfiguration"].items() if key != ACCESS_KEY}
    return {"HttpEndpointDestinationDescription": {**made, "EndpointConfiguration": endpoint}}


def roles(made: Settings) -> list[str]:
    """Every role the destination hands us."""
    found = [made["S3DestinationDescription"]["RoleARN"]]
    if "RoleARN" in made:
        found.append(made["RoleARN"])
    if (transform := s3.lambda_parameters(made)) and "RoleArn" in transform:
        found.append(transform["RoleArn"])
    return list(dict.fromkeys(found))


def body_of(request_id: str, at: float, records: Sequence[bytes], settings: Settings) -> bytes:
    """The request's body, compressed where that is configured."""
    whole = {
        "requestId": request_id,
        "timestamp": int(at * 1000),
        "records": [{"data": b64encode(record).decode()} for record in records],
    }
    body = msgspec.json.encode(whole)
    if settings["RequestConfiguration"]["ContentEncoding"] != "GZIP":
        return body
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def headers_of(request_id: str, stream_arn: str, settings: Settings, access_key: str) -> dict[str, str]:
    """The request's headers."""
    made = {
        "Content-Type": "application/json",
        "User-Agent": "Amazon Kinesis Data Firehose Agent/1.0",
        "X-Amz-Firehose-Protocol-Version": "1.0",
        "X-Amz-Firehose-Request-Id": request_id,
        "X-Amz-Firehose-Source-Arn": stream_arn,
    }
    request = settings["RequestConfiguration"]
    if request["ContentEncoding"] == "GZIP":
        made["Content-Encoding"] = "gzip"
    if access_key:
        made["X-Amz-Firehose-Access-Key"] = access_key
    if attributes := request.get("CommonAttributes"):
        common = {each["AttributeName"]: each["AttributeValue"] for each in attributes}
        made["X-Amz-Firehose-Common-Attributes"] = _ascii({"commonAttributes": common})
    return made


def check_answer(request_id: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise unless the endpoint took the request."""
    told = body[:_ANSWER_TOLD_MAX].decode("utf-8", "replace")
    if status != 200:
        code = "HttpEndpoint.RequestTooLarge" if status == 413 else "HttpEndpoint.DestinationException"
        raise AwsError(code, f"The following response was received from the endpoint destination. {status}: {told}")
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if content_type != "application/json" or not isinstance(answer, dict):
        raise _invalid("it is no JSON object of type application/json", told)
    if answer.get("requestId") != request_id:
        raise _invalid("its requestId is not that of the request", told)
    if isinstance(answer.get("timestamp"), bool) or not isinstance(answer.get("timestamp"), int):
        raise _invalid("it has no timestamp", told)


def _invalid(why: str, told: str) -> AwsError:
    return AwsError(
        "HttpEndpoint.InvalidResponseFromDestination", f"The endpoint's response is not valid: {why}. {told}"
    )


def _ascii(value: Any) -> str:
    """JSON without a character a header may not have."""
    return json.dumps(value, separators=(",", ":"))
