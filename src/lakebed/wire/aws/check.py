"""The constraints of the models: required members, lengths, ranges, patterns, enumerations, in AWS's words.

Each input shape becomes a closure that appends violations to a list, or nothing at all where there is nothing to check.
AWS reports all violations in one error; we stop at ten. Values of sensitive members and of structures are not repeated.

https://smithy.io/2.0/spec/constraint-traits.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.wire.aws import scalars
from lakebed.wire.aws.dialect import CONSTRAINT_CODES, SAFE_PATTERNS
from lakebed.wire.aws.model import Model, Shape
from lakebed.wire.aws.xmltree import malformed_xml

Checker = Callable[[Any, str, "Violations"], None]
_MOST_REPORTED = 10
_LONGEST_VALUE = 256
_LONGEST_MATCHED = 65_536


class Violations(list[str]):
    """What was found; full at ten."""

    def add(self, value: Any, path: str, constraint: str, *, sensitive: bool = False) -> None:
        """Another one."""
        if len(self) >= _MOST_REPORTED:
            return
        shown = "" if sensitive else _shown(value)
        self.append(f"Value{shown} at '{path}' failed to satisfy constraint: {constraint}")


def _shown(value: Any) -> str:
    if value is None:
        return " null"
    if isinstance(value, str):
        return f" '{value[:_LONGEST_VALUE]}'"
    if isinstance(value, bool):
        return " 'true'" if value else " 'false'"
    if isinstance(value, int | float):
        return f" '{value}'"
    if isinstance(value, list) and len(value) <= 25 and all(isinstance(item, str) for item in value):
        listed = ", ".join(value)
        return f" '[{listed[:_LONGEST_VALUE]}]'"
    return ""


def step(path: str, name: str) -> str:
    """A member's path, in lower camel case."""
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


_JAVA_CLASSES = {
    r"\p{L}": r"[^\W\d_]", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{Alnum}": "[a-zA-Z0-9]", r"\p{Alpha}": "[a-zA-Z]",
    r"\p{ASCII}": r"[\x00-\x7F]", r"\p{Graph}": r"[\x21-\x7E]", r"\p{Print}": r"[\x20-\x7E]", r"\p{Digit}": "[0-9]",
    r"\p{M}": r"[\u0300-\u036F]", r"\p{S}": r"[$+<=>^`|~]", r"\p{P}": r"[!-#%-*,-/:;?@\[-\]_{}]",
    r"\p{Space}": r"\s", r"\p{IsLetter}": r"[^\W\d_]", r"\p{Punct}": r"[!-/:-@\[-`{-~]", r"\p{Upper}": "[A-Z]",
    r"\p{C}": r"[\x00-\x1F\x7F-\x9F]", r"\p{Cc}": r"[\x00-\x1F\x7F-\x9F]", r"\p{Cntrl}": r"[\x00-\x1F\x7F-\x9F]",
    r"\P{C}": r"[^\x00-\x1F\x7F-\x9F]", r"\p{Lower}": "[a-z]", r"\p{XDigit}": "[0-9a-fA-F]",
}  # fmt: skip


_HYPHEN_AFTER_CLASS = re.compile(r"(\\[wdsWDS])-(?!\])")  # a plain hyphen in Java, a bad range in Python


@cache
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """A model's (Java) pattern in Python's terms; None for one that Python cannot say, which is then not checked."""
    text = SAFE_PATTERNS.get(pattern, pattern).replace(r"\z", r"\Z")
    text = _HYPHEN_AFTER_CLASS.sub(r"\1\\-", text).replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
    text = text.replace(r"\uD800\uDC00-\uDBFF\uDFFF".lower(), "\U00010000-\U0010ffff")
    for java, python in _JAVA_CLASSES.items():
        if java in text:
            inner = python[1:-1] if python[0] == "[" and python[1] != "^" else r"\w" if "^" in python else python
            text = _replace_class(text, java, python, inner)
    try:
        return re.compile(text)
    except re.error:
        return None


