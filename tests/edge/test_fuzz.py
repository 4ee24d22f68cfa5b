"""Whatever a stranger sends, the door answers in some protocol and never with a failure of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.edge.conftest import Fragment

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
SCOPES = st.builds(
    lambda key, date, region, service, end: f"{key}/{date}/{region}/{service}/{end}",
    st.sampled_from(["test", "AKIAX", ""]), st.sampled_from(["20250101", "x", ""]),
    st.sampled_from(["us-east-1", "..", "cn-north-1"]),
    st.sampled_from(["s3", "sts", "kinesis", "../../etc", "nothing", ""]), st.sampled_from(["aws4_request", "x"]),
)  # fmt: skip
AUTHORIZATION = TEXT | st.builds(
    lambda scope, signed, signature: (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}"
    ),
    SCOPES,
    st.sampled_from(["host", "host;x-amz-date", ""]),
    st.sampled_from(["0" * 64, "zz", ""]),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "authorization": AUTHORIZATION,
        "host": TEXT | st.sampled_from(["b.localhost:1", "localhost", "[::1]:1", "sts.us-east-1.amazonaws.com"]),
        "x-amz-date": st.sampled_from(["20250101T000000Z", "20259999T999999Z", ""]),
        "x-amz-target": TEXT | st.sampled_from(["Kinesis_20131202.ListStreams", "Kinesis_20131202.", "."]),
        "content-type": st.sampled_from(
            ["application/x-amz-json-1.1", "application/x-www-form-urlencoded", "application/cbor", ""]
        ),
        "x-amz-content-sha256": st.sampled_from(["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD", "x"]),
        "x-amz-security-token": TEXT,
    },
)
QUERIES = st.sampled_from(["", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "AWSAccessKeyId=test&Signature=x&Expires=9", "%", "&&=&a=%zz",
                           "Action=GetCallerIdentity", "X-Amz-Signature=%00&X-Amz-Date=1"])  # fmt: skip


def answered(fragment: Fragment, loop: asyncio.Runner, request: dict[str, Any], body: bytes) -> int:
    """The status of a request handed straight to the application."""
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    loop.run(fragment.door.edge.handle(request, receive, send))
    return int(told[0]["status"])


def test_strangers_are_answered(tmp_path_factory: Any) -> None:
    directory: Path = tmp_path_factory.mktemp("fuzz")
    fragment = Fragment(directory)
    with asyncio.Runner() as runner:

        @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE", "BREW"]),
            TEXT,
            QUERIES,
            HEADERS,
            st.binary(max_size=80),
        )
        def check(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
            raw = f"/{path}".encode("latin-1")
            request = {
                "type": "http", "method": method, "path": f"/{path}", "raw_path": raw, "query_string": query.encode(),
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
                "client": ("127.0.0.1", 1), "scheme": "http",
            }  # fmt: skip
            status = answered(fragment, runner, request, body)
            assert status < 500 or status == 501, [line for line in fragment.k.log.tail if line["level"] == "error"][-1]

        check()
        runner.run(fragment.harness.stop())
