"""Edits of a table's columns and properties. Runs in the child.

Columns keep their ids, so files are never touched. An edit is ``["add", name, type, comment]``, ``["drop", name]``,
``["change", old, new, type, comment, place]`` (place: ``first``, ``after:<column>`` or empty), ``["replace", columns]``;
types are Iceberg's JSON. https://iceberg.apache.org/spec/#schema-evolution,
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-evolving-table-schema.html
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.exceptions import ValidationError
from pyiceberg.table import Table
from pyiceberg.table.update import RemovePropertiesUpdate, SetPropertiesUpdate
from pyiceberg.types import NestedField

from lakebed.ports.sql import SqlFailure


def updates(metadata: Any, io: Any, request: dict[str, Any]) -> tuple[Any, ...]:
    """What the edits and properties of a request come to."""
    made: list[Any] = []
    if request.get("edits"):
        table = Table(("lakebed", "table"), metadata, "", io, NoopCatalog("lakebed"))
        transaction = table.transaction()
        try:
            with transaction.update_schema(allow_incompatible_changes=False, case_sensitive=False) as schema:
                for edit in request["edits"]:
                    _EDITS[edit[0]](schema, metadata, edit)
        except (ValueError, ValidationError) as wrong:
            raise SqlFailure("NOT_SUPPORTED", f"Failed to change the schema: {wrong}") from None
        made += transaction._updates
    if request.get("set"):
        made.append(SetPropertiesUpdate(updates=request["set"]))
    if removals := [key for key in request.get("unset") or [] if key in metadata.properties]:
        made.append(RemovePropertiesUpdate(removals=removals))
    return tuple(made)


def type_of(given: Any) -> Any:
    """Iceberg's type of its JSON."""
    field = {"id": 1, "name": "x", "required": False, "type": given}
    return TypeAdapter(NestedField).validate_python(field).field_type


def _add(schema: Any, metadata: Any, edit: list[Any]) -> None:
    del metadata
    _, name, kind, comment = edit
    schema.add_column(name, type_of(kind), doc=comment or None)


def _drop(schema: Any, metadata: Any, edit: list[Any]) -> None:
    field = _field(metadata, edit[1])
    if any(part.source_id == field.field_id for part in metadata.spec().fields):
        raise SqlFailure("NOT_SUPPORTED", f"Cannot drop partition field: {edit[1]}")
    if len(metadata.schema().fields) == 1:
        raise SqlFailure("NOT_SUPPORTED", "Cannot drop the only column in a table")
    schema.delete_column(edit[1])


def _change(schema: Any, metadata: Any, edit: list[Any]) -> None:
    _, old, new, kind, comment, place = edit
    field, wanted = _field(metadata, old), type_of(kind)
    if wanted.is_primitive:
        if wanted != field.field_type or comment:
            schema.update_column(old, field_type=wanted, doc=comment or field.doc)
    elif str(field.field_type) != _renumbered(wanted, field.field_type):
        raise SqlFailure("NOT_SUPPORTED", f"Cannot change the type of the nested column {old}")
    if place == "first":
        schema.move_first(old)
    elif place:
        schema.move_after(old, place.removeprefix("after:"))
    if new != old:
        schema.rename_column(old, new)


def _replace(schema: Any, metadata: Any, edit: list[Any]) -> None:
    """The columns as listed: those of the same name stay what they are, others go, new ones come."""
    wanted = {name: (kind, comment) for name, kind, comment in edit[1]}
    known = {field.name.lower(): field for field in metadata.schema().fields}
    sources = {part.source_id for part in metadata.spec().fields}
    for name, field in known.items():
        if name not in wanted:
            if field.field_id in sources:
                raise SqlFailure("NOT_SUPPORTED", f"Cannot drop partition field: {name}")
            schema.delete_column(name)
    before = ""
    for name, (kind, comment) in wanted.items():
        if name in known:
            _change(schema, metadata, ["change", name, name, kind, comment, ""])
        else:
            schema.add_column(name, type_of(kind), doc=comment or None)
        if before:
            schema.move_after(name, before)
        else:
            schema.move_first(name)
        before = name


def _field(metadata: Any, name: str) -> Any:
    try:
        return metadata.schema().find_field(name, case_sensitive=False)
    except ValueError:
        raise SqlFailure("COLUMN_NOT_FOUND", f"Column '{name}' does not exist") from None


def _renumbered(wanted: Any, own: Any) -> str:
    """The text of a nested type with the ids of another, where both have the same shape."""
    import re

    ids = iter(re.findall(r"(\d+): ", str(own)))
    return re.sub(r"\d+: ", lambda match: f"{next(ids, match.group()[:-2])}: ", str(wanted))


_EDITS: dict[str, Any] = {"add": _add, "drop": _drop, "change": _change, "replace": _replace}
