"""The functions of AWS IoT SQL, by name with their number of arguments.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html. An UNDEFINED argument makes the result
UNDEFINED, except where a function asks about just that. Names are case-insensitive, as in AWS's own examples.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from lakebed.services.iot.sql import outside, patterns, times
from lakebed.services.iot.sql.lexer import SqlError
from lakebed.services.iot.sql.values import UNDEFINED, Env, Eval, boolean, bounded, is_number, number, text

_TEXT_MAX = 262_144
_NOT_BUILT = frozenset({
    "get_dynamodb", "get_secret", "get_public_key", "machinelearning_predict", "md2",
})  # fmt: skip


class Function(NamedTuple):
    """``run`` gets the message and the evaluated arguments; ``sees_undefined`` where UNDEFINED is an answer to it."""

    least: int
    most: int
    run: Callable[..., Any]
    sees_undefined: bool = False


def call(name: str, arguments: Sequence[Eval]) -> Eval:
    """A call, checked now; SqlError names a function that does not exist or is not built."""
    key = name.lower()
    function = _FUNCTIONS.get(key)
    if function is None:
        known = "is not implemented by Lakebed" if key in _NOT_BUILT else "does not exist"
        raise SqlError(f"Function {name} {known}")
    if key != "decode" and not function.least <= len(arguments) <= function.most:
        raise SqlError(f"Function {name} does not take {len(arguments)} arguments")
    if key == "decode" and len(arguments) > 2:
        raise SqlError("Function decode to 'proto' is not implemented by Lakebed")
    run, sees_undefined = function.run, function.sees_undefined

    def evaluate(env: Env) -> Any:
        values = [argument(env) for argument in arguments]
        if not sees_undefined and any(value is UNDEFINED for value in values):
            return UNDEFINED
        try:
            return run(env, *values)
        except (TypeError, ValueError, OverflowError, ArithmeticError, binascii.Error):
            return UNDEFINED

    return evaluate


def get(_env: Env, whole: Any, key: Any) -> Any:
    """An array's or a String's item by place, an object's by name."""
    if isinstance(whole, dict):
        return whole.get(key, UNDEFINED) if isinstance(key, str) else UNDEFINED
    if isinstance(whole, list | str) and isinstance(key, int) and not isinstance(key, bool):
        return whole[key] if 0 <= key < len(whole) else UNDEFINED
    return UNDEFINED


def _topic(env: Env, place: Any = None) -> Any:
    """The topic or one of its levels from 1; of basic ingest the rule's prefix does not count."""
    topic = env.topic
    if topic.startswith("$aws/rules/"):
        topic = topic[len("$aws/rules/") :].partition("/")[2]
    if place is None:
        return topic
    levels, index = topic.split("/"), number(place)
    return levels[index - 1] if isinstance(index, int) and 0 < index <= len(levels) else UNDEFINED


def _math(function: Callable[[float], float]) -> Callable[[Env, Any], Any]:
    def run(_env: Env, value: Any) -> Any:
        found = number(value)
        return UNDEFINED if found is UNDEFINED else bounded(function(found))

    return run


def _whole(function: Callable[[int, int], int]) -> Callable[[Env, Any, Any], Any]:
    def run(_env: Env, left: Any, right: Any) -> Any:
        a, b = number(left), number(right)
        return function(int(a), int(b)) if is_number(a) and is_number(b) else UNDEFINED

    return run


def _power(_env: Env, base: Any, exponent: Any) -> Any:
    a, b = number(base), number(exponent)
    if a is UNDEFINED or b is UNDEFINED:
        return UNDEFINED
    result = math.pow(a, b)
    return int(result) if isinstance(a, int) and isinstance(b, int) and b >= 0 and abs(result) < 2**53 else result


def _modulo(_env: Env, left: Any, right: Any) -> Any:
    a, b = number(left), number(right)
    if a is UNDEFINED or b is UNDEFINED or b == 0:
        return UNDEFINED
    result = math.fmod(a, b)
    return int(result) if isinstance(a, int) and isinstance(b, int) else result


def _round(_env: Env, value: Any, digits: Any = None) -> Any:
    found = number(value)
    if found is UNDEFINED:
        return UNDEFINED
    if digits is None:
        return math.floor(found + 0.5)
    return round(found, int(digits)) if is_number(digits) and abs(digits) <= 30 else UNDEFINED


