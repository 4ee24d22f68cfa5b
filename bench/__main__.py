"""``make bench``: every server in turn, on this machine, in one run; prints the table and writes docs/benchmarks.md.

python -m bench [--only lakebed] [--repeat 3] [--no-write]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench import limits, measures
from bench.servers import ROOT, start

TARGETS = {
    "start to first answer, s": ("<", 0.5), "idle memory, MB": ("<", 60.0), "ListQueues p50, ms": ("<", 1.5),
    "ListQueues, 8 connections, requests/s": (">", 2000.0), "PutRecords 500 × 200 B, records/s": (">", 50_000.0),
    "Athena SELECT 1 p50, ms": ("<", 25.0), "over bare DuckDB, ms": ("<", 15.0),
    "worst unrelated ListQueues while 8 queries run, ms": ("<", 10.0),
}  # fmt: skip


# Figures that are also told as a share of what the bare handler does on the same listener.
SHARES = {
    "PutRecords 500 × 200 B, records/s": "PutRecords 500 × 200 B, share of bare",
    "PutRecords 500 × 1000 B, records/s": "PutRecords 500 × 1000 B, share of bare",
    "S3 get 64 MB, MB/s": "S3 get 64 MB, share of bare",
}
TARGETS |= dict.fromkeys(SHARES.values(), (">", 0.5))


def with_shares(found: measures.Measured, bare: measures.Measured) -> measures.Measured:
    """Lakebed's figures with the shares put behind what they are shares of."""
    told: measures.Measured = {}
    for name, value in found.items():
        told[name] = value
        limit = bare.get(name)
        if name in SHARES and isinstance(value, float) and isinstance(limit, float):
            told[SHARES[name]] = value / limit
    return told


def bench_one(name: str, repeat: int) -> measures.Measured:
    """All figures of one server; the start is repeated, each start on an empty directory."""
    found: measures.Measured = {}
    starts, idle = [], []
    for number in range(repeat):
        server = start(name)
        if server is None:
            return {"start to first answer, s": "does not start here"}
        starts.append(server.start_seconds)
        time.sleep(1.0)
        idle.append(server.rss_mb())
        if number < repeat - 1:
            server.stop()
    found["start to first answer, s"] = statistics.median(starts)
    found["idle memory, MB"] = statistics.median(idle)
    for part in measures.ALL:
        print(f"  {name}: {part.__name__}", flush=True)
        try:
            found |= part(server)
        except Exception as failure:  # a peer that lacks something is a result, not an error of ours
            found[part.__name__] = f"{type(failure).__name__}: {str(failure)[:90]}"
    found["memory after all this, MB"] = server.rss_mb()
    server.stop()
    return found


def cell(value: float | str | None) -> str:
    """A figure with three digits that mean something."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value.replace("|", "/")
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def report(results: dict[str, measures.Measured], bare: measures.Measured, sync_ms: float) -> str:
    """The Markdown table."""
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    lines = ["| figure | " + " | ".join(results) + " | bare limit | target |", "|---|" + "---:|" * (len(results) + 2)]
    for name in names:
        row = [cell(figures.get(name)) for figures in results.values()]
        target = TARGETS.get(name)
        wanted = ""
        if target:
            mine = results.get("lakebed", {}).get(name)
            met = isinstance(mine, float) and (mine < target[1] if target[0] == "<" else mine > target[1])
            wanted = f"{target[0]} {target[1]:g} {'✓' if met else '✗'}"
        lines.append(f"| {name} | {' | '.join(row)} | {cell(bare.get(name)) if name in bare else ''} | {wanted} |")
    lines.append(f"| fdatasync of 4 KB on this disk, ms | {' | '.join('' for _ in results)} | {cell(sync_ms)} | |")
    return "\n".join(lines)


def machine() -> str:
    """What it was measured on."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next(
            (line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line), model
        )
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("duckdb", "httptools", "botocore"))
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    load = os.getloadavg()[0]
    return f"{when}, {os.cpu_count()} cores of {model}, load {load:.1f}, Python {platform.python_version()}, {packages}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=["lakebed", "ministack", "moto_server"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args()
    names = options.only or ["lakebed", "ministack", "moto_server"]
    bare: measures.Measured = limits.bare_handler()
    sync_ms = limits.disk_sync_ms()
    results = {name: bench_one(name, options.repeat) for name in names}
    if "lakebed" in results:
        results["lakebed"] = with_shares(results["lakebed"], bare)
    table = report(results, bare, sync_ms)
    print(f"\n{machine()}\n\n{table}")
    if not options.no_write and not options.only:
        page = ROOT / "docs" / "benchmarks.md"
        text = page.read_text("utf-8") if page.exists() else "# Benchmarks\n\n<!-- table -->\n"
        head, _, rest = text.partition("<!-- table -->")
        _, _, tail = rest.partition("<!-- end -->")
        page.write_text(f"{head}<!-- table -->\n{machine()}\n\n{table}\n<!-- end -->{tail}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
