"""The console and /_lakebed: script through names, other sites' pages, rebinding, frames, the administrator's token."""

# ruff: noqa: E501 - tables of attacks are kept whole

from __future__ import annotations

import http.client
import json
import re
import time
from typing import Any

import pytest

from lakebed.console.sessions import SECONDS, Sessions
from tests.security.stage import MARK, Stage

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"><img src=x onerror=alert(1)>'"


def get(
    stage: Stage, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], str]:
    """One request of a browser that signed in; an empty ``Cookie`` is one that did not."""
    token = (stage.server.data / "console.token").read_text().strip()
    session = Sessions(token, time.time).cookie(stage.server.http_port).partition(";")[0]
    headers.setdefault("Cookie", session)
    connection = http.client.HTTPConnection("127.0.0.1", stage.server.http_port, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def pages(stage: Stage) -> list[str]:
    """What the console's own links lead to, two steps deep."""
    found, todo = {"/console/pipelines", "/console/report"}, ["/console/pipelines", "/console/report"]
    for _ in range(2):
        following: list[str] = []
        for path in todo:
            _, _, text = get(stage, path)
            for link in re.findall(r'href="(/console[^"#]*)"', text):
                link = link.replace("&amp;", "&")
                if link not in found and len(found) < 60 and "/static/" not in link:
                    found.add(link)
                    following.append(link)
        todo = following
    return sorted(found)


@pytest.fixture(scope="module")
def dressed(stage: Stage) -> Stage:
    """Names, messages and rows that are script, wherever AWS allows such characters."""
    s3 = stage.client("s3")
    for text in (SCRIPT, IMAGE):
        s3.put_object(Bucket=stage.names["bucket"], Key=f"evil/{text}", Body=text.encode(), Metadata={"evil": text})
    logs, now = stage.client("logs"), 1_795_000_000_000
    logs.create_log_group(logGroupName="/aws/lambda/evil")
    logs.create_log_stream(logGroupName="/aws/lambda/evil", logStreamName=SCRIPT.replace(":", "").replace("*", ""))
    logs.put_log_events(
        logGroupName="/aws/lambda/evil", logStreamName=SCRIPT, logEvents=[{"timestamp": now, "message": SCRIPT + IMAGE}]
    )
    stage.client("kinesis").put_record(StreamName=f"{MARK}-stream", Data=SCRIPT.encode(), PartitionKey=IMAGE)
    stage.client("sqs").send_message(QueueUrl=stage.names["queue_url"], MessageBody=SCRIPT)
    stage.client("glue").create_table(
        DatabaseName=f"{MARK}_db",
        TableInput={"Name": f"evil{SCRIPT}", "Description": IMAGE, "Parameters": {SCRIPT: IMAGE}},
    )
    stage.query(f"SELECT '{SCRIPT}' AS \"{SCRIPT}\", '\"><img src=x onerror=alert(1)>' AS b")
    stage.query(f'SELECT * FROM "{SCRIPT}"')
    stage.client("iot").create_topic_rule(
        ruleName="evil_rule",
        topicRulePayload={"sql": f"SELECT * FROM 'evil/{SCRIPT}'", "actions": [], "description": SCRIPT},
    )
    stage.client("iot-data").publish(topic=f"evil/{SCRIPT}", payload=SCRIPT.encode(), retain=True)
    stage.client("iam").put_user_policy(
        UserName=f"{MARK}-user", PolicyName="evil", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Sid": "x", "Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{SCRIPT}"}]}))  # fmt: skip
    return stage


def test_no_page_runs_what_a_user_wrote(dressed: Stage) -> None:
    found = pages(dressed)
    assert len(found) >= 2
    for path in found:
        status, headers, text = get(dressed, path)
        assert status < 500, path
        assert headers["x-content-type-options"] == "nosniff"
        if not headers.get("content-type", "").startswith("text/html"):  # a download or JSON is no page
            continue
        assert SCRIPT not in text, path
        assert "<img src=x" not in text, path
        assert not re.search(r"<[a-z]+[^>]*\son[a-z]+=", text), (path, "an inline handler")
        assert not re.search(r'(href|src|action)="\s*(javascript|data:text)', text, re.IGNORECASE), path
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "text", [SCRIPT, IMAGE, "javascript:alert(1)", "../../etc/passwd", "%00", "x" * 5000, "'; SELECT 1"]
)
def test_no_page_runs_what_its_address_says(dressed: Stage, text: str) -> None:
    from urllib.parse import quote

    for path in (
        f"/console/report?query={quote(text)}", f"/console/report/result.csv?query={quote(text)}", f"/console/{quote(text)}",
        f"/console/pipelines?q={quote(text)}", f"/console/static/{quote(text)}", "/console/static/..%2f..%2fapp.py", f"/console/s3/{quote(text)}",
    ):  # fmt: skip
        status, headers, body = get(dressed, path)
        assert status < 500, path
        if headers.get("content-type", "").startswith("text/html"):
            assert SCRIPT not in body
            assert "<img src=x" not in body
        assert "root:" not in body
        assert "from starlette" not in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1",
                                  "0.0.0.0", "[::]", "", "localhost@evil.example", "169.254.169.254"])  # fmt: skip
