"""A fragment of a house behind a real socket: edge, IAM, STS and a probe that speaks S3's and Kinesis's wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lakebed.edge.admin.endpoints import Administration, Handles
from lakebed.edge.aws.journal import Journal
from lakebed.edge.door import FrontDoor
from lakebed.edge.loopback import Loopback
from lakebed.kernel.settings import Admin, Http, Settings
from lakebed.services import iam, sts
from tests.edge.probe import probes
from tests.harness import Harness


class Fragment:
    """What a test holds."""

    def __init__(self, directory: Path, **http: Any) -> None:
        self.harness = Harness(directory)
        settings = Settings(http=Http(port=0, **http), admin=Admin(reset=True))
        # The kernel is frozen; a test may still choose its settings before anything is built on them.
        object.__setattr__(self.harness.kernel, "settings", settings)
        self.k, self.p = self.harness.kernel, self.harness.ports
        self.harness.add(iam.service, sts.service, probes)
        self.resets = 0
        self.world = _World()
        self.journal = Journal(self.k.db, self.k.log, settings.admin.journal_rows_max)
        self.administration = Administration(
            self.harness.services, self.k, self.p, journal=self.journal,
            handles=Handles("test", world=self.world, reset=self._reset, backup=self._backup),
        )  # fmt: skip
        self.door = FrontDoor(
            self.harness.services,
            self.k,
            self.p,
            journal=self.journal,
            administration=self.administration,
            console=_console,
        )
        self.loopback = Loopback(self.harness.services, self.k, self.p, self.journal)

    async def _reset(self) -> None:
        self.resets += 1

    async def _backup(self, path: Path) -> dict[str, Any]:
        return {"files": 1, "bytes": 2, "path": str(path)}

    @property
    def url(self) -> str:
        return self.p.addresses.http_url

    @property
    def token(self) -> str:
        return (self.k.data / "admin.token").read_text().strip()

    def client(
        self, service: str, key: str = "test", secret: str = "test", token: str | None = None, **options: Any
    ) -> Any:
        """An unmodified SDK client."""
        return boto3.client(
            service, endpoint_url=self.url, region_name=options.pop("region_name", "us-east-1"),
            aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, **options),
        )  # fmt: skip

    async def run(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Blocking client code in a thread, while the loop serves it."""
        return await asyncio.to_thread(work, *args, **kwargs)


class _World:
    def __init__(self) -> None:
        self.moved: list[tuple[str, float]] = []

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.moved.append(("advance", seconds))

    def set_scale(self, scale: float) -> None:
        self.moved.append(("scale", scale))


async def _console(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
    await send({"type": "http.response.body", "body": b"console"})


@pytest.fixture
async def fragment(tmp_path: Path) -> AsyncIterator[Fragment]:
    made = Fragment(tmp_path / "data", body_bytes_max=1 << 20)
    await made.harness.start()
    await made.door.open()
    yield made
    await made.door.close()
    await made.harness.stop()
