"""Run botocore's own protocol and SigV4 vectors against the wire layer, turned round: we are the server.

``python tools/conformance.py --vectors DIR`` where DIR is ``tests/unit`` of a checkout of https://github.com/boto/botocore
(not part of this repository). An input case must identify and parse to its parameters; an output case, serialised by us
and read by botocore's parser, must give what the same parser reads from the vector's own response; a SigV4 case must
verify, and its canonical request and string to sign must be the vector's, byte for byte. ``docs/conformance.md`` holds
the counts and the reason of each exception.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import botocore.parsers
from botocore.awsrequest import HeadersDict
from botocore.eventstream import EventStream
from botocore.model import OperationModel, ServiceModel
from botocore.utils import parse_timestamp

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws import sigv4
from lakebed.wire.aws.codec import Codec
from lakebed.wire.aws.message import HttpRequest, HttpResponse
from lakebed.wire.aws.model import Model, Shape

EXCEPTIONS = {
    "AutoFill": "the client makes an idempotency token up; the vector's parameters are without it",
    "Idempotency token auto fill": "the client makes an idempotency token up; the vector's parameters are without it",
    "SDKAppliedContentEncoding": "the vector names headers, not the compressed body",
    "SDKAppen": "the vector names headers, not the compressed body",
    "SDK_UNKNOWN": "a union member that only a client can meet",
    "Unions": "a union member that only a client can meet",
    "WithUnsetUnion": "botocore's parser refuses the vector's own response",
    "XmlLists": "flattened lists with two names: botocore's parser goes by the inner one, the vector by the outer one",
    "DenseSetMapAndSkipsNull": "botocore's parser fails on the vector's own response",
    "Content-Type and JSON body": "the client's default Content-Type is also a modelled header",
    "HostWithPath": "the path is that of a custom endpoint; nothing routes to us under it",
}
NOT_OURS = {"ec2": "no service of ours speaks the ec2 protocol"}
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def typed(shape: Shape | None, value: Any) -> Any:
    """A vector's value as Lakebed has it: blobs as bytes, special floats as floats, no nulls."""
    if shape is None or value is None or shape.document:
        return value
    if shape.get("jsonvalue"):
        return json.loads(value) if isinstance(value, str) else value
    if shape.type == "structure":
        return {name: typed(shape.members.get(name), item) for name, item in value.items() if item is not None}
    if shape.type == "list":
        return [typed(shape.part("member"), item) for item in value]
    if shape.type == "map":
        return {key: typed(shape.part("value"), item) for key, item in value.items() if item is not None}
    if shape.type == "blob":
        return value.encode() if isinstance(value, str) else value
    if shape.type in ("float", "double"):
        return SPECIAL.get(value, value) if isinstance(value, str) else value
    return value


def comparable(value: Any) -> Any:
    """NaN made equal to itself, event streams drained, bodies read."""
    if isinstance(value, EventStream):
        return [comparable(event) for event in value]
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if hasattr(value, "read"):
        return value.read()
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def cases(directory: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """File name, suite and case of all vectors below a directory."""
    for path in sorted(directory.rglob("*.json")):
        if path.parent.name in ("input", "output"):
            for suite in json.loads(path.read_text()):
                for case in suite["cases"]:
                    yield str(path.relative_to(directory)), suite, case


def codec_of(suite: dict[str, Any], case: dict[str, Any]) -> tuple[Codec, str]:
    """A codec whose service has the one operation of the case."""
    operation = case["given"].get("name", "OperationName")
    metadata = {"endpointPrefix": "vectors", **suite["metadata"]}
    # Some suites name no target prefix: their targets begin with a full stop or with "None".
    data = {"metadata": metadata, "shapes": suite.get("shapes", {}), "operations": {operation: case["given"]}}
    return Codec(Model("vectors", json.dumps(data).encode())), operation


def run_input(suite: dict[str, Any], case: dict[str, Any]) -> str:
    """Empty, or what went wrong."""
    codec, operation = codec_of(suite, case)
    sent = case["serialized"]
    path, _, query = sent["uri"].partition("?")
    body = sent.get("body", "")
    if isinstance(body, dict):
        from urllib.parse import urlencode

        body = urlencode(body)
    data = base64.b64decode(body) if codec.protocol == "smithy-rpc-v2-cbor" else body.encode()
    headers = {name.lower(): value for name, value in sent.get("headers", {}).items()}
    if codec.protocol == "json":  # vectors about something else leave it out
        headers.setdefault("x-amz-target", f"{codec.target_prefix or ''}.{operation}")
    request = HttpRequest(
        sent.get("method") or case["given"].get("http", {}).get("method", "POST"), path, query, headers, data
    )
    match = codec.identify(request)
    if match is None:
        return f"not identified: {request.method} {request.raw_path} {headers}"
    params = codec.parse(match, request)
    shape = codec.model.input(operation)
    payload = shape.payload() if shape else None
    if payload is not None and payload.streaming:
        name = shape.get("payload") if shape else ""
        params[name] = asyncio.run(_drain(params[name]))
        if not params[name] and not case["params"].get(name):
            del params[name]
    found, expected = _told_apart(shape, params), _told_apart(shape, typed(shape, case.get("params", {})))
    return "" if found == expected else f"parsed {found!r}, expected {expected!r}"


def _told_apart(shape: Shape | None, params: dict[str, Any]) -> Any:
    """Without what the wire cannot say: an empty member is not sent, a map of the query has the bound members too."""
    params = dict(params)
    members = shape.members if shape else {}
    bound = {member.get("locationName", name) for name, member in members.items() if member.get("location")}
    for name, member in members.items():
        if member.get("location") == "querystring" and member.type == "map" and name in params:
            params[name] = {key: value for key, value in params[name].items() if key not in bound}
    return comparable({name: value for name, value in params.items() if value not in ({}, [], b"")})


async def _drain(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])


