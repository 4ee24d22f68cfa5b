"""Fakes of the ports Firehose uses: buckets in memory, functions that are Python callables, a converter that tells."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.conversion import Conversion, Converted
from lakebed.ports.functions import Invocation

Transform = Callable[[dict[str, Any]], Any]


class Buckets:
    """Objects by bucket and key, every put remembered in order."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.puts: list[tuple[str, str]] = []
        self.broken: AwsError | None = None
        self.principals: set[str] = set()

    async def put_file(
        self, principal: Principal, bucket: str, key: str, path: Path, *, content_type: str = ""
    ) -> None:
        if self.broken is not None:
            raise self.broken
        self.principals.add(principal.identity_arn)
        self.puts.append((bucket, key))
        self.objects[bucket, key] = path.read_bytes()
        path.unlink()

    def under(self, prefix: str, bucket: str = "lake") -> dict[str, bytes]:
        return {key: body for (name, key), body in self.objects.items() if name == bucket and key.startswith(prefix)}


class Functions:
    """One function, called with the decoded event."""

    def __init__(self, transform: Transform) -> None:
        self.transform = transform
        self.events: list[dict[str, Any]] = []
        self.failures = 0

    async def invoke(
        self, principal: Principal, function_arn: str, payload: bytes, *, source_arn: str | None = None
    ) -> Invocation:
        event = json.loads(payload)
        self.events.append(event)
        if self.failures:
            self.failures -= 1
            return Invocation(200, b'{"errorMessage": "boom"}', "Unhandled", "r")
        return Invocation(200, json.dumps(self.transform(event)).encode(), None, "r")


class Logs:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def write(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[float, str]]) -> None:
        self.events += [(group, stream, message) for _, message in events]


class Catalog:
    def table(self, principal: Principal, scope: Scope, database: str, name: str) -> Mapping[str, Any]:
        columns = [{"Name": "n", "Type": "bigint"}, {"Name": "site", "Type": "string"}]
        return {"Name": name, "StorageDescriptor": {"Columns": columns}}


class LinesConverter:
    """Writes the records that are JSON objects with a number ``n`` as lines, behind a mark."""

    def __init__(self) -> None:
        self.jobs: list[Conversion] = []

    async def convert(self, job: Conversion) -> Converted:
        self.jobs.append(job)
        rows, rejected = [], []
        for number, line in enumerate(job.source.read_bytes().splitlines()):
            try:
                value = json.loads(line)
                rows.append(json.dumps({"n": int(value["n"])}))
            except (ValueError, TypeError, KeyError) as wrong:
                rejected.append((number, f"{type(wrong).__name__}"))
        if rows:
            job.target.write_text("PAR1" + "\n".join(rows))
        return Converted(len(rows), rejected)


def each(event: Mapping[str, Any], change: Callable[[bytes], Any]) -> dict[str, Any]:
    """An answer made record by record: bytes are Ok, None is Dropped, a dict is taken as it is."""
    answer = []
    for record in event["records"]:
        made = change(base64.b64decode(record["data"]))
        entry: dict[str, Any] = {"recordId": record["recordId"]}
        if made is None:
            entry["result"] = "Dropped"
        elif isinstance(made, bytes):
            entry |= {"result": "Ok", "data": base64.b64encode(made).decode()}
        else:
            entry |= made
        answer.append(entry)
    return {"records": answer}
