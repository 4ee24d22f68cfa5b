"""One service's wire: from an HTTP request to an operation and its members, and from a result back to HTTP.

``codec("kinesis")`` reads botocore's model once; each operation's closures are built when it is first called. Everything
here is sans-io: bytes in, values out. What a client sent wrongly is an ``AwsError``; what we return wrongly (a member
the model does not have) is a ``ValueError``, a bug of ours.

Protocols: awsJson 1.0/1.1 with query compatibility, query, restJson, restXml, Kinesis's CBOR, Smithy's RPC v2 CBOR, event
streams in answers. https://smithy.io/2.0/aws/protocols/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws import cbor, failures
from lakebed.wire.aws.check import Checker, Checkers, Violations, check_sqs, constraint_error, s3_error
from lakebed.wire.aws.checksums import check_document
from lakebed.wire.aws.dialect import GREEDY_LABELS, QUERY_NAMESPACES
from lakebed.wire.aws.formshapes import form_pairs
from lakebed.wire.aws.message import HttpRequest, HttpResponse
from lakebed.wire.aws.model import Model, model
from lakebed.wire.aws.protocols import JsonRpc, Parse, Query, RestJson, RestXml, Serialise, Wire, query_items
from lakebed.wire.aws.route import Router
from lakebed.wire.aws.scalars import malformed

CBOR, RPC_V2 = "cbor", "smithy-rpc-v2-cbor"
_FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Match:
    """The operation a request asks for, the protocol it speaks, and the labels of its path, decoded."""

    operation: str
    protocol: str
    labels: Mapping[str, str] = field(default_factory=dict)


class Codec:
    """The wire of one service; get it with ``codec``."""

    def __init__(self, service_model: Model) -> None:
        metadata = service_model.metadata
        self.model = service_model
        self.service: str = service_model.service
        self.signing_name: str = metadata.get("signingName") or metadata["endpointPrefix"]
        self.protocol: str = metadata["protocol"]
        self.target_prefix: str | None = metadata.get("targetPrefix")
        protocols = list(metadata.get("protocols") or [self.protocol])
        if self.service in QUERY_NAMESPACES and "query" not in protocols:
            protocols.append("query")
        self.protocols: tuple[str, ...] = tuple(protocols)
        self._wires: dict[str, Wire] = {}
        self._parsers: dict[tuple[str, str], Parse] = {}
        self._serialisers: dict[tuple[str, str], Serialise] = {}
        self._checkers = Checkers()
        self._checks: dict[str, Checker | None] = {}
        self._router: Router | None = None

    def operations(self) -> Sequence[str]:
        """All operations the model has."""
        return list(self.model.operations)

    def streaming_input(self, operation: str) -> bool:
        """Whether the body of a request is a blob handed over as it comes."""
        shape = self.model.input(operation)
        payload = shape.payload() if shape else None
        return payload is not None and payload.streaming

    def streaming_output(self, operation: str) -> bool:
        """Whether the body of an answer may be an iterator: a streaming blob or an event stream."""
        shape = self.model.output(operation)
        if shape is None:
            return False
        payload = shape.payload()
        return (payload is not None and payload.streaming) or shape.event_stream() is not None

    # --- which operation -------------------------------------------------------------------------------------------

    def identify(self, request: HttpRequest) -> Match | None:
        """Operation, protocol and labels of a request; None when it is no operation of this service."""
        if self.protocol in ("rest-json", "rest-xml"):
            return self._identify_rest(request)
        target = request.headers.get("x-amz-target")
        if target is not None:
            prefix, _, operation = target.rpartition(".")
            if operation not in self.model.operations or prefix != self.target_prefix or request.method != "POST":
                return None
            binary = "cbor" in request.headers.get("content-type", "")
            return Match(operation, CBOR if binary else "json")
        if RPC_V2 in self.protocols and request.headers.get("smithy-protocol") == "rpc-v2-cbor":
            start, _, operation = request.raw_path.rpartition("/operation/")
            found = "/service/" in start and operation in self.model.operations
            return Match(operation, RPC_V2) if found else None
        return self._identify_query(request) if "query" in self.protocols else None

    def _identify_query(self, request: HttpRequest) -> Match | None:
        if request.method == "POST" and request.body:
            action = form_pairs(request.body).get("Action", "")
        else:
            action = query_items(request.query).get("Action", [""])[-1]
        return Match(action, "query") if action in self.model.operations else None

    def _identify_rest(self, request: HttpRequest) -> Match | None:
        if self._router is None:
            self._router = Router(self.model, GREEDY_LABELS.get(self.service, frozenset()))
        query = {key: values[-1] for key, values in query_items(request.query).items()} if request.query else {}
        found = self._router.find(request.method, request.raw_path, query, request.headers)
        return Match(found[0], self.protocol, found[1]) if found else None

    # --- members in, result out ------------------------------------------------------------------------------------

    def parse(self, match: Match, request: HttpRequest) -> dict[str, Any]:
        """The members a request holds, by the model's names."""
        key = (match.operation, match.protocol)
        parser = self._parsers.get(key)
        if parser is None:
            parser = self._parsers[key] = self._wire(match.protocol).parser(match.operation)
        if self.service == "s3" and request.stream is None:
            # A document's checksums are its own unless the operation's input has them as members: the object's then.
            own = "requestAlgorithmMember" in self.model.operations[match.operation].get("httpChecksum", {})
            check_document(request.headers, request.body, checksums=own)
        try:
            found = parser(match.labels, request)
        except RecursionError:
            raise malformed("The request body is nested too deeply.") from None
        if self.service == "s3" and "ChecksumMode" in found:
            found["ChecksumMode"] = str(found["ChecksumMode"]).upper()  # AWS's own C++ SDK writes it small
        return found

    def check(self, operation: str, params: Mapping[str, Any]) -> None:
        """The model's constraints; one AwsError reports what is violated."""
        if operation not in self._checks:
            shape = self.model.input(operation)
            self._checks[operation] = self._checkers.of(shape) if shape else None
        if self.service == "sqs" and (shape := self.model.input(operation)) is not None:
            params = check_sqs(shape, params)
        checker = self._checks[operation]
        if checker is None:
            return
        found = Violations()
        try:
            checker(params, "", found)
        except RecursionError:
            raise malformed("The request body is nested too deeply.") from None
        if found and self.service == "s3" and (shape := self.model.input(operation)) is not None:
            raise s3_error(shape, found)
        if found:
            raise constraint_error(self.model, found)

    def serialise(self, match: Match, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        """The answer to a request that succeeded."""
        key = (match.operation, match.protocol)
        serialiser = self._serialisers.get(key)
        if serialiser is None:
            serialiser = self._serialisers[key] = self._wire(match.protocol).serialiser(match.operation)
        return serialiser(result, request_id)

    def serialise_error(
        self, match: Match | None, error: AwsError, request_id: str, *, protocol: str | None = None
    ) -> HttpResponse:
        """The answer to a request that failed; without a match in ``protocol`` or the service's own."""
        spoken = protocol or (match.protocol if match else self.protocol)
        failure = failures.describe(self.model, error)
        if spoken == "query":
            namespace = self.model.metadata.get("xmlNamespace") or QUERY_NAMESPACES.get(self.service, "")
            return failures.xml_error(namespace, failure, request_id)
        if spoken == "rest-xml" and self.service == "s3":
            labels = match.labels if match else {}
            resource = "".join(f"/{labels[name]}" for name in ("Bucket", "Key") if name in labels)
            head = match is not None and match.operation.startswith("Head")
            return failures.s3_error(failure, request_id, resource, head=head)
        if spoken == "rest-xml":
            return failures.xml_error(self.model.metadata.get("xmlNamespace", ""), failure, request_id)
        form = {CBOR: cbor.AMZ_CBOR, RPC_V2: cbor.RPC_V2}.get(spoken)
        return failures.json_error(self.model, failure, request_id, rest=spoken == "rest-json", form=form)

    def _wire(self, protocol: str) -> Wire:
        wire = self._wires.get(protocol)
        if wire is None:
            wire = self._wires[protocol] = _make_wire(self.model, protocol)
        return wire


def _make_wire(service_model: Model, protocol: str) -> Wire:
    if protocol == "json":
        return JsonRpc(service_model)
    if protocol == CBOR:
        return JsonRpc(service_model, binary=cbor.AMZ_CBOR)
    if protocol == RPC_V2:
        return JsonRpc(service_model, binary=cbor.RPC_V2)
    if protocol == "query":
        return Query(service_model)
    if protocol == "rest-json":
        return RestJson(service_model)
    if protocol == "rest-xml":
        return RestXml(service_model)
    raise LookupError(f"no protocol {protocol!r}")


@cache
def codec(service: str) -> Codec:
    """The codec of a service, by botocore's name of it (``iot-data``)."""
    return Codec(model(service))
