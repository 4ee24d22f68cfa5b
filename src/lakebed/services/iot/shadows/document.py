"""Shadow documents as values: what an update asks for, what it makes of a shadow, what then differs.

https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-document.html: objects are merged, arrays replaced
whole, null deletes; every leaf has the second of its last update as metadata. ``delta`` is what is desired and not
reported so. Error texts: https://docs.aws.amazon.com/iot/latest/developerguide/device-shadow-error-messages.html,
limits: https://docs.aws.amazon.com/general/latest/gr/iot-core.html#device-shadow-limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

BYTES_MAX = 8192
DEPTH_MAX = 8
_TOKEN_BYTES_MAX = 64
_SECTIONS = ("desired", "reported")
_ABSENT = object()


class ShadowError(Exception):
    """A refused request: AWS's code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Shadow(NamedTuple):
    """A shadow as it is kept; ``state`` and ``metadata`` have only the sections that are not empty."""

    state: Mapping[str, Any]
    metadata: Mapping[str, Any]
    version: int
    modified: int

    @property
    def delta(self) -> dict[str, Any]:
        """What is desired and not reported so."""
        return _difference(self.state.get("desired", {}), self.state.get("reported", {}))

    @property
    def delta_metadata(self) -> dict[str, Any]:
        """The desired section's metadata of what differs."""
        return _like(self.delta, self.metadata.get("desired", {}))


class Change(NamedTuple):
    """An update request: a section that is None is cleared, an absent one stays."""

    sections: Mapping[str, Mapping[str, Any] | None]
    version: int | None
    token: str | None


def token_of(payload: bytes) -> str | None:
    """The client token of a request, as far as it can be read: answers and refusals carry it."""
    try:
        tree = msgspec.json.decode(payload) if payload else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    token = tree.get("clientToken") if isinstance(tree, dict) else None
    return token if isinstance(token, str) and len(token.encode()) <= _TOKEN_BYTES_MAX else None


def read_change(payload: bytes) -> Change:
    """The request of an update; ShadowError says what is wrong with it."""
    tree = _tree(payload)
    if "state" not in tree or tree["state"] is None:
        raise ShadowError(400, "Missing required node: state")
    state = tree["state"]
    if not isinstance(state, dict):
        raise ShadowError(400, "State node must be an object")
    for name, section in state.items():
        if name not in _SECTIONS:
            raise ShadowError(400, f"State contains an invalid node: '{name}'")
        if section is not None and not isinstance(section, dict):
            raise ShadowError(400, f"{name.capitalize()} node must be an object")
        _check(section, name, 0)
    version = tree.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 0):
        raise ShadowError(400, "Invalid version")
    return Change(state, version, _token(tree))


def read_version(payload: bytes) -> tuple[int | None, str | None]:
    """The expected version and client token of a get or delete request."""
    tree = _tree(payload) if payload.strip() else {}
    version = tree.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise ShadowError(400, "Invalid version")
    return version, _token(tree)


def changed(shadow: Shadow | None, last_version: int, change: Change, now: int) -> Shadow:
    """The shadow after an update."""
    if change.version is not None and change.version != (shadow.version if shadow is not None else last_version):
        raise ShadowError(409, "Version conflict")
    state = dict(shadow.state) if shadow is not None else {}
    metadata = dict(shadow.metadata) if shadow is not None else {}
    for name, patch in change.sections.items():
        if patch is None:
            state.pop(name, None)
            metadata.pop(name, None)
            continue
        state[name], metadata[name] = _merged(state.get(name, {}), metadata.get(name, {}), patch, now)
        if not state[name]:
            del state[name], metadata[name]
    if len(msgspec.json.encode(state)) > BYTES_MAX:
        raise ShadowError(413, "The payload exceeds the maximum size allowed")
    return Shadow(state, metadata, last_version + 1, now)


def accepted(shadow: Shadow, change: Change, now: int) -> dict[str, Any]:
    """The answer to an update: what was asked for, and when."""
    metadata = {name: _stamped(section, now) for name, section in change.sections.items() if section is not None}
    return {"state": dict(change.sections), "metadata": metadata, "version": shadow.version, "timestamp": now}


def whole(shadow: Shadow, now: int) -> dict[str, Any]:
    """The answer to a get."""
    state = dict(shadow.state)
    if delta := shadow.delta:
        state["delta"] = delta
    return {"state": state, "metadata": dict(shadow.metadata), "version": shadow.version, "timestamp": now}


def _tree(payload: bytes) -> dict[str, Any]:
    if len(payload) > BYTES_MAX:
        raise ShadowError(413, "The payload exceeds the maximum size allowed")
    try:
        tree = msgspec.json.decode(payload)
    except UnicodeDecodeError:
        raise ShadowError(415, "Unsupported documented encoding; supported encoding is UTF-8") from None
    except RecursionError:
        raise ShadowError(400, f"JSON contains too many levels of nesting; maximum is {DEPTH_MAX}") from None
    except msgspec.DecodeError:
        raise ShadowError(400, "Invalid JSON") from None
    if not isinstance(tree, dict):
        raise ShadowError(400, "Invalid JSON")
    return tree


def _token(tree: Mapping[str, Any]) -> str | None:
    token = tree.get("clientToken")
    if token is not None and (not isinstance(token, str) or len(token.encode()) > _TOKEN_BYTES_MAX):
        raise ShadowError(400, "Invalid clientToken")
    return token


def _check(value: Any, path: str, depth: int) -> None:
    """Bounded depth, and no null inside an array: nothing could be deleted there."""
    if depth > DEPTH_MAX:
        raise ShadowError(400, f"JSON contains too many levels of nesting; maximum is {DEPTH_MAX}")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if inner is None:
                raise ShadowError(400, f"State contains an invalid node: '{path}[{index}]'")
            _check(inner, f"{path}[{index}]", depth + 1)


def _merged(has: Any, stamps: Any, patch: Mapping[str, Any], now: int) -> tuple[dict[str, Any], dict[str, Any]]:
    state = dict(has) if isinstance(has, dict) else {}
    metadata = dict(stamps) if isinstance(has, dict) and isinstance(stamps, dict) else {}
    for key, value in patch.items():
        if value is None:
            state.pop(key, None)
            metadata.pop(key, None)
        elif isinstance(value, dict):
            state[key], metadata[key] = _merged(state.get(key), metadata.get(key), value, now)
        else:
            state[key], metadata[key] = value, _stamped(value, now)
    return state, metadata


def _stamped(value: Any, now: int) -> Any:
    if isinstance(value, dict):
        return {key: _stamped(inner, now) for key, inner in value.items()}
    if isinstance(value, list):
        return [_stamped(inner, now) for inner in value]
    return {"timestamp": now}


def _difference(desired: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, want in desired.items():
        has = reported.get(key, _ABSENT)
        if isinstance(want, dict) and isinstance(has, dict):
            if inner := _difference(want, has):
                found[key] = inner
        elif not _same(want, has):
            found[key] = want
    return found


def _same(left: Any, right: Any) -> bool:
    """JSON's equality: true is not 1."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _like(delta: Mapping[str, Any], stamps: Any) -> dict[str, Any]:
    """The stamps of the delta's members."""
    found: dict[str, Any] = {}
    for key, value in delta.items():
        stamp = stamps.get(key, {}) if isinstance(stamps, dict) else {}
        found[key] = _like(value, stamp) if isinstance(value, dict) else stamp
    return found
