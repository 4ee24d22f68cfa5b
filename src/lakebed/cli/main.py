"""The ``lakebed`` command: thin, argparse, one function a subcommand.

Exit codes: 0 done, 1 it failed (the sentence on stderr says why), 2 wrong usage, 3 no Lakebed answers. ``--json`` makes
every command print one JSON document on stdout instead of prose.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lakebed.cli import clients, offline, online
from lakebed.cli.output import CliError

VERSION = "0.1.0"


def default_data() -> Path:
    """``$LAKEBED_DATA``, else ``.lakebed`` in the current directory."""
    return Path(os.environ.get("LAKEBED_DATA") or ".lakebed")


def build_parser() -> argparse.ArgumentParser:
    """All subcommands; the README's table is this parser's help."""
    parser = argparse.ArgumentParser(prog="lakebed", description="The AWS data-analytics stack, self-hosted.")
    parser.add_argument("--version", action="version", version=f"lakebed {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument("--data", type=Path, default=default_data(), help="data directory (default: .lakebed)")
        made.add_argument("--json", action="store_true", help="print one JSON document")
        return made

    up = command("up", "start Lakebed and keep it in the foreground")
    up.add_argument("--port", type=int, help="port of all AWS HTTP APIs (default 4566; 0: any free one)")
    up.add_argument("--mqtt-port", type=int, help="port of the MQTT door (default 8883; 0: any free one)")
    up.add_argument("--config", type=Path, help="lakebed.toml (default: DATA/lakebed.toml)")
    up.set_defaults(run=offline.up)
    status = command("status", "tell what runs, where it listens and how its tasks are")
    status.set_defaults(run=online.status)
    doctor = command("doctor", "check this machine and data directory, and say what to do")
    doctor.set_defaults(run=offline.doctor)
    demo = command("demo", "carry real flights from devices to a report and show the balance of every hop")
    demo.add_argument("--rows", type=int, help="replay only the first ROWS flights (default: all of 2013)")
    demo.add_argument("--keep", action="store_true", help="leave the server running afterwards, until Ctrl-C")
    demo.add_argument("--port", type=int, default=4566, help="port to use (default 4566; 0: any free one)")
    demo.set_defaults(run=offline.demo)
    env = command("env", "print shell exports and an AWS profile for this Lakebed")
    env.add_argument("--profile", action="store_true", help="print the profile for ~/.aws/config instead of exports")
    env.add_argument(
        "--iceberg",
        action="store_true",
        help="print settings of PyIceberg, DuckDB, Spark and Trino for the Iceberg catalog",
    )
    env.set_defaults(run=clients.env)
    console = command("console", "print the link that signs a browser in to the console")
    console.add_argument("--open", action="store_true", help="open it in the browser as well")
    console.set_defaults(run=online.console)
    backup = command("backup", "write the whole state to one archive, while it runs or not")
    backup.add_argument("archive", type=Path)
    backup.set_defaults(run=online.backup)
    restore = command("restore", "unpack an archive into an empty data directory")
    restore.add_argument("archive", type=Path)
    restore.set_defaults(run=offline.restore)
    clock = command("clock", "show, advance or scale Lakebed's own time")
    clock.add_argument("action", nargs="?", choices=("show", "advance", "scale"), default="show")
    clock.add_argument("value", nargs="?", help="15m, 2h, 1d or seconds to advance; a factor to scale by")
    clock.set_defaults(run=online.clock)
    reset = command("reset", "empty a running Lakebed that allows it ([admin] reset = true)")
    reset.set_defaults(run=online.reset)
    logs = command("logs", "print Lakebed's own recent log")
    logs.add_argument("--requests", action="store_true", help="the request journal instead")
    logs.add_argument("--limit", type=int, default=100)
    logs.set_defaults(run=online.logs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except CliError as failure:
        print(f"lakebed: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
