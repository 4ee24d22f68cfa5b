"""Every page over a real house by HTTP: it answers, it escapes, it pages; what may be run is guarded."""

from __future__ import annotations

import html
import re
import urllib.parse
from collections.abc import Iterator

import pytest

from lakebed.cli.pytest_plugin import RunningLakebed
from tests.console.furnished import BUCKET, OBJECTS, RESULT_ROWS, STREAM, Browser, wait_for

_RUN = "/console/athena/run"


def links(text: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'href="(/console[^"]*)"', text)]


def kind(path: str) -> str:
    return re.sub(r"=[^&]*", "=", path)


def crawl(browser: Browser, most_of_a_kind: int = 6) -> Iterator[tuple[str, int, str]]:
    """Every page that can be reached by links, a few of each kind."""
    waiting, seen, kinds = ["/console"], {"/console"}, {}
    while waiting:
        path = waiting.pop(0)
        status, text, answer = browser.get(path)
        if "text/html" not in answer.headers["content-type"]:
            continue
        yield path, status, text
        for link in links(text):
            if link not in seen and "/static/" not in link and kinds.get(kind(link), 0) < most_of_a_kind:
                kinds[kind(link)] = kinds.get(kind(link), 0) + 1
                seen.add(link)
                waiting.append(link)


def test_every_page_answers_and_runs_nothing_it_was_told(browser: Browser) -> None:
    paths = []
    for path, status, text in crawl(browser):
        assert status == 200, (path, re.sub("<[^>]+>", " ", text)[-600:])
        assert "<img src=x" not in text, path
        assert not re.findall(r"<script(?![^>]*(src=|application/json))", text), path
        assert not re.search(r"<(b|i|u)>", text), path
        assert not re.search(r"\son\w+=", re.sub(r'"[^"]*"|>[^<]*<', "", text)), path
        assert 'aria-label="Breadcrumbs"' in text, path
        paths.append(path.partition("?")[0].removeprefix("/console"))
    from lakebed.console.app import _PAGES

    assert {f"/{name}".rstrip("/") for name in _PAGES} <= set(paths)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/s3/objects?bucket=landing&prefix=x/", "&lt;img src=x onerror=alert(1)&gt;"),
        ("/logs/events?group=/app/plain", "ERROR 4 &lt;img src=x"),
        ("/kinesis/shard?stream=clicks&shard=shardId-000000000001&since=all", "&lt;img src=x"),
        ("/catalog?database=lake", "&lt;u&gt;t&lt;/u&gt;"),
        ("/athena", "&lt;b&gt;saved&lt;/b&gt;"),
        ("/lambda/function?function=worker", "•••"),
        ("/iam/role?role=all", "firehose.amazonaws.com"),
        ("/sqs", "arrivals"),
        ("/iot/rule?rule=to_stream", "&lt;img src=x"),
        ("/firehose/stream?stream=to-s3", "&lt;b&gt;/"),
        ("/requests?service=kinesis", "kinesis:PutRecord"),
        ("/tasks", "kernel:sync"),
        ("", "export AWS_ENDPOINT_URL=http://127.0.0.1:"),
    ],
)
def test_pages_tell_what_there_is(browser: Browser, path: str, text: str) -> None:
    status, page, _ = browser.get(f"/console{path}")
    assert status == 200
    assert text in page


def test_secrets_are_not_shown(browser: Browser) -> None:
    assert "hunter2" not in browser.get("/console/lambda/function?function=worker")[1]


def test_empty_regions_teach(furnished: RunningLakebed, browser: Browser) -> None:
    for path in ("kinesis", "firehose", "iot", "lambda", "sqs", "catalog", "logs"):
        _, text, _ = browser.get(f"/console/{path}", region="eu-west-1")
        assert "eu-west-1" in text
        assert '<div class="empty">' in text, path


def test_what_is_missing_is_shown_with_the_call_that_failed(browser: Browser) -> None:
    status, text, _ = browser.get("/console/kinesis/stream?stream=nope")
    assert status == 400
    assert "kinesis:DescribeStreamSummary answered ResourceNotFoundException" in text
    assert "aws kinesis describe-stream-summary --stream-name nope" in text
    for path in ("s3/objects?bucket=nope", "s3/object?bucket=landing&key=nope", "logs/events?group=nope", "iam/role?role=nope",
                 "lambda/function?function=nope", "athena?query=nope", "catalog/table?database=lake&table=nope"):  # fmt: skip
        status, text, _ = browser.get(f"/console/{path}")
        assert 400 <= status < 500, path
        assert 'role="alert"' in text, path


def test_objects_page_by_the_apis_tokens(browser: Browser) -> None:
    path, found = f"/console/s3/objects?bucket={BUCKET}&prefix=many/", set()
    for _ in range(5):
        text = browser.get(path)[1]
        found |= set(re.findall(r"key=many%2F(\d{3})", text))
        following = re.findall(r'href="([^"]+)" rel="next"', text)
        if not following:
            break
        path = html.unescape(following[0])
    assert len(found) == OBJECTS


