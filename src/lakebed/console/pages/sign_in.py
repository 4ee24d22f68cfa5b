"""The sign-in page: the only one a browser without a session sees."""

from __future__ import annotations

import htpy as h

from lakebed.console.parts import notice
from lakebed.console.sessions import SIGN_IN
from lakebed.console.shell import LOGO


def page(to: str, theme: str, *, is_wrong: bool) -> str:
    """The whole document; ``to`` is where the browser goes once it is signed in."""
    return str(
        h.html(lang="en", data_theme=theme)[
            h.head[
                h.meta(charset="utf-8"),
                h.meta(name="viewport", content="width=device-width, initial-scale=1"),
                h.title["Sign in · Lakebed"],
                h.link(rel="icon", href="/console/static/icon.svg"),
                h.link(rel="stylesheet", href="/console/static/console.css"),
            ],
            h.body[
                h.div(".bar", role="banner")[h.a(".brand", href="/console")[LOGO, "Lakebed"]],
                h.main("#main.sign-in")[
                    h.h1["Sign in"],
                    h.p[
                        "The console shows everything in this Lakebed, so it asks for the token that only the owner of its "
                        "data directory can read. This prints a link that signs you in:"
                    ],
                    h.pre(tabindex="0")["lakebed console"],
                    notice("error", "That is not the token of this server.") if is_wrong else None,
                    h.form(method="post", action=SIGN_IN)[
                        h.input(type="hidden", name="to", value=to),
                        h.label(for_="token")["Or paste the token (console.token in the data directory)"],
                        h.input("#token", type="password", name="token", required=True, autocomplete="off"),
                        h.button(".button.primary", type="submit")["Sign in"],
                    ],
                ],
            ],
        ]
    )


def inside(to: str) -> str:
    """A page of the console, whatever the address says: no link of ours sends a browser elsewhere."""
    is_ours = to == "/" or to == "/console" or to.startswith(("/console/", "/console?"))
    return to if is_ours and not to.startswith(SIGN_IN) and "\\" not in to and to.isprintable() else "/console"
