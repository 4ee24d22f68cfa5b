"""JSON: objects one behind another (a line each or not), or one array of them; types by what the sample holds.

A file that is one array gives one column ``array``, as Glue's own classifier does; the custom classifier's JsonPath takes
the records out of it. Numbers of different kinds widen (int, bigint, double), objects merge, what does not fit together is
a string. https://docs.aws.amazon.com/glue/latest/dg/custom-classifier.html#custom-classifier-json
"""

from __future__ import annotations

import json
import re
from typing import Any

from lakebed.engines.sql_duckdb.inspection.sample import JSON_BYTES, SAMPLE_BYTES, Sample, decoded

_RECORDS = 1000
_SPACE = re.compile(r"[\s,]*")
_STEP = re.compile(r"\.([A-Za-z_][\w\-]*)|\['([^']+)'\]|\[(\d+|\*)\]|\.(\*)")
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)
Kind = tuple[str, Any]
_WIDTH = {"int": 0, "bigint": 1, "double": 2}


def classify(sample: Sample) -> dict[str, Any] | None:
    """None where the text is no JSON."""
    values, used = _values(sample)
    if not values:
        return None
    if all(isinstance(one, list) for one in values):
        kind = merged([kind_of(item) for one in values for item in one[:_RECORDS]] or [("null", None)])
        return _found(sample, [("array", f"array<{hive(kind)}>")], len(values), used, {"json_path": ""})
    if not all(isinstance(one, dict) for one in values):
        return None
    return _objects(sample, values, used, "")


def classify_custom(sample: Sample, classifier: dict[str, Any]) -> dict[str, Any] | None:
    """The records a JsonPath finds."""
    path = classifier["JsonPath"]
    values, used = _values(sample)
    records = [record for value in values for record in _walk(value, path)]
    records = [item for one in records for item in (one if isinstance(one, list) else [one])]
    objects = [one for one in records if isinstance(one, dict)][:_RECORDS]
    return _objects(sample, objects, used, path) if objects else None


def _objects(sample: Sample, values: list[Any], used: int, path: str) -> dict[str, Any] | None:
    kind = merged([kind_of(one) for one in values])
    columns = [(name, hive(of)) for name, of in kind[1].items()]
    if not columns:
        return None
    return _found(sample, columns, len(values), used, {"json_path": path})


def _found(
    sample: Sample, columns: list[tuple[str, str]], seen: int, used: int, options: dict[str, str]
) -> dict[str, Any]:
    records = sample.records(seen, used)
    return {"classification": "json", "columns": columns, "records": records, "options": options}


def _values(sample: Sample) -> tuple[list[Any], int]:
    """Values one behind another in the first megabyte, or more where that holds none; (values, bytes they took)."""
    start = sample.data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start not in (b"{", b"[", b"\xff", b"\xfe"):
        return [], 0
    for size in (SAMPLE_BYTES, JSON_BYTES):
        whole = sample.whole and len(sample.data) <= size
        text = decoded(sample.data[:size], whole=True)
        if text is None:
            return [], 0
        values, at, complete = _decode(text, whole=whole)
        if values or whole:
            return (values if complete else []), min(at, len(sample.data))
    return [], 0


def _decode(text: str, *, whole: bool) -> tuple[list[Any], int, bool]:
    values: list[Any] = []
    at = _SPACE.match(text, 0).end()  # type: ignore[union-attr]  # it matches nothing, too
    end = 0
    while at < len(text) and len(values) < _RECORDS:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except ValueError:
            return values, end, not whole  # cut off, or no JSON
        values.append(value)
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
    return values, len(text) if at >= len(text) else end, True


def steps(path: str) -> list[str | int] | None:
    """The steps of ``$``, names, places and ``*``; None for a path that is none of ours."""
    if not path.startswith("$"):
        return None
    made: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        name, quoted, place, star = found.groups()
        made.append(name or quoted or star or (int(place) if place.isdigit() else place))
        at = found.end()
    return made


def _walk(value: Any, path: str) -> list[Any]:
    found = [value]
    for step in steps(path) or ():
        following: list[Any] = []
        for one in found:
            if step == "*":
                following += one if isinstance(one, list) else list(one.values()) if isinstance(one, dict) else []
            elif isinstance(step, int) and isinstance(one, list):
                following += one[step : step + 1]
            elif isinstance(one, dict) and step in one:
                following.append(one[step])
        found = following
    return found


def kind_of(value: Any) -> Kind:
    """A value's type, objects and arrays with theirs."""
    if value is None:
        return ("null", None)
    if isinstance(value, bool):
        return ("boolean", None)
    if isinstance(value, int):
        return ("int" if -(2**31) <= value < 2**31 else "bigint" if -(2**63) <= value < 2**63 else "double", None)
    if isinstance(value, float):
        return ("double", None)
    if isinstance(value, dict):
        return ("struct", {key.lower(): kind_of(of) for key, of in value.items()})
    if isinstance(value, list):
        return ("array", merged([kind_of(one) for one in value[:_RECORDS]] or [("null", None)]))
    return ("string", None)


def merged(kinds: list[Kind]) -> Kind:
    """One type for values of all of these."""
    made = kinds[0]
    for one in kinds[1:]:
        made = _pair(made, one)
    return made


def _pair(left: Kind, right: Kind) -> Kind:
    if left[0] == "null" or left == right:
        return right
    if right[0] == "null":
        return left
    if left[0] in _WIDTH and right[0] in _WIDTH:
        return left if _WIDTH[left[0]] >= _WIDTH[right[0]] else right
    if left[0] == right[0] == "array":
        return ("array", _pair(left[1], right[1]))
    if left[0] == right[0] == "struct":
        names = [*left[1], *(name for name in right[1] if name not in left[1])]
        none: Kind = ("null", None)
        return ("struct", {name: _pair(left[1].get(name, none), right[1].get(name, none)) for name in names})
    return ("string", None)


def hive(kind: Kind) -> str:
    """In Hive's words."""
    if kind[0] == "struct":
        if not kind[1]:
            return "string"
        return "struct<" + ",".join(f"{name}:{hive(of)}" for name, of in kind[1].items()) + ">"
    if kind[0] == "array":
        return f"array<{hive(kind[1])}>"
    return "string" if kind[0] == "null" else kind[0]
