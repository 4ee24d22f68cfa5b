"""Conditions as trees that cross a process border: what a query demands of a table's rows, for leaving files out.

``["and", a, b, …]``, ``["or", a, b, …]``, ``["<", column, value]`` (also ``<= = > >= !=``), ``["in", column, values]``,
``["null", column]``, ``["notnull", column]``, ``["starts", column, text]``; None: nothing is known. Values are text as
``CAST(… AS varchar)`` prints it. A tree may demand less than the query does, never more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Tree = Any
COMPARISONS = ("<", "<=", "=", ">", ">=", "!=")


def both(trees: Sequence[Tree]) -> Tree:
    """All of them; what is unknown demands nothing."""
    known = [tree for tree in trees if tree is not None]
    return None if not known else known[0] if len(known) == 1 else ["and", *known]


def either(trees: Sequence[Tree]) -> Tree:
    """One of them; unknown where one is."""
    if not trees or any(tree is None for tree in trees):
        return None
    return trees[0] if len(trees) == 1 else ["or", *trees]
