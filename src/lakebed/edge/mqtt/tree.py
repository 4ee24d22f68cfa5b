"""Topic filters to subscribers, by level, so that a message finds its subscribers without looking at all filters.

Answers are remembered by topic until a subscription changes. A shared subscription (``$share/<group>/<filter>``) is kept
as a group at its inner filter's node; which member gets a message is decided for each message, by turns
(https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt5-shared-subscription).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from lakebed.wire.mqtt.topics import shared

_REMEMBERED_MAX = 4096
_Subscriber = TypeVar("_Subscriber", bound=Hashable)


class Options(NamedTuple):
    """How a subscriber wants its messages; ``identifier`` 0: none was given."""

    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int = 0


@dataclass(slots=True)
class Group(Generic[_Subscriber]):
    """The members of a shared subscription; ``turn`` is the next one's place."""

    members: dict[_Subscriber, Options] = field(default_factory=dict)
    turn: int = 0


class Found(NamedTuple, Generic[_Subscriber]):
    """Who gets a message: each subscriber once with all its matching subscriptions, and the groups."""

    subscribers: list[tuple[_Subscriber, list[Options]]]
    groups: list[Group[_Subscriber]]


@dataclass(slots=True)
class _Node(Generic[_Subscriber]):
    children: dict[str, _Node[_Subscriber]] = field(default_factory=dict)
    subscribers: dict[_Subscriber, Options] = field(default_factory=dict)
    groups: dict[str, Group[_Subscriber]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.children or self.subscribers or self.groups)


class FilterTree(Generic[_Subscriber]):
    """All subscriptions of one account and region."""

    def __init__(self) -> None:
        self._root: _Node[_Subscriber] = _Node()
        self._remembered: dict[str, Found[_Subscriber]] = {}

    def add(self, topic_filter: str, subscriber: _Subscriber, options: Options) -> None:
        """Subscribe, replacing what the subscriber had at the same filter."""
        group, inner = shared(topic_filter) or ("", topic_filter)
        node = self._root
        for level in inner.split("/"):
            node = node.children.setdefault(level, _Node())
        if group:
            node.groups.setdefault(group, Group()).members[subscriber] = options
        else:
            node.subscribers[subscriber] = options
        self._remembered.clear()

    def remove(self, topic_filter: str, subscriber: _Subscriber) -> None:
        """Unsubscribe; unknown is fine. Branches that hold nothing any more are cut off."""
        group, inner = shared(topic_filter) or ("", topic_filter)
        path = [self._root]
        levels = inner.split("/")
        for level in levels:
            child = path[-1].children.get(level)
            if child is None:
                return
            path.append(child)
        node = path[-1]
        if group:
            if (members := node.groups.get(group)) is not None:
                members.members.pop(subscriber, None)
                if not members.members:
                    del node.groups[group]
        else:
            node.subscribers.pop(subscriber, None)
        for depth in range(len(levels), 0, -1):
            if not path[depth].is_empty:
                break
            del path[depth - 1].children[levels[depth - 1]]
        self._remembered.clear()

    def match(self, topic: str) -> Found[_Subscriber]:
        """Who subscribed to filters that select ``topic``."""
        found = self._remembered.get(topic)
        if found is None:
            found = self._find(topic)
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[topic] = found
        return found

    def _find(self, topic: str) -> Found[_Subscriber]:
        levels = topic.split("/")
        nodes = [self._root]
        matched: list[_Node[_Subscriber]] = []
        for depth, level in enumerate(levels):
            following: list[_Node[_Subscriber]] = []
            for node in nodes:
                wild = depth > 0 or not topic.startswith("$")
                if wild and (rest := node.children.get("#")) is not None:
                    matched.append(rest)
                if wild and (any_level := node.children.get("+")) is not None:
                    following.append(any_level)
                if (exact := node.children.get(level)) is not None:
                    following.append(exact)
            nodes = following
        by_subscriber: dict[_Subscriber, list[Options]] = {}
        groups: list[Group[_Subscriber]] = []
        for node in matched + nodes:
            for subscriber, options in node.subscribers.items():
                by_subscriber.setdefault(subscriber, []).append(options)
            groups += node.groups.values()
        return Found(list(by_subscriber.items()), groups)
