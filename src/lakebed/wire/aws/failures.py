"""Errors in the form each protocol and the error's shape ask for.

JSON: ``__type`` in the body and, for REST, ``x-amzn-errortype``; query and REST XML: an ``ErrorResponse``; S3: a bare
``Error`` with resource, request and host id (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html), and
nothing at all for HEAD. A query-compatible service (SQS) also says its old code in ``x-amzn-query-error``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws import cbor
from lakebed.wire.aws.dialect import QUERY_CODES, host_id
from lakebed.wire.aws.jsonshapes import Writers
from lakebed.wire.aws.message import HttpResponse
from lakebed.wire.aws.model import Model, Shape
from lakebed.wire.aws.rest import OutputBinding
from lakebed.wire.aws.xmlshapes import XmlWriters, escape


@dataclass(frozen=True, slots=True)
class Failure:
    """An error with everything the model knows about it."""

    name: str
    code: str
    status: int
    message: str
    members: Mapping[str, Any]
    shape: Shape | None

    @property
    def sender(self) -> bool:
        """Whether the client is to blame."""
        return self.status < 500


def describe(model: Model, error: AwsError) -> Failure:
    """Name, code and status: the error's own before the model's."""
    shape = model.error(error.error_code)
    trait: Mapping[str, Any] = shape.get("error", {}) if shape else {}
    name = shape.name if shape else error.error_code
    status = error.http_status or trait.get("httpStatusCode")
    if status is None:
        status = 500 if shape is not None and shape.get("fault") else type(error).status
    code = trait.get("code") or QUERY_CODES.get(model.service, {}).get(name, name)
    return Failure(name, code, status, error.message, error.members, shape)


def _message_member(shape: Shape | None) -> str:
    members = shape.members if shape else {}
    return next((name for name in ("message", "Message", "errorMessage") if name in members), "message")


def _known(failure: Failure, shape: Shape | None) -> dict[str, Any]:
    members = shape.members if shape else {}
    said = ("message", "Message", "errorMessage")
    return {name: value for name, value in failure.members.items() if name in members and name not in said}


def json_error(model: Model, failure: Failure, request_id: str, *, rest: bool, form: cbor.Form | None) -> HttpResponse:
    """An error of a JSON protocol, or of one in CBOR."""
    headers = {"x-amzn-requestid": request_id}
    shape, body = failure.shape, {"__type": failure.name}
    name = _message_member(shape)
    body[shape.members[name].wire_name(name) if shape and name in shape.members else name] = failure.message
    known = _known(failure, shape)
    if shape is not None and known:
        binding = OutputBinding(shape, failure.status)
        _, own, remaining = binding.split(known)
        headers.update(own)
        writers = form.writers() if form else Writers()
        body.update(writers.structure(shape, binding.body_members)(remaining))
    if "awsQueryCompatible" in model.metadata:
        headers["x-amzn-query-error"] = f"{failure.code};{'Sender' if failure.sender else 'Receiver'}"
    if rest:
        headers["x-amzn-errortype"] = failure.name
        headers["content-type"] = "application/json"
        return HttpResponse(failure.status, headers, msgspec.json.encode(body))
    if form is not None:
        headers |= {"content-type": form.content_type, **form.headers}
        return HttpResponse(failure.status, headers, form.encode(body))
    headers["x-amzn-errortype"] = failure.name
    headers["content-type"] = f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}"
    return HttpResponse(failure.status, headers, msgspec.json.encode(body))


def _xml_members(failure: Failure) -> tuple[list[str], dict[str, str]]:
    out: list[str] = []
    shape, known = failure.shape, _known(failure, failure.shape)
    if shape is None or not known:
        return out, {}
    binding = OutputBinding(shape, failure.status)
    _, headers, remaining = binding.split(known)
    writers = XmlWriters()
    for name, value in remaining.items():
        member = binding.body_members[name]
        writers.of(member)(value, member.wire_name(name), out)
    return out, headers


def xml_error(namespace: str, failure: Failure, request_id: str) -> HttpResponse:
    """An error of the query protocol and of REST XML other than S3's."""
    members, headers = _xml_members(failure)
    declared = f' xmlns="{escape(namespace)}"' if namespace else ""
    message = f"<Message>{escape(failure.message)}</Message>" if failure.message else ""
    body = (
        f"<ErrorResponse{declared}><Error><Type>{'Sender' if failure.sender else 'Receiver'}</Type>"
        f"<Code>{escape(failure.code)}</Code>{message}{''.join(members)}</Error>"
        f"<RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
    )
    headers |= {"content-type": "text/xml", "x-amzn-requestid": request_id}
    return HttpResponse(failure.status, headers, body.encode())


def s3_error(failure: Failure, request_id: str, resource: str, *, head: bool) -> HttpResponse:
    """An error of S3: the code's own elements are not modelled, so all text members are shown."""
    headers = {"x-amz-request-id": request_id, "x-amz-id-2": host_id(request_id)}
    unmodified = failure.status == 304  # its members are the headers a cache needs
    for name in [name for name in failure.members if unmodified or name.lower().startswith("x-amz-")]:
        headers[name.lower()] = str(failure.members[name])
    if head or unmodified:
        return HttpResponse(failure.status, headers, b"")
    shown = {"Resource": resource, **failure.members} if resource else dict(failure.members)
    elements = "".join(
        f"<{name}>{escape(str(value))}</{name}>"
        for name, value in shown.items()
        if value is not None and name.isidentifier()
    )
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(failure.code)}</Code>'
        f"<Message>{escape(failure.message)}</Message>{elements}"
        f"<RequestId>{escape(request_id)}</RequestId><HostId>{host_id(request_id)}</HostId></Error>"
    )
    headers["content-type"] = "application/xml"
    return HttpResponse(failure.status, headers, body.encode())
