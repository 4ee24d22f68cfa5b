"""Other data sources by their own drivers, in processes of their own: implements ``ports.connectors.Connectors``.

PostgreSQL by psycopg, MySQL and MariaDB by pymysql (``lakebed[federation]``), SQLite files by Python's own. No driver is
imported in the server; a child gets credentials in its request, keeps none, and is killed when its statement is cancelled.
``engine(k, p)`` sets ``p.connectors`` and returns the engine; ``await engine.stop()`` ends its children.
"""

from __future__ import annotations

from lakebed.engines.connectors.engine import ConnectorEngine
from lakebed.engines.connectors.settings import ConnectorSettings
from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports

__all__ = ["ConnectorEngine", "ConnectorSettings", "engine"]


def engine(k: Kernel, p: Ports) -> ConnectorEngine:
    """The engine of a house."""
    made = ConnectorEngine(k, k.settings.section("engines", "connectors", ConnectorSettings))
    p.connectors = made
    return made
