"""Values of AWS IoT SQL: JSON's, and ``UNDEFINED``, which most operations pass on.

How types are compared and converted: https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-data-types.html and
https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-operators.html. Int is Python's int, Decimal its float.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from lakebed.kernel.ids import Ids
from lakebed.kernel.scope import Scope
from lakebed.ports.devices import NO_PROPERTIES, MessageProperties

if TYPE_CHECKING:
    from lakebed.services.iot.sql.outside import Calls, Reach


class Undefined:
    """The only value of its type."""

    def __repr__(self) -> str:
        return "UNDEFINED"

    def __bool__(self) -> bool:
        return False


UNDEFINED = Undefined()
_decode = msgspec.json.Decoder().decode
_UNREAD = object()


@dataclass(slots=True)
class Env:
    """What an expression may see of a message. ``payload`` is parsed when the first field is asked for."""

    topic: str
    raw: bytes
    scope: Scope
    client_id: str
    principal: str
    now: float
    ids: Ids
    source_ip: str = ""
    properties: MessageProperties = NO_PROPERTIES
    trace_id: str = ""
    _payload: Any = field(default=_UNREAD)
    variables: dict[str, Any] = field(default_factory=dict)
    reach: Reach | None = None
    calls: Calls | None = None

    @property
    def payload(self) -> Any:
        """The message as JSON; UNDEFINED where it is none."""
        if self._payload is _UNREAD:
            try:
                self._payload = _decode(self.raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._payload = UNDEFINED
        return self._payload

    def within(self, value: Any) -> Env:
        """The same message with another value as its root (nested SELECT)."""
        # ``*`` inside means the element, not the whole message once for each element.
        return Env(
            self.topic,
            msgspec.json.encode(value),
            self.scope,
            self.client_id,
            self.principal,
            self.now,
            self.ids,
            self.source_ip,
            self.properties,
            self.trace_id,
            value,
            self.variables,
            self.reach,
            self.calls,
        )

    def trace(self) -> str:
        """The trace id, the same for the whole message."""
        if not self.trace_id:
            self.trace_id = self.ids.uuid()
        return self.trace_id


Eval = Callable[[Env], Any]


def is_number(value: Any) -> bool:
    """Int or Decimal; booleans are neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Any) -> Any:
    """An Int or Decimal, converting strings that spell one; else UNDEFINED."""
    if is_number(value):
        return value
    if isinstance(value, str) and len(value) <= 64:
        try:
            return int(value)
        except ValueError:
            pass
        try:
            found = float(value)
        except ValueError:
            return UNDEFINED
        return found if math.isfinite(found) else UNDEFINED
    return UNDEFINED


def boolean(value: Any) -> Any:
    """A Boolean, converting "true" and "false" in any case; else UNDEFINED."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return UNDEFINED


def text(value: Any) -> Any:
    """The standard conversion to String."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is UNDEFINED:
        return UNDEFINED
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return msgspec.json.encode(value).decode()


def arithmetic(operator: str, left: Any, right: Any) -> Any:
    """``+ - * / %``; ``+`` joins where either side is a String that is no number or both are Strings."""
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
        return text(left) + text(right)
    left, right = number(left), number(right)
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    try:
        match operator:
            case "+":
                result = left + right
            case "-":
                result = left - right
            case "*":
                result = left * right
            case "/":
                exact = isinstance(left, int) and isinstance(right, int)
                result = int(left / right) if exact and abs(left) < 2**53 else left / right
            case _:
                result = math.fmod(left, right)
                if isinstance(left, int) and isinstance(right, int):
                    result = int(result)
    except (ZeroDivisionError, OverflowError, ValueError):
        return UNDEFINED
    return bounded(result)


def bounded(value: float) -> Any:
    """A result as JSON may hold it: finite, and Ints of at most 64 bits; larger ones become Decimals."""
    if isinstance(value, int):
        return value if value.bit_length() < 64 else float(value)
    return value if math.isfinite(value) else UNDEFINED


def compare(operator: str, left: Any, right: Any) -> Any:
    """``< <= > >=``: numbers, Strings that spell them, or two Strings; everything else is UNDEFINED."""
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = number(left), number(right)
        if left is UNDEFINED or right is UNDEFINED:
            return UNDEFINED
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def equal(left: Any, right: Any) -> Any:
    """``=``: UNDEFINED with UNDEFINED; numbers also equal Strings that spell them; other types differ."""
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    if is_number(left) != is_number(right) and (isinstance(left, str) or isinstance(right, str)):
        left, right = number(left), number(right)
        return left is not UNDEFINED and right is not UNDEFINED and left == right
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)


def output(value: Any) -> bytes:
    """A result as the payload of an action."""
    return value if isinstance(value, bytes) else msgspec.json.encode(clean(value))


def clean(value: Any) -> Any:
    """Without what is undefined; bytes become base64 text, as JSON has none."""
    if isinstance(value, dict):
        return {key: clean(inner) for key, inner in value.items() if inner is not UNDEFINED}
    if isinstance(value, list):
        return [clean(inner) for inner in value if inner is not UNDEFINED]
    return value
