"""A rule tried on a message: what the port answers, and what it refuses."""

from __future__ import annotations

import pytest

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal
from lakebed.services.iot.store import IotStore
from lakebed.services.iot.trial import RuleTrial
from tests.harness import ROOT, SCOPE, Harness, OpenIdentity

_SHADOW = "SELECT get_thing_shadow('t', 'arn:aws:iam::000000000000:role/r') AS s FROM 'a/+'"


class NoRoles(OpenIdentity):
    def check_pass_role(self, principal: Principal, role_arn: str, service: str) -> None:
        raise AwsError("AccessDeniedException", f"{principal.arn} may not pass {role_arn} to {service}", status=403)


@pytest.fixture
def trial(harness: Harness) -> RuleTrial:
    harness.kernel.db.migrate("iot", "lakebed.services.iot", harness.clock)
    return RuleTrial(harness.kernel, harness.ports, IotStore(harness.kernel.db))


async def test_a_message_is_taken_or_not(trial: RuleTrial) -> None:
    sql = "SELECT v * 2 AS w, topic(2) AS t FROM 'a/+' WHERE v > 1"
    assert trial.attempt(ROOT, SCOPE, sql, "a/b", b'{"v": 2}') == (True, b'{"w":4,"t":"b"}')
    assert trial.attempt(ROOT, SCOPE, sql, "a/b", b'{"v": 1}') == (True, None)
    assert trial.attempt(ROOT, SCOPE, sql, "b/b", b'{"v": 2}') == (False, None)


@pytest.mark.parametrize(
    ("sql", "topic", "code"),
    [
        ("SELECT FROM", "a/b", "SqlParseException"),
        ("SELECT * FROM 'a/#/b'", "a/b", "SqlParseException"),
        ("SELECT * FROM 'a/+'", "a/+", "InvalidRequestException"),
        ("SELECT aws_lambda('arn:aws:lambda:us-east-1:000000000000:function:f', *) AS x FROM 'a/+'", "a/b",
         "InvalidRequestException"),
    ],
)  # fmt: skip
async def test_what_cannot_be_tried(trial: RuleTrial, sql: str, topic: str, code: str) -> None:
    with pytest.raises(AwsError) as caught:
        trial.attempt(ROOT, SCOPE, sql, topic, b"{}")
    assert caught.value.error_code == code


async def test_roles_must_be_passable(harness: Harness, trial: RuleTrial) -> None:
    assert trial.attempt(ROOT, SCOPE, _SHADOW, "a/b", b"{}").is_of_topic
    harness.ports.identity = NoRoles()  # type: ignore[assignment]
    with pytest.raises(AwsError) as caught:
        trial.attempt(ROOT, SCOPE, _SHADOW, "a/b", b"{}")
    assert caught.value.error_code == "AccessDeniedException"
