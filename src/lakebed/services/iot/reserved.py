"""Reserved topics that devices may publish to: requests to the services behind them.

https://docs.aws.amazon.com/iot/latest/developerguide/reserved-topics.html. A request is routed and meets rules like any
message and is then answered on its ``accepted`` or ``rejected`` topic; every other ``$aws/`` topic (basic ingest aside)
is refused by the door.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lakebed.ports.devices import DeviceIdentity, PublishedMessage

Answer = Callable[[DeviceIdentity, str, PublishedMessage], Awaitable[None]]


class Reserved:
    """Who answers which topics: each is asked whether a topic is its own."""

    def __init__(self) -> None:
        self._answerers: list[tuple[Callable[[str], bool], Answer]] = []

    def add(self, takes: Callable[[str], bool], answer: Answer) -> None:
        """``answer(identity, client id, message)`` for the topics ``takes`` accepts."""
        self._answerers.append((takes, answer))

    def takes(self, topic: str) -> bool:
        """Whether anybody answers a topic."""
        return topic.startswith("$aws/") and any(takes(topic) for takes, _ in self._answerers)

    async def answer(self, identity: DeviceIdentity, client_id: str, message: PublishedMessage) -> None:
        """Answer a request; other messages pass."""
        if not message.topic.startswith("$aws/"):
            return
        for takes, answer in self._answerers:
            if takes(message.topic):
                await answer(identity, client_id, message)
                return
