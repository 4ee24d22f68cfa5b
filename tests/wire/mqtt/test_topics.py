"""Topic filters against a recursive statement of the standard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakebed.wire.mqtt.topics import is_filter, is_topic, is_wildcard, matches, shared

levels = st.sampled_from(["a", "b", "", "$aws"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = st.lists(st.sampled_from(["a", "b", "", "+", "#", "$aws"]), min_size=1, max_size=4).map("/".join)


def oracle(wanted: list[str], has: list[str]) -> bool:
    if wanted == ["#"]:
        return bool(has)
    if not wanted or not has:
        return not wanted and not has
    return wanted[0] in ("+", has[0]) and oracle(wanted[1:], has[1:])


@given(filters.filter(is_filter), topics)
def test_matching_is_the_standards(topic_filter: str, topic: str) -> None:
    hidden = topic.startswith("$") and topic_filter[0:1] in ("+", "#")
    assert matches(topic_filter, topic) == (not hidden and oracle(topic_filter.split("/"), topic.split("/")))


@given(topics)
def test_a_topic_is_a_filter_of_itself(topic: str) -> None:
    assert is_topic(topic)
    assert is_filter(topic)
    assert not is_wildcard(topic)
    assert matches(topic, topic)


def test_forms() -> None:
    assert not matches("sensor/#", "sensor")  # AWS's departure from the standard
    assert not is_filter("a#")
    assert not is_filter("#/a")
    assert not is_filter("a/+b")
    assert is_filter("+/a/#")
    assert shared("$share/g/a/#") == ("g", "a/#")
    assert shared("$share/g+/a") == ("", "a")
    assert shared("a") is None
