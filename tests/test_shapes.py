"""Every built operation against inputs drawn from its own model: it answers, or refuses as AWS would. Never a 500.

Inputs go through botocore's serialiser, our parser and checks, the operation with all real services around it, our
serialiser and botocore's parser. An error must be one the model names for the operation, or one of the common ones.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ParamValidationError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakebed.edge.mqtt.door import DeviceDoor
from lakebed.engines import run_python, sql_duckdb
from lakebed.house import SERVICES
from lakebed.kernel.errors import AwsError
from lakebed.ports.devices import BrokerAddress
from lakebed.wire.aws.dialect import QUERY_CODES
from tests.harness import SCOPE, Harness
from tests.shapes import values
from tools.gen_api import listings

EXAMPLES = int(os.environ.get("LAKEBED_SHAPE_EXAMPLES", "12"))
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html and the protocols' own.
COMMON = {
    "AccessDenied", "AccessDeniedException", "IncompleteSignature", "InvalidAction", "InvalidParameterCombination",
    "InvalidParameterValue", "InvalidQueryParameter", "MalformedQueryString", "MissingAction", "MissingParameter",
    "NotImplemented", "SerializationException", "ThrottlingException", "ValidationError", "ValidationException",
    "MalformedXML", "MalformedPolicyDocument", "InvalidRequest", "InvalidArgument", "KeyTooLongError", "InvalidURI",
}  # fmt: skip
# S3 and SQS name few of their errors in the model; their API references list them.
UNMODELLED = {
    "s3": {
        "BucketNotEmpty", "EntityTooSmall", "IllegalLocationConstraintException", "InvalidBucketName", "InvalidBucketState",
        "InvalidDigest", "BadDigest", "InvalidPart", "InvalidPartOrder", "InvalidRange", "InvalidTag",
        "MethodNotAllowed", "NoSuchBucket", "NoSuchBucketPolicy", "NoSuchKey", "NoSuchTagSet", "NoSuchUpload", "NoSuchVersion",
        "NoSuchPublicAccessBlockConfiguration", "OwnershipControlsNotFoundError", "PreconditionFailed", "MalformedPolicy",
        "ServerSideEncryptionConfigurationNotFoundError", "TooManyBuckets", "InvalidStorageClass", "MissingContentLength",
        "IncompleteBody", "NotModified", "InvalidPolicyDocument", "AccessControlListNotSupported", "MetadataTooLarge",
        "EntityTooLarge", "InvalidLocationConstraint", "XAmzContentSHA256Mismatch", "MissingRequestBodyError",
        "InvalidBucketAclWithObjectOwnership", "IllegalVersioningConfigurationException",
    },
    "logs": {"InvalidParameterException"},
    "cloudwatch": {"ResourceNotFound"},
    "sqs": {"InvalidParameterValueException", "InvalidAttributeValue", "MissingRequiredParameterException"},
    "glue": {"InvalidInputException"},  # a wrong page token, where the model names no error
    "iot": {"SqlParseException", "InvalidRequestException"},
    "lambda": {"InvalidParameterValueException", "InvalidRequestContentException", "RequestEntityTooLargeException"},
}  # fmt: skip
# Would wait on the manual clock for ever.
NEVER = {"WaitTimeSeconds"}


@cache
def _models() -> botocore.session.Session:
    """One session: its loader reads each service's model once."""
    return botocore.session.get_session()


OPERATIONS = [
    (service, line.strip())
    for service, path in listings().items()
    for line in path.read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


class World:
    """All services in one house, and an event loop that stays."""

    def __init__(self, directory: Path) -> None:
        self.runner = asyncio.Runner()
        self.harness = self.runner.run(self._make(directory))

    async def _make(self, directory: Path) -> Harness:
        made = Harness(directory)
        k, p = made.kernel, made.ports
        door = DeviceDoor(k, p)
        door.broker.bound = BrokerAddress("127.0.0.1", 8883, None)
        p.broker, p.authority = door.broker, door.authority
        p.runtime = run_python.PythonRuntime(k, lambda: p.addresses.http_url)
        sql_duckdb.engine(k, p)
        made.add(*SERVICES)
        await made.start()
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("f.py", "def handler(event, context):\n    return event\n")
        role = "arn:aws:iam::000000000000:role/fuzz"
        call = made.call
        trust = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        await call("iam", "CreateRole", RoleName="fuzz", AssumeRolePolicyDocument=document)
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        await call("iam", "PutRolePolicy", RoleName="fuzz", PolicyName="all", PolicyDocument=document)
        await call("s3", "CreateBucket", Bucket="fuzz-bucket")
        await call("sqs", "CreateQueue", QueueName="fuzz")
        await call("sqs", "CreateQueue", QueueName="fuzz.fifo", Attributes={"FifoQueue": "true"})
        await call("sns", "CreateTopic", Name="fuzz")
        await call(
            "sns", "Subscribe", TopicArn=SCOPE.arn("sns", "fuzz"), Protocol="sqs", Endpoint=SCOPE.arn("sqs", "fuzz")
        )
        await call("kinesis", "CreateStream", StreamName="fuzz", ShardCount=1)
        await call("glue", "CreateDatabase", DatabaseInput={"Name": "fuzz"})
        await call("logs", "CreateLogGroup", logGroupName="fuzz")
        await call("events", "PutRule", Name="fuzz", EventPattern='{"source": ["a"]}')
        key = (await call("kms", "CreateKey"))["KeyMetadata"]["KeyId"]
        await call("kms", "CreateAlias", AliasName="alias/fuzz", TargetKeyId=key)
        await call(
            "lambda", "CreateFunction", FunctionName="fuzz", Runtime="python3.12", Handler="f.handler", Role=role,
            Code={"ZipFile": package.getvalue()},
        )  # fmt: skip
        return made

    def close(self) -> None:
        self.runner.run(self.harness.stop())
        self.runner.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("shapes") / "data")
    yield made
    made.close()


@pytest.mark.parametrize(("service", "operation"), OPERATIONS, ids=lambda value: str(value))
def test_no_500_and_no_unmodelled_error(world: World, service: str, operation: str) -> None:
    model = _models().get_service_model(service).operation_model(operation)
    known = {error.name for error in model.error_shapes} | {error.error_code for error in model.error_shapes}
    known |= {code for name, code in QUERY_CODES.get(service, {}).items() if name in known}
    known |= COMMON | UNMODELLED.get(service, set())
    inputs: Any = values(model.input_shape) if model.input_shape else st.just({})

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(inputs)
    def run(params: dict[str, Any]) -> None:
        sent = {name: value for name, value in params.items() if name not in NEVER}
        try:
            answer = world.runner.run(asyncio.wait_for(world.harness.call(service, operation, **sent), 20))
        except AwsError as refused:
            status = refused.http_status or 400
            assert status == 501 or status < 500, f"{refused.error_code} {status}: {refused.message}"
            assert refused.error_code in known, (
                f"{refused.error_code} is not an error of {operation}: {refused.message}"
            )
            assert refused.message or status in (304, 404)
        except ParamValidationError:
            return
        else:
            assert isinstance(answer, dict)

    run()
