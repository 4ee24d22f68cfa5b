"""Run ceph's s3-tests against a real ``lakebed up`` and say what came of it.

    python -m tests.compat.s3 --suite ../s3-tests              all of its functional tests
    python -m tests.compat.s3 --suite ../s3-tests -k multipart more arguments go to pytest

The suite is a checkout that you obtain (README.md here says how); a throw-away environment for it is made beside it once.
The server runs with the ownership and public access that AWS gave new buckets until 2023, which the suite expects, and with
three accounts. ``--report`` writes the outcome of each test as JSON.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from lakebed.services.s3.model.shapes import canonical_id
from tests.compat.s3.accounts import ACCOUNTS, seed_accounts
from tests.crash.rig import Server

TESTS = ("s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py")
# What the suite tests of RADOS Gateway and not of S3.
NOT_S3 = "not fails_on_aws and not appendobject and not cloud_transition and not cloud_restore and not bucket_logging"
_SETTINGS = {
    "LAKEBED_SERVICES_S3_OBJECT_OWNERSHIP": "ObjectWriter",
    "LAKEBED_SERVICES_S3_BLOCK_PUBLIC_ACCESS": "false",
}


def environment_of(suite: Path) -> Path:
    """The suite's own interpreter, made at the first run."""
    python = suite.parent / "s3-tests-environment" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(suite / "requirements.txt")], check=True)
    return python


def configuration(port: int, kms_key: str) -> str:
    """The suite's configuration file."""
    sections = [
        f"[DEFAULT]\nhost = 127.0.0.1\nport = {port}\nis_secure = False\nssl_verify = False\n",
        "[fixtures]\nbucket prefix = compat-{random}-\niam name prefix = s3-tests-\niam path prefix = /s3-tests/\n",
    ]
    for name, (account, key, secret) in ACCOUNTS.items():
        lines = [
            f"[{name}]", f"display_name = {account}", f"user_id = {canonical_id(account)}", f"email = {account}@invalid",
            f"access_key = {key}", f"secret_key = {secret}", "tenant = testx", "api_name = us-east-1",
        ]  # fmt: skip
        if name == "s3 main":
            lines += [f"kms_keyid = {kms_key}", "storage_classes = STANDARD_IA, ONEZONE_IA"]
        sections.append("\n".join(lines) + "\n")
    sections.append(
        "[webidentity]\ntoken = a\naud = a\nsub = a\nazp = a\nuser_token = a\nthumbprint = a\nKC_REALM = a\n"
    )
    return "\n".join(sections)


def outcomes(report: Path) -> dict[str, tuple[str, str]]:
    """By test: passed, failed, error or skipped, and the first line of why."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        outcome, why = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome = {"failure": "failed"}.get(child.tag, child.tag)
                why = (child.get("message") or "").strip().split("\n")[0][:200]
        found[str(case.get("name"))] = (outcome, why)
    return found


def main() -> int:
    """The suite's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat.s3")
    parser.add_argument("--suite", type=Path, required=True, help="a checkout of ceph's s3-tests")
    parser.add_argument("--python", type=Path, help="an interpreter that has the suite's requirements")
    parser.add_argument("--report", type=Path, help="write the outcomes here")
    options, more = parser.parse_known_args()
    python = options.python or environment_of(options.suite)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        seed_accounts(place / "data")
        server = Server(place / "data", environment=_SETTINGS)
        server.start()
        try:
            key = server.client("kms").create_key()["KeyMetadata"]["KeyId"]
            (place / "suite.conf").write_text(configuration(server.http_port, key))
            done = subprocess.run(
                [
                    str(python), "-m", "pytest", *TESTS, "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider",
                    "-m", NOT_S3, f"--junitxml={place / 'report.xml'}", *more,
                ],
                cwd=options.suite,
                env=os.environ | {"S3TEST_CONF": str(place / "suite.conf"), "PYTHONPATH": str(options.suite)},
            )  # fmt: skip
            found = outcomes(place / "report.xml")
        finally:
            server.stop()
    print(dict(collections.Counter(outcome for outcome, _ in found.values())))
    if options.report:
        options.report.write_text(json.dumps(found, indent=1))
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
