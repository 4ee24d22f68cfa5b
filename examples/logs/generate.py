"""Realistic lines for each log of ``catalogue``: ``python generate.py alb_logs 1000 > file`` (CloudTrail: one document)."""

# ruff: noqa: E501 - log lines and statements are kept whole

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
_PATHS = ("/", "/cart", "/login", "/api/orders?id=7", "/static/app.js")
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", "aws-sdk-python/1.44")


def _ip(rng: random.Random) -> str:
    return f"198.51.100.{rng.randrange(1, 30)}"


def _moment(rng: random.Random) -> datetime:
    return _START + timedelta(seconds=rng.randrange(86_400))


def _status(rng: random.Random) -> int:
    return rng.choices((200, 304, 403, 404, 500, 503), (80, 6, 3, 6, 3, 2))[0]


def _vpc(rng: random.Random) -> str:
    start = int(_moment(rng).timestamp())
    action = "REJECT" if rng.random() < 0.1 else "ACCEPT"
    packets = rng.randrange(1, 100)
    return (f"2 123456789012 eni-0{rng.randrange(16):x} {_ip(rng)} 10.0.0.{rng.randrange(9)} {rng.randrange(1024, 65536)} "
            f"{rng.choice((22, 80, 443))} 6 {packets} {packets * 60} {start} {start + 60} {action} OK")  # fmt: skip


def _alb(rng: random.Random) -> str:
    path, moment = rng.choice(_PATHS), _moment(rng).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    status = _status(rng)
    return (f"https {moment} app/web/50dc6c495c0c9188 {_ip(rng)}:{rng.randrange(1024, 65536)} 10.0.0.{rng.randrange(9)}:80 0.000 "
            f'{rng.random():.3f} 0.000 {status} {status} {rng.randrange(900)} {rng.randrange(9000)} "GET https://example.com:443{path} '
            f'HTTP/1.1" "{rng.choice(_AGENTS)}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 - "-" "example.com" "-" 0')  # fmt: skip


def _nlb(rng: random.Random) -> str:
    return (f"tls 2.0 {_moment(rng):%Y-%m-%dT%H:%M:%S} net/edge/c6e77e28c25b2234 g3d4b5e8bb8464cd {_ip(rng)}:51341 "
            f"172.16.0.9:443 {rng.randrange(500)} 98 {rng.randrange(900)} {rng.randrange(9000)}")  # fmt: skip


def _elb(rng: random.Random) -> str:
    status = _status(rng)
    return (f"{_moment(rng):%Y-%m-%dT%H:%M:%S}.543737Z classic {_ip(rng)}:2817 10.0.0.1:80 0.00002 0.001 0.00003 {status} {status} "
            f'0 {rng.randrange(9000)} "GET http://example.com:80{rng.choice(_PATHS)} HTTP/1.1" "curl/8.5.0" - -')  # fmt: skip


def _cloudtrail(rng: random.Random) -> str:
    user = rng.choice(("ann", "bob", "eve"))
    event = rng.choice(("GetObject", "PutObject", "DeleteObject"))
    record = {
        "eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "principalId": "AIDA", "userName": user,
        "arn": f"arn:aws:iam::123456789012:user/{user}", "accountId": "123456789012"},
        "eventTime": f"{_moment(rng):%Y-%m-%dT%H:%M:%SZ}", "eventSource": "s3.amazonaws.com", "eventName": event,
        "awsRegion": "us-east-1", "sourceIPAddress": _ip(rng), "userAgent": rng.choice(_AGENTS),
        "requestParameters": {"bucketName": rng.choice(("lake", "logs")), "key": "a/b"}, "responseElements": None,
    }  # fmt: skip
    if user == "eve":
        record |= {"errorCode": "AccessDenied", "errorMessage": "Access Denied"}
    return json.dumps(record)


def _cloudfront(rng: random.Random) -> str:
    moment = _moment(rng)
    return "\t".join((f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}", "FRA2", str(rng.randrange(9000)), _ip(rng), "GET",
                      "d111111abcdef8.cloudfront.net", rng.choice(_PATHS), str(_status(rng)), "-", "Mozilla/5.0"))  # fmt: skip


def _s3(rng: random.Random) -> str:
    operation = rng.choice(("REST.GET.OBJECT", "REST.PUT.OBJECT", "REST.DELETE.OBJECT"))
    moment = _moment(rng).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return (f"79a59df900b949e5 lake [{moment}] {_ip(rng)} arn:aws:iam::123456789012:user/ann 3E57427F3EXAMPLE {operation} "
            f'a/{rng.randrange(99)}.csv "GET /lake/a.csv HTTP/1.1" 200 - {rng.randrange(9000)} 100 7 6 "-" "S3Console/0.4" -')  # fmt: skip


def _waf(rng: random.Random) -> str:
    headers = [{"name": "Host", "value": "example.com"}, {"name": "User-Agent", "value": rng.choice(_AGENTS)}]
    request = {
        "clientIp": _ip(rng),
        "country": "DE",
        "uri": rng.choice(_PATHS),
        "httpMethod": "GET",
        "headers": headers,
    }
    return json.dumps({
        "timestamp": int(_moment(rng).timestamp() * 1000), "formatVersion": 1, "webaclId": "acl",
        "terminatingRuleId": "Default_Action", "action": "BLOCK" if rng.random() < 0.2 else "ALLOW", "httpRequest": request,
    })  # fmt: skip


_LINES: dict[str, tuple[Callable[[random.Random], str], str]] = {
    "vpc_flow_logs": (_vpc, "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n"),
    "alb_logs": (_alb, ""), "nlb_tls_logs": (_nlb, ""), "elb_logs": (_elb, ""), "cloudtrail_logs": (_cloudtrail, ""),
    "cloudfront_logs": (_cloudfront, "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) ...\n"),
    "s3_access_logs": (_s3, ""), "waf_logs": (_waf, ""),
}  # fmt: skip


def text(table: str, count: int, seed: int = 0) -> str:
    """A file of this log with so many records."""
    line, head = _LINES[table]
    rng = random.Random(seed)
    lines = [line(rng) for _ in range(count)]
    if table == "cloudtrail_logs":
        return '{"Records":[' + ",".join(lines) + "]}"
    return head + "".join(f"{each}\n" for each in lines)


if __name__ == "__main__":
    sys.stdout.write(text(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100))
