"""Run a dbt project against a real ``lakebed up`` and count what succeeded.

    python -m tests.compat.athena                 seed, run, run again, snapshot twice, test
    python -m tests.compat.athena --report out.json

A throw-away environment with dbt-core and dbt-athena is made once in ``--environment`` (default ``.compat-athena`` beside
the checkout); wheels alone, since one of dbt's packages downloads while it is built. The project is ``dbt/``: each step
must succeed, and the tables' rows are asserted by dbt's own tests and below.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.crash.rig import Server

_HERE = Path(__file__).parent
_PROFILE = """\
shop:
  target: here
  outputs:
    here:
      type: athena
      region_name: us-east-1
      s3_staging_dir: s3://dbt/results/
      s3_data_dir: s3://dbt/data/
      database: awsdatacatalog
      schema: shop
      threads: 2
      num_retries: 0
"""
# The second round sees a day that was corrected and one more, and an order that has changed.
_STEPS = (
    ["seed"],
    ["run"],
    ["snapshot"],
    ["run", "--vars", "{round: 2}"],
    ["snapshot", "--vars", "{round: 2}"],
    ["test", "--vars", "{round: 2}"],
    ["docs", "generate", "--vars", "{round: 2}"],
)


def environment_of(place: Path) -> Path:
    """The clients' own interpreter, made at the first run."""
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        told = ["install", "-q", "--only-binary=:all:", "-r", str(_HERE / "requirements.txt")]
        subprocess.run([str(python), "-m", "pip", *told], check=True)
    return python


def dbt(python: Path, project: Path, port: int, step: list[str]) -> list[tuple[str, str, str]]:
    """One step's nodes: name, outcome, message."""
    env = os.environ | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1", "DBT_PROFILES_DIR": str(project),
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }  # fmt: skip
    done = subprocess.run([str(python.with_name("dbt")), *step], cwd=project, env=env, check=False)
    results = project / "target" / "run_results.json"
    if step[0] == "docs" or not results.exists():
        return [(" ".join(step), "success" if done.returncode == 0 else "error", "")]
    found = json.loads(results.read_text())["results"]
    results.unlink()
    return [(each["unique_id"], each["status"], each.get("message") or "") for each in found]


def main() -> int:
    """0 where every node of every step succeeded."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat.athena")
    parser.add_argument("--environment", type=Path, default=_HERE.parents[3] / ".compat-athena")
    parser.add_argument("--report", type=Path, help="write the outcomes here")
    options = parser.parse_args()
    python = environment_of(options.environment)
    outcomes: list[tuple[str, str, str, str]] = []
    with tempfile.TemporaryDirectory() as directory:
        project = Path(shutil.copytree(_HERE / "dbt", Path(directory) / "dbt"))
        (project / "profiles.yml").write_text(_PROFILE)
        server = Server(Path(directory) / "data")
        server.start()
        try:
            server.client("s3").create_bucket(Bucket="dbt")
            for step in _STEPS:
                outcomes += [(" ".join(step), *each) for each in dbt(python, project, server.http_port, step)]
        finally:
            server.stop()
    wrong = [each for each in outcomes if each[2] not in ("success", "pass")]
    for each in wrong:
        print(*each, sep=" | ")
    print(dict(collections.Counter(outcome for _, _, outcome, _ in outcomes)))
    if options.report:
        options.report.write_text(json.dumps(outcomes, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