def _trunc(_env: Env, value: Any, digits: Any) -> Any:
    found, places = number(value), number(digits)
    if found is UNDEFINED or not isinstance(places, int) or not 0 <= places <= 30:
        return UNDEFINED
    factor = 10**places
    return math.trunc(found * factor) / factor if places else math.trunc(found)


def _substring(_env: Env, whole: Any, start: Any, end: Any = None) -> Any:
    value, first = text(whole), number(start)
    last = len(value) if end is None else number(end)
    if not is_number(first) or not is_number(last):
        return UNDEFINED
    return value[max(0, int(first)) : max(0, int(last))]


def _pad(is_left: bool) -> Callable[[Env, Any, Any], Any]:
    def run(_env: Env, whole: Any, count: Any) -> Any:
        value, spaces = text(whole), number(count)
        if not is_number(spaces) or spaces > _TEXT_MAX:
            return UNDEFINED
        padding = " " * max(0, int(spaces))
        return padding + value if is_left else value + padding

    return run


def _concat(_env: Env, *values: Any) -> Any:
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    if any(isinstance(value, list) for value in values):
        return [item for value in values for item in (value if isinstance(value, list) else [value])]
    return "".join(text(value) for value in values)[:_TEXT_MAX]


def _cast(_env: Env, value: Any, kind: Any) -> Any:
    match str(kind).lower():
        case "string":
            return text(value)
        case "int" | "integer":
            found = int(value) if isinstance(value, bool) else number(value)
            return UNDEFINED if found is UNDEFINED else int(found)
        case "decimal":
            found = int(value) if isinstance(value, bool) else number(value)
            return UNDEFINED if found is UNDEFINED else float(found)
        case "boolean" | "bool":
            return value != 0 if is_number(value) else boolean(value)
        case _:
            return UNDEFINED


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(text(value)).encode()


def _encode(_env: Env, value: Any, scheme: Any) -> Any:
    return base64.b64encode(_bytes(value)).decode() if str(scheme).lower() == "base64" else UNDEFINED


def _decode(_env: Env, value: Any, scheme: Any) -> Any:
    if str(scheme).lower() != "base64":
        return UNDEFINED
    raw = base64.b64decode(_bytes(value), validate=True)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw


def _hash(name: str) -> Callable[[Env, Any], Any]:
    return lambda _env, value: hashlib.new(name, _bytes(value), usedforsecurity=False).hexdigest()


def _property(env: Env, name: Any) -> Any:
    """get_mqtt_property: https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html#mqtt5-property."""
    properties = env.properties
    found: Any = {
        "format_indicator": None
        if properties.payload_is_text is None
        else "utf8"
        if properties.payload_is_text
        else "bytes",
        "content_type": properties.content_type,
        "response_topic": properties.response_topic,
        "correlation_data": properties.correlation_data and base64.b64encode(properties.correlation_data).decode(),
    }.get(str(name).lower())
    return UNDEFINED if found is None else found


def _user_properties(env: Env, name: Any) -> Any:
    return [value for key, value in env.properties.user_properties if key == name]


def _length(_env: Env, value: Any) -> Any:
    return len(value) if isinstance(value, list | dict) else len(text(value))


def _get_or_default(_env: Env, value: Any, default: Any = UNDEFINED) -> Any:
    return default if value is UNDEFINED or value is None else value


def _transform(_env: Env, mode: Any, attributes: Any, items: Any) -> Any:
    """``enrichArray``: the object's members put into each object of the array."""
    if mode != "enrichArray" or not isinstance(attributes, dict) or not isinstance(items, list):
        return UNDEFINED
    return [{**item, **attributes} if isinstance(item, dict) else item for item in items]


