"""Every page over a real house in a browser, light and wide, dark and narrow: nothing complains or scrolls sideways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from lakebed.cli.pytest_plugin import RunningLakebed
from tests.console.browser import chromium, needs_chromium
from tests.console.furnished import BUCKET, HOSTILE, STREAM, Browser

pytestmark = [pytest.mark.browser, needs_chromium]
PATHS = [
    "", "/pipelines", "/report", "/s3", f"/s3/objects?bucket={BUCKET}", f"/s3/objects?bucket={BUCKET}&prefix=x/",
    f"/s3/object?bucket={BUCKET}&key=x/{quote(HOSTILE, safe='')}.csv", f"/s3/object?bucket={BUCKET}&key=t/part.parquet",
    "/kinesis", f"/kinesis/stream?stream={STREAM}", f"/kinesis/shard?stream={STREAM}&shard=shardId-000000000001&since=all",
    "/firehose", "/firehose/stream?stream=to-s3", "/iot", "/iot/rule?rule=to_stream", "/iot/thing?thing=tower-1", "/lambda",
    "/lambda/function?function=worker", "/sqs", "/athena?database=lake&table=%3Cu%3Et%3C/u%3E", "/catalog",
    "/catalog?database=lake", "/catalog/table?database=lake&table=%3Cu%3Et%3C/u%3E", "/logs", "/logs/group?group=/app/plain",
    "/logs/events?group=/app/plain", "/iam", "/iam/role?role=all", "/iam/user?user=ann", "/requests", "/tasks",
]  # fmt: skip


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[Any]:
    with chromium() as window:
        context = window.new_context()
        context.new_page().goto(browser.link)
        yield context


def test_every_page_is_quiet_and_fits_in_light_and_dark(browser: Browser, context: Any) -> None:
    problems: list[str] = []
    page = context.new_page()
    page.on(
        "console", lambda message: problems.append(f"{page.url}: {message.text}") if message.type == "error" else None
    )
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("dialog", lambda dialog: problems.append(f"{page.url}: dialog {dialog.message}"))
    for number, path in enumerate(PATHS):
        page.set_viewport_size({"width": 1440, "height": 900})
        answer = page.goto(f"{browser.base}/console{path}")
        assert answer.status == 200, path
        # The theme that was chosen on the page before holds on this one; each page is seen in both.
        assert page.locator("html").get_attribute("data-theme") == ("dark" if number % 2 else "light")
        assert sideways(page) <= 0, path
        page.set_viewport_size({"width": 1000, "height": 900})
        page.get_by_role("button", name="Light / dark").click()
        assert sideways(page) <= 0, f"{path}, narrow"
        unnamed = page.evaluate(
            "[...document.querySelectorAll('main button, main input:not([type=hidden]), main select')]"
            ".filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"
        )
        assert unnamed == [], path
    assert problems == []
    page.close()


def sideways(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def test_a_query_is_written_run_and_read(furnished: RunningLakebed, browser: Browser, context: Any) -> None:
    page = context.new_page()
    page.goto(f"{browser.base}/console/athena?database=lake")
    page.locator("lb-editor[data-ready] .cm-content").click()
    page.keyboard.type("SELECT 6 * 7 AS answer, 'a<b' AS text")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    page.get_by_role("cell", name="42", exact=True).wait_for(timeout=20_000)
    assert "query=" in page.url
    assert page.get_by_role("cell", name="a<b", exact=True).is_visible()
    assert "SELECT 6 * 7 AS answer" in page.locator(".cm-content").inner_text()
    page.go_back()
    page.locator("lb-editor[data-ready]").wait_for()
    page.close()


def test_a_table_shows_its_rows_on_demand(browser: Browser, context: Any) -> None:
    page = context.new_page()
    page.goto(f"{browser.base}/console/catalog/table?database=lake&table=%3Cu%3Et%3C/u%3E")
    page.get_by_role("button", name="Show 20 rows").click()
    page.get_by_text("The query has failed.").or_(page.get_by_text("About this query")).first.wait_for(timeout=20_000)
    assert "/console/catalog/table" in page.url
    page.close()


def test_rows_are_filtered_from_the_keyboard(browser: Browser, context: Any) -> None:
    page = context.new_page()
    page.goto(f"{browser.base}/console/tasks")
    page.keyboard.press("/")
    page.keyboard.type("kernel:sync")
    rows = page.locator("#tasks-table tbody tr:visible")
    assert rows.count() == 1
    page.close()


def test_a_shard_is_followed_live(furnished: RunningLakebed, browser: Browser, context: Any) -> None:
    page = context.new_page()
    page.goto(f"{browser.base}/console/kinesis/shard?stream={STREAM}&shard=shardId-000000000000")
    with page.expect_response(lambda answer: "tail.json" in answer.url):
        page.get_by_role("button", name="Follow live").click()
    page.locator("lb-tail .pill[data-state=live]").wait_for()
    # Hash keys of the lower half go to the first shard.
    furnished.client("kinesis").put_record(StreamName=STREAM, PartitionKey="k", ExplicitHashKey="1", Data=b"<b>now</b>")
    page.get_by_text("<b>now</b>").wait_for(timeout=10_000)
    page.get_by_role("button", name="Stop following").click()
    page.close()


def test_drafts_stay_in_their_tabs_and_a_selection_runs_alone(browser: Browser, context: Any) -> None:
    page = context.new_page()
    page.goto(f"{browser.base}/console/athena?database=lake")
    editor = page.locator("lb-editor[data-ready] .cm-content")
    editor.fill("SELECT 1 AS first")
    page.get_by_role("button", name="New query").click()
    editor.fill("SELECT wrong; SELECT 2 AS second")
    page.get_by_role("button", name="Query 1", exact=True).click()
    assert editor.inner_text() == "SELECT 1 AS first"
    page.reload()
    page.locator("lb-editor[data-ready]").wait_for()
    page.get_by_role("button", name="Query 2", exact=True).click()
    assert editor.inner_text() == "SELECT wrong; SELECT 2 AS second"
    editor.press("Control+End")
    for _ in range(len("SELECT 2 AS second")):
        editor.press("Shift+ArrowLeft")
    editor.press("Control+Enter")
    page.locator("th", has_text="second").wait_for()
    assert editor.inner_text() == "SELECT wrong; SELECT 2 AS second", "the draft outlives the run of a part of it"
    page.get_by_role("button", name="Close query 1").click()
    assert page.get_by_role("button", name="Query 2", exact=True).count() == 0
    page.close()


def test_devices_messages_are_seen_live(furnished: RunningLakebed, browser: Browser, context: Any) -> None:
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{browser.base}/console/iot/live")
    page.locator("lb-mqtt[data-ready]").wait_for()
    page.get_by_label("Topic filter").fill("towers/#")
    page.get_by_role("button", name="Subscribe").click()
    page.locator(".pill[data-state=live]").wait_for()
    furnished.client("iot-data").publish(topic="towers/1", qos=1, payload=b"<b>hello</b>")
    page.get_by_role("cell", name="<b>hello</b>").wait_for()
    assert page.get_by_role("cell", name="towers/1").is_visible()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Subscribe").wait_for()
    assert problems == []
    page.close()
