"""What the door itself refuses, in the code and status each family of protocols uses for it.

One cause has four names: S3's, the query protocol's, that of JSON services and that of REST ones. Errors of a service's
own model pass through untouched.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws.message import HttpRequest, HttpResponse

# Cause -> family -> (code, status).
_CODES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "UnknownKey": {
        "s3": ("InvalidAccessKeyId", 403),
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "rest": ("UnrecognizedClientException", 403),
    },
    "InvalidToken": {
        "s3": ("InvalidToken", 400),
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "rest": ("UnrecognizedClientException", 403),
    },
    "ExpiredToken": {
        "s3": ("ExpiredToken", 400),
        "query": ("ExpiredToken", 403),
        "json": ("ExpiredTokenException", 400),
        "rest": ("ExpiredTokenException", 403),
    },
    "MissingToken": {
        "s3": ("AccessDenied", 403),
        "query": ("MissingAuthenticationToken", 403),
        "json": ("MissingAuthenticationTokenException", 400),
        "rest": ("MissingAuthenticationTokenException", 403),
    },
    "InvalidSignatureException": {
        "s3": ("SignatureDoesNotMatch", 403),
        "query": ("SignatureDoesNotMatch", 403),
        "json": ("InvalidSignatureException", 400),
        "rest": ("InvalidSignatureException", 403),
    },
    "IncompleteSignature": {
        "s3": ("AuthorizationHeaderMalformed", 400),
        "query": ("IncompleteSignature", 400),
        "json": ("IncompleteSignatureException", 400),
        "rest": ("IncompleteSignatureException", 403),
    },
    "AccessDeniedException": {
        "s3": ("AccessDenied", 403),
        "query": ("AccessDenied", 403),
        "json": ("AccessDeniedException", 400),
        "rest": ("AccessDeniedException", 403),
    },
    "TooLarge": {
        "s3": ("EntityTooLarge", 400),
        "query": ("RequestEntityTooLarge", 413),
        "json": ("RequestEntityTooLargeException", 413),
        "rest": ("RequestEntityTooLargeException", 413),
    },
    "UnknownOperation": {
        "s3": ("MethodNotAllowed", 405),
        "query": ("InvalidAction", 400),
        "json": ("UnknownOperationException", 400),
        "rest": ("UnknownOperationException", 404),
    },
    "InternalFailure": {
        "s3": ("InternalError", 500),
        "query": ("InternalFailure", 500),
        "json": ("InternalFailure", 500),
        "rest": ("InternalFailure", 500),
    },
    "ServiceUnavailable": {
        "s3": ("ServiceUnavailable", 503),
        "query": ("ServiceUnavailable", 503),
        "json": ("ServiceUnavailable", 503),
        "rest": ("ServiceUnavailable", 503),
    },
}
_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105 - a message


def unknown_key(access_key_id: str) -> AwsError:
    """No such key, or an inactive one."""
    return AwsError("UnknownKey", _INVALID_TOKEN, members={"AWSAccessKeyId": access_key_id})


def invalid_token() -> AwsError:
    """The session token is missing or not the key's."""
    return AwsError("InvalidToken", _INVALID_TOKEN)


def expired_token() -> AwsError:
    """Temporary credentials past their end."""
    return AwsError("ExpiredToken", "The security token included in the request is expired")


def missing_token() -> AwsError:
    """A request without credentials where some are needed."""
    return AwsError("MissingToken", "Request is missing Authentication Token")


def too_large(limit: int) -> AwsError:
    """The body is longer than a request that is not streamed may be."""
    return AwsError("TooLarge", f"The request body exceeds the limit of {limit} bytes.")


def unknown_operation(service: str) -> AwsError:
    """The request is no operation of its service."""
    return AwsError("UnknownOperation", f"The request does not name an operation of {service}.")


def internal_failure() -> AwsError:
    """A bug of ours; the log has it under the request id, the client learns nothing of the host."""
    return AwsError("InternalFailure", "An internal error occurred. The request id tells where to look in the log.")


def unavailable() -> AwsError:
    """The disk is full or failed: nothing was promised, and it may work again."""
    return AwsError("ServiceUnavailable", "Service is unable to handle request.")


def translated(error: AwsError, service: str, protocol: str) -> AwsError:
    """The error as this protocol names it."""
    names = _CODES.get(error.error_code)
    if names is None:
        return error
    code, status = names[_family(service, protocol)]
    message = error.message
    if service == "s3" and code == "InvalidAccessKeyId":
        message = "The AWS Access Key Id you provided does not exist in our records."
    if service == "sns" and code == "AccessDenied":
        code = "AuthorizationError"
    if service == "s3" and error.error_code == "MissingToken":
        message = "Access Denied"
    return AwsError(code, message, status=status, members=error.members)


def _family(service: str, protocol: str) -> str:
    if service == "s3" or protocol == "rest-xml":
        return "s3"
    if protocol == "query":
        return "query"
    return "rest" if protocol == "rest-json" else "json"


def spoken(request: HttpRequest) -> str:
    """The protocol a request speaks, by its looks; for services that are not built."""
    content_type = request.headers.get("content-type", "")
    if "x-amz-target" in request.headers:
        return "json"
    if content_type.startswith("application/x-www-form-urlencoded") or "Action=" in request.query:
        return "query"
    return "rest-json"


def without_model(error: AwsError, protocol: str, request_id: str) -> HttpResponse:
    """An error of a service whose model is not at hand."""
    status = error.http_status or 400
    headers = {"x-amzn-requestid": request_id}
    if protocol == "query":
        text = (
            f"<ErrorResponse><Error><Type>{'Sender' if status < 500 else 'Receiver'}</Type><Code>{error.error_code}</Code>"
            f"<Message>{_escaped(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return HttpResponse(status, headers | {"content-type": "text/xml"}, text.encode())
    body = msgspec.json.encode({"__type": error.error_code, "message": error.message})
    kind = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.1"
    return HttpResponse(status, headers | {"content-type": kind, "x-amzn-errortype": error.error_code}, body)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
