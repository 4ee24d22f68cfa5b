"""Listings against a brute-force oracle: every page, every prefix and delimiter, over keys built to collide."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from lakebed.services.s3.model import listing
from tests.harness import Harness
from tests.services.s3.conftest import Call, refused

KEYS = st.lists(st.text(alphabet="ab/é\x00\U0010ffff ", min_size=1, max_size=6), unique=True, max_size=40)


class Row(NamedTuple):
    key: bytes
    rank: int = 0


class Rows:
    """An index in memory that counts what a walk reads of it."""

    def __init__(self, keys: list[bytes]) -> None:
        self.keys = sorted(keys)
        self.read = 0

    def fetch(self, start: listing.Position, end: bytes | None, limit: int) -> list[Row]:
        at = bisect_left(self.keys, start.key)
        if at < len(self.keys) and self.keys[at] == start.key and start.rank >= 0:
            at += 1
        found = [Row(key) for key in self.keys[at:] if end is None or key < end][:limit]
        self.read += len(found)
        return found


def oracle(keys: list[bytes], prefix: bytes, delimiter: bytes) -> list[tuple[str, bytes]]:
    """Everything a complete listing tells, in order."""
    told: list[tuple[str, bytes]] = []
    for key in sorted(key for key in keys if key.startswith(prefix)):
        rolled = listing.common_prefix(key, prefix, delimiter)
        entry = ("key", key) if rolled is None else ("prefix", rolled)
        if entry not in told:
            told.append(entry)
    return told


@settings(max_examples=300, deadline=None)
@given(KEYS, st.text(alphabet="ab/é", max_size=2), st.sampled_from(["", "/", "a", "b/"]), st.integers(1, 7))
def test_pages_are_the_oracle_cut_into_pieces(keys: list[str], prefix: str, delimiter: str, size: int) -> None:
    raw = [key.encode() for key in keys]
    rows, told = Rows(raw), []
    start = listing.from_key(prefix.encode())
    while True:
        page = listing.walk(rows.fetch, start, prefix.encode(), delimiter.encode(), size)
        entries = [("key", row.key) for row in page.rows] + [("prefix", found) for found in page.prefixes]
        assert len(entries) <= size
        told += sorted(entries, key=lambda entry: entry[1])
        if not page.truncated:
            break
        assert page.last == told[-1][1]
        start = listing.start_behind(page.last, prefix.encode(), delimiter.encode())
    assert told == oracle(raw, prefix.encode(), delimiter.encode())


def test_a_common_prefix_is_skipped_not_scanned() -> None:
    rows = Rows([b"folder%d/%05d" % (folder, number) for folder in range(5) for number in range(5000)] + [b"z"])
    page = listing.walk(rows.fetch, listing.from_key(b""), b"", b"/", 1000)
    assert [*page.prefixes] == [b"folder%d/" % folder for folder in range(5)]
    assert [row.key for row in page.rows] == [b"z"]
    assert rows.read < 200


def test_successors_are_tight() -> None:
    assert listing.successor(b"a/") == b"a0"
    assert listing.successor(b"a\xff") == b"b"
    assert listing.successor(b"\xff\xff") is None


async def put_all(s3: Call, *keys: str) -> None:
    for key in keys:
        await s3("PutObject", Bucket="shelf", Key=key, Body=b"x")


async def test_version_two_pages_with_prefixes(s3: Call) -> None:
    await put_all(s3, "a", "a/b", "a/b/c", "a/d", "b/1", "b/2", "c")
    first = await s3("ListObjectsV2", Bucket="shelf", Delimiter="/", MaxKeys=2)
    assert [entry["Key"] for entry in first["Contents"]] == ["a"]
    assert [entry["Prefix"] for entry in first["CommonPrefixes"]] == ["a/"]
    assert first["IsTruncated"] is True
    assert first["KeyCount"] == 2
    second = await s3(
        "ListObjectsV2", Bucket="shelf", Delimiter="/", MaxKeys=2, ContinuationToken=first["NextContinuationToken"]
    )
    assert [entry["Prefix"] for entry in second["CommonPrefixes"]] == ["b/"]
    assert [entry["Key"] for entry in second["Contents"]] == ["c"]
    assert second["IsTruncated"] is False
    inner = await s3("ListObjectsV2", Bucket="shelf", Prefix="a/", StartAfter="a/b")
    assert [entry["Key"] for entry in inner["Contents"]] == ["a/b/c", "a/d"]
    assert inner["Contents"][0]["Size"] == 1
    assert inner["Contents"][0]["ETag"] == '"9dd4e461268c8034f5c8564e155c67a6"'


async def test_version_one_goes_on_with_its_marker(s3: Call) -> None:
    await put_all(s3, "a/1", "a/2", "b", "c/1")
    first = await s3("ListObjects", Bucket="shelf", Delimiter="/", MaxKeys=1)
    assert first["NextMarker"] == "a/"
    rest = await s3("ListObjects", Bucket="shelf", Delimiter="/", Marker=first["NextMarker"])
    assert [entry["Key"] for entry in rest["Contents"]] == ["b"]
    assert [entry["Prefix"] for entry in rest["CommonPrefixes"]] == ["c/"]


async def test_odd_keys_and_encoding(s3: Call) -> None:
    odd = ["../../etc/passwd", "%2e%2e/x", "a b+c", "ä/ö?#", "tab\tkey", ".", "/lead", "x" * 1024]
    await put_all(s3, *odd)
    listed = await s3("ListObjectsV2", Bucket="shelf", EncodingType="url")
    from urllib.parse import unquote

    assert sorted(unquote(entry["Key"]) for entry in listed["Contents"]) == sorted(odd)
    for key in odd:
        assert (await s3("GetObject", Bucket="shelf", Key=key))["Body"] == b"x"


async def test_bad_arguments_are_named(s3: Call) -> None:
    assert (await refused(s3("ListObjectsV2", Bucket="shelf", ContinuationToken="no!"))).error_code == "InvalidArgument"
    assert (await refused(s3("ListObjectsV2", Bucket="shelf", MaxKeys=-1))).error_code == "InvalidArgument"
    assert (await refused(s3("ListObjectsV2", Bucket="nobody"))).error_code == "NoSuchBucket"
    none = await s3("ListObjectsV2", Bucket="shelf", MaxKeys=0)
    assert none["IsTruncated"] is False
    assert none["KeyCount"] == 0


async def test_versions_page_within_a_key(s3: Call, harness: Harness) -> None:
    await s3("PutBucketVersioning", Bucket="shelf", VersioningConfiguration={"Status": "Enabled"})
    ids = [(await s3("PutObject", Bucket="shelf", Key="k", Body=str(n).encode()))["VersionId"] for n in range(4)]
    await s3("DeleteObject", Bucket="shelf", Key="k")
    seen: list[tuple[str, bool]] = []
    marker: dict[str, str] = {}
    while True:
        page = await s3("ListObjectVersions", Bucket="shelf", MaxKeys=2, **marker)
        rows = page.get("DeleteMarkers", []) + page.get("Versions", [])
        seen += [(row["VersionId"], row["IsLatest"]) for row in rows]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert [version for version, _ in seen[1:]] == list(reversed(ids))
    assert [latest for _, latest in seen] == [True, False, False, False, False]
