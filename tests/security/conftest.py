"""One furnished server for all attacks; it must be alive, healthy and without a traceback when they are over."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.security.stage import Stage, build


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The stage; attacks use names of their own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    made = build(tmp_path_factory.mktemp("security"))
    yield made
    assert made.server.stop() == 0, made.server.tail()
    log = (made.server.data / "server.log").read_text("utf-8", "replace")
    # A warning may carry the trace of what was caught and handled (a hostile rule that nests too deeply).
    bad = [line for line in log.splitlines() if line.startswith("Traceback") or '"level":"error"' in line]
    assert bad == [], bad[0][:4000]
