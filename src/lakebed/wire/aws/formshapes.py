"""Shapes as the dotted parameters of the query protocol (``Tags.member.1.Key=x``), as IAM, STS and SQS's old clients send.

https://smithy.io/2.0/aws/protocols/aws-query-protocol.html. The pairs become a tree of dicts first, bounded in number
and depth; then closures read it by shape. Both list forms are accepted wherever the model allows one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from lakebed.wire.aws.model import Shape
from lakebed.wire.aws.scalars import malformed
from lakebed.wire.aws.xmlshapes import text_reader

Tree = dict[str, Any]
FormReader = Callable[[Any], Any]
_PAIRS = 20_000
_DEPTH = 40
_TEXT = ""


def form_pairs(body: bytes) -> dict[str, str]:
    """The parameters of a form body; of a repeated one the last."""
    if body.count(b"&") >= _PAIRS:
        raise malformed("Too many parameters.", "MalformedQueryString")
    try:
        text = body.decode("ascii")
        pairs = [part.partition("=") for part in text.split("&") if part]
        return {unquote_plus(name, errors="strict"): unquote_plus(value, errors="strict") for name, _, value in pairs}
    except UnicodeDecodeError:
        raise malformed("The query string is not valid.", "MalformedQueryString") from None


def form_tree(pairs: Mapping[str, str]) -> Tree:
    """Dotted names as nested dicts; a node's own text is under the empty name."""
    root: Tree = {}
    for name, value in pairs.items():
        steps = name.split(".", _DEPTH + 1)
        if len(steps) > _DEPTH:
            raise malformed("A parameter's name is nested too deeply.", "MalformedQueryString")
        node = root
        for step in steps:
            node = node.setdefault(step, {})
        node[_TEXT] = value
    return root


def _numbered(node: Tree) -> list[Any]:
    found = [(int(key), item) for key, item in node.items() if key.isascii() and key.isdigit() and len(key) < 8]
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


class FormReaders:
    """Readers of one model's shapes from form trees; ``names`` overrides members' names (SQS)."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = names or {}
        self._compiled: dict[str, FormReader] = {}

    def of(self, shape: Shape) -> FormReader:
        """The reader of a shape from its node."""
        if shape.type == "structure":
            return self._compiled.get(shape.name) or self._structure(shape)
        if shape.type == "list":
            return self._list(shape)
        if shape.type == "map":
            return self._map(shape)
        read_text = text_reader(shape)

        def read(node: Tree) -> Any:
            if _TEXT not in node:
                raise malformed("A simple value was expected.", "MalformedInput")
            return read_text(node[_TEXT])

        return read

    def _structure(self, shape: Shape) -> FormReader:
        fields: dict[str, tuple[str, FormReader]] = {}

        def read(node: Tree) -> dict[str, Any]:
            out = {}
            for wire_name, item in node.items():
                field = fields.get(wire_name)
                if field is not None:
                    out[field[0]] = field[1](item)
            return out

        self._compiled[shape.name] = read
        for name, member in shape.members.items():
            field = (name, self.of(member))
            fields[member.wire_name(name)] = field
            if name in self._names:
                fields[self._names[name]] = field
            if member.type == "list" and member.get("flattened") and "locationName" in member.traits["member"]:
                fields[member.traits["member"]["locationName"]] = field
        return read

    def _list(self, shape: Shape) -> FormReader:
        read_item = self.of(shape.part("member"))
        item_name = shape.traits["member"].get("locationName", "member")

        def read(node: Tree) -> list[Any]:
            wrapped = node.get("member") or node.get(item_name)
            return [read_item(item) for item in _numbered(wrapped if wrapped else node)]

        return read

    def _map(self, shape: Shape) -> FormReader:
        key_names = [shape.traits["key"].get("locationName", "key"), "Name", "Key"]
        value_names = [shape.traits["value"].get("locationName", "value"), "Value"]
        read_value = self.of(shape.part("value"))

        def read(node: Tree) -> dict[str, Any]:
            out = {}
            for entry in _numbered(node.get("entry") or node):
                key = next((entry[name] for name in key_names if name in entry), None)
                value = next((entry[name] for name in value_names if name in entry), None)
                if key is None or value is None or _TEXT not in key:
                    raise malformed("An entry of a map needs a name and a value.", "MalformedInput")
                out[key[_TEXT]] = read_value(value)
            return out

        return read
