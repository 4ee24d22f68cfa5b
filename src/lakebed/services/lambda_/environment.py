"""Environment variables under a key of KMS: sealed when they are set, opened when a worker starts or somebody looks.

The variables are encrypted with a data key that only the function's key unwraps, bound to the function's ARN. Whoever may
not decrypt sees no variables, as in AWS; a function whose key is disabled does not start.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from lakebed.api import lambda_ as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context
from lakebed.services.lambda_.model import FunctionVersion, invalid
from lakebed.services.lambda_.names import function_arn

_NONCE = b"\0" * 12  # each data key encrypts once


class _Sealed(msgspec.Struct, frozen=True):
    wrapped: bytes
    ciphertext: bytes


def sealed(ports: Ports, ctx: Context, version: FunctionVersion, request: Mapping[str, Any]) -> FunctionVersion:
    """The version with its variables under the key that is now its own, or in the clear where it has none."""
    if "KMSKeyArn" not in request and ("Environment" not in request or not version.key_arn):
        return version
    key = request.get("KMSKeyArn", version.key_arn)
    variables = version.environment
    if version.sealed and "Environment" not in request:
        variables = opened(ports, ctx.principal, ctx.scope, version)
    if not key:
        return msgspec.structs.replace(version, key_arn="", sealed=b"", environment=variables)
    try:
        made = ports.keys.generate_data_key(
            ctx.principal, ctx.scope, key, context=_context(ctx.scope, version), via="lambda"
        )
    except AwsError as failure:
        raise invalid(f"Lambda was unable to use the KMS key {key}: {failure.error_code}") from failure
    body = _cipher(made.plaintext).encrypt(_NONCE, json.dumps(variables).encode(), None)
    packed = msgspec.msgpack.encode(_Sealed(made.ciphertext, body))
    return msgspec.structs.replace(version, key_arn=made.key_arn, sealed=packed, environment={})


def opened(ports: Ports, principal: Principal, scope: Scope, version: FunctionVersion) -> dict[str, str]:
    """The variables in the clear; KMS's error, as Lambda names it, where ``principal`` may not decrypt."""
    if not version.sealed:
        return version.environment
    kept = msgspec.msgpack.decode(version.sealed, type=_Sealed)
    try:
        key = ports.keys.decrypt(principal, scope, kept.wrapped, context=_context(scope, version), via="lambda")
    except AwsError as failure:
        raise _as_lambda(failure) from failure
    return cast(dict[str, str], json.loads(_cipher(key).decrypt(_NONCE, kept.ciphertext, None)))


def told(ports: Ports, ctx: Context, version: FunctionVersion) -> api.EnvironmentResponse:
    """What a caller sees of sealed variables."""
    try:
        return {"Variables": opened(ports, ctx.principal, ctx.scope, version)}
    except AwsError as failure:
        return {"Error": {"ErrorCode": "AccessDeniedException", "Message": failure.message}}


def _context(scope: Scope, version: FunctionVersion) -> dict[str, str]:
    return {"aws:lambda:FunctionArn": function_arn(scope, version.name)}


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # heavy, and few functions have a key

    return AESGCM(key)


def _as_lambda(failure: AwsError) -> AwsError:
    """KMS's errors under the names Invoke has for them."""
    message = f"Lambda was unable to decrypt the environment variables because KMS access was denied: {failure.message}"
    kinds = {
        "DisabledException": api.KMSDisabledException,
        "NotFoundException": api.KMSNotFoundException,
        "KMSInvalidStateException": api.KMSInvalidStateException,
    }
    return kinds.get(failure.error_code, api.KMSAccessDeniedException)(message, members={"Type": "User"})
