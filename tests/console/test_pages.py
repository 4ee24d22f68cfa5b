"""The pages by HTTP: what they say, what they escape, whom they answer."""

from __future__ import annotations

import re
from typing import Any

from starlette.testclient import TestClient

from lakebed.console.app import build
from lakebed.kernel.errors import AwsError
from tests.console import pages


def client(host: str = "127.0.0.1", **backend: Any) -> TestClient:
    made = TestClient(build(pages.backend(**backend)), base_url=f"http://{host}:4566", client=("127.0.0.1", 5000))
    made.headers["cookie"] = pages.SESSIONS.cookie(4566).partition(";")[0]
    return made


def test_pipelines_shows_every_resource_and_link() -> None:
    text = client().get("/console/pipelines").text
    for resource in pages.flow(pages.SCOPE)["resources"]:
        assert f"<title>{resource}</title>" in text
    assert text.count('<path id="e') == 8
    assert "336,776 in · 320,000 out" in text
    assert "16,776 waiting · lag 3 s" in text


def test_live_numbers_fit_the_page() -> None:
    answer = client().get("/console/pipelines/flow.json").json()
    text = client().get("/console/pipelines").text
    assert answer["shape"] in text
    for key in [*answer["texts"], *answer["classes"], *answer["sparks"]]:
        assert f'id="{key}"' in text, key


def test_an_empty_house_teaches() -> None:
    empty: dict[str, Any] = {"at": 1.0, "resources": {}, "links": []}
    assert "lakebed demo" in client(flow=lambda _scope: empty).get("/console/pipelines").text

    async def none(*_: Any) -> dict[str, Any]:
        return {"QueryExecutionIds": []}

    assert "lakebed demo" in client(call=none).get("/console/report").text


def test_report_tells_price_bytes_sql_and_totals() -> None:
    text = client().get("/console/report").text
    assert "336,776" in text
    assert "8,255" in text
    assert "$0.0000477" in text  # the 10 MB minimum at $5 a TB
    assert "2,345,678 bytes" in text
    assert "&lt;/script&gt;&lt;b&gt;x&lt;/b&gt;" in text
    assert "<b>x</b>" not in text
    assert len(re.findall(r"<lb-chart", text)) == 4
    assert client().get(
        "/console/report/result.csv", params={"query": pages.execution()["QueryExecutionId"]}
    ).content == (pages.report_csv())


def test_a_row_cannot_end_the_charts_script() -> None:
    async def call(service: str, operation: str, params: Any, scope: Any) -> dict[str, Any]:
        if operation == "GetObject":
            body = b'"carrier","flights"\n"</script><img src=x onerror=alert(1)>","3"\n'
            return {"Body": body, "ContentLength": len(body)}
        if operation == "GetQueryResults":
            info = [{"Name": "carrier", "Type": "varchar"}, {"Name": "flights", "Type": "bigint"}]
            return {"ResultSet": {"Rows": [], "ResultSetMetadata": {"ColumnInfo": info}}}
        return await pages.call(service, operation, params, scope)

    text = client(call=call).get("/console/report").text
    assert "onerror=alert" in text
    assert "<img src=x" not in text


def test_errors_of_the_services_are_shown_not_raised() -> None:
    async def denied(*_: Any) -> dict[str, Any]:
        raise AwsError("AccessDeniedException", "no <b>", status=403)

    answer = client(call=denied).get("/console/report")
    assert answer.status_code == 403
    assert "no &lt;b&gt;" in answer.text
    assert client().get("/console/report", params={"query": "x"}).status_code == 400


def test_only_loopback_by_peer_and_by_name() -> None:
    assert client("evil.example").get("/console/pipelines").status_code == 403
    other = TestClient(build(pages.backend()), base_url="http://127.0.0.1", client=("10.0.0.7", 1))
    assert other.get("/console/pipelines").status_code == 403
    assert client("localhost").get("/console/pipelines").status_code == 200
    assert client().post("/console/pipelines").status_code == 405


def test_headers_and_assets() -> None:
    answer = client().get("/console/pipelines")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert not re.findall(r"<script(?![^>]*(src=|application/json))", answer.text)
    script = client().get("/console/static/console.js")
    assert script.status_code == 200
    again = client().get("/console/static/console.js", headers={"If-None-Match": script.headers["etag"]})
    assert again.status_code == 304
    for bad in ("..%2fapp.py", "app.py", "nothing.js", "%2e%2e%2f%2e%2e%2fhouse.py"):
        assert client().get(f"/console/static/{bad}").status_code == 404
