"""One object of S3: its properties, and a look inside where it is text, CSV or JSON, also gzipped; Parquet through a
table over it.

Only the first 64 KiB are read for a look. A Parquet file is not parsed here: the SQL engine does that, isolated, so the
page names the tables of the catalogue whose data it belongs to and offers their rows.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from typing import Any
from urllib.parse import quote

import htpy as h
from starlette.responses import Response, StreamingResponse

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, dollars, moment, size
from lakebed.console.pages.s3 import CURRENT
from lakebed.console.pages.s3_upload import deleting
from lakebed.console.parts import facts, mapping, panel, table
from lakebed.console.prices import s3_month
from lakebed.console.shell import Page

_LOOK_BYTES, _ROWS, _DATABASES_MAX = 64 << 10, 50, 20


async def page(backend: Backend, asked: Asked) -> Page:
    """The page of a key."""
    bucket, key = asked.get("bucket"), asked.get("key")
    params = {"Bucket": bucket, "Key": key} | ({"VersionId": asked.get("version")} if asked.get("version") else {})
    head = await backend.call("s3", "HeadObject", params, backend.scope)
    length = head["ContentLength"]
    details = facts(
        [
            ("Address", h.code[f"s3://{bucket}/{key}"]),
            ("Size", f"{size(length)}  ({count(length)} bytes)"),
            ("Type", head.get("ContentType", "—")),
            ("Written", moment(head["LastModified"])),
            ("ETag", h.code[head["ETag"].strip('"')]),
            ("Storage class", head.get("StorageClass") or "STANDARD"),
            ("Version", h.code[head["VersionId"]] if head.get("VersionId") else "—"),
            ("Encryption", head.get("ServerSideEncryption", "—")),
            ("Encoding", head.get("ContentEncoding", "—")),
            ("A month of it on AWS", dollars(s3_month(length))),
        ]
    )
    content: list[h.Node] = [panel("Object", details)]
    if head.get("Metadata"):
        content.append(panel("Metadata", mapping(head["Metadata"])))
    content.append(await _look(backend, bucket, key, length))
    content.append(deleting(backend, bucket, key))
    above = key.rpartition("/")[0]
    crumbs = [("S3", CURRENT), (bucket, to("s3/objects", bucket=bucket))]
    if above:
        crumbs.append((f"{above}/", to("s3/objects", bucket=bucket, prefix=f"{above}/")))
    actions = h.a(".button", href=to("s3/download", bucket=bucket, key=key))["Download"]
    title = key.rpartition("/")[2] or key
    return Page(title, "What this object is and what is in it.", CURRENT, content, actions, crumbs=tuple(crumbs))


async def _look(backend: Backend, bucket: str, key: str, length: int) -> h.Node:
    if length == 0:
        return panel("A look inside", h.p(".nothing")["The object is empty."])
    params = {"Bucket": bucket, "Key": key, "Range": f"bytes=0-{_LOOK_BYTES - 1}"}
    answer = await backend.call("s3", "GetObject", params, backend.scope)
    body = await all_of(answer["Body"])
    if body.startswith(b"PAR1"):
        return panel("A look inside", await _tables(backend, f"s3://{bucket}/{key}"))
    whole = length <= len(body)
    note = "all of it" if whole else f"the first {size(len(body))}"
    if body[:2] == b"\x1f\x8b":
        body, whole = _unzipped(body)
        key = key.removesuffix(".gz")
        note = f"{note}, unzipped"
    text = body.decode("utf-8", "replace")
    if text.count("\ufffd") > len(text) // 50 + 1 or "\0" in text:
        return panel("A look inside", h.p(".nothing")["This is not text. Download it to look at it."])
    return panel("A look inside", _shown(key, text, whole=whole), note=note)


def _unzipped(body: bytes) -> tuple[bytes, bool]:
    """What is in the first part of a gzip file, so much of it as a look takes, and whether that is all."""
    reader = zlib.decompressobj(wbits=31)
    try:
        text = reader.decompress(body, _LOOK_BYTES)
    except zlib.error:
        return body, False
    return text, reader.eof


def _shown(key: str, text: str, *, whole: bool) -> h.Node:
    if key.endswith((".csv", ".tsv")):
        lines = text.splitlines() if whole else text.splitlines()[:-1]
        rows = list(csv.reader(lines[: _ROWS + 1], delimiter="\t" if key.endswith(".tsv") else ","))
        width = max((len(row) for row in rows), default=0)
        if len(rows) > 1 and width <= 200:
            padded = [[*row, *[""] * (width - len(row))] for row in rows]
            return table(padded[0], padded[1:])
    if whole and text.lstrip()[:1] in ("{", "["):
        try:
            return h.pre(tabindex="0")[json.dumps(json.loads(text), indent=2, ensure_ascii=False)]
        except (ValueError, RecursionError):
            pass
    return h.pre(tabindex="0")[io.StringIO(text).read(20_000)]


async def _tables(backend: Backend, address: str) -> h.Node:
    """The tables whose data an object belongs to."""
    databases = await backend.call("glue", "GetDatabases", {"MaxResults": _DATABASES_MAX}, backend.scope)
    found = []
    for database in databases.get("DatabaseList", []):
        answer = await backend.call("glue", "GetTables", {"DatabaseName": database["Name"]}, backend.scope)
        for one in answer.get("TableList", []):
            location = (one.get("StorageDescriptor") or {}).get("Location", "").rstrip("/")
            if location and address.startswith(f"{location}/"):
                found.append((database["Name"], one["Name"]))
    if not found:
        return h.p(".nothing")[
            "This is Parquet, and no table of the catalogue covers it. Make one over its prefix, and Athena shows its rows."
        ]
    return h.p[
        "This is Parquet. Its rows are read through the table over it: ",
        [[h.a(href=to("catalog/table", database=name, table=one))[f"{name}.{one}"], " "] for name, one in found],
    ]


async def download(backend: Backend, asked: Asked) -> Response:
    """``s3/download``: the object itself, never shown by the browser as a page of ours."""
    key = asked.get("key")
    answer = await backend.call("s3", "GetObject", {"Bucket": asked.get("bucket"), "Key": key}, backend.scope)
    name = quote(key.rpartition("/")[2] or "object", safe="")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Length": str(answer["ContentLength"]),
    }
    body: Any = answer["Body"]
    if isinstance(body, bytes):
        return Response(body, media_type="application/octet-stream", headers=headers)
    return StreamingResponse(body, media_type="application/octet-stream", headers=headers)


async def all_of(body: Any) -> bytes:
    """A body that is known to be short."""
    return body if isinstance(body, bytes) else b"".join([piece async for piece in body])
