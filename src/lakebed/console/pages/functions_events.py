"""Examples of the events that services hand to a function, in AWS's shapes, to begin a trial with.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

_BODY = '{"carrier": "UA"}'
_KINESIS = {
    "kinesis": {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": "tower-1",
        "sequenceNumber": "49500000000000000000000000000000000000000000000000000001",
        "data": "eyJjYXJyaWVyIjogIlVBIn0=",
        "approximateArrivalTimestamp": 1357030800.123,
    },
    "eventSource": "aws:kinesis",
    "eventVersion": "1.0",
    "eventID": "shardId-000000000000:49500000000000000000000000000000000000000000000000000001",
    "eventName": "aws:kinesis:record",
    "invokeIdentityArn": "arn:aws:iam::000000000000:role/function",
    "awsRegion": "us-east-1",
    "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/flights",
}
_SQS = {
    "messageId": "00000000-0000-4000-8000-000000000001",
    "receiptHandle": "a-receipt-handle",
    "body": _BODY,
    "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1357030800123"},
    "messageAttributes": {},
    "md5OfBody": hashlib.md5(_BODY.encode(), usedforsecurity=False).hexdigest(),
    "eventSource": "aws:sqs",
    "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:arrivals",
    "awsRegion": "us-east-1",
}
_S3 = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "us-east-1",
    "eventTime": "2013-01-01T00:00:00.000Z",
    "eventName": "ObjectCreated:Put",
    "s3": {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": "lake", "arn": "arn:aws:s3:::lake"},
        "object": {"key": "flights/part-0.parquet", "size": 1024, "eTag": "0123456789abcdef0123456789abcdef"},
    },
}
_FIREHOSE = {
    "invocationId": "00000000-0000-4000-8000-000000000002",
    "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/flights",
    "region": "us-east-1",
    "records": [
        {"recordId": "1", "approximateArrivalTimestamp": 1357030800123, "data": "eyJjYXJyaWVyIjogIlVBIn0="},
    ],
}
_SNS = {
    "EventVersion": "1.0",
    "EventSource": "aws:sns",
    "EventSubscriptionArn": "arn:aws:sns:us-east-1:000000000000:news:00000000-0000-4000-8000-000000000003",
    "Sns": {"Type": "Notification", "Subject": "Arrived", "Message": _BODY, "MessageAttributes": {}},
}


def _text(event: Any) -> str:
    return json.dumps(event, indent=2)


EVENTS = {
    "Empty": "{}",
    "SQS": _text({"Records": [_SQS]}),
    "Kinesis": _text({"Records": [_KINESIS]}),
    "S3": _text({"Records": [_S3]}),
    "SNS": _text({"Records": [_SNS]}),
    "Firehose transformation": _text(_FIREHOSE),
}
