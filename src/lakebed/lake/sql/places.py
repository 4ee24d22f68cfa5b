"""Where a table stands: its database, and for one of another data source that source too, as one text.

``"source"."schema"."table"`` stands in ``place_of("source", "schema", …)``; AwsDataCatalog's databases stand in their own names.
A session whose catalog is another data source has such a place for its database.
https://docs.aws.amazon.com/athena/latest/ug/running-federated-queries.html
"""

from __future__ import annotations

OWN = "awsdatacatalog"
_MARK = "\x1f"  # no name of a catalog holds it


def place_of(catalog: str, database: str, home: str) -> str:
    """The place of a table written as ``catalog.database.table`` (empty parts are the session's, which is at ``home``)."""
    own_catalog, own_database = split(home)
    catalog = catalog.lower() or own_catalog
    database = database.lower() or own_database
    return database if catalog in ("", OWN) else f"{catalog}{_MARK}{database}"


def split(place: str) -> tuple[str, str]:
    """(data source, database); the data source is empty for AwsDataCatalog."""
    catalog, mark, database = place.partition(_MARK)
    return (catalog, database) if mark else ("", place)


def shown(place: str) -> str:
    """``catalog.database`` as messages tell it."""
    catalog, database = split(place)
    return f"{catalog or OWN}.{database}"
