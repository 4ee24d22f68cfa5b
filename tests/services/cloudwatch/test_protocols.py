"""The three protocols of CloudWatch: what each kind of SDK sends is understood and answered in its own way."""

from __future__ import annotations

import cbor2
import pytest

from lakebed.wire.aws.codec import codec
from lakebed.wire.aws.message import HttpRequest


@pytest.mark.parametrize(
    ("headers", "path", "body"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, "/",
         b"Action=ListMetrics&Version=2010-08-01&Namespace=App&Dimensions.member.1.Name=n"),
        ({"content-type": "application/x-amz-json-1.0", "x-amz-target": "GraniteServiceVersion20100801.ListMetrics"}, "/",
         b'{"Namespace":"App","Dimensions":[{"Name":"n"}]}'),
        ({"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"},
         "/service/GraniteServiceVersion20100801/operation/ListMetrics",
         cbor2.dumps({"Namespace": "App", "Dimensions": [{"Name": "n"}]})),
    ],
    ids=["query", "json", "cbor"],
)  # fmt: skip
def test_each_protocol(headers: dict[str, str], path: str, body: bytes) -> None:
    wire = codec("cloudwatch")
    match = wire.identify(request := HttpRequest("POST", path, "", headers, body, None))
    assert match is not None
    assert match.operation == "ListMetrics"
    assert wire.parse(match, request) == {"Namespace": "App", "Dimensions": [{"Name": "n"}]}
    answer = wire.serialise(match, {"Metrics": [{"Namespace": "App", "MetricName": "m", "Dimensions": []}]}, "id")
    assert answer.status == 200
    assert isinstance(answer.body, bytes)
    assert b"App" in answer.body
