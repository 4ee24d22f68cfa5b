"""The pipeline graph laid out: layers by longest path, rows by the middle of their sources. Pure.

Cards stand on a grid, so the gaps between columns and rows are free of cards everywhere: links run in those gaps and never
across a card. A node that leads on stands above a dead end, and takes its source's row where that is free: the main way
runs straight. A long pipeline is folded like text: after ``LAYERS_A_LINE`` layers it goes on below, at the left, so that
all of it is seen at once instead of scrolled through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NODE_WIDTH, NODE_HEIGHT, GAP_X, GAP_Y, MARGIN = 208, 104, 56, 44, 36
LAYERS_A_LINE, _LINE_GAP, _TOP = 4, 60, 14
_PITCH_X, _PITCH_Y = NODE_WIDTH + GAP_X, NODE_HEIGHT + GAP_Y
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
    """Layer of each node: one more than its furthest source; the first ones just before what they feed.

    A cycle is cut where it comes back to a node on the way from a beginning.
    """
    known = sorted(set(nodes))
    targets: dict[str, list[str]] = {node: [] for node in known}
    for source, target in links:
        if source in targets and target in targets and source != target:
            targets[source].append(target)
    order = _ends_first(known, targets)
    place = {node: number for number, node in enumerate(reversed(order))}
    layers = dict.fromkeys(known, 0)
    fed: set[str] = set()
    for node in reversed(order):
        for target in targets[node]:
            if place[target] > place[node]:
                layers[target] = max(layers[target], layers[node] + 1)
                fed.add(target)
    # What nothing leads to stands just before what it feeds, not at the far left.
    for node in known:
        if node not in fed and targets[node]:
            layers[node] = max(0, min(layers[target] for target in targets[node]) - 1)
    return layers


def _ends_first(known: Sequence[str], targets: Mapping[str, Sequence[str]]) -> list[str]:
    """Nodes in the order in which a walk from the beginnings leaves them: each after all it leads to, cycles apart."""
    led_to = {target for reached in targets.values() for target in reached}
    order: list[str] = []
    seen: set[str] = set()
    for start in sorted(known, key=lambda node: (node in led_to, node)):
        stack = [] if start in seen else [(start, iter(targets[start]))]
        seen.add(start)
        while stack:
            node, rest = stack[-1]
            following = next((target for target in rest if target not in seen), None)
            if following is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(targets[following])))
    return order


def lay_out(nodes: Sequence[str], links: Sequence[tuple[str, str]]) -> Drawing:
    """Columns from left to right; inside a column what leads on comes first, then by the row of the sources, then by name."""
    drawn = sorted(nodes)[:_NODES_MAX]
    layers = layers_of(drawn, links)
    leads = {source for source, target in links if source != target}
    fed = {target for source, target in links if source != target}
    columns: dict[int, list[str]] = {}
    for node in drawn:
        columns.setdefault(layers[node], []).append(node)
    placed: list[Placed] = []
    top = _TOP
    for first in range(0, max(columns, default=-1) + 1, LAYERS_A_LINE):
        row: dict[str, int] = {}
        for place in range(LAYERS_A_LINE):
            column = columns.get(first + place, [])
            wanted = {node: _middle(node, links, row) for node in column}
            column.sort(key=lambda node: (node not in leads, node not in fed, wanted[node], node))
            free = 0
            for node in column:
                row[node] = max(free, int(wanted[node]))
                free = row[node] + 1
                placed.append(Placed(node, MARGIN + place * _PITCH_X, top + row[node] * _PITCH_Y))
        top += (max(row.values(), default=0) + 1) * _PITCH_Y - GAP_Y + _LINE_GAP
    wide = min(len(columns), LAYERS_A_LINE)
    width = 2 * MARGIN + wide * _PITCH_X - GAP_X
    return Drawing(placed, width, top - _LINE_GAP + 6, len(nodes) - len(drawn))


def _middle(node: str, links: Sequence[tuple[str, str]], row: Mapping[str, int]) -> float:
    rows = [row[source] for source, target in links if target == node and source in row]
    return sum(rows) / len(rows) if rows else 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """A link's path and the place of its label."""

    path: str
    x: int
    y: int
    is_detour: bool


def route(source: Placed, target: Placed, number: int = 0) -> Route:
    """From a card's right side to another's left: a curve to the next column, else around the cards, in the gaps.

    ``number`` shifts links that share a gap so that they stay apart.
    """
    x1, y1 = source.x + NODE_WIDTH, source.y + NODE_HEIGHT // 2
    x2, y2 = target.x, target.y + NODE_HEIGHT // 2
    if x2 - x1 == GAP_X and abs(y2 - y1) < 4 * _PITCH_Y:
        bend = GAP_X // 2
        return Route(
            f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}", (x1 + x2) // 2, (y1 + y2) // 2 - 6, False
        )
    shift = (number % 5 - 2) * 4
    after, before = x1 + 17 + shift, x2 - 17 + shift
    # The free band of its way: above the target where that is below, else under the source.
    lane = (target.y - GAP_Y // 2 if target.y > source.y else source.y + NODE_HEIGHT + GAP_Y // 2) + shift
    points = [(x1, y1), (after, y1), (after, lane), (before, lane), (before, y2), (x2, y2)]
    return Route(_rounded(points), (after + before) // 2 + (number % 5 - 2) * 64, lane - 4, True)


def _rounded(points: Sequence[tuple[int, int]]) -> str:
    """A way of horizontal and vertical pieces with its corners rounded."""
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for (ax, ay), (bx, by), (cx, cy) in zip(points, points[1:], points[2:], strict=False):
        before, after = min(8, (abs(bx - ax) + abs(by - ay)) // 2), min(8, (abs(cx - bx) + abs(cy - by)) // 2)
        parts.append(
            f"L{bx - before * _sign(bx - ax)} {by - before * _sign(by - ay)}"
            f"Q{bx} {by} {bx + after * _sign(cx - bx)} {by + after * _sign(cy - by)}"
        )
    return "".join(parts) + f"L{points[-1][0]} {points[-1][1]}"


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def spark(values: Sequence[float], width: int, height: int) -> str:
    """A sparkline's path; flat at the bottom where nothing moved."""
    top = max(values, default=0)
    if not values or top <= 0:
        return f"M0 {height}H{width}"
    step = width / max(len(values) - 1, 1)
    return "M" + "L".join(
        f"{index * step:.1f} {height - value / top * (height - 2):.1f}" for index, value in enumerate(values)
    )
