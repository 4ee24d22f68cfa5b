"""Firehose transformation: adds `delayed`, and the partition a flight belongs to (its month)."""

import base64
import json


def handler(event, context):
    out = []
    for record in event["records"]:
        flight = json.loads(base64.b64decode(record["data"]))
        flight["delayed"] = flight["dep_delay"] is not None and flight["dep_delay"] > 15
        out.append(
            {
                "recordId": record["recordId"],
                "result": "Ok",
                "data": base64.b64encode(json.dumps(flight, separators=(",", ":")).encode() + b"\n").decode(),
                "metadata": {"partitionKeys": {"month": f"{flight['month']:02d}"}},
            }
        )
    return {"records": out}
