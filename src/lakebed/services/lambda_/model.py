"""A function's configuration: validation with AWS's messages, pure changes, and how the API tells it.

``$LATEST`` changes, a published version is a copy that never does. What Lakebed does not do (networks, container images,
file systems, other languages) is refused here by name; docs/deviations/lambda.md lists what is taken and has no effect.

https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lakebed.api.lambda_ import (
    FunctionConfiguration,
    InvalidParameterValueException,
    LoggingConfig,
    PreconditionFailedException,
)
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import AwsError, not_built
from lakebed.kernel.scope import Scope
from lakebed.services.lambda_.names import LATEST, function_arn
from lakebed.wire.aws.scalars import write_iso_millis

_ENVIRONMENT_BYTES_MAX = 4096
_VARIABLE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_RESERVED = frozenset(
    [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ]
)
# Members that ask for something Lakebed has not: refused unless they ask for nothing.
_ABSENT: Mapping[str, Callable[[Any], bool]] = {
    "VpcConfig": lambda given: not any(given.get(key) for key in ("SubnetIds", "SecurityGroupIds", "Ipv6AllowedForDualStack")),
    "FileSystemConfigs": lambda given: not given,
    "CodeSigningConfigArn": lambda given: not given,
    "ImageConfig": lambda given: not any(given.values()),
    "TracingConfig": lambda given: given.get("Mode", "PassThrough") == "PassThrough",
    "SnapStart": lambda given: given.get("ApplyOn", "None") == "None",
}  # fmt: skip


class LayerUse(msgspec.Struct, frozen=True):
    """A layer version in a function's list, with what is needed to run it when the layer itself is deleted."""

    arn: str
    code_hex: str
    code_size: int
    unzipped: int


class FunctionVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One state of a function: ``$LATEST`` or a published version."""

    name: str
    version: str
    runtime: str
    role: str
    handler: str
    description: str
    timeout: int
    memory: int
    environment: dict[str, str]
    code_sha256: str  # base64, as the API tells it
    code_hex: str
    code_size: int
    modified: float
    revision: str
    ephemeral: int = 512
    architectures: tuple[str, ...] = ("x86_64",)
    log_group: str = ""
    dead_letter: str = ""
    unzipped: int = 0
    layers: tuple[LayerUse, ...] = ()
    log_json: bool = False
    application_level: str = ""
    system_level: str = ""
    key_arn: str = ""  # of KMS; then ``sealed`` holds the variables and ``environment`` is empty
    sealed: bytes = b""

    @property
    def group(self) -> str:
        """Where its log goes."""
        return self.log_group or f"/aws/lambda/{self.name}"


def invalid(message: str) -> InvalidParameterValueException:
    """InvalidParameterValueException as Lambda sends it."""
    return InvalidParameterValueException(message, members={"Type": "User"})


def refuse_absent(operation: str, request: Mapping[str, Any]) -> None:
    """501 for members that ask for what is not built."""
    for member, harmless in _ABSENT.items():
        if member in request and not harmless(request[member]):
            raise not_built("lambda", operation, member)
    if request.get("PackageType", "Zip") != "Zip":
        raise not_built("lambda", operation, "PackageType Image")


def check_runtime(operation: str, runtime: str | None, can: frozenset[str]) -> str:
    """The runtime, where an engine runs it."""
    if runtime is None:
        raise invalid("Runtime is mandatory for functions created with deployment packages.")
    if runtime not in can:
        raise not_built("lambda", operation, f"Runtime {runtime}")
    return runtime


def check_limits(request: Mapping[str, Any]) -> None:
    """Timeout, memory and variables within today's limits of functions on demand."""
    if request.get("Timeout", 3) > 900:
        raise invalid(
            f"Value '{request['Timeout']}' at 'timeout' failed to satisfy constraint: Member must have value less than "
            "or equal to 900"
        )
    if request.get("MemorySize", 128) > 10240:
        raise invalid(
            "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240"
        )
    variables = request.get("Environment", {}).get("Variables", {})
    if reserved := sorted(_RESERVED & variables.keys()):
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used in this "
            f"request: {', '.join(reserved)}"
        )
    if bad := [name for name in variables if not _VARIABLE.fullmatch(name)]:
        raise invalid(f"Environment variable name {bad[0]} must match {_VARIABLE.pattern}")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > _ENVIRONMENT_BYTES_MAX:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            f"exceeded the 4KB limit. String measured: {size}"
        )
    target = request.get("DeadLetterConfig", {}).get("TargetArn", "")
    if target and ((arn := parse(target)) is None or arn.service not in ("sqs", "sns")):
        raise invalid(f"The provided dead letter target ARN is not valid: {target}")


