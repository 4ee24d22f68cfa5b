"""Write ``requirements.lock``: every package the tests and the demo need, pinned with hashes, without any address.

Needs ``pip-tools`` in the environment. The lock holds for every Python and platform whose wheels have the pinned versions.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"


def main() -> int:
    command = [
        sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--strip-extras", "--allow-unsafe",
        "--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", "--no-header", "--no-annotate",
        "--extra", "test", "--extra", "demo", "--extra", "build", "--output-file", str(LOCK), "pyproject.toml",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    text = LOCK.read_text()
    if "://" in text:
        raise SystemExit("the lock names an address; remove it")
    LOCK.write_text("# Made by `make lock`; do not edit.\n" + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
