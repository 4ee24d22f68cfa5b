"""Shapes as XML: closures over ``Node`` trees for requests, and over a list of strings for answers.

The rules are those of https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html: lists are wrapped in ``member``
elements or flattened, maps in ``entry``; names, attributes and namespaces follow the model's traits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lakebed.wire.aws import scalars
from lakebed.wire.aws.model import Shape
from lakebed.wire.aws.xmltree import Node, malformed_xml

NodeReader = Callable[[Node], Any]
XmlWriter = Callable[[Any, str, list[str]], None]
_SPECIAL = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f]')
_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Text for an element or an attribute; control characters become references, as S3 writes them."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda match: _NAMES.get(match[0]) or f"&#x{ord(match[0]):x};", text)


def text_reader(shape: Shape) -> Callable[[str], Any]:
    """A reader of a scalar from text, for XML, forms, queries and headers."""
    if shape.type == "boolean":
        return scalars.read_boolean
    if shape.type in scalars.INTEGERS:
        return scalars.integer_reader(shape.type)
    if shape.type in scalars.FLOATS:
        return scalars.read_float
    if shape.type == "blob":
        return scalars.read_blob
    if shape.type == "timestamp":
        return scalars.read_timestamp
    return _as_it_is


def _as_it_is(text: str) -> str:
    return text


def text_writer(shape: Shape, timestamp: str = scalars.ISO) -> Callable[[Any], str]:
    """A writer of a scalar to text."""
    if shape.type == "boolean":
        return lambda value: "true" if value else "false"
    if shape.type in scalars.FLOATS:
        return scalars.write_float
    if shape.type == "blob":
        return scalars.write_blob
    if shape.type == "timestamp":
        form = shape.get("timestampFormat", timestamp)
        if form == scalars.ISO and shape.model.service == "s3":
            return scalars.write_iso_millis
        return scalars.TIMESTAMP_WRITERS[form]
    return str


class XmlReaders:
    """Readers of one model's shapes from XML elements."""

    def __init__(self) -> None:
        self._compiled: dict[str, NodeReader] = {}

    def of(self, shape: Shape) -> NodeReader:
        """The reader of a shape from its element."""
        if shape.type == "structure":
            compiled = self._compiled.get(shape.name)
            return compiled if compiled is not None else self.structure(shape.members, shape.name)
        if shape.type == "list":
            read_item, item_name = self.of(shape.part("member")), shape.traits["member"].get("locationName", "member")
            return lambda node: [read_item(child) for child in node.children if child.name == item_name]
        if shape.type == "map":
            read_entries = self._entries(shape)
            return lambda node: read_entries([child for child in node.children if child.name == "entry"])
        read_text = text_reader(shape)

        def read(node: Node) -> Any:
            if node.children:
                raise malformed_xml()
            return read_text(node.text)

        return read

    def structure(self, members: Mapping[str, Shape], cache_as: str = "") -> NodeReader:
        """A reader of some of a structure's members."""
        fields: dict[str, tuple[str, Callable[[list[Node]], Any]]] = {}
        attributes: dict[str, tuple[str, Callable[[str], Any]]] = {}

        def read(node: Node) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for wire_name, (name, read_text) in attributes.items():
                if wire_name in node.attributes:
                    out[name] = read_text(node.attributes[wire_name])
            for wire_name, nodes in node.grouped().items():
                field = fields.get(wire_name)
                if field is not None:
                    out[field[0]] = field[1](nodes)
            return out

        if cache_as:
            self._compiled[cache_as] = read
        for name, member in members.items():
            wire_name = member.wire_name(name)
            if member.get("xmlAttribute"):
                attributes[wire_name] = (name, text_reader(member))
                continue
            field = (name, self._member(member))
            if member.get("flattened") and member.type == "list" and "locationName" in member.traits["member"]:
                fields[member.traits["member"]["locationName"]] = field
            fields[wire_name] = field
        return read

    def _member(self, member: Shape) -> Callable[[list[Node]], Any]:
        if member.get("flattened") and member.type == "list":
            read_item = self.of(member.part("member"))
            return lambda nodes: [read_item(node) for node in nodes]
        if member.get("flattened") and member.type == "map":
            return self._entries(member)
        read_one = self.of(member)
        return lambda nodes: read_one(nodes[-1])

    def _entries(self, shape: Shape) -> Callable[[list[Node]], dict[str, Any]]:
        key_name = shape.traits["key"].get("locationName", "key")
        value_name = shape.traits["value"].get("locationName", "value")
        read_value = self.of(shape.part("value"))

        def read(nodes: list[Node]) -> dict[str, Any]:
            out = {}
            for node in nodes:
                groups = node.grouped()
                if key_name not in groups or value_name not in groups:
                    raise malformed_xml()
                out[groups[key_name][0].text] = read_value(groups[value_name][0])
            return out

        return read


