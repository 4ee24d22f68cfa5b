"""XML as a small tree, read without entities, DTDs or unbounded depth.

expat is driven directly: a document type declaration ends the parse (so there are no entities to expand and nothing
external to load), depth and the number of elements are bounded, comments and processing instructions are dropped.
Namespaces prefixes are cut off element names; attribute names stay as written (``xsi:type``).
"""

from __future__ import annotations

from xml.parsers import expat

from lakebed.kernel.errors import AwsError

_DEPTH = 64
_ELEMENTS = 250_000


class Node:
    """An element: its local name, attributes, child elements, and the text directly in it."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Node] = []
        self.text = ""

    def grouped(self) -> dict[str, list[Node]]:
        """The children by name."""
        groups: dict[str, list[Node]] = {}
        for child in self.children:
            groups.setdefault(child.name, []).append(child)
        return groups


class _RefusedError(Exception):
    """The document is something we do not read."""


def parse_xml(body: bytes) -> Node:
    """The root element of a document; ``MalformedXML`` for anything that is not one."""
    root = Node("", {})
    open_nodes = [root]
    texts: list[list[str]] = [[]]
    elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        if len(open_nodes) > _DEPTH or elements > _ELEMENTS:
            raise _RefusedError
        node = Node(name.rpartition(":")[2], attributes)
        open_nodes[-1].children.append(node)
        open_nodes.append(node)
        texts.append([])

    def end(_: str) -> None:
        open_nodes.pop().text = "".join(texts.pop())

    def text(data: str) -> None:
        texts[-1].append(data)

    def doctype(*_: object) -> None:
        raise _RefusedError

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, _RefusedError, ValueError, LookupError):
        raise malformed_xml() from None
    return root.children[0]


def malformed_xml() -> AwsError:
    """S3's answer to a body that is not the XML it wants."""
    return AwsError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
        status=400,
    )
