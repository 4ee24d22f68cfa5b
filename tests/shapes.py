"""Input for any operation, drawn from its model: valid, at the edge, or slightly wrong, with names that exist mixed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.model import Shape
from hypothesis import strategies as st

# What a value is often called, and values of that kind which exist in the house under test or nearly do.
KNOWN: Mapping[str, tuple[Any, ...]] = {
    "bucket": ("fuzz-bucket", "no-such-bucket", "A_b"),
    "key": ("a/b", "données/x y+%.txt", "no"),
    "queueurl": (
        "http://127.0.0.1:4566/000000000000/fuzz",
        "http://127.0.0.1:4566/000000000000/fuzz.fifo",
        "http://127.0.0.1:4566/000000000000/nothing",
        "x",
    ),
    "queuename": ("fuzz", "nothing"),
    "streamname": ("fuzz", "nothing"),
    "streamarn": (
        "arn:aws:kinesis:us-east-1:000000000000:stream/fuzz",
        "arn:aws:kinesis:us-east-1:000000000000:stream/no",
    ),
    "shardid": ("shardId-000000000000", "shardId-000000000009"),
    "layername": ("fuzz", "nothing", "arn:aws:lambda:us-east-1:000000000000:layer:fuzz"),
    "functionname": ("fuzz", "nothing", "arn:aws:lambda:us-east-1:000000000000:function:fuzz:$LATEST"),
    "deliverystreamname": ("fuzz", "nothing"),
    "databasename": ("fuzz", "nothing"),
    "tablename": ("fuzz", "nothing"),
    "name": ("fuzz", "nothing"),
    "rolename": ("fuzz", "nothing"),
    "username": ("fuzz", "nothing"),
    "rolearn": ("arn:aws:iam::000000000000:role/fuzz", "arn:aws:iam::000000000000:role/no", "x"),
    "role": ("arn:aws:iam::000000000000:role/fuzz", "x"),
    "policyarn": ("arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::000000000000:policy/no"),
    "loggroupname": ("fuzz", "nothing"),
    "logstreamname": ("fuzz", "nothing"),
    "workgroup": ("primary", "nothing"),
    "querystring": ("SELECT 1", "SELECT * FROM fuzz", "nonsense"),
    "thingname": ("fuzz", "nothing"),
    "rulename": ("fuzz", "nothing"),
    "policyname": ("fuzz", "nothing"),
    "topic": ("fuzz/a", "$aws/x", "#"),
    "policydocument": (
        '{"Version":"2012-10-17","Statement":[]}',
        "{",
        '{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}',
    ),
    "nexttoken": ("bm90aGluZw==", "x"),
    "marker": ("x",),
    "keyid": ("alias/fuzz", "alias/nothing", "00000000-0000-4000-8000-000000000000", "alias/aws/s3"),
    "targetkeyid": ("alias/fuzz", "00000000-0000-4000-8000-000000000000"),
    "aliasname": ("alias/fuzz", "alias/nothing", "fuzz"),
    "granteeprincipal": ("arn:aws:iam::000000000000:role/fuzz", "x"),
    "eventpattern": ('{"source": ["a"]}', '{"source": [{"prefix": "a"}]}', "{"),
    "eventbusname": ("default", "nothing", "arn:aws:events:us-east-1:000000000000:event-bus/default"),
    "scheduleexpression": ("rate(5 minutes)", "cron(0 10 * * ? *)", "rate(1)"),
    "rule": ("fuzz", "nothing"),
    "eventsourcearn": ("arn:aws:events:us-east-1:000000000000:event-bus/default", "x"),
    "topicarn": ("arn:aws:sns:us-east-1:000000000000:fuzz", "arn:aws:sns:us-east-1:000000000000:no"),
    "subscriptionarn": (
        "arn:aws:sns:us-east-1:000000000000:fuzz:00000000-0000-0000-0000-000000000000",
        "arn:aws:sns:us-east-1:000000000000:fuzz",
    ),
    "protocol": ("sqs", "lambda", "firehose", "email"),
    "endpoint": ("arn:aws:sqs:us-east-1:000000000000:fuzz", "arn:aws:lambda:us-east-1:000000000000:function:fuzz"),
    "attributename": (
        "FilterPolicy",
        "FilterPolicyScope",
        "RedrivePolicy",
        "RawMessageDelivery",
        "Policy",
        "DisplayName",
    ),
    "attributevalue": ('{"a": [{"prefix": "x"}]}', "MessageBody", "true"),
}
_TEXT = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x10FFFF, blacklist_categories=("Cs",), blacklist_characters="\x7f"),
    max_size=24,
)


def values(shape: Shape, name: str = "", depth: int = 0) -> st.SearchStrategy[Any]:
    """A strategy for one shape."""
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, depth)
    if kind == "list":
        return st.lists(values(shape.member, name, depth + 1), max_size=3)
    if kind == "map":
        return st.dictionaries(
            values(shape.key, name, depth + 1).filter(bool), values(shape.value, name, depth + 1), max_size=2
        )
    if kind in ("string", "character"):
        return _string(shape, name)
    if kind in ("integer", "long", "short", "bigint"):
        low = int(shape.metadata.get("min", 0))
        high = int(shape.metadata.get("max", max(low, 10_000)))
        return st.sampled_from([low, min(low + 1, high), high, 10]) | st.integers(low, min(high, 1 << 31))
    if kind in ("float", "double"):
        return st.floats(0, 1000, allow_nan=False)
    if kind == "boolean":
        return st.booleans()
    if kind == "timestamp":
        return st.sampled_from([0, 1_000_000_000, 1_750_000_000, 4_000_000_000])
    assert kind == "blob", kind
    return st.binary(max_size=64) | st.just(b'{"a": 1}')


def _string(shape: Shape, name: str) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from([*shape.enum, shape.enum[0].lower() + "x"])
    known = KNOWN.get(name.lower().replace("-", ""), ())
    options: list[st.SearchStrategy[str]] = [_TEXT, st.sampled_from(["fuzz", "a", "0", "*"])]
    if known:
        options = [st.sampled_from(known)] * 3 + options
    return st.one_of(options)


def _structure(shape: Shape, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    required = set(shape.required_members)
    needed = {
        # An empty label would be another path; clients refuse to send it.
        member: values(inner, member, depth + 1).filter(bool)
        if inner.serialization.get("location") == "uri"
        else values(inner, member, depth + 1)
        for member, inner in shape.members.items()
        if member in required
    }
    optional = (
        {}
        if depth > 4
        else {
            member: values(inner, member, depth + 1)
            for member, inner in shape.members.items()
            if member not in required
        }
    )
    if not optional:
        return st.fixed_dictionaries(needed)
    # A few optional members at a time: all of them at once only ever meets the first refusal.
    return st.sets(st.sampled_from(sorted(optional)), max_size=4).flatmap(
        lambda chosen: st.fixed_dictionaries(needed | {member: optional[member] for member in chosen})
    )
