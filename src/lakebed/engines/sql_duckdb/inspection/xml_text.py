"""XML: recognised by itself, but rows only by a custom classifier's row tag, as in Glue.

A document that declares a type or an entity is not parsed. Attributes are columns with an underscore in front, child
elements columns by their names. https://docs.aws.amazon.com/glue/latest/dg/custom-classifier.html#custom-classifier-xml
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from lakebed.engines.sql_duckdb.inspection import json_text
from lakebed.engines.sql_duckdb.inspection.sample import Sample, decoded

_ROWS = 1000
_START = re.compile(r"\s*<(\?xml|[A-Za-z_][\w.\-:]*[\s>/])")
_INTEGER, _DOUBLE = re.compile(r"[+-]?\d{1,18}", re.ASCII), re.compile(r"[+-]?\d+\.\d+", re.ASCII)


def classify(sample: Sample) -> dict[str, Any] | None:
    """XML without columns."""
    text = sample.text
    if text is None or not _START.match(text) or "<html" in text[:1000].lower():
        return None
    return {"classification": "xml", "columns": [], "records": 0, "options": {}}


def classify_custom(sample: Sample, one: dict[str, Any]) -> dict[str, Any] | None:
    """The rows under a tag."""
    text = decoded(sample.data, whole=True)
    tag = one.get("RowTag", "")
    if text is None or not tag or not _START.match(text) or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    rows = _rows(text, tag)
    if not rows:
        return None
    kind = json_text.merged([json_text.kind_of(row) for row in rows])
    if kind[0] != "struct" or not kind[1]:
        return None
    columns = [(name, json_text.hive(of)) for name, of in kind[1].items()]
    records = sample.records(len(rows), len(sample.data))
    return {
        "classification": one["Classification"], "columns": columns, "records": records, "options": {"row_tag": tag},
    }  # fmt: skip


def _rows(text: str, tag: str) -> list[Any]:
    parser: Any = ElementTree.XMLPullParser(("end",))
    rows: list[Any] = []
    try:
        parser.feed(text)
        for _, element in parser.read_events():
            if isinstance(element, ElementTree.Element) and _name(element.tag) == tag:
                rows.append(_value(element, 0))
                if len(rows) >= _ROWS:
                    break
    except ElementTree.ParseError:  # cut off, or broken: what was whole counts
        return rows
    return rows


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _value(element: ElementTree.Element, depth: int) -> Any:
    if depth > 50 or (not len(element) and not element.attrib):
        return _scalar(element.text)
    made: dict[str, Any] = {f"_{_name(key)}": _scalar(value) for key, value in element.attrib.items()}
    for child in element:
        name, value = _name(child.tag), _value(child, depth + 1)
        if name in made:
            known = made[name]
            made[name] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            made[name] = value
    if not len(element) and element.text and element.text.strip():
        made["_value"] = _scalar(element.text)
    return made


def _scalar(text: str | None) -> Any:
    text = (text or "").strip()
    if not text:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DOUBLE.fullmatch(text) else text