def _replace_class(text: str, java: str, outside: str, inside: str) -> str:
    """Put a class in, with its own brackets only where it does not stand within brackets."""
    out: list[str] = []
    depth = index = 0
    while index < len(text):
        if text.startswith(java, index):
            out.append(inside if depth else outside)
            index += len(java)
            continue
        if text[index] == "\\":
            out.append(text[index : index + 2])
            index += 2
            continue
        depth += (text[index] == "[") - (text[index] == "]" and depth > 0)
        out.append(text[index])
        index += 1
    return "".join(out)


class Checkers:
    """The checkers of one model's shapes; None where a shape constrains nothing."""

    def __init__(self) -> None:
        self._compiled: dict[str, Checker | None] = {}

    def of(self, shape: Shape) -> Checker | None:
        """The checker of a shape."""
        if shape.name in self._compiled:
            return self._compiled[shape.name]
        if shape.type == "structure":
            return self._structure(shape)
        if shape.type in ("list", "map"):
            return self._collection(shape)
        made = self._compiled[shape.name] = _scalar(shape)
        return made

    def _structure(self, shape: Shape) -> Checker | None:
        required = tuple(name for name in shape.get("required", ()) if name in shape.members)
        fields: dict[str, Checker] = {}

        def check(value: Mapping[str, Any], path: str, found: Violations) -> None:
            for name in required:
                if name not in value:
                    found.add(None, step(path, name), "Member must not be null")
            for name, item in value.items():
                checker = fields.get(name)
                if checker is not None:
                    checker(item, step(path, name), found)

        self._compiled[shape.name] = check
        for name, member in shape.members.items():
            checker = self.of(member)
            if checker is not None:
                fields[name] = checker
        if not required and not fields:
            self._compiled[shape.name] = None
            return None
        return check

    def _collection(self, shape: Shape) -> Checker | None:
        """Length of a list or map, then what it holds."""
        low, high = shape.get("min", 0), shape.get("max")
        holds = self._items if shape.type == "list" else self._entries
        pending: list[Checker | None] = []

        def check(value: Any, path: str, found: Violations) -> None:
            if len(value) < low:
                found.add(value, path, f"Member must have length greater than or equal to {low}")
            elif high is not None and len(value) > high:
                found.add(value, path, f"Member must have length less than or equal to {high}")
            elif pending[0] is not None:
                pending[0](value, path, found)

        self._compiled[shape.name] = check
        pending.append(holds(shape))
        if pending[0] is None and not low and high is None:
            self._compiled[shape.name] = None
            return None
        return check

    def _items(self, shape: Shape) -> Checker | None:
        member = shape.part("member")
        checker = self.of(member)
        if checker is None:
            return None
        inner = checker
        simple = member.type == "string"

        def check(value: Any, path: str, found: Violations) -> None:
            if simple:
                own = Violations()
                for item in value:
                    if item is not None:
                        inner(item, path, own)
                if own:
                    found.add(value, path, f"Member must satisfy constraint: [{_constraints(own)}]")
                return
            start = f"{path}."
            for number, item in enumerate(value, 1):
                if item is not None:  # of a sparse list
                    inner(item, f"{start}{number}.member", found)

        return check

    def _entries(self, shape: Shape) -> Checker | None:
        key, item = self.of(shape.part("key")), self.of(shape.part("value"))
        if key is None and item is None:
            return None

        def check(value: Mapping[str, Any], path: str, found: Violations) -> None:
            for name, held in value.items():
                if key is not None:
                    own = Violations()
                    key(name, path, own)
                    if own:
                        found.add(
                            None, path, f"Map keys must satisfy constraint: [{_constraints(own)}]", sensitive=True
                        )
                        return
                if item is not None:
                    item(held, f"{path}.{name}.member", found)

        return check