_FUNCTIONS: dict[str, Function] = {
    "atan2": Function(2, 2, lambda _env, a, b: math.atan2(number(a), number(b))),
    "aws_lambda": Function(2, 2, outside.aws_lambda),
    "get_or_default": Function(1, 2, _get_or_default, sees_undefined=True),
    "get_registry_data": Function(3, 3, outside.get_registry_data),
    "get_thing_shadow": Function(2, 3, outside.get_thing_shadow),
    "parse_time": Function(2, 3, times.parse_time),
    "regexp_matches": Function(2, 2, patterns.matches),
    "regexp_replace": Function(3, 3, patterns.replace),
    "regexp_substr": Function(2, 2, patterns.substring),
    "time_to_epoch": Function(2, 2, times.time_to_epoch),
    "transform": Function(3, 3, _transform),
    "abs": Function(1, 1, _math(abs)),
    "accountid": Function(0, 0, lambda env: env.scope.account),
    "bitand": Function(2, 2, _whole(lambda a, b: a & b)),
    "bitor": Function(2, 2, _whole(lambda a, b: a | b)),
    "bitxor": Function(2, 2, _whole(lambda a, b: a ^ b)),
    "bitnot": Function(1, 1, lambda _env, a: ~int(number(a)) if is_number(number(a)) else UNDEFINED),
    "cast": Function(2, 2, _cast),
    "ceil": Function(1, 1, _math(math.ceil)),
    "chr": Function(1, 1, lambda _env, a: chr(int(number(a))) if is_number(number(a)) else UNDEFINED),
    "clientid": Function(0, 0, lambda env: env.client_id or "N/A"),
    "concat": Function(1, 100, _concat),
    "decode": Function(2, 2, _decode),
    "encode": Function(2, 2, _encode),
    "endswith": Function(2, 2, lambda _env, a, b: text(a).endswith(text(b))),
    "floor": Function(1, 1, _math(math.floor)),
    "get": Function(2, 2, get),
    "get_mqtt_property": Function(1, 1, _property),
    "get_user_properties": Function(1, 1, _user_properties),
    "indexof": Function(2, 2, lambda _env, a, b: text(a).find(text(b))),
    "isnull": Function(1, 1, lambda _env, a: a is None, sees_undefined=True),
    "isundefined": Function(1, 1, lambda _env, a: a is UNDEFINED, sees_undefined=True),
    "length": Function(1, 1, _length),
    "lower": Function(1, 1, lambda _env, a: text(a).lower()),
    "lpad": Function(2, 2, _pad(is_left=True)),
    "ltrim": Function(1, 1, lambda _env, a: text(a).lstrip()),
    "mod": Function(2, 2, _modulo),
    "nanvl": Function(2, 2, lambda _env, a, b: a if is_number(number(a)) else b, sees_undefined=True),
    "newuuid": Function(0, 0, lambda env: env.ids.uuid()),
    "numbytes": Function(1, 1, lambda _env, a: len(_bytes(a))),
    "power": Function(2, 2, _power),
    "principal": Function(0, 0, lambda env: env.principal or UNDEFINED),
    "rand": Function(0, 0, lambda env: env.ids.uniform()),
    "remainder": Function(2, 2, _modulo),
    "replace": Function(3, 3, lambda _env, a, b, c: text(a).replace(text(b), text(c))[:_TEXT_MAX]),
    "round": Function(1, 2, _round),
    "rpad": Function(2, 2, _pad(is_left=False)),
    "rtrim": Function(1, 1, lambda _env, a: text(a).rstrip()),
    "sign": Function(1, 1, _math(lambda a: (a > 0) - (a < 0))),
    "sourceip": Function(0, 0, lambda env: env.source_ip or UNDEFINED),
    "startswith": Function(2, 2, lambda _env, a, b: text(a).startswith(text(b))),
    "substring": Function(2, 3, _substring),
    "timestamp": Function(0, 0, lambda env: int(env.now * 1000)),
    "topic": Function(0, 1, _topic),
    "traceid": Function(0, 0, lambda env: env.trace()),
    "trim": Function(1, 1, lambda _env, a: text(a).strip()),
    "trunc": Function(2, 2, _trunc),
    "upper": Function(1, 1, lambda _env, a: text(a).upper()),
}
_FUNCTIONS |= {
    name: Function(1, 1, _math(getattr(math, name)))
    for name in ("acos", "asin", "atan", "cos", "cosh", "exp", "sin", "sinh", "sqrt", "tan", "tanh")
}
_FUNCTIONS |= {"ln": Function(1, 1, _math(math.log)), "log": Function(1, 1, _math(math.log10))}
_FUNCTIONS |= {name: Function(1, 1, _hash(name)) for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}
