"""What a table's page asks of Athena on demand: some rows, a profile of its columns, an Iceberg table's files and history.

Each is a form that runs a query; the page shows its result. The profile reads the table once: counts, distinct values
(approximate) and the range of each column, a column a row.
"""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.backend import Backend
from lakebed.console.pages.athena import columns_of, look_at, quoted
from lakebed.console.pages.catalog_iceberg import is_iceberg
from lakebed.console.parts import panel
from lakebed.console.queries import RUN, output_location

_PROFILED_MAX = 60
_NESTED = ("array", "map", "struct", "uniontype", "binary")


async def asking(backend: Backend, database: str, told: dict[str, Any]) -> h.Element:
    """The panel of questions."""
    group = await backend.call("athena", "GetWorkGroup", {"WorkGroup": "primary"}, backend.scope)
    output, name = await output_location(backend, group["WorkGroup"]), told["Name"]
    questions = [("Show 20 rows", look_at(database, name))]
    if columns_of(told):
        questions.append(("Profile its columns", profile(database, told)))
    if is_iceberg(told):
        for label, kind in (("List its files", "files"), ("Its history", "history"), ("Its partitions", "partitions")):
            questions.append((label, look_at(database, f"{name}${kind}", rows=1000)))
    forms = [
        h.form(method="post", action=RUN)[
            [
                h.input(type="hidden", name=field, value=value)
                for field, value in {
                    "token": backend.token,
                    "sql": sql,
                    "database": database,
                    "table": name,
                    "shown": "catalog",
                    "output": output,
                }.items()
            ],
            h.button(".button.primary" if place == 0 else ".button", type="submit", title=sql[:400])[label],
        ]
        for place, (label, sql) in enumerate(questions)
    ]
    return panel("Ask Athena", h.div(".query-bar.asks")[forms], note="each runs a query")


def profile(database: str, told: dict[str, Any]) -> str:
    """One row for each column: how many values it has, how many differ, the least and the greatest."""
    counted, rows = ["count(*) AS n"], []
    for place, column in enumerate(columns_of(told)[:_PROFILED_MAX]):
        name = quoted(column["Name"])
        counted.append(f"count({name}) AS c{place}")
        distinct = least = greatest = "NULL"
        if not column.get("Type", "").lower().startswith(_NESTED):
            counted += [
                f"approx_distinct({name}) AS d{place}",
                f"CAST(min({name}) AS varchar) AS l{place}",
                f"CAST(max({name}) AS varchar) AS g{place}",
            ]
            distinct, least, greatest = f"d{place}", f"l{place}", f"g{place}"
        text = column["Name"].replace("'", "''")
        rows.append(
            f"  ROW({place + 1}, '{text}', n, n - c{place}, CAST({distinct} AS bigint), "
            f"CAST({least} AS varchar), CAST({greatest} AS varchar))"
        )
    inner = "SELECT " + ",\n    ".join(counted)
    return "\n".join(
        [
            'SELECT p.name AS "column", p.row_count, p.nulls, p.about_distinct, p.least, p.greatest',
            f"FROM ({inner}",
            f"  FROM {quoted(database, told['Name'])}) AS t",
            "CROSS JOIN UNNEST(ARRAY[",
            ",\n".join(rows),
            "]) AS p(place, name, row_count, nulls, about_distinct, least, greatest)",
            "ORDER BY p.place",
        ]
    )