def test_other_names_reach_neither_console_nor_administration(stage: Stage, host: str) -> None:
    """DNS rebinding: the browser believes that our address is the attacker's site."""
    for path in ("/console/pipelines", "/console/report", "/_lakebed/status", "/_lakebed/journal", "/_lakebed/logs"):
        admin = (stage.server.data / "admin.token").read_text().strip()
        status, _, text = get(stage, path, Host=host, Accept="text/html", X_Lakebed_Token=admin)
        assert status >= 400, (path, host)
        assert MARK not in text


def test_a_loopback_process_without_a_session_reads_nothing(stage: Stage) -> None:
    token = (stage.server.data / "console.token").read_text().strip()
    port = stage.server.http_port
    good = Sessions(token, time.time).cookie(port).partition(";")[0]
    ended = Sessions(token, lambda: time.time() - SECONDS - 1).cookie(port).partition(";")[0]
    end = int(good.partition("=")[2].partition(".")[0])
    forged = [
        "", "lb-session=1", ended, good[:-1], good.replace(str(end), str(end + 1)), good.replace(str(port), "1"),
        f"lb-session-{port}={token}", f"lb-session-{port}=99999999999.", f"lb-session-{port}=²²²²²²²²²².x".encode().decode("latin-1"),
        Sessions("guess", time.time).cookie(port).partition(";")[0],
    ]  # fmt: skip
    for cookie in forged:
        for path in ("/console/pipelines", "/console/pipelines/flow.json", "/console/report/result.csv", "/console/s3"):
            status, headers, text = get(stage, path, Cookie=cookie, Accept="text/html")
            assert status == 303, (path, cookie)
            assert (
                headers["location"].startswith("/console/sign-in?to=%2Fconsole") or "to=/console" in headers["location"]
            )
            assert text == ""
            assert get(stage, path, Cookie=cookie)[0] == 401
        assert (
            get(stage, "/console/athena/run", "POST", b"token=x", Cookie=cookie, Sec_Fetch_Site="same-origin")[0] == 401
        )
    assert get(stage, "/console/pipelines", Cookie=f"a=b; {good}")[0] == 200
    for name in ("status", "tasks", "flow", "logs", "journal", "clock"):
        assert get(stage, f"/_lakebed/{name}")[0] == 403, name
    assert get(stage, "/_lakebed/health")[0] == 200


