"""The main job, small: the example's own script against a real server, every hop, balanced to the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.crash.rig import Server

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "flights" / "pipeline.py"


def test_flights_become_a_report(aws: dict[str, str], server: Server, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    done = subprocess.run(
        [
            sys.executable, str(SCRIPT), "--root-ca", server.address["mqtt_ca"], "--rows", "3000", "--summary", str(summary),
        ],
        env={**os.environ, **aws},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.tail()}"
    found = json.loads(summary.read_text())
    assert found["sent"] == found["rows"] == found["distinct"] == found["report"]["Flights"] == 3000
    assert found["mqtt"] == found["rowsByMqtt"] > 500
    report = (
        server.client("s3")
        .get_object(Bucket=found["bucket"], Key=found["report"]["OutputLocation"].split("/", 3)[3])["Body"]
        .read()
    )
    assert report.startswith(b'"carrier","origin","month","flights"')
    streams = server.client("logs").describe_log_streams(logGroupName="/aws/lambda/flights-report")["logStreams"]
    assert streams
