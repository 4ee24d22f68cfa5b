"""The frame around every page: top bar, side navigation, heading, footer; and the small parts pages are made of."""

from __future__ import annotations

from dataclasses import dataclass

import htpy as h
from markupsafe import Markup

from lakebed.console.backend import Backend
from lakebed.console.figures import moment

_LOGO = Markup(
    '<svg viewBox="0 0 32 32" aria-hidden="true">'
    '<path d="M2 10c5-4 9-4 14 0s9 4 14 0v5c-5 4-9 4-14 0s-9-4-14 0z" fill="#4fc3d0"/>'
    '<path d="M2 17c5-4 9-4 14 0s9 4 14 0v5c-5 4-9 4-14 0s-9-4-14 0z" fill="#2b8fa0"/>'
    '<path d="M2 24c5-4 9-4 14 0s9 4 14 0v5H2z" fill="#c9a66b"/></svg>'
)
PAGES = (("Pipelines", "/console/pipelines"), ("Report", "/console/report"))


@dataclass(frozen=True, slots=True)
class Page:
    """One page: ``current`` is its address in the navigation; ``scripts`` further modules it needs."""

    title: str
    lead: str
    current: str
    content: h.Node
    actions: h.Node = None
    scripts: tuple[str, ...] = ()


def render(page: Page, backend: Backend, theme: str) -> str:
    """The whole document."""
    scope = backend.scope
    return str(
        h.html(lang="en", data_theme=theme)[
            h.head[
                h.meta(charset="utf-8"),
                h.meta(name="viewport", content="width=device-width, initial-scale=1"),
                h.title[f"{page.title} · Lakebed"],
                h.link(rel="icon", href="/console/static/icon.svg"),
                h.link(rel="stylesheet", href="/console/static/console.css"),
                [h.script(type="module", src=f"/console/static/{name}") for name in ("console.js", *page.scripts)],
            ],
            h.body[
                h.a(".skip", href="#main")["Skip to content"],
                h.div(".bar", role="banner")[
                    h.a(".brand", href="/console/pipelines")[_LOGO, "Lakebed"],
                    h.span(".space"),
                    h.span(".fact", title="Lakebed's own time")[moment(backend.clock.now())],
                    h.span(".fact", title="region")[scope.region],
                    h.span(".fact", title="account")[scope.account],
                    h.button(type="button", data_theme_toggle="")["Light / dark"],
                ],
                h.div(".frame")[
                    h.nav(".side", aria_label="Services")[
                        h.h2["Your data"],
                        [
                            h.a(href=href, aria_current="page" if href == page.current else None)[name]
                            for name, href in PAGES
                        ],
                    ],
                    h.main("#main")[
                        h.div(".crumbs")["Lakebed › ", page.title],
                        h.div(".head")[h.div[h.h1[page.title], h.p[page.lead]], h.span(".space"), page.actions],
                        page.content,
                        h.div(".footer")[
                            f"Lakebed {backend.version}. Not affiliated with Amazon Web Services; prices are AWS's list "
                            "prices in us-east-1, nothing is charged here."
                        ],
                    ],
                ],
            ],
        ]
    )


def panel(title: str, *content: h.Node, note: str = "", actions: h.Node = None) -> h.Element:
    """A titled container."""
    return h.section(".panel")[
        h.header[h.h2[title], h.span(".note")[note] if note else None, h.span(".space"), actions],
        h.div(".body")[content],
    ]


def empty(title: str, text: str, command: str) -> h.Element:
    """A page that has nothing yet teaches how to get something."""
    return h.section(".panel")[h.div(".empty")[h.h2[title], h.p[text], h.pre[command]]]


def copy_as(name: str, cli: str, boto3: str) -> h.Element:
    """The same action as CLI and boto3, each with a copy button."""
    return h.section(".panel")[
        h.div(role="tablist", aria_label="Copy as")[
            h.button(role="tab", aria_selected="true", aria_controls=f"{name}-cli")["AWS CLI"],
            h.button(role="tab", aria_selected="false", aria_controls=f"{name}-boto3")["boto3"],
        ],
        [
            h.div(".body", id=f"{name}-{kind}", hidden=kind != "cli")[
                h.button(".button", type="button", data_copy=f"{name}-{kind}-text")["Copy"],
                h.pre(id=f"{name}-{kind}-text")[text],
            ]
            for kind, text in (("cli", cli), ("boto3", boto3))
        ],
    ]
