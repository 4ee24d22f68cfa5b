"""What a target gets of an event: all of it, a constant, a part, or a template filled from it. Pure.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html

Paths are AWS's subset of JSONPath: ``$``, names after dots or in quoted brackets, indices, ``[*]``. In a template ``<name>``
stands for what its path finds: inside quotes its text, elsewhere its JSON; what a path does not find is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lakebed.services.events.model import Event, Rule, Target, timestamp

_STEP = re.compile(r"""\.([A-Za-z0-9_:\-]+)|\[(\d{1,9})\]|\[(\*)\]|\.(\*)|\[(?:'([^']*)'|"([^"]*)")\]""")
_PLACE = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_MISSING = object()
_EVENT, _EVENT_JSON = "aws.events.event", "aws.events.event.json"


class PathError(ValueError):
    """Not a path of this subset."""


@lru_cache(maxsize=2048)
def path(text: str) -> tuple[str | int | None, ...]:
    """The steps of a path: names, indices, None for every element."""
    if not text.startswith("$"):
        raise PathError(text)
    steps: list[str | int | None] = []
    position = 1
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise PathError(text)
        name, index, star, dot_star, single, double = found.groups()
        if index is not None:
            steps.append(int(index))
        elif star or dot_star:
            steps.append(None)
        else:
            steps.append(next(one for one in (name, single, double) if one is not None))
        position = found.end()
    return tuple(steps)


def look_up(document: Any, text: str) -> Any:
    """What a path finds; ``_MISSING`` for nothing. After ``[*]`` a list of all that the rest finds."""
    return _follow(document, path(text))


def _follow(value: Any, steps: tuple[str | int | None, ...]) -> Any:
    for place, step in enumerate(steps):
        if step is None:
            values = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
            found = [_follow(one, steps[place + 1 :]) for one in values]
            return [one for one in found if one is not _MISSING]
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return _MISSING
            value = value[step]
        elif not isinstance(value, dict) or step not in value:
            return _MISSING
        else:
            value = value[step]
    return value


def text_at(document: Any, where: str, otherwise: str) -> str:
    """What a path finds, as text."""
    found = look_up(document, where)
    if found is _MISSING:
        return otherwise
    return found if isinstance(found, str) else _json(found)


def body(event: Event, rule: Rule, target: Target) -> str:
    """The text a target gets."""
    settings = target.settings
    if "Input" in settings:
        return str(settings["Input"])
    if "InputPath" in settings:
        found = look_up(event.document(), settings["InputPath"])
        return "" if found is _MISSING else _json(found)
    if "InputTransformer" in settings:
        return fill(settings["InputTransformer"], event, rule)
    return event.text()


def fill(transformer: Mapping[str, Any], event: Event, rule: Rule) -> str:
    """A template with its places filled."""
    document = event.document()
    values = {name: look_up(document, where) for name, where in (transformer.get("InputPathsMap") or {}).items()}
    values |= {
        "aws.events.rule-arn": rule.arn,
        "aws.events.rule-name": rule.name,
        "aws.events.event.ingestion-time": timestamp(event.ingested or event.time),
        _EVENT: {name: value for name, value in document.items() if name != "detail"},
        _EVENT_JSON: document,
    }
    template = str(transformer["InputTemplate"])
    made, position = [], 0
    for found in _PLACE.finditer(template):
        name = found.group(1)
        if name not in values:
            continue
        made.append(template[position : found.start()])
        made.append(_shown(values[name], is_quoted=_is_quoted(template, found.start())))
        position = found.end()
    made.append(template[position:])
    return "".join(made)


def _is_quoted(template: str, position: int) -> bool:
    """Whether a place lies inside a JSON string."""
    inside, escaped = False, False
    for sign in template[:position]:
        if escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == '"':
            inside = not inside
    return inside


def _shown(value: Any, *, is_quoted: bool) -> str:
    if value is _MISSING:
        return ""
    if not is_quoted:
        return _json(value)
    text = value if isinstance(value, str) else _json(value)
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
