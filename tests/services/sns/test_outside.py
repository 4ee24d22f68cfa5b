"""HTTP subscriptions: a real server on this machine, which an operator allowed, and the addresses that nobody did."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.kernel.scope import ANONYMOUS
from lakebed.services.sns.policies import Retries
from tests.harness import SCOPE, Harness
from tests.services.sns.conftest import TOPIC, World
from tests.services.sns.test_topics import fails


class Endpoint:
    """Answers as it is told, and remembers what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], str]] = []
        self.status, self.port = 200, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        self.requests.append((headers | {":line": lines[0]}, body))
        writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 2\r\n\r\nno".encode())
        await writer.drain()
        writer.close()

    def last(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.requests[-1][1])
        return made


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def open_world(harness: Harness) -> World:
    harness.kernel.settings.services["sns"] = {"http_endpoint_networks": ["127.0.0.0/8"]}
    made = World(harness)
    await harness.start()
    await made.call("CreateTopic", Name="news")
    await made.queue("inbox")
    return made


async def confirmed(world: World, endpoint: Endpoint, *, signed: bool = True, **attributes: str) -> str:
    assert await world.subscribe("http", endpoint.url, **attributes) == "pending confirmation"
    await world.clock.settle()
    token, caller = endpoint.last()["Token"], {} if signed else {"caller": ANONYMOUS}
    made = await world.call("ConfirmSubscription", TopicArn=TOPIC, Token=token, **caller)
    endpoint.requests.clear()
    return str(made["SubscriptionArn"])


async def test_the_handshake_then_messages(open_world: World, endpoint: Endpoint) -> None:
    world = open_world
    assert await world.subscribe("http", endpoint.url) == "pending confirmation"
    await world.publish("too early")
    ((headers, _),) = endpoint.requests
    assert headers[":line"] == "POST /hook?a=1 HTTP/1.1"
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    first = endpoint.last()
    assert first["SubscribeURL"].endswith(f"TopicArn={TOPIC}&Token={first['Token']}")
    assert await world.subscribe("http", endpoint.url) == "pending confirmation", "asks again"
    await world.clock.settle()
    again = endpoint.last()["Token"]
    await fails("InvalidParameter", world.call("ConfirmSubscription", TopicArn=TOPIC, Token=first["Token"]))
    arn = (await world.call("ConfirmSubscription", TopicArn=TOPIC, Token=again))["SubscriptionArn"]
    await world.publish("hello", Subject="s", MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}})
    headers, _ = endpoint.requests[-1]
    told = endpoint.last()
    assert (headers["x-amz-sns-message-type"], headers["x-amz-sns-subscription-arn"]) == ("Notification", arn)
    assert headers["x-amz-sns-message-id"] == told["MessageId"]
    assert (told["Message"], told["Subject"], told["MessageAttributes"]["a"]["Value"]) == ("hello", "s", "x")
    assert told["Signature"]
    assert arn in told["UnsubscribeURL"]


async def test_a_token_is_good_for_two_days(open_world: World, endpoint: Endpoint) -> None:
    await open_world.subscribe("http", endpoint.url)
    await open_world.clock.settle()
    await open_world.clock.advance(2 * 86_400 + 1)
    late = open_world.call("ConfirmSubscription", TopicArn=TOPIC, Token=endpoint.last()["Token"])
    assert "Token" in await fails("InvalidParameter", late)


async def test_raw_messages_and_the_content_type(open_world: World, endpoint: Endpoint) -> None:
    policy = json.dumps({"requestPolicy": {"headerContentType": "application/json"}})
    await confirmed(open_world, endpoint, RawMessageDelivery="true", DeliveryPolicy=policy)
    await open_world.publish(json.dumps({"default": "d", "http": '{"a": 1}'}), MessageStructure="json")
    ((headers, body),) = endpoint.requests
    assert (body, headers["content-type"], headers["x-amz-sns-rawdelivery"]) == ('{"a": 1}', "application/json", "true")


async def test_retries_follow_the_policy_then_the_dead_letter_queue(open_world: World, endpoint: Endpoint) -> None:
    world = open_world
    dead = await world.queue("dead")
    retry = {"numRetries": 4, "numNoDelayRetries": 1, "numMinDelayRetries": 1, "minDelayTarget": 5, "maxDelayTarget": 9}
    await confirmed(
        world, endpoint, RedrivePolicy=json.dumps({"deadLetterTargetArn": dead}),
        DeliveryPolicy=json.dumps({"healthyRetryPolicy": retry}),
    )  # fmt: skip
    endpoint.status = 503
    await world.publish("lost")
    assert len(endpoint.requests) == 2, "one retry at once"
    await world.clock.advance(5)
    assert len(endpoint.requests) == 3
    await world.clock.advance(6.9)
    assert len(endpoint.requests) == 3, "backing off: 7 seconds"
    await world.clock.advance(0.2)
    assert (len(endpoint.requests), await world.inbox("dead")) == (4, [])
    await world.clock.advance(9)
    (letter,) = await world.inbox("dead")
    assert (len(endpoint.requests), json.loads(letter["Body"])["Message"]) == (5, "lost")
    endpoint.status = 404
    await world.publish("wrong")
    assert (len(endpoint.requests), len(await world.inbox("dead"))) == (6, 1)