class _Raw:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> Iterator[bytes]:
        yield self._data


def botocore_reads(suite: dict[str, Any], case: dict[str, Any], response: dict[str, Any]) -> Any:
    """What botocore's parser makes of a response."""
    operation = case["given"].get("name", "OperationName")
    model = ServiceModel({**suite, "operations": {operation: json.loads(json.dumps(case["given"]))}})
    operation_model = OperationModel(json.loads(json.dumps(case["given"])), model)
    factory = botocore.parsers.ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=lambda value: parse_timestamp(value).astimezone(UTC).timestamp())
    parser = factory.create_parser(suite["metadata"]["protocol"])
    if operation_model.has_event_stream_output and "error" not in case:
        response["body"] = _Raw(response["body"])
    response["context"] = {"operation_name": operation}
    shape = operation_model.output_shape
    if suite["metadata"]["protocol"] == "query" and shape is not None and shape.members:
        shape.serialization.setdefault("resultWrapper", f"{operation}Result")
    parsed = comparable(parser.parse(response, shape))
    if "error" in case:
        code = parsed.get("Error", {}).get("Code")
        shapes = {error["shape"] for error in case["given"].get("errors", [])}
        found = model.shape_for(code) if code in shapes else None
        parsed |= comparable(parser.parse(response, found)) if found is not None else {}
    return parsed


