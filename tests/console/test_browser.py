"""Each page in a real browser, light and dark: it draws, it is live, it complains about nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lakebed.console.app import build
from tests.console import pages
from tests.console.browser import chromium, needs_chromium, opened, served

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture(scope="module")
def browser_window() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pipelines_is_live(browser_window: Any, theme: str) -> None:
    state = pages.flow(pages.SCOPE)
    problems: list[str] = []
    with served(build(pages.backend(flow=lambda _scope: state))) as base:
        with opened(browser_window, f"{base}/console/pipelines", theme, problems) as page:
            assert page.locator("html").get_attribute("data-theme") == theme
            assert page.locator("g.node").count() == 9
            stream = next(arn for arn in state["resources"] if "stream/flights" in arn)
            state["resources"][stream]["recordsIn"] = 999_999
            page.get_by_text("999,999 in").first.wait_for()
            assert page.locator("#flow-state").get_attribute("data-state") == "live"
            width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, "the page scrolls sideways"
            page.get_by_role("button", name="Light / dark").click()
            assert page.locator("html").get_attribute("data-theme") != theme
    assert problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_report_draws_its_charts(browser_window: Any, theme: str) -> None:
    problems: list[str] = []
    with (
        served(build(pages.backend())) as base,
        opened(browser_window, f"{base}/console/report", theme, problems) as page,
    ):
        page.locator("lb-chart[data-drawn] svg").nth(3).wait_for()
        drawn = page.locator("lb-chart").first.inner_text()
        assert "EWR" in drawn
        assert "12" in drawn
        page.get_by_role("tab", name="boto3").click()
        assert page.locator("#copy-report-boto3").is_visible()
        assert not page.locator("#copy-report-cli").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert problems == []
