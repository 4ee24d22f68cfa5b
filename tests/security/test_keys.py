"""S3 keys and bucket names as attacks: whatever a key says, it is bytes in a table and never a name on the disk."""

# ruff: noqa: E501 - tables of attacks are kept whole

from __future__ import annotations

import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.security.stage import MARK, Stage
from tests.security.test_signatures import send, signed

KEYS = [
    "../../../../tmp/lakebed-evil", "..", ".", "./", "../", "a/../b", "a/./b", "/etc/passwd", "//", "///x", "a//b", "a/", "/",
    "..\\..\\evil", "C:\\evil", "con", "nul", "aux.txt", "a\tb", "a\nb", "a\r\nb: c", "a\x01b", "a\x7fb", "é", "e\u0301", "ﬁ", "fi",
    "Ａ", "\u202eevil", "\u200b", "💥", "\U0010ffff", "a%2fb", "a%00b", "%", "%zz", "a b", "a+b", "a?b", "a#b", "a;b", "a&b=c",
    "<script>alert(1)</script>", "'; DROP TABLE s3_object; --", "\"", "`id`", "$(id)", "${jndi:ldap://127.0.0.1/x}", "{{7*7}}",
    "~root", "-rf", ".lakebed", "state.db", "objects/aa/bb", "x" * 1024, "é" * 512, "a/" * 512, "🪣" * 256, "soap", "favicon.ico",
    "_lakebed/health", "console/", "latest/meta-data",
]  # fmt: skip
REFUSED = ["x" * 1025, "é" * 513, "🪣" * 257]


def test_every_key_comes_back_as_it_was(stage: Stage) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket="keys")
    for at, key in enumerate(KEYS):
        s3.put_object(Bucket="keys", Key=key, Body=str(at).encode())
    for at, key in enumerate(KEYS):
        assert s3.get_object(Bucket="keys", Key=key)["Body"].read() == str(at).encode(), key
    listed = [
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="keys")
        for entry in page["Contents"]
    ]
    assert sorted(listed) == sorted(KEYS)
    assert (
        s3.get_object(Bucket="keys", Key="é")["Body"].read()
        != s3.get_object(Bucket="keys", Key="e\u0301")["Body"].read()
    )


@pytest.mark.parametrize("key", REFUSED, ids=len)
def test_long_keys(stage: Stage, key: str) -> None:
    with pytest.raises(ClientError) as refused:
        stage.client("s3").put_object(Bucket=f"{MARK}-bucket", Key=key, Body=b"x")
    assert refused.value.response["Error"]["Code"] == "KeyTooLongError"


@pytest.mark.parametrize(
    "target", [f"/{MARK}-bucket/a%00b", f"/{MARK}-bucket/%00", f"/{MARK}-bucket/%ff%fe", f"/{MARK}-bucket/%c0%af"]
)
def test_bytes_that_are_no_text(stage: Stage, target: str) -> None:
    status, _ = send(stage, "PUT", target, signed(stage, "PUT", target, b"x"), b"x")
    assert status in (200, 400, 403)
    if status == 200:
        assert send(stage, "GET", target, signed(stage, "GET", target))[1] == b"x"


BUCKETS = [
    "..",
    "a",
    "../x",
    "a/b",
    "UPPER",
    "x_y",
    "127.0.0.1",
    "a..b",
    "-a",
    "a-",
    "x" * 64,
    "xn--a",
    "a-s3alias",
    "a\x00b",
    "a b",
    "%2e%2e",
]


@pytest.mark.parametrize("name", BUCKETS)
def test_bucket_names(stage: Stage, name: str) -> None:
    from urllib.parse import quote

    target = f"/{quote(name, safe='%')}"
    try:
        status, _ = send(stage, "PUT", target, signed(stage, "PUT", target))
    except ValueError:
        return
    assert 400 <= status < 500


def test_nothing_on_disk_is_named_by_a_key(stage: Stage) -> None:
    data = stage.server.data
    ours = re.compile(r"[A-Za-z0-9._~@-]+")
    for path in data.rglob("*"):
        relative = path.relative_to(data)
        if relative.parts[0] in ("scratch", "server.log"):
            continue
        assert all(ours.fullmatch(part) for part in relative.parts), relative
        assert MARK not in str(relative).replace("lambda/zips", ""), relative
        assert not path.is_symlink()
    for evil in ("/tmp/lakebed-evil", str(data.parent / "lakebed-evil"), str(data.parent / "evil")):
        assert not Path(evil).exists()


def test_the_data_directory_is_its_owners(stage: Stage) -> None:
    data = stage.server.data
    assert data.stat().st_mode & 0o077 == 0
    for name in ("iam.master.key", "admin.token"):
        assert (data / name).stat().st_mode & 0o077 == 0, name
