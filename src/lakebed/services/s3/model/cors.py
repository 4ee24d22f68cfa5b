"""Cross-origin rules of a bucket: which are taken, and which answers a browser's origin.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html. The first rule that fits origin, method and, in a preflight,
every header the browser means to send, decides. An origin or header pattern holds one ``*`` at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.services.s3.model.errors import invalid_request, malformed_xml

METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
_RULES_MAX = 100


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One CORSRule."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int | None = None
    id: str = ""

    def answers(self, origin: str, method: str, headers: Sequence[str]) -> bool:
        """Whether this rule lets a page of ``origin`` use ``method`` with ``headers``."""
        return (
            method in self.methods
            and any(_fits(pattern, origin) for pattern in self.origins)
            and all(any(_fits(pattern.lower(), name.lower()) for pattern in self.headers) for name in headers)
        )


_decode = msgspec.msgpack.Decoder(tuple[Rule, ...]).decode


def _fits(pattern: str, text: str) -> bool:
    before, star, behind = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(before) + len(behind) and text.startswith(before) and text.endswith(behind)


def rules_of(encoded: bytes | None) -> tuple[Rule, ...]:
    """A bucket's rules."""
    return _decode(encoded) if encoded else ()


def parse_configuration(configured: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The rules of a PutBucketCors."""
    if not 0 < len(configured) <= _RULES_MAX:
        raise malformed_xml()
    return tuple(_rule(entry) for entry in configured)


def _rule(entry: Mapping[str, Any]) -> Rule:
    origins, methods = tuple(entry.get("AllowedOrigins") or ()), tuple(entry.get("AllowedMethods") or ())
    headers, age = tuple(entry.get("AllowedHeaders") or ()), entry.get("MaxAgeSeconds")
    if not origins or not methods:
        raise malformed_xml()
    for method in methods:
        if method not in METHODS:
            raise invalid_request(f"Found unsupported HTTP method in CORS config. Unsupported method is {method}")
    for what, patterns in (("AllowedOrigin", origins), ("AllowedHeader", headers)):
        for pattern in patterns:
            if pattern.count("*") > 1:
                raise invalid_request(f'{what} "{pattern}" can not have more than one wildcard.')
    for name in entry.get("ExposeHeaders") or ():
        if "*" in name:
            raise invalid_request(
                f'ExposeHeader "{name}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            )
    if age is not None and age < 0:
        raise malformed_xml()
    return Rule(origins, methods, headers, tuple(entry.get("ExposeHeaders") or ()), age, entry.get("ID") or "")


def configuration(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """What GetBucketCors tells."""
    told = []
    for rule in rules:
        entry: dict[str, Any] = {"ID": rule.id} if rule.id else {}
        entry |= {"AllowedMethods": list(rule.methods), "AllowedOrigins": list(rule.origins)}
        if rule.headers:
            entry["AllowedHeaders"] = list(rule.headers)
        if rule.exposed:
            entry["ExposeHeaders"] = list(rule.exposed)
        if rule.max_age is not None:
            entry["MaxAgeSeconds"] = rule.max_age
        told.append(entry)
    return told


def headers(
    rules: Sequence[Rule], origin: str, method: str, asked: Sequence[str] | None = None
) -> dict[str, str] | None:
    """The headers that let a page of ``origin`` see the answer; None where no rule does. ``asked``: the headers a preflight
    names, None for the request itself."""
    rule = next((rule for rule in rules if rule.answers(origin, method, asked or ())), None)
    if rule is None:
        return None
    anybody = "*" in rule.origins
    told = {
        "access-control-allow-origin": "*" if anybody else origin,
        "access-control-allow-methods": ", ".join(rule.methods),
        "vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    }
    if not anybody:
        told["access-control-allow-credentials"] = "true"
    if asked:
        told["access-control-allow-headers"] = ", ".join(name.lower() for name in asked)
    if rule.exposed:
        told["access-control-expose-headers"] = ", ".join(rule.exposed)
    if rule.max_age is not None:
        told["access-control-max-age"] = str(rule.max_age)
    return told
