"""How each protocol reads a request and writes a result, given the shape closures.

A ``Protocol`` belongs to one model; it compiles an operation when it is first called. AWS's protocols are described at
https://smithy.io/2.0/aws/protocols/. Errors are in ``failures``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from typing import Protocol as TypingProtocol
from urllib.parse import unquote_plus

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws import cbor, eventstream
from lakebed.wire.aws.dialect import QUERY_NAMESPACES, S3_NAMESPACE, S3_ROOTS, sqs_names
from lakebed.wire.aws.formshapes import FormReaders, form_pairs, form_tree
from lakebed.wire.aws.jsonshapes import Readers, Writers, bounded_document
from lakebed.wire.aws.message import HttpRequest, HttpResponse
from lakebed.wire.aws.model import Model, Shape
from lakebed.wire.aws.rest import InputBinding, OutputBinding
from lakebed.wire.aws.scalars import malformed
from lakebed.wire.aws.xmlshapes import XmlReaders, XmlWriters, escape
from lakebed.wire.aws.xmltree import malformed_xml, parse_xml

Parse = Callable[[Mapping[str, str], HttpRequest], dict[str, Any]]
Serialise = Callable[[Mapping[str, Any], str], HttpResponse]


class Wire(TypingProtocol):
    """One protocol of one model."""

    def parser(self, operation: str) -> Parse:
        """What reads an operation's requests."""

    def serialiser(self, operation: str) -> Serialise:
        """What writes an operation's results."""


def _nothing(_labels: Mapping[str, str], _request: HttpRequest) -> dict[str, Any]:
    return {}


def decode_json(body: bytes) -> Any:
    """A JSON body; empty is an empty structure."""
    try:
        return msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise malformed("The request body is not valid JSON.") from None


def query_items(query: str) -> dict[str, list[str]]:
    """The query's parameters, a key alone having the empty text."""
    items: dict[str, list[str]] = {}
    for part in query.split("&"):
        if part:
            key, _, value = part.partition("=")
            items.setdefault(unquote_plus(key), []).append(unquote_plus(value))
    return items


