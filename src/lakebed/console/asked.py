"""What a browser asked a page for. The address holds the whole state: back works, two tabs work, a link can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode


def to(path: str, **query: object) -> str:
    """The address of a console page; parameters that are empty or None are left out."""
    text = urlencode({name: str(value) for name, value in query.items() if value not in (None, "", False)})
    return f"/console/{path}?{text}" if text else f"/console/{path}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Path below ``/console/`` and parameters of one request."""

    path: str
    query: Mapping[str, str]

    def get(self, name: str) -> str:
        """A parameter, empty where it is absent."""
        return self.query.get(name, "")

    def number(self, name: str) -> int | None:
        """A parameter that is a small whole number."""
        text = self.get(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def again(self, **changes: object) -> str:
        """This page with some parameters changed (None: left out)."""
        return to(self.path, **{**self.query, **changes})