def test_signing_in_goes_nowhere_else(stage: Stage) -> None:
    token = (stage.server.data / "console.token").read_text().strip()
    for to in ("//evil.example", "https://evil.example", "/\\evil.example", "/console/../x\r\nSet-Cookie: a=b", "javascript:alert(1)", "/console/sign-in", "/console.evil.example"):  # fmt: skip
        from urllib.parse import quote

        status, headers, _ = get(stage, f"/console/sign-in?token={token}&to={quote(to)}", Cookie="")
        assert (status, headers["location"]) == (303, "/console"), to
        assert "httponly" in headers["set-cookie"].lower()
    status, headers, text = get(stage, f"/console/sign-in?token=guess&to={SCRIPT}", Cookie="")
    assert status == 403
    assert "set-cookie" not in headers
    assert SCRIPT not in text
    foreign = get(stage, "/console/sign-in", "POST", f"token={token}".encode(), Cookie="", Origin="http://evil.example")
    assert foreign[0] == 403
    own = f"http://127.0.0.1:{stage.server.http_port}"
    assert get(stage, "/console/sign-in", "POST", f"token={token}".encode(), Cookie="", Origin=own)[0] == 303


CHANGES = [("clock", {"advance": 1}), ("clock", {"scale": 2}), ("backup", {"path": "/tmp/lakebed-evil"}), ("reset", {})]


@pytest.mark.parametrize(("name", "document"), CHANGES)
def test_changes_need_the_token(stage: Stage, name: str, document: dict[str, Any]) -> None:
    token = (stage.server.data / "admin.token").read_text().strip()
    body = json.dumps(document).encode()
    own = f"http://127.0.0.1:{stage.server.http_port}"
    refused: list[dict[str, str]] = [
        {}, {"X_Lakebed_Token": ""}, {"X_Lakebed_Token": "x"}, {"X_Lakebed_Token": token[:-1]}, {"X_Lakebed_Token": token + "x"},
        {"X_Lakebed_Token": token.lower() if token.lower() != token else token.upper()}, {"Cookie": f"X-Lakebed-Token={token}"},
        {"Authorization": f"Bearer {token}"}, {"X_Lakebed_Token": token, "Origin": "http://evil.example"},
        {"X_Lakebed_Token": token, "Origin": "null"}, {"X_Lakebed_Token": token, "Origin": own + ".evil.example"},
        {"X_Lakebed_Token": token, "Sec_Fetch_Site": "cross-site"}, {"X_Lakebed_Token": token, "Host": "evil.example"},
    ]  # fmt: skip
    for headers in refused:
        status, _, text = get(stage, f"/_lakebed/{name}", "POST", body, **headers)
        assert status in (403, 404), (headers, status)
        assert token not in text
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        if (name, method) != ("clock", "GET"):
            assert get(stage, f"/_lakebed/{name}", method, X_Lakebed_Token=token)[0] in (404, 405)


def test_reset_is_not_there(stage: Stage) -> None:
    token = (stage.server.data / "admin.token").read_text().strip()
    for path in (
        "/_lakebed/reset",
        "/_lakebed/reset/",
        "//_lakebed/reset",
        "/_lakebed/./reset",
        "/_LAKEBED/reset",
        "/%5flakebed/reset",
    ):
        assert get(stage, path, "POST", b"{}", X_Lakebed_Token=token)[0] in (400, 403, 404, 405), path
    assert stage.client("s3").head_bucket(Bucket=stage.names["bucket"])


def test_the_console_refuses_other_sites(stage: Stage) -> None:
    """Whatever changes something, when it is a page of another site that asks."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in (
            "/console",
            "/console/pipelines",
            "/console/report",
            "/console/queries",
            "/console/sql",
            "/console/query",
        ):
            status, _, _ = get(
                stage, path, method, b"sql=SELECT+1", Origin="http://evil.example", Sec_Fetch_Site="cross-site",
                Content_Type="application/x-www-form-urlencoded",
            )  # fmt: skip
            assert status in (403, 404, 405), (method, path, status)


def test_no_page_invites_other_origins(stage: Stage) -> None:
    for path in ("/console/pipelines", "/_lakebed/status", f"/{stage.names['bucket']}/{MARK}-key", "/"):
        for method in ("GET", "OPTIONS"):
            _, headers, _ = get(stage, path, method, Origin="http://evil.example", Access_Control_Request_Method="POST")
            assert "access-control-allow-origin" not in headers, path
            assert "access-control-allow-credentials" not in headers
