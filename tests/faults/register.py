"""Whether what many clients saw of one key could have happened one after the other: a checker for registers.

The search is Wing and Gong's with Lowe's memory of what was tried (https://doi.org/10.1002/cpe.3928, the algorithm of
Knossos and Porcupine): an operation that was called may take effect at any moment until it returned, a read must give what
the last write left, and a call that failed (``in_doubt``) took effect in its time or never. Values are unique, None is
"absent", so a delete is a write of None. A key starts absent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

FOREVER = math.inf


@dataclass(frozen=True, slots=True)
class Op:
    """One call: when it was made and answered, and what it wrote or read."""

    called: float
    returned: float
    value: str | None
    writes: bool = False
    in_doubt: bool = False

    def __str__(self) -> str:
        what = f"{'write' if self.writes else 'read'} {self.value}{' (in doubt)' if self.in_doubt else ''}"
        return f"[{self.called:.4f} {self.returned:.4f}] {what}"


@dataclass(slots=True)
class _Event:
    op: int
    is_call: bool
    before: _Event | None = None
    after: _Event | None = None
    end: _Event | None = None  # of a call: its return


def relevant(ops: Sequence[Op]) -> list[Op]:
    """Without what can change nothing: failed reads, and failed writes of a value that nobody saw."""
    seen = {op.value for op in ops if not op.writes}
    return [op for op in ops if not op.in_doubt or (op.writes and op.value in seen)]


def violation(history: Sequence[Op]) -> str | None:
    """None where some order explains everything, else where the search ended."""
    search = _Search(relevant(history))
    return None if search.succeeds() else _told(search.ops, search.deepest)


class _Search:
    """Depth first; only writes whose value somebody saw, and deletes, are ever a choice.

    A read of what the register holds is taken at once: later it could only be harder. A write that nobody saw is put right
    before the next write that is taken, where it harms nobody, or at the end of its time. A value is written once: while
    somebody is still to read it, nothing else is written.
    """

    def __init__(self, ops: list[Op]) -> None:
        self.ops, self.deepest = ops, 0
        seen = {op.value for op in ops if not op.writes}
        self._unseen = [op.writes and not op.in_doubt and op.value is not None and op.value not in seen for op in ops]
        self._readers = Counter(op.value for op in ops if not op.writes and op.value is not None)
        self._head = _linked(ops)
        self._state: str | None = None
        self._done = 0
        # What was taken together, what held before, and where to look for the next choice (None: there was no choice).
        self._taken: list[tuple[list[_Event], str | None, int, _Event | None]] = []
        self._tried: set[tuple[int, str | None]] = set()

    def succeeds(self) -> bool:
        event = self._head.after
        while self._head.after is not None:
            if event is None:
                return False
            event = self._at_call(event) if event.is_call else self._at_return(event)
        return True

    def _at_call(self, call: _Event) -> _Event | None:
        op = self.ops[call.op]
        if op.writes:
            after = (self._done | 1 << call.op, op.value)
            if self._unseen[call.op] or self._readers[self._state] or after in self._tried:
                return call.after
            self._tried.add(after)
            return self._take(call, op.value, call)
        return self._take(call, self._state, None) if op.value == self._state else call.after

    def _at_return(self, end: _Event) -> _Event | None:
        """Time is up for an operation that was not taken yet."""
        call, op = _call_of(end), self.ops[end.op]
        self.deepest = max(self.deepest, end.op)
        if op.in_doubt:
            return self._take(call, self._state, None, absorbs=False)  # it never happened
        if self._unseen[end.op]:
            return self._back() if self._readers[self._state] else self._take(call, op.value, None)
        return self._back()

    def _take(self, call: _Event, state: str | None, resume: _Event | None, *, absorbs: bool = True) -> _Event | None:
        lifted, before = [call], self._done
        if not self.ops[call.op].writes:
            self._count(call, -1)
        elif absorbs:
            event = self._head.after
            while event is not None and event.is_call:
                if self._unseen[event.op] and event is not call:
                    lifted.append(event)
                event = event.after
        for each in lifted:
            _lift(each)
            self._done |= 1 << each.op
        self._taken.append((lifted, self._state, before, resume))
        self._state = state
        return self._head.after

    def _count(self, read: _Event, more: int) -> None:
        value = self.ops[read.op].value
        if value is not None:
            self._readers[value] += more

    def _back(self) -> _Event | None:
        while self._taken:
            lifted, self._state, self._done, resume = self._taken.pop()
            for call in reversed(lifted):
                _unlift(call)
            if not self.ops[lifted[0].op].writes:
                self._count(lifted[0], 1)
            if resume is not None:
                return resume.after
        return None


def _linked(ops: Sequence[Op]) -> _Event:
    """All calls and returns in the order of time, a call before a return of the same moment."""
    events: list[tuple[float, int, _Event]] = []
    for number, op in enumerate(ops):
        call, end = _Event(number, True), _Event(number, False)
        call.end, end.end = end, call
        events += [(op.called, 0, call), (op.returned, 1, end)]
    events.sort(key=lambda entry: entry[:2])
    head = last = _Event(-1, False)
    for _, _, event in events:
        last.after, event.before = event, last
        last = event
    return head


def _call_of(end: _Event) -> _Event:
    assert end.end is not None
    return end.end


def _lift(call: _Event) -> None:
    for event in (call, call.end):
        assert event is not None
        assert event.before is not None
        event.before.after = event.after
        if event.after is not None:
            event.after.before = event.before


def _unlift(call: _Event) -> None:
    for event in (call.end, call):
        assert event is not None
        assert event.before is not None
        event.before.after = event
        if event.after is not None:
            event.after.before = event


def _told(ops: Sequence[Op], deepest: int) -> str:
    around = sorted(ops, key=lambda op: op.called)
    at = around.index(ops[deepest])
    return "no order explains\n" + "\n".join(map(str, around[max(0, at - 12) : at + 4]))
