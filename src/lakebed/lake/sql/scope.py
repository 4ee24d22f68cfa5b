"""Names: which column an identifier means, and which columns of which relation a query really reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lakebed.lake.sql.typed import Typed
from lakebed.lake.types import Type, field_name, quote
from lakebed.ports.sql import SqlFailure


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is visible: ``origin`` is (relation number, column name) where it comes straight from a table."""

    name: str
    value: Typed
    origin: tuple[int, str] | None = None
    hidden: bool = False  # found by its name, left out of ``*``


@dataclass(slots=True)
class Source:
    """A thing in FROM with its names: ``alias`` and, for tables, the database it stands in."""

    alias: str
    columns: list[Column]
    database: str = ""
    place: str = ""  # its alias in the emitted SQL
    nullable: bool = False  # an outer join may fill it with NULLs


@dataclass(slots=True)
class Scope:
    """The sources of one SELECT; ``parent`` for correlated subqueries, ``values`` for lambda parameters."""

    sources: list[Source] = field(default_factory=list)
    parent: Scope | None = None
    values: dict[str, Typed] = field(default_factory=dict)
    joined: dict[str, Column] = field(default_factory=dict)  # USING columns

    def find(self, names: Sequence[str], place: str) -> tuple[Typed, Column | None]:
        """What ``a``, ``t.a``, ``db.t.a`` or ``a.field.field`` means."""
        scope: Scope | None = self
        while scope is not None:
            found = scope._here([name.lower() for name in names], place)
            if found is not None:
                return found
            scope = scope.parent
        raise SqlFailure("COLUMN_NOT_FOUND", f"{place}Column '{'.'.join(names)}' cannot be resolved")

    def own(self, names: Sequence[str]) -> tuple[Source, Column] | None:
        """The source of this SELECT itself (not of an outer one) that a column comes from straight, None for any other."""
        found = self._here([name.lower() for name in names], "")
        if found is None or found[1] is None:
            return None
        wanted = (found[1].origin, found[1].value.sql)  # USING makes a column anew; it may still be one side's
        for source in self.sources:
            if any((column.origin, column.value.sql) == wanted for column in source.columns):
                return source, found[1]
        return None

    def _here(self, names: list[str], place: str) -> tuple[Typed, Column | None] | None:
        if names[0] in self.values:
            return fields(self.values[names[0]], names[1:], place), None
        if len(names) == 1 and names[0] in self.joined:
            column = self.joined[names[0]]
            return column.value, column
        for used in (3, 2, 1):
            if len(names) < used:
                continue
            matches = [
                column
                for source in self.sources
                if used == 1 or (source.alias == names[used - 2] and (used == 2 or source.database == names[0]))
                for column in source.columns
                if column.name == names[used - 1]
            ]
            if len(matches) > 1:
                raise SqlFailure("AMBIGUOUS_NAME", f"{place}Column '{'.'.join(names[:used])}' is ambiguous")
            if matches:
                return fields(matches[0].value, names[used:], place), matches[0]
        return None


def fields(value: Typed, names: Sequence[str], place: str) -> Typed:
    """``value.a.b`` of a row."""
    for name in names:
        if value.type.base != "row":
            raise SqlFailure("TYPE_MISMATCH", f"{place}Expression is not of type ROW")
        for at, (label, kind) in enumerate(value.type.args):
            if field_name(label, at).lower() == name.lower():
                value = Typed(f"({value.sql}).{quote(field_name(label, at))}", kind)
                break
        else:
            raise SqlFailure("COLUMN_NOT_FOUND", f"{place}Column '{name}' cannot be resolved")
    return value


def unnamed(kind: Type) -> list[tuple[str, Type]]:
    """A row's fields with the names they print under."""
    return [(field_name(name, at), part) for at, (name, part) in enumerate(kind.args)]
