"""Which operation a REST request asks for: a trie over path segments, then the query keys and required headers.

A route's template holds literal segments, labels (``{Bucket}``) and at most one greedy label (``{Key+}``), and may fix
query keys (``?uploads``, ``?list-type=2``). Of the routes that match, the one with the most literal segments wins, then
the one that fixes most query keys, then the one whose required query members and headers are there (``ListParts`` and
``GetObject`` share a path; so do ``CopyObject`` and ``PutObject``).

https://smithy.io/2.0/spec/http-bindings.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from lakebed.wire.aws.model import Model


@dataclass(slots=True)
class Route:
    """One operation's template."""

    operation: str
    labels: list[str]
    greedy: str | None
    suffix: list[str]
    query: dict[str, str | None]
    wanted_query: list[str]
    wanted_headers: list[str]
    deprecated: bool

    def missing(self, query: Mapping[str, str], headers: Mapping[str, str]) -> int:
        """How many of the required members in query and headers are not there."""
        return sum(name not in query for name in self.wanted_query) + sum(
            name not in headers for name in self.wanted_headers
        )


@dataclass(slots=True)
class _Step:
    literals: dict[str, _Step] = field(default_factory=dict)
    label: _Step | None = None
    greedy: list[Route] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)


class Router:
    """The routes of one model."""

    def __init__(self, model: Model, greedy_labels: frozenset[str] = frozenset()) -> None:
        self._roots: dict[str, _Step] = {}
        self._greedy_labels = greedy_labels
        for name in model.operations:
            self._add(model, name)

    def _add(self, model: Model, name: str) -> None:
        http = model.operations[name].get("http", {})
        path, _, query = http.get("requestUri", "/").partition("?")
        fixed: dict[str, str | None] = {}
        for part in filter(None, query.split("&")):
            key, equals, value = part.partition("=")
            fixed[key] = value if equals else None
        shape = model.input(name)
        members = shape.members if shape else {}
        required = [(key, members[key]) for key in (shape.get("required", ()) if shape else ()) if key in members]
        route = Route(
            operation=name,
            labels=[],
            greedy=None,
            suffix=[],
            query=fixed,
            wanted_query=[m.get("locationName", k) for k, m in required if m.get("location") == "querystring"],
            wanted_headers=[m.get("locationName", k).lower() for k, m in required if m.get("location") == "header"],
            deprecated=bool(model.operations[name].get("deprecated")),
        )
        self._place(route, http.get("method", "POST"), [part for part in path.split("/") if part])

    def _place(self, route: Route, method: str, segments: list[str]) -> None:
        step = self._roots.setdefault(method, _Step())
        for index, segment in enumerate(segments):
            if not (segment.startswith("{") and segment.endswith("}")):
                step = step.literals.setdefault(segment, _Step())
                continue
            label = segment[1:-1]
            if label.endswith("+") or (label in self._greedy_labels and index == len(segments) - 1):
                route.greedy, route.suffix = label.rstrip("+"), segments[index + 1 :]
                step.greedy.append(route)
                return
            route.labels.append(label)
            step.label = step.label or _Step()
            step = step.label
        step.routes.append(route)

    def find(
        self, method: str, raw_path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]] | None:
        """Operation and decoded labels, or None."""
        root = self._roots.get(method)
        if root is None:
            return None
        segments = raw_path.split("/")[1:]
        best: tuple[tuple[int, int, int, int], Route, list[str], str] | None = None
        pending: list[tuple[_Step, int, int, list[str]]] = [(root, 0, 0, [])]
        while pending:
            step, index, literal, labels = pending.pop()
            rest = segments[index:]
            candidates = [(route, "") for route in step.routes] if not rest or rest == [""] else []
            candidates += [(route, tail) for route in step.greedy if (tail := _greedy(rest, route.suffix)) is not None]
            for route, tail in candidates:
                if not _fixed(route, query):
                    continue
                score = (literal, len(route.query), -route.missing(query, headers), 0 if route.deprecated else 1)
                wanted = len(route.wanted_query) + len(route.wanted_headers) if score[2] == 0 else 0
                rank = (score[0] + len(route.suffix), score[1], score[2] + wanted, score[3])
                if best is None or rank > best[0]:
                    best = (rank, route, labels, tail)
            if rest and (found := step.literals.get(rest[0])) is not None:
                pending.append((found, index + 1, literal + 1, labels))
            if rest and rest[0] and step.label is not None:
                pending.append((step.label, index + 1, literal, [*labels, rest[0]]))
        if best is None:
            return None
        _, route, labels, tail = best
        decoded = {name: unquote(value) for name, value in zip(route.labels, labels, strict=True)}
        if route.greedy is not None:
            decoded[route.greedy] = unquote(tail)
        return route.operation, decoded


def _greedy(rest: list[str], suffix: list[str]) -> str | None:
    """What a greedy label takes of the remaining segments, None if it cannot."""
    if suffix:
        if rest[-len(suffix) :] != suffix:
            return None
        rest = rest[: -len(suffix)]
    return "/".join(rest) or None


def _fixed(route: Route, query: Mapping[str, str]) -> bool:
    return all(key in query and (value is None or query[key] == value) for key, value in route.query.items())
