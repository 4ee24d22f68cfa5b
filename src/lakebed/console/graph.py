"""The pipeline graph laid out: layers by longest path, rows by the middle of their neighbours. Pure.

A long pipeline is folded like text: after ``LAYERS_A_LINE`` layers it goes on below, at the left, so that all of it is seen
at once instead of scrolled through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NODE_WIDTH, NODE_HEIGHT, GAP_X, GAP_Y, MARGIN = 196, 104, 60, 24, 12
LAYERS_A_LINE, _LINE_GAP = 4, 56
_NODES_MAX = 400


@dataclass(frozen=True, slots=True)
class Placed:
    """A node's place in pixels."""

    arn: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything placed; ``left_out`` nodes were too many to draw."""

    nodes: Sequence[Placed]
    width: int
    height: int
    left_out: int


def layers_of(nodes: Iterable[str], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Layer of each node: one more than its furthest source. A cycle is cut where it closes."""
    sources: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in links:
        if source in sources and target in sources and source != target:
            sources[target].append(source)
    layers: dict[str, int] = {}

    for start in sources:
        stack, path = [(start, iter(sources[start]))], {start}
        while stack:
            node, rest = stack[-1]
            following = next((source for source in rest if source not in layers and source not in path), None)
            if following is not None:
                stack.append((following, iter(sources[following])))
                path.add(following)
                continue
            layers[node] = max((layers[source] + 1 for source in sources[node] if source in layers), default=0)
            path.discard(node)
            stack.pop()
    return layers


def lay_out(nodes: Sequence[str], links: Sequence[tuple[str, str]]) -> Drawing:
    """Columns from left to right; inside a column nodes stand by the mean row of their sources, then by name."""
    drawn = sorted(nodes)[:_NODES_MAX]
    layers = layers_of(drawn, links)
    columns: dict[int, list[str]] = {}
    for node in drawn:
        columns.setdefault(layers[node], []).append(node)
    row: dict[str, float] = {}
    placed: list[Placed] = []
    top = MARGIN
    for first in range(0, max(columns, default=-1) + 1, LAYERS_A_LINE):
        line = [columns.get(layer, []) for layer in range(first, first + LAYERS_A_LINE)]
        tallest = max(len(column) for column in line)
        for place, column in enumerate(line):
            column.sort(key=lambda node: (_middle(node, links, row), node))
            offset = (tallest - len(column)) / 2
            for number, node in enumerate(column):
                row[node] = number + offset
                x, y = MARGIN + place * (NODE_WIDTH + GAP_X), round(top + row[node] * (NODE_HEIGHT + GAP_Y))
                placed.append(Placed(node, x, y))
        top += tallest * (NODE_HEIGHT + GAP_Y) - GAP_Y + _LINE_GAP
    wide = min(len(columns), LAYERS_A_LINE)
    width = 2 * MARGIN + wide * (NODE_WIDTH + GAP_X) - GAP_X
    return Drawing(placed, width, top - _LINE_GAP + MARGIN, len(nodes) - len(drawn))


def _middle(node: str, links: Sequence[tuple[str, str]], row: Mapping[str, float]) -> float:
    rows = [row[source] for source, target in links if target == node and source in row]
    return sum(rows) / len(rows) if rows else 0.0


def curve(source: Placed, target: Placed) -> str:
    """An SVG path between two nodes: side to side in a line, through the gap between lines otherwise."""
    x1, y1 = source.x + NODE_WIDTH, source.y + NODE_HEIGHT // 2
    x2, y2 = target.x, target.y + NODE_HEIGHT // 2
    if x2 > x1:
        bend = (x2 - x1) // 2
        return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    x1, x2 = source.x + NODE_WIDTH // 2, target.x + NODE_WIDTH // 2
    if target.y > source.y:  # the fold
        y1, y2 = source.y + NODE_HEIGHT, target.y
        middle = (y1 + y2) // 2
        turn = 14 if x2 < x1 else -14
        return f"M{x1} {y1}V{middle - 14}Q{x1} {middle} {x1 - turn} {middle}H{x2 + turn}Q{x2} {middle} {x2} {middle + 14}V{y2}"
    below = max(source.y, target.y) + NODE_HEIGHT
    return f"M{x1} {below}C{x1} {below + GAP_Y} {x2} {below + GAP_Y} {x2} {below}"


def spark(values: Sequence[float], width: int, height: int) -> str:
    """A sparkline's path; flat at the bottom where nothing moved."""
    top = max(values, default=0)
    if not values or top <= 0:
        return f"M0 {height}H{width}"
    step = width / max(len(values) - 1, 1)
    return "M" + "L".join(
        f"{index * step:.1f} {height - value / top * (height - 2):.1f}" for index, value in enumerate(values)
    )
