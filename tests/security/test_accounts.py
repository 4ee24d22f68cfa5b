"""Who may do nothing, and who may see nothing: every built operation, aimed at another's resources.

Three enemies try all operations with valid requests that name ALPHA's resources: a user without any policy (must be denied
before anything else is told), the root of another account (must neither read nor change, nor learn what exists), and
ALPHA itself in another region (must not see this region's). ALPHA's resources are read before and after: no difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.security import requests
from tests.security.stage import ALPHA, MARK, Enemy, Stage

OPERATIONS = requests.built()
_READS = re.compile(r"(Get|Describe|List|BatchGet|Head|Search)")
GHOST = "ghostmarkk"[: len(MARK)]
# What a user without permissions may call, and why.
NEEDS_NONE = {
    ("sts", "GetCallerIdentity"): "AWS: no permissions are required, even an explicit deny does not count",
    ("sts", "GetSessionToken"): "AWS: every user may ask for a session, which may do no more than the user",
    ("sns", "Unsubscribe"): "of a subscription that does not exist: succeeds without effect; an existing one asks",
    ("sns", "ConfirmSubscription"): "the subscription's token, a secret, is the permission",
    ("s3", "DeleteObjects"): "each key is decided by itself; the answer lists AccessDenied for each",
    ("sqs", "CancelMessageMoveTask"): "the task's handle, a random number, comes first; then the queue's permission",
}
# Answers that BETA gets because it asks for its own, or because AWS tells them to everybody.
TOLD = {
    ("kinesis", "GetRecords"): "an iterator that the stream's owner handed out names the stream",
    ("logs", "TestMetricFilter"): "an echo of the request",
    ("sts", "GetAccessKeyInfo"): "AWS tells the account of any key",
}
# Differences between what exists and what does not that AWS itself shows to strangers.
AWS_TELLS = {
    "s3": "a bucket's name is global: 403 where it exists, 404 where it does not",
}
# Read as ALPHA, but not alike twice.
_VOLATILE_OPERATIONS = {
    "GetShardIterator",
    "GetRecords",
    "GetAccessKeyLastUsed",
    "GetSessionToken",
    "GetAccountSummary",
    "GetThingShadow",  # these two tell when they were asked
    "ListNamedShadowsForThing",
    "GetFunction",  # and these sign the address of a package each time
    "GetLayerVersion",
    "GetLayerVersionByArn",
}
_VOLATILE = {"ResponseMetadata", "NextShardIterator", "LastUsedDate", "NextToken", "nextToken", "RoleLastUsed"}
_clients: dict[tuple[str, str, str], Any] = {}


def ask(stage: Stage, enemy: Enemy | None, service: str, operation: str, **more: Any) -> tuple[str, Any]:
    """(error code or "", answer or error)."""
    region = more.get("region", "us-east-1")
    key = (service, enemy.key if enemy else "", region)
    client = _clients.get(key)
    if client is None:
        client = _clients[key] = stage.client(service, enemy, region)
    given = more.get("parameters") or requests.parameters(stage, service, operation)
    try:
        return "", getattr(client, requests.method(operation))(**given)
    except ClientError as error:
        return error.response["Error"]["Code"], error


def plain(value: Any) -> Any:
    """Without what changes by itself; bodies read."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if hasattr(value, "read"):
        return value.read()
    return str(value)


def everything(stage: Stage) -> dict[str, Any]:
    """All that ALPHA can read of its own."""
    found = {}
    for service, operation in OPERATIONS:
        if _READS.match(operation) and operation not in _VOLATILE_OPERATIONS and service != "sts":
            code, answer = ask(stage, None, service, operation)
            found[f"{service}:{operation}"] = code or plain(answer)
    found["message"] = stage.client("sqs").get_queue_attributes(
        QueueUrl=stage.names["queue_url"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return found


@pytest.fixture(scope="module", autouse=True)
def unchanged(stage: Stage) -> Iterator[None]:
    """What ALPHA has is the same when all attacks are over."""
    before = everything(stage)
    answered = [name for name, value in before.items() if isinstance(value, dict)]
    assert len(answered) > 100, "the requests must mean something to the one who may"
    yield
    after = everything(stage)
    for name, value in before.items():
        assert after[name] == value, name


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_a_user_without_policies(stage: Stage, service: str, operation: str) -> None:
    code, answer = ask(stage, stage.nobody, service, operation)
    if code == "NotImplemented":
        pytest.skip("listed, not in the house")
    if (service, operation) in NEEDS_NONE:
        assert MARK not in json.dumps(plain(answer) if not code else "", default=str).replace(
            f"{MARK}-key", ""
        ).replace(f"{MARK}-bucket", "")
        return
    status = answer.response["ResponseMetadata"]["HTTPStatusCode"] if code else 200
    assert code in ("AccessDenied", "AccessDeniedException", "AuthorizationError") or (
        status == 403 and operation.startswith("Head")
    ), (code, answer)


def disguised(stage: Stage, value: Any, *, back: bool = False) -> Any:
    """The same request for resources that do not exist; ``back`` takes the disguise off again."""
    if isinstance(value, dict):
        return {key: disguised(stage, inner, back=back) for key, inner in value.items()}
    if isinstance(value, list):
        return [disguised(stage, inner, back=back) for inner in value]
    if not isinstance(value, str):
        return value
    pairs = [(MARK, GHOST)]
    for name in (
        "named_query",
        "execution",
        "mapping",
        "certificate_id",
        "receipt",
        "iterator",
        "access_key",
        "upload",
    ):
        real = stage.names[name]
        pairs.append((real, real[: len(real) // 2] + real[len(real) // 2 :][::-1]))
    for real, fake in pairs:
        value = value.replace(fake, real) if back else value.replace(real, fake)
    return value


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_the_root_of_another_account(stage: Stage, service: str, operation: str) -> None:
    code, answer = ask(stage, stage.beta, service, operation)
    if code == "NotImplemented":
        pytest.skip("listed, not in the house")
    if not code and (service, operation) not in TOLD:
        shown = json.dumps(plain(answer), default=str)
        asked = json.dumps(requests.parameters(stage, service, operation), default=str)
        for secret in (ALPHA, "alpha row", "retained by alpha", "alpha's content", stage.names["private_key"][40:90]):
            assert secret not in shown.replace(asked, ""), shown
        if not operation.startswith(("Create", "BatchGet", "Register")) and (service, operation) not in NEEDS_NONE:
            assert MARK not in shown, shown
    if service in AWS_TELLS or (service, operation) in TOLD or operation.startswith(("Create", "Register")):
        return
    parameters = disguised(stage, requests.parameters(stage, service, operation))
    ghost_code, ghost = ask(stage, stage.beta, service, operation, parameters=parameters)
    assert ghost_code == code, f"tells what exists: {answer} / {ghost}"
    if code:
        told = answer.response["Error"].get("Message", "")
        assert disguised(stage, ghost.response["Error"].get("Message", ""), back=True) == told


@pytest.mark.parametrize(
    ("service", "operation"),
    [(s, o) for s, o in OPERATIONS if _READS.match(o) and s not in ("iam", "s3", "sts") and o != "BatchGetNamedQuery"],
)
def test_another_region_sees_nothing(stage: Stage, service: str, operation: str) -> None:
    code, answer = ask(stage, None, service, operation, region="eu-west-1")
    if code == "NotImplemented":
        pytest.skip("listed, not in the house")
    if not code and not operation.startswith("BatchGet"):
        assert MARK not in json.dumps(plain(answer), default=str)
