"""What pages are made of: panels, tables, facts, paging, states, empty and error messages, copy buttons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import htpy as h
from markupsafe import Markup, escape

from lakebed.console.figures import ago, dollars, moment


def panel(title: str, *content: h.Node, note: str = "", actions: h.Node = None) -> h.Element:
    """A titled container."""
    return h.section(".panel")[
        h.header[h.h2[title], h.span(".note")[note] if note else None, h.span(".space"), actions],
        h.div(".body")[content],
    ]


def empty(title: str, text: str, command: str) -> h.Element:
    """A page that has nothing yet teaches how to get something."""
    return h.section(".panel")[h.div(".empty")[h.h2[title], h.p[text], h.pre(tabindex="0")[command]]]


def notice(kind: str, title: str, *content: h.Node) -> h.Element:
    """A message across the page: ``error``, ``info`` or ``good``."""
    return h.div(f".notice.{kind}", role="alert" if kind == "error" else "status")[h.strong[title], *content]


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[h.Node]],
    *,
    numbers: Sequence[str] = (),
    key: str = "",
    nothing: str = "Nothing here.",
) -> h.Element:
    """A table; columns in ``numbers`` are set right, ``key`` gives it a field that filters its rows."""
    classes = ["number" if name in numbers else None for name in columns]
    body = [h.tr[[h.td(class_=kind)[cell] for cell, kind in zip(row, classes, strict=True)]] for row in rows]
    if not body:
        return h.p(".nothing")[nothing]
    field = (
        h.input(".filter", type="search", placeholder="Filter these rows  ( / )", aria_label="Filter", data_filter=key)
        if key and len(body) > 8
        else None
    )
    return h.div[
        field,
        h.div(".scroll", tabindex="0")[
            h.table(id=key or None)[
                h.thead[
                    h.tr[[h.th(class_=kind, scope="col")[name] for name, kind in zip(columns, classes, strict=True)]]
                ],
                h.tbody[body],
            ]
        ],
    ]


def facts(pairs: Iterable[tuple[str, h.Node]]) -> h.Element:
    """Names and values, side by side."""
    return h.dl(".facts")[[h.div[h.dt[name], h.dd[value]] for name, value in pairs]]


def tiles(values: Iterable[tuple[str, str, str]]) -> h.Element:
    """Headline figures: label, value, hint."""
    return h.div(".kpis")[
        [
            h.div(".kpi")[h.div(".label")[label], h.div(".value")[value], h.div(".hint")[hint]]
            for label, value, hint in values
        ]
    ]


def pages(first: str | None, following: str | None, text: str = "Next page") -> h.Node:
    """Paging by the API's own tokens: it only goes forward, and back to the start."""
    if not first and not following:
        return None
    return h.div(".paging")[
        h.a(".button", href=first)["First page"] if first else None,
        h.a(".button", href=following, rel="next")[text] if following else None,
    ]


def state(text: str) -> h.Element:
    """A resource's state, coloured and spelled."""
    good = text.upper() in (
        "ACTIVE",
        "AVAILABLE",
        "ENABLED",
        "SUCCEEDED",
        "SUCCESSFUL",
        "OPEN",
        "OK",
        "ALLOW",
        "COMPLETED",
        "READY",
    )
    bad = text.upper() in ("FAILED", "BROKEN", "CREATING_FAILED", "DELETING_FAILED", "DENY", "UNHEALTHY", "ALARM")
    return h.span(f".state.{'good' if good else 'bad' if bad else 'other'}")[text]


def time_of(now: float, epoch: float | None) -> h.Node:
    """A time: relative in text, absolute on hover."""
    return h.span(".muted")["never"] if epoch is None else h.span(".time", title=moment(epoch))[ago(now, epoch)]


def cost(amount: float, how: str) -> tuple[str, h.Node]:
    """A fact: what this would have cost on AWS and how that is reckoned."""
    return "On AWS this would cost", [dollars(amount), h.span(".muted")[f"  {how}"]]


def mapping(values: Mapping[str, object]) -> h.Element:
    """Properties as a small table."""
    return table(("Name", "Value"), [(name, h.code[str(value)]) for name, value in sorted(values.items())])


def embedded(value: object) -> str:
    """JSON that cannot end its script element, whatever it contains."""
    text = json.dumps(value, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def chart(option: Mapping[str, Any], *, tall: bool = False) -> Markup:
    """An ECharts option, drawn by ``chart.js`` in the page's colours."""
    script = f'<script type="application/json">{embedded(option)}</script>'
    return Markup(f'<lb-chart class="{"tall" if tall else ""}">{script}</lb-chart>')


def live(src: str, columns: Sequence[str]) -> Markup:
    """What comes in from now on, row by row: ``src`` answers ``{"rows", "iterator"}`` and takes the iterator again."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    return Markup(
        f'<lb-tail src="{escape(src)}"><button class="button" type="button" aria-pressed="false">'
        'Follow live</button> <span class="pill" data-state="off"></span><div class="scroll records" hidden tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody></tbody></table></div></lb-tail>"
    )


def act(token: str, path: str, *content: h.Node, **hidden: str) -> h.Element:
    """A form that does something: ``path`` is one of ``app``'s actions, ``hidden`` what it is done to."""
    return h.form(".act", method="post", action=f"/console/{path}")[
        h.input(type="hidden", name="token", value=token),
        [h.input(type="hidden", name=name, value=value) for name, value in hidden.items()],
        content,
    ]


def button(label: str, *, primary: bool = False) -> h.Element:
    """What sends a form."""
    return h.button(".button.primary" if primary else ".button", type="submit")[label]


def copy_as(name: str, cli: str, boto3: str) -> h.Element:
    """The same action as CLI and boto3, each with a copy button."""
    return h.section(".panel")[
        h.div(role="tablist", aria_label="Copy as")[
            h.button(type="button", role="tab", aria_selected="true", aria_controls=f"{name}-cli")["AWS CLI"],
            h.button(type="button", role="tab", aria_selected="false", aria_controls=f"{name}-boto3")["boto3"],
        ],
        [
            h.div(".body", id=f"{name}-{kind}", hidden=kind != "cli")[
                h.button(".button", type="button", data_copy=f"{name}-{kind}-text")["Copy"],
                h.pre(id=f"{name}-{kind}-text", tabindex="0")[text],
            ]
            for kind, text in (("cli", cli), ("boto3", boto3))
        ],
    ]