def _namespace(shape: Shape) -> str:
    namespace = shape.get("xmlNamespace")
    if not namespace:
        return ""
    if isinstance(namespace, str):
        return f' xmlns="{escape(namespace)}"'
    prefix = f":{namespace['prefix']}" if namespace.get("prefix") else ""
    return f' xmlns{prefix}="{escape(namespace["uri"])}"'


class XmlWriters:
    """Writers of one model's shapes; ``flat_names`` overrides the names of members (SQS's query protocol)."""

    def __init__(self, flat_names: Mapping[str, str] | None = None) -> None:
        self._compiled: dict[str, XmlWriter] = {}
        self._names = flat_names or {}

    def of(self, shape: Shape) -> XmlWriter:
        """The writer of a shape as an element of a given name."""
        if shape.type == "structure":
            compiled = self._compiled.get(shape.name)
            if compiled is None:
                compiled = self.structure(shape, shape.members, cache_as=shape.name)
            return compiled
        if shape.type == "list":
            return self._list(shape)
        if shape.type == "map":
            return self._map(shape)
        write_text, attributes = text_writer(shape), _namespace(shape)
        return lambda value, name, out: out.append(f"<{name}{attributes}>{escape(write_text(value))}</{name}>")

    def structure(self, shape: Shape, members: Mapping[str, Shape], cache_as: str = "") -> XmlWriter:
        """A writer of some of a structure's members, in the model's order."""
        fields: dict[str, tuple[str, XmlWriter]] = {}
        attributes: dict[str, tuple[str, Callable[[Any], str]]] = {}
        namespace = _namespace(shape)
        shape_name = shape.name

        def write(value: Mapping[str, Any], name: str, out: list[str]) -> None:
            for key in value:
                if key not in fields and key not in attributes:
                    raise ValueError(f"{shape_name} has no member {key!r}")
            out.append(f"<{name}{namespace}")
            for key, (wire_name, write_text) in attributes.items():
                if value.get(key) is not None:
                    out.append(f' {wire_name}="{escape(write_text(value[key]))}"')
            out.append(">")
            for key, (wire_name, write_member) in fields.items():
                item = value.get(key)
                if item is not None:
                    write_member(item, wire_name, out)
            out.append(f"</{name}>")

        if cache_as:
            self._compiled[cache_as] = write
        for name, member in members.items():
            wire_name = self._names.get(name) or member.wire_name(name)
            if member.get("xmlAttribute"):
                attributes[name] = (wire_name, text_writer(member))
                continue
            if member.get("flattened") and member.type == "list":
                wire_name = member.traits["member"].get("locationName", wire_name)
            fields[name] = (wire_name, self.of(member))
        return write

    def _list(self, shape: Shape) -> XmlWriter:
        cell: list[XmlWriter] = [self.of(shape.part("member"))]
        if shape.get("flattened"):

            def write_flat(value: Any, name: str, out: list[str]) -> None:
                for item in value:
                    cell[0](item, name, out)

            return write_flat
        item_name, attributes = shape.traits["member"].get("locationName", "member"), _namespace(shape)

        def write(value: Any, name: str, out: list[str]) -> None:
            out.append(f"<{name}{attributes}>")
            for item in value:
                cell[0](item, item_name, out)
            out.append(f"</{name}>")

        return write

    def _map(self, shape: Shape) -> XmlWriter:
        key_name = self._names.get("key") or shape.traits["key"].get("locationName", "key")
        value_name = self._names.get("value") or shape.traits["value"].get("locationName", "value")
        write_value, attributes = self.of(shape.part("value")), _namespace(shape)
        flattened = bool(shape.get("flattened"))

        def write(value: Mapping[str, Any], name: str, out: list[str]) -> None:
            entry = name if flattened else "entry"
            if not flattened:
                out.append(f"<{name}{attributes}>")
            for key, item in value.items():
                out.append(f"<{entry}><{key_name}>{escape(key)}</{key_name}>")
                write_value(item, value_name, out)
                out.append(f"</{entry}>")
            if not flattened:
                out.append(f"</{name}>")

        return write
