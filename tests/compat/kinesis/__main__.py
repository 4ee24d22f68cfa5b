"""Run Kinesis clients of the field against a real ``lakebed up`` and say what came of it.

    python -m tests.compat.kinesis                                 the programs of driver.py: KPL aggregation, aiokpl, AWS CLI
    python -m tests.compat.kinesis --suite ../async-kinesis        and async-kinesis's own tests, from a checkout you obtain

A throw-away environment with pinned clients is made at the first run (``--environment`` names another place for it).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.crash.rig import Server

PACKAGES = ("async-kinesis==3.0.1", "aws-kinesis-agg==1.2.3", "aiokpl==0.2.0", "boto3", "pytest", "pytest-asyncio",
            "python-dotenv", "msgpack", "redis")  # fmt: skip
MARKED = "not aws and not redis and not dynamodb"  # what needs other servers than ours


def environment_of(place: Path) -> Path:
    """The clients' own interpreter."""
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def main() -> int:
    """The number of client programs and suites that failed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--suite", type=Path)
    arguments.add_argument("--environment", type=Path, default=Path(tempfile.gettempdir()) / "lakebed-compat-kinesis")
    given, more = arguments.parse_known_args()
    python = environment_of(given.environment)
    with tempfile.TemporaryDirectory() as data:
        server = Server(Path(data))
        server.start()
        url = f"http://127.0.0.1:{server.http_port}"
        environment = {
            **os.environ, "ENDPOINT_URL": url, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
            "LAKEBED_AWS_CLI": str(Path(sys.executable).with_name("aws")),
        }  # fmt: skip
        try:
            failed = subprocess.run(
                [str(python), str(Path(__file__).with_name("driver.py"))], env=environment
            ).returncode
            if given.suite:
                command = [
                    str(python),
                    "-m",
                    "pytest",
                    "tests",
                    "-q",
                    "-m",
                    MARKED,
                    "--ignore",
                    "tests/resharding",
                    *more,
                ]
                there = environment | {"AWS_DEFAULT_REGION": "ap-southeast-2"}  # where the suite makes its streams
                failed += subprocess.run(command, cwd=given.suite, env=there).returncode != 0
        finally:
            server.stop()
    return failed


if __name__ == "__main__":
    sys.exit(main())
