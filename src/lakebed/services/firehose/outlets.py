"""What the pumps of all delivery streams share: where endpoints may be and their keys, the seals, and who is told."""

from __future__ import annotations

from typing import NamedTuple

from lakebed.kernel.outward import Doors
from lakebed.services.firehose.sealing import Seals
from lakebed.services.firehose.secrets import Secrets
from lakebed.services.firehose.telemetry import Telemetry


class Outlets(NamedTuple):
    """One for a house."""

    doors: Doors
    secrets: Secrets
    telemetry: Telemetry
    seals: Seals
