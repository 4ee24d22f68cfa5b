"""A real Chromium for console tests. A machine without one skips them and says so; CI installs one."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from lakebed.edge.listener import Listener
from lakebed.kernel.clock import SystemClock
from lakebed.kernel.log import Log
from lakebed.kernel.settings import Http
from tests.console.pages import SESSIONS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The app on a free port, in a thread; its base URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    door = Listener(app, Http(port=0), Log(SystemClock(), None))
    host, port = asyncio.run_coroutine_threadsafe(door.open(), loop).result(10)
    try:
        yield f"http://{host}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(door.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, address: str, theme: str, problems: list[str]) -> Iterator[Any]:
    """A page with a context of its own; everything it complains about goes to ``problems``."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    name, _, session = SESSIONS.cookie(urlsplit(address).port).partition(";")[0].partition("=")
    cookies = {"lb-theme": theme, name: session}
    context.add_cookies([{"name": name, "value": value, "url": address} for name, value in cookies.items()])
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    try:
        yield page
    finally:
        context.close()
