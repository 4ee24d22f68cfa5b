"""One furnished house for all tests of this folder that want the real thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lakebed.cli.pytest_plugin import RunningLakebed
from tests.console.furnished import Browser, furnish


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLakebed]:
    running = RunningLakebed(tmp_path_factory.mktemp("console") / "data")
    running.start()
    furnish(running)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser(furnished: RunningLakebed) -> Browser:
    return Browser(furnished.endpoint_url, furnished.console_url)