def _constraints(own: Violations) -> str:
    return ", ".join(dict.fromkeys(entry.partition("failed to satisfy constraint: ")[2] for entry in own))


def _scalar(shape: Shape) -> Checker | None:
    low, high = shape.get("min"), shape.get("max")
    sensitive = bool(shape.get("sensitive")) or shape.type == "blob"
    if shape.type in ("string", "blob") and not shape.streaming:
        return _text_checker(shape, low or 0, high, sensitive=sensitive)
    if (shape.type in scalars.INTEGERS or shape.type in scalars.FLOATS) and (low is not None or high is not None):

        def check_range(value: Any, path: str, found: Violations) -> None:
            if low is not None and value < low:
                found.add(value, path, f"Member must have value greater than or equal to {low}")
            elif high is not None and value > high:
                found.add(value, path, f"Member must have value less than or equal to {high}")

        return check_range
    return None


def _text_checker(shape: Shape, low: int, high: int | None, *, sensitive: bool) -> Checker | None:
    pattern_text = shape.get("pattern")
    allowed = frozenset(shape.get("enum", ()))
    listed = ", ".join(shape.get("enum", ()))
    most = high if high is not None else 2**63
    if not low and high is None and not pattern_text and not allowed:
        return None

    def check(value: Any, path: str, found: Violations) -> None:
        size = len(value)
        if size < low:
            found.add(value, path, f"Member must have length greater than or equal to {low}", sensitive=sensitive)
        elif size > most:
            found.add(value, path, f"Member must have length less than or equal to {high}", sensitive=sensitive)
        elif allowed and value not in allowed:
            found.add(value, path, f"Member must satisfy enum value set: [{listed}]", sensitive=sensitive)
        if not pattern_text or size > _LONGEST_MATCHED:
            return
        pattern = compile_pattern(pattern_text)
        if pattern is not None and not pattern.fullmatch(value):
            words = f"Member must satisfy regular expression pattern: {pattern_text}"
            found.add(value, path, words, sensitive=sensitive)

    return check


def constraint_error(model: Model, found: Violations) -> AwsError:
    """The one error that reports all violations, with the code this service uses."""
    count = "1 validation error" if len(found) == 1 else f"{len(found)} validation errors"
    code = CONSTRAINT_CODES.get(model.service, "ValidationException")
    return AwsError(code, f"{count} detected: {'; '.join(found)}", status=400)


def s3_error(shape: Shape, found: Violations) -> AwsError:
    """S3 speaks of its schema where a body is wrong, and of an argument elsewhere; it never lists violations."""
    payload = shape.get("payload")
    start = f"'{step('', payload)}" if payload else None
    if start is not None and any(f"null at {start}'" in violation for violation in found):
        return AwsError("MissingRequestBodyError", "Request Body is empty", status=400)
    if start is not None and any(f"at {start}" in violation for violation in found):
        return malformed_xml()
    return AwsError("InvalidArgument", f"Invalid Argument: {found[0]}", status=400)


def check_sqs(shape: Shape, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """SQS names the first parameter that is missing, or the queue's attribute it does not know; what else to check."""
    for name in shape.get("required", ()):
        if params.get(name) is None:
            raise AwsError("MissingParameter", f"The request must contain the parameter {name}.", status=400)
    system = shape.members.get("MessageSystemAttributeNames")
    if system is not None and params.get("AttributeNames"):
        # The older of two members takes the names of the newer one, which its model does not list.
        known = system.part("member").get("enum", ())
        return {**params, "AttributeNames": [name for name in params["AttributeNames"] if name not in known]}
    for member, part in () if system is not None else (("Attributes", "key"), ("AttributeNames", "member")):
        if member in shape.members and params.get(member):
            names = shape.members[member].part(part).get("enum", ())
            if unknown := next((name for name in params[member] if name not in names), None):
                raise AwsError("InvalidAttributeName", f"Unknown Attribute {unknown[:64]}.", status=400)
    return params