def check_logging(log_json: bool, request: Mapping[str, Any]) -> None:
    """Levels belong to the JSON format."""
    given = request.get("LoggingConfig", {})
    if not log_json and ("ApplicationLogLevel" in given or "SystemLogLevel" in given):
        raise invalid("ApplicationLogLevel and SystemLogLevel are not supported when LogFormat is set to Text.")


def changes(request: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``FunctionVersion`` that a request sets."""
    plain = {
        "Role": "role", "Handler": "handler", "Description": "description", "Timeout": "timeout", "MemorySize": "memory",
        "Runtime": "runtime",
    }  # fmt: skip
    found: dict[str, Any] = {field: request[member] for member, field in plain.items() if member in request}
    if "Environment" in request:
        found["environment"] = dict(request["Environment"].get("Variables", {}))
    if "EphemeralStorage" in request:
        found["ephemeral"] = request["EphemeralStorage"]["Size"]
    if "Architectures" in request:
        found["architectures"] = tuple(request["Architectures"])
    if "LoggingConfig" in request:
        given = request["LoggingConfig"]
        found["log_json"] = given.get("LogFormat", "Text") == "JSON"
        found["application_level"] = given.get("ApplicationLogLevel", "INFO") if found["log_json"] else ""
        found["system_level"] = given.get("SystemLogLevel", "INFO") if found["log_json"] else ""
        found["log_group"] = given.get("LogGroup", "")
    if "DeadLetterConfig" in request:
        found["dead_letter"] = request["DeadLetterConfig"].get("TargetArn", "")
    return found


def check_revision(current: str, wanted: str | None) -> None:
    """Optimistic locking by RevisionId."""
    if wanted is not None and wanted != current:
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
            members={"Type": "User"},
        )


def same_but_version(one: FunctionVersion, other: FunctionVersion) -> bool:
    """Whether publishing ``one`` after ``other`` would change nothing."""

    def bare(version: FunctionVersion) -> FunctionVersion:
        return msgspec.structs.replace(version, version="", revision="", modified=0.0, description="")

    return bare(one) == bare(other) and (not one.description or one.description == other.description)


def modified_text(now: float) -> str:
    """``2026-11-24T21:33:00.000+0000``, as Lambda writes LastModified."""
    return write_iso_millis(now).replace("Z", "+0000")


def configuration(scope: Scope, version: FunctionVersion, *, qualified: bool = False) -> FunctionConfiguration:
    """The API's FunctionConfiguration; a numbered version's ARN is always qualified."""
    qualifier = version.version if qualified or version.version != LATEST else None
    arn = function_arn(scope, version.name, qualifier)
    told: FunctionConfiguration = {
        "FunctionName": version.name,
        "FunctionArn": arn,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code_size,
        "Description": version.description,
        "Timeout": version.timeout,
        "MemorySize": version.memory,
        "LastModified": modified_text(version.modified),
        "CodeSha256": version.code_sha256,
        "Version": version.version,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": version.revision,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": list(version.architectures),
        "EphemeralStorage": {"Size": version.ephemeral},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": _logging(version),
    }
    if version.environment:
        told["Environment"] = {"Variables": version.environment}
    if version.key_arn:
        told["KMSKeyArn"] = version.key_arn
    if version.layers:
        told["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.code_size} for layer in version.layers]
    if version.dead_letter:
        told["DeadLetterConfig"] = {"TargetArn": version.dead_letter}
    return told


def _logging(version: FunctionVersion) -> LoggingConfig:
    if not version.log_json:
        return {"LogFormat": "Text", "LogGroup": version.group}
    return {
        "LogFormat": "JSON",
        "ApplicationLogLevel": version.application_level,
        "SystemLogLevel": version.system_level,
        "LogGroup": version.group,
    }


def tags_checked(tags: Mapping[str, str], existing: Mapping[str, str] | None = None) -> dict[str, str]:
    """Tags added to the existing ones, within AWS's limits."""
    merged = {**(existing or {}), **tags}
    if len(merged) > 50:
        raise invalid("Tags exceed the limit of 50 tags per resource.")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidParameterValueException", "Tag keys may not begin with aws:.")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise invalid("Tag keys have 1 to 128 characters, values at most 256.")
    return merged
