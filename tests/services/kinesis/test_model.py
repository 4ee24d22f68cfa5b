"""Hashing, sequence numbers, resharding and tokens, by properties."""

from __future__ import annotations

from hashlib import md5
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.api import kinesis as api
from lakebed.services.kinesis import model, tokens
from lakebed.services.kinesis.model import HASH_MAX, Shard, Stream
from lakebed.services.kinesis.records import decode, encode
from tests.harness import SCOPE

NOW = 1_750_000_000.0
HASHES = st.integers(0, HASH_MAX)


def stream(count: int) -> Stream:
    return Stream(SCOPE, "s", "u" * 22, b"k" * 32, "PROVISIONED", NOW, 24, 1024, {}, model.even_shards(count, NOW))


def covers_everything(made: Stream) -> bool:
    shards = made.open_shards
    touching = all(low.hash_end + 1 == high.hash_start for low, high in pairwise(shards))
    return touching and shards[0].hash_start == 0 and shards[-1].hash_end == HASH_MAX


@given(st.integers(1, 300), st.text(min_size=1, max_size=256))
def test_every_key_has_exactly_one_shard(count: int, key: str) -> None:
    made = stream(count)
    assert covers_everything(made)
    hashed = int(md5(key.encode()).hexdigest(), 16)
    (owner,) = [shard for shard in made.open_shards if shard.hash_start <= hashed <= shard.hash_end]
    assert made.shard_for(key) == owner


@given(st.integers(0, 10**9), st.integers(0, 10**15), st.integers(1, 1000))
def test_sequence_numbers_rise_and_lead_back(number: int, offset: int, gap: int) -> None:
    shard = Shard(number, 0, 1, NOW)
    first, second = shard.sequence_number(offset), shard.sequence_number(offset + gap)
    assert len(first) == len(second) == 56
    assert int(first) < int(second)
    assert shard.offset_of(first) == offset
    assert Shard(number + 1, 0, 1, NOW).offset_of(first) is None
    child = Shard(number + 1, 0, 1, NOW)
    assert int(child.sequence_number(-1)) > int(second)


@given(st.integers(1, 20), st.data())
def test_resharding_keeps_the_hash_space_covered(count: int, data: st.DataObject) -> None:
    made = stream(count)
    for step in range(data.draw(st.integers(1, 6))):
        now = NOW + step
        shard = data.draw(st.sampled_from(made.open_shards))
        if data.draw(st.booleans()) and shard.hash_end > shard.hash_start:
            at = data.draw(st.integers(shard.hash_start + 1, shard.hash_end))
            made = model.split(made, shard, at, 5, now)
        elif len(made.open_shards) > 1:
            place = data.draw(st.integers(0, len(made.open_shards) - 2))
            pair = made.open_shards[place : place + 2]
            made = model.merge(made, pair[1], pair[0], [3, 4], now)
        else:
            made = model.rescale(made, 2, {each.number: 7 for each in made.open_shards}, now)
        assert covers_everything(made)
        assert len({each.number for each in made.shards}) == len(made.shards)
        for child in made.open_shards:
            for parent in (child.parent, child.adjacent_parent):
                if parent is not None:
                    closed = made.by_id[model.shard_id(parent)]
                    assert closed.end_offset is not None
                    assert int(closed.sequence_number(closed.end_offset)) < int(child.sequence_number(-1))


def test_what_cannot_be_split_or_merged_is_refused() -> None:
    made = stream(3)
    first, second, third = made.open_shards
    with pytest.raises(api.InvalidArgumentException):
        model.split(made, first, first.hash_start, 0, NOW)
    with pytest.raises(api.InvalidArgumentException):
        model.merge(made, first, third, [0, 0], NOW)
    after = model.split(made, second, second.hash_start + 5, 0, NOW)
    with pytest.raises(api.InvalidArgumentException):
        model.split(after, after.by_id[second.id], second.hash_start + 5, 0, NOW)


@given(st.text(max_size=256), st.one_of(st.just(""), HASHES.map(str)), st.binary(max_size=300))
def test_records_survive_their_encoding(key: str, explicit: str, data: bytes) -> None:
    assert decode(encode(key.encode(), explicit.encode(), data)) == (key, data)


@given(st.integers(0, 2**40), st.integers(0, 2**60), st.integers(0, 120), st.integers(1, 255))
def test_a_changed_iterator_is_no_iterator(shard: int, offset: int, place: int, change: int) -> None:
    secret = b"s" * 32
    position = tokens.Position("u" * 22, shard, offset, NOW)
    text = tokens.pack_iterator(position, secret)
    assert tokens.open_iterator(text, secret) == position
    assert tokens.open_iterator(text, b"t" * 32) is None
    place %= len(text)
    other = chr((ord(text[place]) + change) % 128)
    if other != text[place]:
        assert tokens.open_iterator(text[:place] + other + text[place + 1 :], secret) is None
    assert tokens.open_list(text, secret) is None


@given(st.integers(-1, 2**40), st.sampled_from(["AT_LATEST", "FROM_TRIM_HORIZON"]), st.floats(0, 2e9))
def test_list_tokens(after: int, kind: str, at: float) -> None:
    position = tokens.ListPosition("u" * 22, after, NOW, kind, at)
    assert tokens.open_list(tokens.pack_list(position, b"s"), b"s") == position
