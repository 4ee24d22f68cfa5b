"""The name pattern of GetTables, matched in linear time.

Glue takes a regular expression in which a bare ``*`` also stands for any run of characters (awswrangler relies on
``sales_*``). Names are matched whole and without regard to case. A client's pattern must not be able to keep the event
loop busy, so it runs as a set of states, never backtracking; groups and counted repetition are refused.
https://docs.aws.amazon.com/glue/latest/webapi/API_GetTables.html
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ATOM = re.compile(r"\\.|\[\^?\]?[^\]]*\]|.", re.DOTALL)
_Test = Callable[[str], object]
_Step = tuple[_Test, str]  # what one character must be, and "", "?", "+" or "*"


class PatternError(ValueError):
    """The pattern uses what is not built."""


def compile_pattern(expression: str) -> Callable[[str], bool]:
    """A matcher for table names."""
    branches = [_steps(branch) for branch in expression.split("|")]
    return lambda name: any(_matches(branch, name) for branch in branches)


def _steps(branch: str) -> list[_Step]:
    branch = branch.removeprefix("^")
    if branch.endswith("$") and not branch.endswith("\\$"):
        branch = branch[:-1]
    steps: list[_Step] = []
    for atom in _ATOM.findall(branch):
        if atom == "*":
            if steps and steps[-1] == (_anything, ""):
                steps.pop()
            if not steps or steps[-1] != (_anything, "*"):  # two in a row are one
                steps.append((_anything, "*"))
        elif atom in ("+", "?"):
            if not steps or steps[-1][1]:
                raise PatternError(f"{atom} follows nothing")
            steps[-1] = (steps[-1][0], atom)
        elif atom in ("(", ")", "{", "}"):
            raise PatternError(f"{atom} is not supported")
        else:
            steps.append((_test_of(atom), ""))
    return steps


def _anything(_: str) -> bool:
    return True


def _test_of(atom: str) -> _Test:
    if atom == ".":
        return _anything
    if len(atom) == 1:
        return atom.lower().__eq__
    try:
        return re.compile(atom, re.IGNORECASE).fullmatch
    except re.error as wrong:
        raise PatternError(str(wrong)) from None


def _matches(steps: list[_Step], name: str) -> bool:
    states = _closure({0}, steps)
    for character in name:
        reached = set()
        for at in states:
            if at < len(steps) and steps[at][0](character):
                reached.add(at + 1)
                if steps[at][1] in ("*", "+"):
                    reached.add(at)
        # A step inside "+" that was entered may repeat; entering anew is the same test, so one state is enough.
        states = _closure(reached, steps)
        if not states:
            return False
    return len(steps) in states


def _closure(states: set[int], steps: list[_Step]) -> set[int]:
    closed = set()
    for state in states:
        at = state
        closed.add(at)
        while at < len(steps) and steps[at][1] in ("*", "?"):
            at += 1
            if at in closed:  # from there on somebody else goes, or went: else many stars would cost their square
                break
            closed.add(at)
    return closed
