"""A request of the Iceberg REST catalog taken apart, and its refusals.

https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml (ErrorModel, PageToken)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.ports.service import Context

_PAGE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """``parts`` of the path (namespace, table), query and JSON body."""

    ctx: Context
    parts: Sequence[str]
    query: dict[str, str]
    body: dict[str, Any]

    @property
    def namespace(self) -> str:
        """The database: one level, in lower case as Glue keeps it."""
        return level(self.parts[0].split("\x1f"))

    @property
    def table(self) -> str:
        """The table's name."""
        return self.parts[1].lower()

    def member(self, name: str, kind: type[Any], default: Any = None) -> Any:
        """A member of the body, of the type it must have."""
        value = self.body.get(name, default)
        if not isinstance(value, kind):
            raise refused(400, "BadRequestException", f"{name} is missing or of the wrong type")
        return value

    def page(self, names: Sequence[str]) -> tuple[list[str], str | None]:
        """The names of this page and the token of the next one. Without a size there is one page."""
        after, size = self.query.get("pageToken", ""), self.query.get("pageSize", "")
        ordered = [name for name in sorted(names) if name > after]
        if not size:
            return ordered, None
        if not size.isascii() or not size.isdigit() or not 1 <= int(size) <= 1 << 31:
            raise refused(400, "BadRequestException", "pageSize must be a positive number")
        limit = min(int(size), _PAGE_MAX)
        return ordered[:limit], ordered[limit - 1] if len(ordered) > limit else None


def level(levels: Sequence[Any]) -> str:
    """The one level a namespace has."""
    if len(levels) != 1 or not isinstance(levels[0], str) or not levels[0]:
        raise refused(400, "BadRequestException", "Glue has one level of namespaces")
    return levels[0].lower()


def refused(status: int, kind: str, message: str) -> AwsError:
    """An error of the REST specification."""
    return AwsError(kind, message, status=status, members={"type": kind})
