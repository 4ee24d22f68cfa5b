"""Fixtures every test may use; see harness.py for what they are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from tests.harness import Harness


@pytest.fixture(scope="session")
def event_loop_policy() -> uvloop.EventLoopPolicy:
    """Tests run on the loop the server runs on."""
    return uvloop.EventLoopPolicy()


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """An empty house with a manual clock; add services, then ``await harness.start()``."""
    made = Harness(tmp_path / "data")
    yield made
    await made.stop()
