"""The pytest plugin: Lakebed in the test's own process, on a free port, with a manual clock.

    def test_my_pipeline(lakebed):
        s3 = lakebed.client("s3")
        s3.create_bucket(Bucket="landing")
        ...                       # build and feed the pipeline with any AWS client
        lakebed.advance(60)       # a minute passes in Lakebed's world, at once
        assert s3.list_objects_v2(Bucket="landing")["KeyCount"] == 1

``lakebed`` starts an empty house for each test; ``lakebed_session`` one for all tests, for suites where that matters:
``lakebed_session.reset()`` empties it in some hundredths of a second. The house runs on a thread with an event loop of its
own, so blocking clients work as they are. docs/testing.md has more.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from lakebed.house import House

_Result = TypeVar("_Result")


class RunningLakebed:
    """A house in this process. Everything here may be called from the test's thread."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lakebed", daemon=True)
        self._house: House | None = None

    def start(self) -> None:
        """Open and start the house; returns when it listens."""
        self._thread.start()
        self._house = self._do(self._open())

    async def _open(self) -> House:
        # Imported late: pytest loads this module in every run of every project that has Lakebed installed.
        from lakebed.house import House
        from lakebed.kernel.clock import ManualClock
        from lakebed.kernel.settings import load

        settings = load(None, {"LAKEBED_HTTP_PORT": "0", "LAKEBED_MQTT_PORT": "0", "LAKEBED_LOG_LEVEL": "error"})
        house = await House.open(self.data, settings, clock=ManualClock())
        await house.start()
        return house

    @property
    def endpoint_url(self) -> str:
        """What AWS clients are given as endpoint."""
        assert self._house is not None
        return self._house.ports.addresses.http_url

    @property
    def console_url(self) -> str:
        """The link that signs a browser in to the console."""
        from lakebed.cli.online import console_link

        return console_link(self.data)

    @property
    def mqtt_port(self) -> int:
        """Port of the MQTT door; the certificate authority's file is ``mqtt_ca``."""
        assert self._house is not None
        return self._house.ports.addresses.mqtt_port

    @property
    def mqtt_ca(self) -> Path:
        """Root certificate for MQTT clients."""
        return self.data / "mqtt" / "ca.pem"

    def client(self, service: str, *, region: str = "us-east-1") -> Any:
        """A boto3 client with the seeded credentials."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the documented development key
        )

    def advance(self, seconds: float) -> None:
        """Let Lakebed's time pass; returns when everything due has been done."""
        from lakebed.kernel.clock import ManualClock

        assert self._house is not None
        clock = self._house.kernel.clock
        assert isinstance(clock, ManualClock)
        self._do(clock.advance(seconds))

    def reset(self) -> None:
        """Empty the house: all state is gone, the endpoint and the clients stay. For suites that share ``lakebed_session``."""
        assert self._house is not None
        self._do(self._house.reset())

    def settle(self) -> None:
        """Return when nothing is under way that could happen without time passing."""
        self.advance(0)

    def stop(self) -> None:
        """Close the house."""
        if self._house is not None:
            self._do(self._house.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


@pytest.fixture
def lakebed(tmp_path: Path) -> Iterator[RunningLakebed]:
    """An empty Lakebed of the test's own."""
    running = RunningLakebed(tmp_path / "lakebed")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def lakebed_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLakebed]:
    """One Lakebed for the whole run; tests share its state and its clock."""
    running = RunningLakebed(tmp_path_factory.mktemp("lakebed") / "data")
    running.start()
    yield running
    running.stop()