class JsonRpc:
    """awsJson 1.0 and 1.1, and with ``binary`` their CBOR form that Kinesis's Java clients use."""

    def __init__(self, model: Model, *, binary: cbor.Form | None = None) -> None:
        self._model = model
        self._binary = binary
        self._readers = binary.readers() if binary else Readers()
        self._writers = binary.writers() if binary else Writers()
        version = model.metadata.get("jsonVersion", "1.0")
        self._content_type = binary.content_type if binary else f"application/x-amz-json-{version}"
        self._decode = binary.decode if binary else decode_json
        self._encode = binary.encode if binary else msgspec.json.encode
        self._extra = binary.headers if binary else {}

    def parser(self, operation: str) -> Parse:
        """Reads the body; there is nothing else."""
        shape = self._model.input(operation)
        if shape is None:
            return _nothing
        read, decode = self._readers.of(shape), self._decode

        def parse(_: Mapping[str, str], request: HttpRequest) -> dict[str, Any]:
            found: dict[str, Any] = read(decode(request.body))
            return found

        return parse

    def serialiser(self, operation: str) -> Serialise:
        """Writes the body, or an event stream."""
        shape = self._model.output(operation)
        content_type, encode, extra = self._content_type, self._encode, self._extra
        write = self._writers.of(shape) if shape else None
        events = shape.event_stream() if shape else None
        if shape is not None and events is not None:
            return self._stream(shape, *events)

        def serialise(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            if write is None and result:
                raise ValueError(f"{operation} has no output, but there is a result")
            body = encode(write(result)) if write is not None else encode({}) if extra else b""
            headers = {"content-type": content_type, "x-amzn-requestid": request_id, **extra}
            return HttpResponse(200, headers, body)

        return serialise

    def _stream(self, shape: Shape, name: str, union: Shape) -> Serialise:
        others = {key: member for key, member in shape.members.items() if key != name}
        write_initial = self._writers.structure(shape, others)
        encoders = {
            kind: eventstream.event_encoder(event, self._write_structure, self._content_type)
            for kind, event in union.members.items()
        }

        def serialise(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            rest = {key: value for key, value in result.items() if key != name}
            initial = eventstream.event_message(
                "initial-response", (self._content_type, self._encode(write_initial(rest)), {})
            )
            body = eventstream.encode_stream(result[name], encoders, initial, self._describe)
            headers = {"content-type": eventstream.CONTENT_TYPE, "x-amzn-requestid": request_id}
            return HttpResponse(200, headers, body)

        return serialise

    def _write_structure(self, shape: Shape, members: dict[str, Shape]) -> Callable[[Mapping[str, Any]], bytes]:
        write, encode = self._writers.structure(shape, members), self._encode
        return lambda value: encode(write(value))

    def _describe(self, error: AwsError) -> tuple[str, eventstream.Encoded]:
        return error.error_code, (self._content_type, self._encode({"message": error.message}), {})


class Query:
    """The query protocol: a form in, XML out."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._is_sqs = model.service == "sqs"
        self._readers = FormReaders()
        self._writers = XmlWriters()
        self.namespace = model.metadata.get("xmlNamespace") or QUERY_NAMESPACES.get(model.service, "")

    def parser(self, operation: str) -> Parse:
        """Reads the form in the body, or in the query of a GET."""
        shape = self._model.input(operation)
        if shape is None:
            return _nothing
        readers = FormReaders(sqs_names(operation)) if self._is_sqs else self._readers
        read = readers.of(shape)

        def parse(_: Mapping[str, str], request: HttpRequest) -> dict[str, Any]:
            found: dict[str, Any] = read(form_tree(form_pairs(request.body or request.query.encode())))
            if self._is_sqs and "QueueUrl" in shape.members and "QueueUrl" not in found and request.raw_path != "/":
                found["QueueUrl"] = f"http://{request.headers.get('host', '')}{request.raw_path}"
            return found

        return parse

    def serialiser(self, operation: str) -> Serialise:
        """Writes ``<XResponse><XResult>…</XResult><ResponseMetadata>…``."""
        shape = self._model.output(operation)
        writers = XmlWriters(sqs_names(operation)) if self._is_sqs else self._writers
        write = writers.of(shape) if shape else None
        wrapper = shape.get("resultWrapper", f"{operation}Result") if shape else f"{operation}Result"
        opening = f'<{operation}Response xmlns="{escape(self.namespace)}">'

        def serialise(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            out = [opening]
            if write is not None:
                write(result, wrapper, out)
            elif result:
                raise ValueError(f"{operation} has no output, but there is a result")
            out.append(f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>")
            out.append(f"</{operation}Response>")
            headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
            return HttpResponse(200, headers, "".join(out).encode())

        return serialise


class Rest:
    """What both REST protocols share: bindings outside of the body."""

    content_type = ""
    request_id_header = "x-amzn-requestid"

    def __init__(self, model: Model) -> None:
        self._model = model

    def parser(self, operation: str) -> Parse:
        """Reads path, query, headers and body."""
        binding = InputBinding(self._model.input(operation), self.body_reader)

        def parse(labels: Mapping[str, str], request: HttpRequest) -> dict[str, Any]:
            return binding.read(labels, query_items(request.query), request)

        return parse

    def body_reader(self, shape: Shape, members: dict[str, Shape]) -> Callable[[bytes], Any]:
        """Reads the members that are in the body."""
        raise NotImplementedError

    def body_writer(
        self, operation: str, shape: Shape, members: dict[str, Shape]
    ) -> Callable[[Mapping[str, Any]], bytes]:
        """Writes the members that are in the body."""
        raise NotImplementedError

    def describe(self, error: AwsError) -> tuple[str, eventstream.Encoded]:
        """An error within an event stream."""
        return error.error_code, ("application/json", msgspec.json.encode({"message": error.message}), {})

    def serialiser(self, operation: str) -> Serialise:
        """Writes status, headers and body."""
        shape = self._model.output(operation)
        http = self._model.operations[operation].get("http", {})
        binding = OutputBinding(shape, http.get("responseCode", 200))
        body_of = self._body_of(operation, shape, binding)
        id_header, is_head = self.request_id_header, http.get("method") == "HEAD"
        bodiless = not binding.body_members and binding.payload is None

        def serialise(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            status, headers, rest = binding.split(result)
            body, content_type = body_of(rest)
            headers[id_header] = request_id
            if status == 200 and "content-range" in headers:
                status = 206  # a part of an object; the model names only the whole's status
            if content_type and not is_head and status != 204 and not (bodiless and not body):
                headers.setdefault("content-type", content_type)
            return HttpResponse(status, headers, b"" if is_head or status == 204 else body)

        return serialise

    def _body_of(
        self, operation: str, shape: Shape | None, binding: OutputBinding
    ) -> Callable[[dict[str, Any]], tuple[bytes | AsyncIterator[bytes], str]]:
        name, payload = binding.payload_name, binding.payload
        events = shape.event_stream() if shape else None
        if events is not None:
            return self._events_of(*events)
        if shape is None or (payload is None and not binding.body_members):
            empty = self.body_writer(operation, shape, {}) if shape and self.empty_body else None

            def nothing(rest: dict[str, Any]) -> tuple[bytes, str]:
                if rest:
                    raise ValueError(f"{operation} has no members {sorted(rest)}")
                return (b"" if empty is None else empty({})), self.content_type if empty else ""

            return nothing
        if payload is None:
            write = self.body_writer(operation, shape, binding.body_members)
            return lambda rest: (write(rest), self.content_type)
        if payload.type in ("blob", "string"):
            return _raw_body(operation, name, "text/plain" if payload.type == "string" else "application/octet-stream")
        write_payload = self.body_writer(operation, payload, payload.members)

        def structured(rest: dict[str, Any]) -> tuple[bytes, str]:
            value = rest.pop(name, None)
            if rest:
                raise ValueError(f"{operation} has no members {sorted(rest)}")
            return (b"" if value is None else write_payload(value)), self.content_type

        return structured

    empty_body = False

    def _events_of(self, name: str, union: Shape) -> Callable[[dict[str, Any]], tuple[AsyncIterator[bytes], str]]:
        def write_structure(shape: Shape, members: dict[str, Shape]) -> Callable[[Mapping[str, Any]], bytes]:
            return self.body_writer(shape.name, shape, members)

        encoders = {
            kind: eventstream.event_encoder(event, write_structure, self.content_type)
            for kind, event in union.members.items()
        }

        def body(rest: dict[str, Any]) -> tuple[AsyncIterator[bytes], str]:
            stream = eventstream.encode_stream(rest[name], encoders, None, self.describe)
            return stream, eventstream.CONTENT_TYPE

        return body


def _raw_body(operation: str, name: str, content_type: str) -> Callable[[dict[str, Any]], tuple[Any, str]]:
    def raw(rest: dict[str, Any]) -> tuple[Any, str]:
        value = rest.pop(name, b"")
        if rest:
            raise ValueError(f"{operation} has no members {sorted(rest)}")
        return value.encode() if isinstance(value, str) else value, content_type

    return raw


class RestJson(Rest):
    """restJson1."""

    content_type = "application/json"
    empty_body = True

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._readers, self._writers = Readers(), Writers()

    def body_reader(self, shape: Shape, members: dict[str, Shape]) -> Callable[[bytes], Any]:
        """A JSON object, or a document."""
        if shape.document:
            return lambda body: bounded_document(decode_json(body))
        read = self._readers.structure(members) if shape.type == "structure" else self._readers.of(shape)
        return lambda body: read(decode_json(body))

    def body_writer(
        self, _operation: str, shape: Shape, members: dict[str, Shape]
    ) -> Callable[[Mapping[str, Any]], bytes]:
        """A JSON object, or a document."""
        write = self._writers.structure(shape, members) if shape.type == "structure" else self._writers.of(shape)
        if shape.document or write is None:
            return msgspec.json.encode
        made = write
        return lambda value: msgspec.json.encode(made(value))


class RestXml(Rest):
    """restXml, which only S3 (and services we do not have) speaks."""

    content_type = "application/xml"

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._readers, self._writers = XmlReaders(), XmlWriters()
        self._is_s3 = model.service == "s3"
        self.request_id_header = "x-amz-request-id" if self._is_s3 else "x-amzn-requestid"

    def body_reader(self, shape: Shape, members: dict[str, Shape]) -> Callable[[bytes], Any]:
        """An XML document whose root may have any name, as S3 allows."""
        read = self._readers.structure(members) if shape.type == "structure" else self._readers.of(shape)

        def read_body(body: bytes) -> Any:
            root = parse_xml(body)
            try:
                return read(root)
            except ValueError:
                raise malformed_xml() from None

        return read_body

    def body_writer(
        self, operation: str, shape: Shape, members: dict[str, Shape]
    ) -> Callable[[Mapping[str, Any]], bytes]:
        """An XML document with S3's names of the roots."""
        root = S3_ROOTS.get(operation) if self._is_s3 else None
        root = root or shape.get("locationName") or shape.name
        if operation == "GetBucketLocation" and self._is_s3:
            return _location
        declared = shape.get("xmlNamespace")
        if self._is_s3 and declared is None:
            shape = Shape(shape.model, {**shape.traits, "shape": shape.name, "xmlNamespace": S3_NAMESPACE})
        elif declared is None and self._model.metadata.get("xmlNamespace"):
            shape = Shape(
                shape.model,
                {**shape.traits, "shape": shape.name, "xmlNamespace": self._model.metadata["xmlNamespace"]},
            )
        write = self._writers.structure(shape, members)

        def write_body(value: Mapping[str, Any]) -> bytes:
            out = ['<?xml version="1.0" encoding="UTF-8"?>\n']
            write(value, root, out)
            return "".join(out).encode()

        return write_body


def _location(value: Mapping[str, Any]) -> bytes:
    """The one answer of S3 that is a scalar: the region as the root's text."""
    region = escape(value.get("LocationConstraint") or "")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<LocationConstraint xmlns="{S3_NAMESPACE}">{region}</LocationConstraint>'
    ).encode()
