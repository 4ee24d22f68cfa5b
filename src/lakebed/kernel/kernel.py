"""The kernel as one value: what every service is handed at its construction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakebed.kernel.blobs import Blobs
from lakebed.kernel.children import Children
from lakebed.kernel.clock import Clock
from lakebed.kernel.db import Database
from lakebed.kernel.disk import Disk
from lakebed.kernel.ids import Ids
from lakebed.kernel.log import Log
from lakebed.kernel.meters import Meters
from lakebed.kernel.outbox import Outbox
from lakebed.kernel.runs import Runs
from lakebed.kernel.segments import LogStore
from lakebed.kernel.settings import Settings
from lakebed.kernel.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Kernel:
    """Everything below the services. ``data`` is the data directory; a service's own files live in ``data/<service>``."""

    settings: Settings
    data: Path
    clock: Clock
    ids: Ids
    log: Log
    disk: Disk
    db: Database
    tasks: Tasks
    outbox: Outbox
    runs: Runs
    blobs: Blobs
    segments: LogStore
    meters: Meters
    children: Children
