"""The checker itself: it agrees with trying every order, and it takes what a real register did."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.register import FOREVER, Op, violation


def by_force(ops: Sequence[Op]) -> bool:
    """Every subset that leaves out calls in doubt, in every order that respects time."""
    doubtful = [op for op in ops if op.in_doubt]
    sure = [op for op in ops if not op.in_doubt]
    for count in range(len(doubtful) + 1):
        for some in itertools.combinations(doubtful, count):
            for order in itertools.permutations([*sure, *(op for op in some if op.writes)]):
                if any(later.returned < earlier.called for earlier, later in itertools.combinations(order, 2)):
                    continue
                state: str | None = None
                for op in order:
                    if op.writes:
                        state = op.value
                    elif op.value != state:
                        break
                else:
                    return True
    return False


OPS = st.builds(
    lambda called, took, value, writes, in_doubt: Op(called, called + took, value, writes, in_doubt),
    called=st.integers(0, 12),
    took=st.integers(0, 5) | st.just(FOREVER),
    value=st.sampled_from([None, "v0", "v1", "v2", "v3"]),
    writes=st.booleans(),
    in_doubt=st.sampled_from([False, False, True]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(OPS, max_size=6))
def test_it_agrees_with_trying_every_order(ops: list[Op]) -> None:
    ops = [replace(op, value=f"v{at}") if op.writes and op.value else op for at, op in enumerate(ops)]
    assert (violation(ops) is None) == by_force(ops)


@pytest.mark.parametrize("chosen", range(3))
def test_it_takes_the_history_of_a_real_register(chosen: int) -> None:
    """Twelve clients at once, some of whose calls fail before or after they took effect."""
    rng, state, ops, free = random.Random(chosen), None, list[Op](), [0.0] * 12
    for number in range(800):
        moment = number + rng.random() / 2
        client = min(range(12), key=lambda each: free[each])
        called = max(free[client], moment - rng.random() * 6)
        if called >= moment:
            continue
        returned = moment + rng.random() * 6
        free[client] = returned
        writes, in_doubt = rng.random() < 0.4, rng.random() < 0.05
        value = rng.choice([None, f"v{number}", f"v{number}"]) if writes else state
        if writes and not (in_doubt and rng.random() < 0.5):
            state = value
        ops.append(Op(called, returned, value, writes, in_doubt))
    assert violation(ops) is None
    reads = [place for place, op in enumerate(ops) if not op.writes and op.value is not None and place > 300]
    stale = ops[reads[len(reads) // 2]]
    ops[ops.index(stale)] = Op(stale.called, stale.returned, "never written")
    assert violation(ops) is not None


def test_a_stale_read_a_lost_write_and_a_write_that_came_back_are_seen() -> None:
    write = [Op(0, 1, "a", writes=True), Op(2, 3, "b", writes=True)]
    assert "read a" in str(violation([*write, Op(4, 5, "a")]))
    assert violation([*write, Op(2.5, 5, "a")]) is None, "it may have read just before"
    assert violation([*write, Op(4, 5, None)]) is not None
    gone = [*write, Op(4, 5, None, writes=True)]
    assert violation([*gone, Op(6, 7, None), Op(8, 9, "b")]) is not None
    doubt = [*write, Op(4, 5, "c", writes=True, in_doubt=True)]
    assert violation([*doubt, Op(6, 7, "b")]) is None
    assert violation([*doubt, Op(6, 7, "c")]) is None
    assert violation([*doubt, Op(6, 7, "b"), Op(8, 9, "c")]) is not None, (
        "the server was dead: it happened or it did not"
    )
