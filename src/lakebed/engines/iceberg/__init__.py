"""Iceberg tables by pyiceberg, in processes of their own: implements ``ports.tables.Tables``.

Nothing of pyiceberg or pyarrow is imported in the server. A child is started at the first need and stays; it holds no
credentials and no state of a table. Without ``lakebed[lake]`` every operation is refused with the command that installs it.
``engine(k, p)`` sets ``p.tables`` and returns the engine; ``await engine.stop()`` ends its children.
"""

from __future__ import annotations

from lakebed.engines.iceberg.engine import IcebergEngine
from lakebed.engines.iceberg.settings import IcebergSettings
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports

__all__ = ["IcebergEngine", "IcebergSettings", "engine"]


def engine(k: Kernel, p: Ports) -> IcebergEngine:
    """The engine of a house."""
    made = IcebergEngine(k, p, k.settings.section("engines", "iceberg", IcebergSettings))
    p.tables = made
    return made
