"""What another layout of a table would save on AWS, measured on a sample of its data: Parquet, ZSTD, partitions, larger files.

Asked for by a person (it takes an engine's time), for a table by the history of queries, or for the tables of one query.
"""

from __future__ import annotations

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, dollars, moment, size
from lakebed.console.pages.athena import CURRENT as ATHENA
from lakebed.console.pages.catalog import CURRENT as CATALOG
from lakebed.console.parts import facts, notice, panel, table
from lakebed.console.shell import Page
from lakebed.ports.advice import Advice, Saving

_LEAD = "Layouts of its data, measured on a sample, by what queries scan and AWS asks for it."


async def of_table(backend: Backend, asked: Asked) -> Page:
    """``catalog/advice``: for a table."""
    database, name = asked.get("database"), asked.get("table")
    found = await backend.advise_table(backend.scope, database, name)
    crumbs = (
        ("Catalog", CATALOG),
        (database, to("catalog", database=database)),
        (name, to("catalog/table", database=database, table=name)),
    )
    return Page("What would save", _LEAD, CATALOG, [_panels(one) for one in found], crumbs=crumbs)


async def of_query(backend: Backend, asked: Asked) -> Page:
    """``athena/advice``: for the tables of a query."""
    query = asked.get("query")
    await backend.call("athena", "GetQueryExecution", {"QueryExecutionId": query}, backend.scope)
    found = await backend.advise_query(backend.scope, query)
    nothing = notice(
        "info", "Nothing to measure. ", "Only a SELECT that succeeded and read files of a table can be cheaper."
    )
    crumbs = (("Athena", ATHENA), ("Query", to("athena", query=query)))
    content = [_panels(one) for one in found] or nothing
    return Page("What would save", _LEAD, ATHENA, content, crumbs=crumbs)


def _panels(one: Advice) -> h.Node:
    name = f"{one.database}.{one.table}"
    since = f", since {moment(one.since)}" if one.since is not None else ""
    asked = "one that reads all of it, assumed" if one.assumed else f"{count(one.queries)}{since}"
    best = one.savings[0] if one.savings else None
    return [
        panel(
            name,
            _headline(best) if best else notice("good", "Leave it as it is. ", "Nothing measured is worth a change."),
            facts(
                [
                    ("Files", f"{count(one.files)}, {size(one.size)}"),
                    ("Measured", f"{count(one.sampled_files)} files, {size(one.sampled_bytes)}"),
                    ("Queries counted", asked),
                ]
            ),
            [h.p(".muted")[note] for note in one.notes],
            table(
                ("Layout", "Scanned now", "Scanned then", "On AWS now", "On AWS then", "Stored now", "Stored then"),
                [_row(saving) for saving in one.savings],
                numbers=("Scanned now", "Scanned then", "On AWS now", "On AWS then", "Stored now", "Stored then"),
            )
            if one.savings
            else None,
        ),
        [
            panel(
                saving.title,
                h.pre(tabindex="0")[saving.sql],
                actions=h.a(".button", href=to("athena", database=one.database, draft=saving.sql))[
                    "Open in the editor"
                ],
            )
            for saving in one.savings
        ],
    ]


def _headline(best: Saving) -> h.Element:
    part = min(0.999, 1 - best.scanned_then / max(1, best.scanned_now))
    return notice("info", f"{part:.1%} less scanned: ", f"{best.title}.")


def _row(saving: Saving) -> tuple[h.Node, ...]:
    return (
        saving.title,
        size(saving.scanned_now),
        size(saving.scanned_then),
        dollars(saving.dollars_now),
        dollars(saving.dollars_then),
        size(saving.stored_now),
        size(saving.stored_then),
    )