async def test_a_slow_or_broken_endpoint_delays_nobody_and_status_is_written(
    open_world: World, endpoint: Endpoint
) -> None:
    class Lines:
        def __init__(self) -> None:
            self.written: list[tuple[str, dict[str, Any]]] = []

        def write(self, scope: Any, group: str, stream: str, lines: list[tuple[float, str]]) -> None:
            self.written += [(group, json.loads(text)) for _, text in lines]

    world, lines = open_world, Lines()
    world.harness.ports.logs = lines  # type: ignore[assignment]
    role = f"arn:aws:iam::{SCOPE.account}:role/r"
    await world.call(
        "SetTopicAttributes", TopicArn=TOPIC, AttributeName="HTTPFailureFeedbackRoleArn", AttributeValue=role
    )
    await world.subscribe()
    await confirmed(world, endpoint)
    endpoint.status = 400
    await world.publish("x")
    assert len(await world.inbox()) == 1
    ((group, line),) = lines.written
    assert group.endswith("news/Failure")
    assert (line["delivery"]["statusCode"], line["delivery"]["destination"]) == (400, endpoint.url)


async def test_the_throttle(open_world: World, endpoint: Endpoint) -> None:
    policy = {"http": {"defaultThrottlePolicy": {"maxReceivesPerSecond": 1}, "disableSubscriptionOverrides": True}}
    await open_world.call(
        "SetTopicAttributes", TopicArn=TOPIC, AttributeName="DeliveryPolicy", AttributeValue=json.dumps(policy)
    )
    await confirmed(open_world, endpoint)
    await open_world.clock.advance(2)
    for number in range(3):
        await open_world.publish(str(number))
    assert len(endpoint.requests) == 1
    await open_world.clock.advance(1.1)
    assert len(endpoint.requests) == 2
    await open_world.clock.advance(1.1)
    assert len(endpoint.requests) == 3


async def test_unsubscribing_by_the_link(open_world: World, endpoint: Endpoint) -> None:
    world = open_world
    arn = await confirmed(world, endpoint, signed=False)
    told = (await world.call("GetSubscriptionAttributes", SubscriptionArn=arn))["Attributes"]
    assert told["ConfirmationWasAuthenticated"] == "false"
    assert json.loads(told["EffectiveDeliveryPolicy"])["healthyRetryPolicy"]["numRetries"] == 3
    await world.call("Unsubscribe", SubscriptionArn=arn, caller=ANONYMOUS)
    await world.publish("nobody")
    ((headers, _),) = endpoint.requests
    assert headers["x-amz-sns-message-type"] == "UnsubscribeConfirmation"
    token = endpoint.last()["Token"]
    await world.call("ConfirmSubscription", TopicArn=TOPIC, Token=token, AuthenticateOnUnsubscribe="true")
    await world.publish("back")
    assert endpoint.last()["Message"] == "back"
    await fails("AuthorizationError", world.call("Unsubscribe", SubscriptionArn=arn, caller=ANONYMOUS))
    await world.call("Unsubscribe", SubscriptionArn=arn)
    await world.publish("gone")
    assert endpoint.last()["Message"] == "back"


async def test_inner_addresses_are_refused(world: World, endpoint: Endpoint) -> None:
    for url in (endpoint.url, "http://169.254.169.254/latest", "http://[::1]/"):
        await world.subscribe("http", url)
    await world.clock.settle()
    await world.clock.advance(100)
    assert not endpoint.requests
    assert world.harness.kernel.db.all("SELECT * FROM sns_delivery") == [], "given up at once"


@pytest.mark.parametrize("url", ["https://x/", "http:///x", "http://u:p@x/", "http://x/ y", "ftp://x/", "x"])
async def test_urls_that_are_none(world: World, url: str) -> None:
    assert "Endpoint" in await fails("InvalidParameter", world.subscribe("http", url))


@pytest.mark.parametrize("policy", [
    {"healthyRetryPolicy": {"numRetries": 101}}, {"healthyRetryPolicy": {"minDelayTarget": 30}}, {"wrong": 1},
    {"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 2}}, {"throttlePolicy": {"maxReceivesPerSecond": 0}},
    {"healthyRetryPolicy": {"numRetries": 100, "minDelayTarget": 60, "maxDelayTarget": 60}},
    {"requestPolicy": {"headerContentType": "image/png"}}, {"healthyRetryPolicy": {"backoffFunction": "x"}},
])  # fmt: skip
async def test_policies_that_are_none(world: World, policy: dict[str, Any]) -> None:
    refused = world.subscribe("http", "http://e.com/", DeliveryPolicy=json.dumps(policy))
    assert "DeliveryPolicy" in await fails("InvalidParameter", refused)


@given(
    function=st.sampled_from(["arithmetic", "exponential", "geometric", "linear"]),
    phases=st.tuples(*[st.integers(0, 9)] * 4),
    low=st.integers(1, 60),
    more=st.integers(0, 600),
)
def test_pauses_grow_from_phase_to_phase(function: Any, phases: tuple[int, ...], low: int, more: int) -> None:
    no_delay, least, most, _ = phases
    policy = Retries(low, low + more, sum(phases), no_delay, least, most, function)
    pauses = [policy.pause(number) for number in range(1, sum(phases) + 1)]
    told = [pause for pause in pauses if pause is not None]
    assert told == sorted(told)
    assert len(told) == sum(phases)
    assert told[:no_delay] == [0.0] * no_delay
    assert told[no_delay : no_delay + least] == [low] * least
    assert all(low <= one <= low + more + 1e-6 for one in told[no_delay:])
    assert policy.pause(sum(phases) + 1) is None