def vector_response(suite: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """The response a vector gives, as botocore's tests feed it to the parser."""
    given = case["response"]
    body = given.get("body", "" if suite["metadata"]["protocol"] != "query" else "<xml/>").encode()
    shape = codec_of(suite, case)[0].model.output(case["given"].get("name", "OperationName"))
    binary = shape is not None and shape.event_stream() is not None and "error" not in case
    if suite["metadata"]["protocol"] == "smithy-rpc-v2-cbor" or binary:
        body = base64.b64decode(body)
    return {
        "status_code": given.get("status_code", 200),
        "headers": HeadersDict(given.get("headers", {})),
        "body": body,
    }


def run_output(suite: dict[str, Any], case: dict[str, Any]) -> str:
    """Empty, or what went wrong."""
    codec, operation = codec_of(suite, case)
    theirs = vector_response(suite, case)
    match_protocol = suite["metadata"]["protocol"]
    from lakebed.wire.aws.codec import Match

    match = Match(operation, match_protocol)
    if "error" in case:
        code = case.get("errorCode", "")
        shape = codec.model.error(code)
        members = typed(shape, case["error"]) if shape else {}
        message = case.get("errorMessage", "")
        error = AwsError(code, message, status=theirs["status_code"], members=members)
        ours = codec.serialise_error(match, error, "request-id")
    else:
        shape = codec.model.output(operation)
        events = shape.event_stream() if shape else None
        given = {name: value for name, value in case["result"].items() if events is None or name != events[0]}
        result = typed(shape, given)
        if events is not None:
            result[events[0]] = _events(case["result"].get(events[0], []), events[1])
        ours = codec.serialise(match, result, "request-id")
    return _same(suite, case, theirs, ours)


def _drop_our_headers(parsed: dict[str, Any]) -> None:
    """A map of all headers also has those that we add to every answer."""
    for name, value in parsed.items():
        if "eaders" in name and isinstance(value, dict):
            parsed[name] = {
                key: item for key, item in value.items() if not key.lower().endswith(("amzn-requestid", "content-type"))
            }


def _events(events: list[dict[str, Any]], union: Shape) -> AsyncIterator[dict[str, Any]]:
    async def stream() -> AsyncIterator[dict[str, Any]]:
        for event in events:
            yield typed(union, event)

    return stream()


def _same(suite: dict[str, Any], case: dict[str, Any], theirs: dict[str, Any], ours: HttpResponse) -> str:
    body = ours.body if isinstance(ours.body, bytes) else asyncio.run(_drain(ours.body))
    mine = {"status_code": ours.status, "headers": HeadersDict(ours.headers), "body": body}
    expected, found = botocore_reads(suite, case, theirs), botocore_reads(suite, case, mine)
    if "error" in case:
        for parsed in (expected, found):
            parsed["Error"] = {key: parsed.get("Error", {}).get(key) or "" for key in ("Code", "Message")}
        # botocore skips some of these vectors, as its parser wants an error's code in one place; we send it in both.
        expected["Error"] = {"Code": case.get("errorCode", ""), "Message": case.get("errorMessage", "")}
    for parsed in (expected, found):
        _drop_our_headers(parsed)
    if mine["status_code"] != theirs["status_code"]:
        return f"status {mine['status_code']}, expected {theirs['status_code']}"
    return "" if expected == found else f"sent {body[:400]!r} {ours.headers}; read {found!r}, expected {expected!r}"


def run_protocols(directory: Path, counts: dict[str, Counter[str]], failures: list[str]) -> None:
    """All protocol vectors."""
    for name, suite, case in cases(directory):
        protocol, kind = suite["metadata"]["protocol"], "input" if "serialized" in case else "output"
        count = counts.setdefault(f"{protocol} {kind}", Counter())
        identity = case.get("id") or f"{suite['description']}: {case.get('description', '')}"
        if protocol in NOT_OURS:
            count["not ours"] += 1
            continue
        try:
            wrong = run_input(suite, case) if kind == "input" else run_output(suite, case)
        except Exception as error:  # a vector that crashes is a failure like another
            wrong = f"{type(error).__name__}: {error}"
        if wrong and any(part in identity for part in EXCEPTIONS):
            count["excepted"] += 1
            continue
        count["passed" if not wrong else "failed"] += 1
        if wrong:
            failures.append(f"{name} {identity}: {wrong}")


def run_sigv4(directory: Path, counts: dict[str, Counter[str]], failures: list[str]) -> None:
    """The AWS SigV4 test suite."""
    count = counts.setdefault("sigv4", Counter())
    for path in sorted(directory.rglob("*.sreq")):
        wrong = _sigv4_case(path)
        count["passed" if not wrong else "failed"] += 1
        if wrong:
            failures.append(f"sigv4 {path.stem}: {wrong}")


def _sigv4_case(path: Path) -> str:
    head, _, body = path.read_text().replace("\r", "").partition("\n\n")
    first, *lines = head.split("\n")
    method, target = first.removesuffix(" HTTP/1.1").split(" ", 1)
    headers: dict[str, str] = {}
    last = ""
    for line in lines:
        if line[:1] in " \t":
            headers[last] += " " + line.strip()
            continue
        last, _, value = line.partition(":")
        last = last.lower()
        headers[last] = f"{headers[last]},{value.strip()}" if last in headers else value.strip()
    raw_path, _, query = target.partition("?")
    headers["authorization"] = path.with_suffix(".authz").read_text().strip()  # one .sreq has another, wrong one
    request = HttpRequest(method, raw_path, query, headers, body.encode())
    try:
        claim = sigv4.read_claim(request)
        assert claim is not None
        digest = sha256(body.encode()).hexdigest()
        canonical = sigv4.canonical_request(claim, request, sigv4._paths(claim, raw_path)[0], digest)
        expected = path.with_suffix(".creq").read_text().replace("\r", "")
        if canonical != expected:
            return f"canonical request {canonical!r}, expected {expected!r}"
        if sigv4.string_to_sign(claim, canonical) != path.with_suffix(".sts").read_text().replace("\r", ""):
            return "string to sign differs"
        now = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
        sigv4.verify(claim, request, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", payload_sha256=digest, now=now)
    except AwsError as error:
        return str(error)
    return ""


def main() -> int:
    """Print the counts; 1 when fewer than 99 % of the cases that are ours pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True, help="tests/unit of a botocore checkout")
    parser.add_argument("--grep", default="", help="show only failures that match")
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    failures: list[str] = []
    run_protocols(arguments.vectors / "protocols", counts, failures)
    run_sigv4(arguments.vectors / "auth" / "aws4_testsuite", counts, failures)
    for failure in failures:
        if re.search(arguments.grep, failure):
            print("FAILED", failure)
    total: Counter[str] = Counter()
    for name, count in sorted(counts.items()):
        total += count
        print(
            f"{name:32} passed {count['passed']:4}  failed {count['failed']:3}  excepted {count['excepted']:3}  "
            f"not ours {count['not ours']:3}"
        )
    share = total["passed"] / max(1, total["passed"] + total["failed"])
    print(
        f"{'all':32} passed {total['passed']:4}  failed {total['failed']:3}  excepted {total['excepted']:3}  "
        f"not ours {total['not ours']:3}"
    )
    print(f"{share:.2%} of the cases that apply to a server, and are not excepted, pass")
    return 0 if share >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
