"""The demonstration: a fresh Lakebed, the flights pipeline of ``examples/`` against it, and the balance of every hop.

The pipeline script is a program of its own that knows only AWS; this one starts the server as a user would, hands the
script its environment, and reads ``/_lakebed/flow`` for the counts. Each run begins with an empty directory of its own
(``<data>/demo``), so it can be stopped and repeated at will.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

from lakebed.cli.online import ask, console_link
from lakebed.cli.output import CliError, Progress, table

_START_SECONDS_MAX = 30.0


def run_demo(options: argparse.Namespace) -> int:
    """Start, replay, show; with a terminal or ``--keep`` the server stays until Ctrl-C."""
    data = (options.data / "demo").absolute()
    script = _script()
    # Terminated like any program, but not without the server it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    progress = Progress(quiet=options.json)
    server = _start(data, options.port, progress)
    try:
        where = json.loads((data / "address.json").read_text("utf-8"))
        url = where["http_url"]
        progress.step(f"Lakebed listens on {url} (MQTT {where['mqtt_port']}), console {console_link(data)}")
        summary = _replay(script, data, url, where, options)
        balance, is_even = _balance(ask(data, "GET", "flow"), summary)
        seconds = time.monotonic() - started
        if options.json:
            print(
                json.dumps({"seconds": round(seconds, 1), "balanced": is_even, "console": console_link(data)} | summary)
            )
        else:
            _show(balance, summary, is_even, seconds, console_link(data, "/console/pipelines"))
        if options.keep or (sys.stdin.isatty() and sys.stdout.isatty()):
            print("\nThe server keeps running for the console (link above).\nCtrl-C ends it.", flush=True)
            server.wait()
        else:
            print(f"\nSee it again: lakebed up --data {data}", file=sys.stderr)
        return 0 if is_even else 1
    finally:
        _stop(server)


def _script() -> Path:
    """The example as installed with the package, or beside it in a checkout."""
    package = Path(str(resources.files("lakebed")))
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / "flights" / "pipeline.py").exists():
            return folder / "flights" / "pipeline.py"
    raise CliError("examples/flights is not installed")


def _start(data: Path, port: int, progress: Progress) -> subprocess.Popen[bytes]:
    if data.exists():
        if (data / "address.json").exists() and _answers(data):
            raise CliError(f"a demonstration already runs on {data}; stop it first")
        shutil.rmtree(data)
    data.mkdir(parents=True)
    progress.update("starting Lakebed …")
    with (data / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "lakebed.cli.main",
                "up",
                "--data",
                str(data),
                "--port",
                str(port),
                "--mqtt-port",
                "0",
            ],
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + _START_SECONDS_MAX
    while not (data / "address.json").exists():
        if server.poll() is not None or time.monotonic() > deadline:
            _stop(server)
            tail = (data / "server.log").read_text("utf-8", "replace")[-1500:]
            raise CliError(f"Lakebed did not start:\n{tail}")
        time.sleep(0.02)
    return server


def _answers(data: Path) -> bool:
    try:
        ask(data, "GET", "health", timeout=2.0)
    except CliError:
        return False
    return True


def _replay(script: Path, data: Path, url: str, where: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    summary = data / "demo-summary.json"
    command = [sys.executable, str(script), "--root-ca", where["mqtt_ca"], "--summary", str(summary)]
    if options.rows is not None:
        command += ["--rows", str(options.rows)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": where["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": where["secret_access_key"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(command, env=environment, stdout=sys.stderr if options.json else None, check=False)
    if done.returncode != 0 or not summary.exists():
        raise CliError(f"the pipeline script ended with {done.returncode}; the server's log is {data / 'server.log'}")
    document: dict[str, Any] = json.loads(summary.read_text("utf-8"))
    return document


def _balance(flow: dict[str, Any], summary: dict[str, Any]) -> tuple[list[tuple[str, ...]], bool]:
    """Records in and out at each hop, and whether they agree to the record."""
    meters = flow["resources"]

    def of(service: str, text: str) -> dict[str, Any]:
        found = [meter for arn, meter in meters.items() if f":{service}:" in arn and text in arn]
        return found[0] if found else {"recordsIn": 0, "recordsOut": 0, "dropped": 0, "errors": 0}

    rule, stream = of("iot", "rule/flights_to_kinesis"), of("kinesis", "stream/flights")
    delivery, transform = of("firehose", "deliverystream/flights-to-s3"), of("lambda", "function:flights-transform")
    hops = [
        ("devices (MQTT, acknowledged)", None, summary["mqtt"]),
        ("IoT rule flights_to_kinesis", rule["recordsIn"], rule["recordsOut"]),
        ("PutRecords (acknowledged)", None, summary["api"]),
        ("Kinesis flights", stream["recordsIn"], stream["recordsOut"]),
        ("Firehose flights-to-s3", delivery["recordsIn"], delivery["recordsOut"]),
        ("Athena: rows of the table", summary["sent"], summary["rows"]),
        ("report: flights counted", summary["rows"], summary["report"]["Flights"]),
    ]
    rows: list[tuple[str, ...]] = [("hop", "records in", "records out", "")]
    is_even = summary["sent"] == summary["rows"] == summary["distinct"] == summary["report"]["Flights"]
    for name, came, went in hops:
        wanted = summary["mqtt"] if "rule" in name or "devices" in name else summary["sent"]
        wanted = summary["api"] if name.startswith("PutRecords") else wanted
        good = went == wanted and came in (None, wanted)
        is_even &= good
        rows.append((name, "" if came is None else f"{came:,}", f"{went:,}", "✓" if good else f"expected {wanted:,}"))
    rows.append(
        ("  Lambda flights-transform, invocations", f"{transform['recordsIn']:,}", f"{transform['recordsOut']:,}", "")
    )
    return rows, is_even


def _show(balance: list[tuple[str, ...]], summary: dict[str, Any], is_even: bool, seconds: float, link: str) -> None:
    report = summary["report"]
    print()
    print(table(balance, right={1, 2}))
    print()
    print("every hop balances to the record" if is_even else "THE HOPS DO NOT BALANCE")
    scanned = report["DataScannedInBytes"]
    print(f"report    {report['OutputLocation']}, {scanned:,} bytes scanned")
    print(f"took      {seconds:.0f} s")
    print(f"console   {link}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
