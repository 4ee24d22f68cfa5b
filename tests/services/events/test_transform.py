"""What targets get of an event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakebed.services.events import transform
from lakebed.services.events.model import Event, Rule, Target
from tests.harness import SCOPE

EVENT = Event(
    SCOPE, "id-1", "my.app", "Done",
    '{"name": "Zo\\u00eb \\"Z\\"", "n": 1.50, "list": [{"k": 1}, {"k": 2}]}', 1.75e9, ["r"], 1.75e9
)  # fmt: skip
RULE = Rule(SCOPE, "default", "r1", 0.0)


def made(**settings: Any) -> str:
    return transform.body(EVENT, RULE, Target("t", "arn", settings))


def test_the_whole_event_keeps_its_detail_as_it_came() -> None:
    assert made().endswith(f'"detail":{EVENT.detail}}}')
    whole = json.loads(made())
    assert whole["detail-type"] == "Done"
    assert (whole["time"], whole["resources"]) == ("2025-06-15T15:06:40Z", ["r"])


def test_a_constant_and_a_part() -> None:
    assert made(Input='{"a": 1}') == '{"a": 1}'
    assert made(InputPath="$.detail.list[1]") == '{"k":2}'
    assert made(InputPath="$.detail.list[*].k") == "[1,2]"
    assert made(InputPath="$.detail.none") == ""
    assert made(InputPath="$['source']") == '"my.app"'


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('"<name> is done"', '"Zoë \\"Z\\" is done"'),
        ('{"n": <n>, "all": <list>}', '{"n": 1.5, "all": [{"k":1},{"k":2}]}'),
        ('{"who": <name>, "text": "x<n>x"}', '{"who": "Zoë \\"Z\\"", "text": "x1.5x"}'),
        ('"<missing>!<unknown>"', '"!<unknown>"'),
        ('"<aws.events.rule-name> <aws.events.event.ingestion-time>"', '"r1 2025-06-15T15:06:40Z"'),
    ],
)
def test_templates(template: str, expected: str) -> None:
    paths = {"name": "$.detail.name", "n": "$.detail.n", "list": "$.detail.list", "missing": "$.detail.nothing"}
    assert made(InputTransformer={"InputPathsMap": paths, "InputTemplate": template}) == expected


def test_the_event_itself_in_a_template() -> None:
    shown = json.loads(made(InputTransformer={"InputTemplate": '{"event": <aws.events.event.json>}'}))
    assert shown["event"]["detail"]["n"] == 1.5
    assert "detail" not in json.loads(made(InputTransformer={"InputTemplate": "<aws.events.event>"}))


@pytest.mark.parametrize("path", ["detail", "$x", "$.a[", "$.a[-1]", "$..a", "$.a b"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(transform.PathError):
        transform.path(path)
