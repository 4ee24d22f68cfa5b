"""Commands that ask a running Lakebed through its administrator's endpoints.

``<data>/address.json`` (written once the doors are open, removed at the end) says where it listens; ``<data>/admin.token``
is what they need. Both are readable by the owner of the data directory alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakebed.cli.output import CliError, Progress, show, table
from lakebed.console.sessions import sign_in_link

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def address_of(data: Path) -> dict[str, Any]:
    """Where the Lakebed of this data directory listens."""
    try:
        found: dict[str, Any] = json.loads((data / "address.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise CliError(f"no Lakebed runs on {data} (start one with `lakebed up`)", 3) from None
    return found


def console_link(data: Path, path: str = "/console") -> str:
    """The address that signs a browser in to the console."""
    where = address_of(data)
    return sign_in_link(where["http_url"], where["console_token"], path)


def console(options: argparse.Namespace) -> int:
    """``lakebed console``: print the link that signs a browser in, and open it where asked to."""
    link = console_link(options.data)
    show(options.json, {"url": link}, link)
    if options.open and not webbrowser.open(link):
        raise CliError("no browser could be started here; open the link yourself")
    return 0


def ask(data: Path, method: str, path: str, body: Any = None, *, timeout: float = 30.0) -> Any:
    """One request to ``/_lakebed/...``; the JSON it answers."""
    where = address_of(data)
    connection = http.client.HTTPConnection(where["http_host"], where["http_port"], timeout=timeout)
    headers = {"Content-Type": "application/json"}
    token = data / "admin.token"
    if token.exists():
        headers["X-Lakebed-Token"] = token.read_text("utf-8").strip()
    try:
        connection.request(method, f"/_lakebed/{path}", json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
    except OSError as failure:
        raise CliError(f"Lakebed on {data} does not answer: {failure}", 3) from None
    finally:
        connection.close()
    try:
        document = json.loads(text)
    except ValueError:
        document = {"message": text.decode("utf-8", "replace")[:300]}
    if answer.status >= 400:
        raise CliError(
            f"{path}: {document.get('message') or document.get('status', answer.status)}", status=answer.status
        )
    return document


def status(options: argparse.Namespace) -> int:
    """``lakebed status``."""
    document = ask(options.data, "GET", "status")
    tasks = ask(options.data, "GET", "tasks")["tasks"]
    document["tasks"] = tasks
    troubled = [task for task in tasks if task.get("failures_in_a_row") or task.get("broken")]
    lines = [f"{key}: {value}" for key, value in document.items() if key not in ("tasks", "services", "broken_tasks")]
    lines.append("services: " + ", ".join(f"{name} ({count})" for name, count in document["services"].items()))
    lines.append(f"tasks: {len(tasks)}, {len(troubled)} in trouble")
    lines += [f"  {task['name']}: {task['last_error']}" for task in troubled]
    show(options.json, document, "\n".join(lines))
    return 1 if any(task.get("broken") for task in tasks) else 0


def backup(options: argparse.Namespace) -> int:
    """``lakebed backup ARCHIVE``: through the server when one runs, else straight from the files."""
    target = options.archive.absolute()
    progress = Progress(quiet=options.json)
    progress.update(f"writing {target} …")
    try:
        counts = ask(options.data, "POST", "backup", {"path": str(target)}, timeout=3600.0)
    except CliError as failure:
        if failure.code != 3:
            raise
        from lakebed.cli.offline import backup_at_rest

        counts = backup_at_rest(options.data, target)
    text = f"{target}: {counts['files']} files, {counts['bytes']:,} bytes"
    progress.step(text)
    show(options.json, counts | {"path": str(target)}, text)
    return 0


def seconds_of(text: str) -> float:
    """``15m`` -> 900; plain numbers are seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise CliError(f"{text!r} is not a duration like 90, 15m, 2h or 1d", 2)
    return float(found[1]) * _UNITS[found[2] or "s"]


def clock(options: argparse.Namespace) -> int:
    """``lakebed clock [show|advance 15m|scale 60]``."""
    if options.action == "show":
        document = ask(options.data, "GET", "clock")
    elif options.value is None:
        raise CliError(f"clock {options.action} needs a value", 2)
    elif options.action == "advance":
        document = ask(options.data, "POST", "clock", {"advance": seconds_of(options.value)})
    else:
        try:
            factor = float(options.value)
        except ValueError:
            raise CliError(f"{options.value!r} is not a factor", 2) from None
        document = ask(options.data, "POST", "clock", {"scale": factor})
    world = datetime.fromtimestamp(document["now"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    show(
        options.json, document, f"{world}  ({document['offset']:+.0f} s from this machine, scale {document['scale']:g})"
    )
    return 0


def reset(options: argparse.Namespace) -> int:
    """``lakebed reset``: all state of a running server is gone; it must have been started with ``[admin] reset``."""
    address_of(options.data)
    try:
        document = ask(options.data, "POST", "reset")
    except CliError as failure:
        if failure.status != 404:
            raise
        raise CliError(
            "reset is off; put `reset = true` under [admin] in lakebed.toml, or LAKEBED_ADMIN_RESET=true"
        ) from None
    show(options.json, document, "all state is gone")
    return 0


def logs(options: argparse.Namespace) -> int:
    """``lakebed logs [--requests]``."""
    if options.requests:
        rows = ask(options.data, "GET", f"journal?limit={options.limit}")["requests"]
        heading = ("at", "service", "operation", "status", "ms", "error")
        prose = table([heading, *(tuple(_cell(row, key) for key in heading) for row in rows)], right={3, 4})
        show(options.json, rows, prose)
    else:
        lines = ask(options.data, "GET", f"logs?limit={options.limit}")["lines"]
        show(options.json, lines, "\n".join(json.dumps(line) for line in lines))
    return 0


def _cell(row: dict[str, Any], key: str) -> str:
    if key == "at":
        return datetime.fromtimestamp(row["at"], UTC).strftime("%H:%M:%S")
    if key == "ms":
        return f"{row['duration_ms']:.1f}"
    return str(row[key])
