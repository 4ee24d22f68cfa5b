"""The pipeline graph: every card has its place, no link crosses a card, the main way runs straight."""

from __future__ import annotations

import itertools
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.console.callers import FlowWithCallers, link_of
from lakebed.console.graph import NODE_HEIGHT, NODE_WIDTH, Placed, lay_out, layers_of, route
from lakebed.console.pages.pipelines import graph_of, resource_of
from lakebed.kernel.clock import ManualClock
from tests.console.pages import SCOPE

NAMES = [f"n{number}" for number in range(14)]
LINKS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=24, unique=True)


def corners(path: str) -> list[tuple[float, float]]:
    """All points of a path, its control points among them: the way stays in their hull."""
    numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def crosses(path: str, card: Placed) -> bool:
    """Whether a piece of the way runs through a card (its edge does not count)."""
    points = corners(path)
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        left, right, top, bottom = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
        if left < card.x + NODE_WIDTH and right > card.x and top < card.y + NODE_HEIGHT and bottom > card.y:
            return True
    return False


@settings(max_examples=40, deadline=None)
@given(LINKS)
def test_cards_are_apart_and_links_run_between_them(links: list[tuple[str, str]]) -> None:
    drawing = lay_out(NAMES, links)
    places = {placed.arn: placed for placed in drawing.nodes}
    assert set(places) == set(NAMES)
    spots = {(placed.x, placed.y) for placed in drawing.nodes}
    assert len(spots) == len(NAMES)
    for placed in drawing.nodes:
        assert 0 <= placed.x <= drawing.width - NODE_WIDTH
        assert 0 <= placed.y <= drawing.height - NODE_HEIGHT
    for number, (source, target) in enumerate(links):
        if source == target:
            continue
        way = route(places[source], places[target], number)
        for placed in drawing.nodes:
            if re.search("C", way.path):  # a curve to the next column: its hull is the gap
                assert all(x <= placed.x or x >= placed.x + NODE_WIDTH for x, _ in corners(way.path)), (
                    source,
                    target,
                    placed,
                )
            else:
                assert not crosses(way.path, placed), (source, target, placed, way.path)


@settings(max_examples=40, deadline=None)
@given(LINKS)
def test_links_of_a_graph_without_cycles_lead_on(links: list[tuple[str, str]]) -> None:
    forward = [(source, target) for source, target in links if NAMES.index(source) < NAMES.index(target)]
    layers = layers_of(NAMES, forward)
    assert all(layers[source] < layers[target] for source, target in forward)


def test_a_result_that_returns_to_its_bucket_does_not_turn_the_graph_round() -> None:
    way = ["z-devices", "stream", "firehose", "s3", "sqs", "report", "athena"]
    links = [*itertools.pairwise(way), ("athena", "s3"), ("report", "s3")]
    layers = layers_of(way, links)
    assert [layers[node] for node in way] == list(range(len(way)))


def test_what_leads_on_stands_above_a_dead_end() -> None:
    links = [("firehose", "a-transform"), ("firehose", "s3"), ("s3", "sqs"), ("sqs", "report")]
    places = {placed.arn: placed for placed in lay_out(["firehose", "a-transform", "s3", "sqs", "report"], links).nodes}
    assert places["firehose"].y == places["s3"].y == places["sqs"].y == places["report"].y
    assert places["a-transform"].y > places["s3"].y
    assert places["a-transform"].x == places["s3"].x


def test_what_a_function_calls_is_seen_in_the_journal() -> None:
    function, group = (
        "arn:aws:lambda:us-east-1:000000000000:function:report",
        "arn:aws:athena:us-east-1:000000000000:workgroup/w",
    )
    row = {
        "service": "athena", "operation": "StartQueryExecution", "error": "", "resource": group, "account": SCOPE.account,
        "region": SCOPE.region, "principal": "arn:aws:sts::000000000000:assumed-role/any/report",
    }  # fmt: skip
    assert link_of(row, SCOPE) == (function, group)
    assert link_of(row | {"error": "AccessDenied"}, SCOPE) is None
    assert link_of(row | {"principal": "arn:aws:iam::000000000000:root"}, SCOPE) is None
    assert link_of(row | {"operation": "GetQueryResults"}, SCOPE) is None
    put = row | {"service": "s3", "operation": "PutObject", "resource": "arn:aws:s3:::b/report/latest.json"}
    assert link_of(put, SCOPE) == (function, "arn:aws:s3:::b")
    rows, clock = [row], ManualClock(1.0)
    state: dict[str, Any] = {"at": 1.0, "resources": {function: {}, group: {}}, "links": []}
    flow = FlowWithCallers(lambda _scope: state, lambda **_: rows, clock)
    assert [(link["source"], link["target"]) for link in flow(SCOPE)["links"]] == [(function, group)]
    rows.clear()
    assert len(flow(SCOPE)["links"]) == 1
    del state["resources"][group]
    assert flow(SCOPE)["links"] == []


def test_a_qualified_function_is_the_function() -> None:
    function = "arn:aws:lambda:us-east-1:000000000000:function:transform"
    assert resource_of(f"{function}:$LATEST") == resource_of(f"{function}:live") == function
    assert resource_of("arn:aws:sqs:us-east-1:000000000000:queue") == "arn:aws:sqs:us-east-1:000000000000:queue"
    flow = {
        "at": 1.0,
        "resources": {},
        "links": [{"source": "arn:aws:s3:::b", "target": f"{function}:live", "records": 3}],
    }
    graph = graph_of(flow)
    assert set(graph.nodes) == {"arn:aws:s3:::b", function}
    assert graph.links == {("arn:aws:s3:::b", function): 3}
