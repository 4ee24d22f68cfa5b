"""The tree of filters against one filter at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakebed.edge.mqtt.tree import FilterTree, Options
from lakebed.wire.mqtt.topics import is_filter, matches

levels = st.sampled_from(["a", "b", "$aws", ""])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = (
    st.lists(st.sampled_from(["a", "b", "+", "#", "$aws", ""]), min_size=1, max_size=4).map("/".join).filter(is_filter)
)


@given(st.lists(st.tuples(filters, st.integers(0, 3)), max_size=12), st.lists(st.integers(0, 11), max_size=6), topics)
def test_the_tree_finds_what_each_filter_matches(
    subscriptions: list[tuple[str, int]], removed: list[int], topic: str
) -> None:
    tree: FilterTree[int] = FilterTree()
    has: dict[tuple[str, int], None] = {}
    for topic_filter, who in subscriptions:
        tree.add(topic_filter, who, Options(1))
        has[topic_filter, who] = None
    tree.match(topic)
    for index in removed:
        if index < len(subscriptions):
            tree.remove(*subscriptions[index])
            has.pop(subscriptions[index], None)
    wanted: dict[int, int] = {}
    for topic_filter, who in has:
        if matches(topic_filter, topic):
            wanted[who] = wanted.get(who, 0) + 1
    assert {who: len(options) for who, options in tree.match(topic).subscribers} == wanted
    for topic_filter, who in has:
        tree.remove(topic_filter, who)
    assert tree._root.is_empty


def test_groups_are_kept_apart() -> None:
    tree: FilterTree[str] = FilterTree()
    tree.add("$share/g/a/+", "x", Options(1))
    tree.add("$share/g/a/+", "y", Options(1))
    tree.add("$share/h/a/b", "x", Options(0))
    found = tree.match("a/b")
    assert found.subscribers == []
    assert sorted(sorted(group.members) for group in found.groups) == [["x"], ["x", "y"]]
    tree.remove("$share/g/a/+", "x")
    assert sorted(sorted(group.members) for group in tree.match("a/b").groups) == [["x"], ["y"]]
