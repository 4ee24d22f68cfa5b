"""The frame around every page: top bar with a clock that ticks, side navigation, breadcrumbs, the calls, the footer."""

from __future__ import annotations

from dataclasses import dataclass

import htpy as h
from markupsafe import Markup

from lakebed.console.backend import Backend
from lakebed.console.calls import Recorder
from lakebed.console.figures import moment
from lakebed.console.parts import copy_as

LOGO = Markup(
    '<svg viewBox="0 0 32 32" aria-hidden="true">'
    '<path d="M2 10c5-4 9-4 14 0s9 4 14 0v5c-5 4-9 4-14 0s-9-4-14 0z" fill="#4fc3d0"/>'
    '<path d="M2 17c5-4 9-4 14 0s9 4 14 0v5c-5 4-9 4-14 0s-9-4-14 0z" fill="#2b8fa0"/>'
    '<path d="M2 24c5-4 9-4 14 0s9 4 14 0v5H2z" fill="#c9a66b"/></svg>'
)
NAVIGATION = (
    (
        "Your data",
        (
            ("Home", "/console"),
            ("Pipelines", "/console/pipelines"),
            ("Report", "/console/report"),
            ("Costs", "/console/costs"),
        ),
    ),
    ("Storage", (("S3", "/console/s3"),)),
    ("Streams", (("Kinesis", "/console/kinesis"), ("Firehose", "/console/firehose"), ("IoT", "/console/iot"))),
    (
        "Compute",
        (
            ("Lambda", "/console/lambda"),
            ("SQS", "/console/sqs"),
            ("SNS", "/console/sns"),
            ("EventBridge", "/console/events"),
        ),
    ),
    (
        "Query",
        (
            ("Athena", "/console/athena"),
            ("Catalog", "/console/catalog"),
            ("Crawlers", "/console/crawlers"),
            ("Schemas", "/console/schemas"),
        ),
    ),
    (
        "Operations",
        (
            ("Logs", "/console/logs"),
            ("Metrics", "/console/metrics"),
            ("Alarms", "/console/alarms"),
            ("IAM", "/console/iam"),
            ("KMS", "/console/kms"),
            ("Requests", "/console/requests"),
            ("Tasks", "/console/tasks"),
        ),
    ),
)
REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-west-1", "eu-west-2", "eu-west-3",
    "eu-central-1", "eu-north-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """One page: ``current`` is its address in the navigation; ``crumbs`` the pages above it, ``scripts`` modules it needs."""

    title: str
    lead: str
    current: str
    content: h.Node
    actions: h.Node = None
    scripts: tuple[str, ...] = ()
    crumbs: tuple[tuple[str, str], ...] = ()


def render(page: Page, backend: Backend, theme: str) -> str:
    """The whole document."""
    return str(
        h.html(lang="en", data_theme=theme)[
            h.head[
                h.meta(charset="utf-8"),
                h.meta(name="viewport", content="width=device-width, initial-scale=1"),
                h.meta(name="lb-token", content=backend.token),
                h.title[f"{page.title} · Lakebed"],
                h.link(rel="icon", href="/console/static/icon.svg"),
                h.link(rel="stylesheet", href="/console/static/console.css"),
                [h.script(type="module", src=f"/console/static/{name}") for name in ("console.js", *page.scripts)],
            ],
            h.body[
                h.a(".skip", href="#main")["Skip to content"],
                _bar(backend),
                h.div(".frame")[
                    _side(page),
                    h.main("#main")[
                        _crumbs(page),
                        h.div(".head")[h.div[h.h1[page.title], h.p[page.lead]], h.span(".space"), page.actions],
                        page.content,
                        _calls(backend),
                        h.div(".footer")[
                            f"Lakebed {backend.version}. Not affiliated with Amazon Web Services; prices are AWS's list "
                            "prices in us-east-1, nothing is charged here."
                        ],
                    ],
                ],
            ],
        ]
    )


def _bar(backend: Backend) -> h.Element:
    scope, now = backend.scope, backend.clock.now()
    regions = REGIONS if scope.region in REGIONS else (scope.region, *REGIONS)
    return h.div(".bar", role="banner")[
        h.a(".brand", href="/console")[LOGO, "Lakebed"],
        h.span(".space"),
        h.span(
            ".fact",
            title="Lakebed's own time",
            data_clock=f"{now:.3f}",
            data_scale=str(getattr(backend.clock, "scale", 0)),
        )[moment(now)],
        h.select(".fact", aria_label="Region", data_region="")[
            [h.option(value=name, selected=name == scope.region)[name] for name in regions]
        ],
        h.span(".fact", title="account")[scope.account],
        h.button(type="button", data_theme_toggle="")["Light / dark"],
    ]


def _side(page: Page) -> h.Element:
    return h.nav(".side", aria_label="Services")[
        [
            h.div(".group")[
                h.h2[group],
                [h.a(href=href, aria_current="page" if href == page.current else None)[name] for name, href in entries],
            ]
            for group, entries in NAVIGATION
        ]
    ]


def _crumbs(page: Page) -> h.Element:
    return h.nav(".crumbs", aria_label="Breadcrumbs")[
        h.a(href="/console")["Lakebed"],
        [[" › ", h.a(href=href)[name]] for name, href in page.crumbs],
        " › ",
        h.span(aria_current="location")[page.title],
    ]


def _calls(backend: Backend) -> h.Node:
    """Every page can be replayed: the calls it made, to copy."""
    recorder = backend.call
    if not isinstance(recorder, Recorder) or not recorder.made:
        return None
    return h.details(".calls")[
        h.summary["The calls behind this page, as AWS CLI and boto3"],
        copy_as("calls", recorder.cli(), recorder.boto3()),
    ]
