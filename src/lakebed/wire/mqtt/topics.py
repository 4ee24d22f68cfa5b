"""Topic names and filters (MQTT 5, section 4.7): what is well formed, what matches what, and shared filters.

AWS's own departure is built in, because nothing else of Lakebed speaks MQTT: ``sensor/#`` does not match ``sensor``
(https://docs.aws.amazon.com/iot/latest/developerguide/topics.html#topicfilters).
"""

from __future__ import annotations

from typing import NamedTuple

SHARE_PREFIX = "$share/"


class SharedFilter(NamedTuple):
    """``$share/<group>/<topic_filter>`` taken apart."""

    group: str
    topic_filter: str


def is_topic(topic: str) -> bool:
    """Whether a PUBLISH may name it: not empty, no wildcard, no NUL."""
    return bool(topic) and "#" not in topic and "+" not in topic and "\0" not in topic


def is_filter(topic_filter: str) -> bool:
    """Whether a SUBSCRIBE may name it; a shared filter must be taken apart first."""
    if not topic_filter or "\0" in topic_filter:
        return False
    levels = topic_filter.split("/")
    for level in levels[:-1]:
        if "#" in level or ("+" in level and level != "+"):
            return False
    return levels[-1] in ("#", "+") or ("#" not in levels[-1] and "+" not in levels[-1])


def is_wildcard(topic_filter: str) -> bool:
    """Whether the filter may match more than the topic of the same name."""
    return "+" in topic_filter or "#" in topic_filter


def shared(topic_filter: str) -> SharedFilter | None:
    """The parts of a shared filter; None where it is not one. A malformed one has an empty part."""
    if not topic_filter.startswith(SHARE_PREFIX):
        return None
    group, _, rest = topic_filter[len(SHARE_PREFIX) :].partition("/")
    if "+" in group or "#" in group:
        group = ""
    return SharedFilter(group, rest)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a filter selects a topic; wildcards at the first level never select ``$`` topics ([MQTT-4.7.2-1])."""
    if topic.startswith("$") and topic_filter[:1] in ("+", "#"):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for index, want in enumerate(wanted):
        if want == "#":
            return len(levels) > index
        if index >= len(levels) or (want != "+" and want != levels[index]):
            return False
    return len(wanted) == len(levels)