def test_downloads_are_never_pages_of_ours(browser: Browser) -> None:
    status, text, answer = browser.get(f"/console/s3/download?bucket={BUCKET}&key=x/a.txt")
    assert status == 200
    assert "<script>" in text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_tail_gives_what_came_since(furnished: RunningLakebed, browser: Browser) -> None:
    import json

    where = f"/console/kinesis/tail.json?stream={STREAM}&shard=shardId-00000000000"
    first = [json.loads(browser.get(f"{where}{number}")[1]) for number in (0, 1)]
    assert [told["rows"] for told in first] == [[], []]
    furnished.client("kinesis").put_record(StreamName=STREAM, PartitionKey="k", Data=b"fresh")
    rows = []
    for number, told in enumerate(first):
        iterator = urllib.parse.quote(told["iterator"], safe="")
        rows += json.loads(browser.get(f"{where}{number}&iterator={iterator}")[1])["rows"]
    assert [row[2] for row in rows] == ["fresh"]


# Running a query


def token(browser: Browser) -> str:
    return re.findall(r'name="lb-token" content="(\w+)"', browser.get("/console/athena")[1])[0]


def form(browser: Browser, sql: str, **more: str) -> dict[str, str]:
    return {"sql": sql, "token": token(browser), "output": f"s3://{BUCKET}/results/", "database": "lake"} | more


def own(browser: Browser) -> dict[str, str]:
    return {"Origin": browser.base, "Sec-Fetch-Site": "same-origin"}


def test_a_query_is_run_and_its_rows_are_paged(furnished: RunningLakebed, browser: Browser) -> None:
    sql = f"SELECT n AS number FROM UNNEST(sequence(1, {RESULT_ROWS})) AS t(n) ORDER BY n"
    status, _, answer = browser.post(_RUN, form(browser, sql), own(browser))
    assert status == 200
    path = answer.url.removeprefix(browser.base)
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)["query"][0]
    assert wait_for(furnished, query) == "SUCCEEDED"
    numbers: list[str] = []
    for _ in range(10):
        text = browser.get(path)[1]
        numbers += re.findall(r'<td class="number">(\d+)</td></tr>', text.partition('id="recent-table"')[0])
        following = re.findall(r'href="([^"]+)" rel="next"', text.partition("About this query")[0])
        if not following:
            break
        path = html.unescape(following[0])
    assert numbers == [str(number) for number in range(1, RESULT_ROWS + 1)]
    assert "On AWS it would have cost" in text
    assert "$0.0000477" in text


def test_a_wrong_query_says_why(furnished: RunningLakebed, browser: Browser) -> None:
    _, _, answer = browser.post(_RUN, form(browser, "SELECT nothing FROM nowhere"), own(browser))
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.url).query)["query"][0]
    assert wait_for(furnished, query) == "FAILED"
    text = browser.get(answer.url.removeprefix(browser.base))[1]
    assert "The query has failed." in text
    assert "SELECT nothing FROM nowhere" in text
    status, text, _ = browser.post(_RUN, form(browser, " "), own(browser))
    assert status == 400
    assert "athena:StartQueryExecution answered" in text


def test_only_this_consoles_own_pages_may_run_a_query(browser: Browser) -> None:
    good = form(browser, "SELECT 1")
    cases = [
        (good, {}),  # a browser always says where it comes from
        (good, {"Origin": "http://evil.example"}),
        (good, {"Origin": "null"}),
        (good, {"Origin": browser.base, "Sec-Fetch-Site": "cross-site"}),
        (good, {"Origin": browser.base, "Sec-Fetch-Site": "same-site"}),
        ({**good, "token": ""}, own(browser)),
        ({**good, "token": "0" * 48}, own(browser)),
        ({**good, "sql": "x" * (1 << 20)}, own(browser)),
    ]
    for fields, headers in cases:
        assert browser.post(_RUN, fields, headers)[0] == 403, headers
    assert browser.get(_RUN)[0] == 405
    assert browser.post("/console/athena", good, own(browser))[0] == 405
    assert browser.post("/console/athena/stop", {**good, "token": ""}, own(browser))[0] == 403
    assert browser.post("/console/athena/stop", {**good, "query": "nope"}, own(browser))[0] == 400
    assert browser.post(_RUN, good, own(browser))[0] == 200


def test_a_log_is_followed(furnished: RunningLakebed, browser: Browser) -> None:
    import json

    logs, group = furnished.client("logs"), "/app/followed"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["creationTime"])

    def write(*texts: str) -> None:
        events = [{"timestamp": now, "message": text} for text in texts]
        logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)

    where = f"/console/logs/tail.json?group={group}"
    told = json.loads(browser.get(where)[1])
    assert told["rows"] == []
    seen = []
    for texts in (["a"], ["b", "c"], [], ["d"]):  # all of one millisecond
        if texts:
            write(*texts)
        told = json.loads(browser.get(f"{where}&iterator={urllib.parse.quote(told['iterator'])}")[1])
        seen.append([row[1] for row in told["rows"]])
    assert seen == [["a"], ["b", "c"], [], ["d"]]
    for iterator in ("x", "1:", "99999999999999999999:", "-1:a"):
        assert browser.get(f"{where}&iterator={iterator}")[0] == 200


def test_costs_add_up(furnished: RunningLakebed, browser: Browser) -> None:
    furnished.client("kinesis").put_record(StreamName=STREAM, PartitionKey="k", Data=b"x" * 1000)
    text = browser.get("/console/costs")[1]
    assert f"stream/{STREAM}" in text
    assert "$5 per TB, 10 MB a query at least" in text
    prices = [float(one) for one in re.findall(r'<td class="number">\$([\d.]+)</td>', text)]
    together = float(re.findall(r'Together</div><div class="value">\$([\d.]+)', text)[0])
    assert together == pytest.approx(sum(prices), rel=0.01)
