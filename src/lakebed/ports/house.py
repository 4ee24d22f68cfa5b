"""The ports of a running house, filled in by ``house.py`` while it wires: services hold this object and look their
neighbours up when they need them, so that they may depend on each other without importing each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from lakebed.ports.advice import Advisor
from lakebed.ports.browsers import Browsers
from lakebed.ports.catalog import Catalog
from lakebed.ports.connectors import Connectors, Unconnected
from lakebed.ports.conversion import Converter
from lakebed.ports.delivery import Delivery
from lakebed.ports.devices import Broker, CertificateAuthority, DeviceGate, Rules
from lakebed.ports.events import Events
from lakebed.ports.functions import Functions
from lakebed.ports.identity import Identity
from lakebed.ports.keys import Keys
from lakebed.ports.logs import Logs
from lakebed.ports.metrics import Metrics, Unpublished
from lakebed.ports.objects import Objects
from lakebed.ports.queues import Queues
from lakebed.ports.runtime import FunctionRuntime
from lakebed.ports.sql import SqlEngine
from lakebed.ports.statements import Statements
from lakebed.ports.streams import Streams
from lakebed.ports.tables import Tables
from lakebed.ports.topics import Topics


@dataclass(slots=True)
class Addresses:
    """Where our doors listen, truthfully, once they do (0: closed)."""

    http_host: str = "127.0.0.1"
    http_port: int = 0
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 0

    @property
    def http_url(self) -> str:
        """Base URL of all AWS HTTP APIs, for clients on this machine: also where the door listens on every address."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.http_host, self.http_host)  # noqa: S104
        return f"http://[{host}]:{self.http_port}" if ":" in host else f"http://{host}:{self.http_port}"


@dataclass(slots=True)
class Ports:
    """Each attribute is set exactly once, before the first request; reading one too early is an AttributeError."""

    addresses: Addresses = field(default_factory=Addresses)
    identity: Identity = field(init=False)
    objects: Objects = field(init=False)
    browsers: Browsers = field(init=False)
    queues: Queues = field(init=False)
    topics: Topics = field(init=False)
    events: Events = field(init=False)
    keys: Keys = field(init=False)
    streams: Streams = field(init=False)
    functions: Functions = field(init=False)
    delivery: Delivery = field(init=False)
    logs: Logs = field(init=False)
    catalog: Catalog = field(init=False)
    broker: Broker = field(init=False)
    authority: CertificateAuthority = field(init=False)
    gate: DeviceGate = field(init=False)
    rules: Rules = field(init=False)
    sql: SqlEngine = field(init=False)
    statements: Statements = field(init=False)
    tables: Tables = field(init=False)
    advice: Advisor = field(init=False)
    converter: Converter = field(init=False)
    runtime: FunctionRuntime = field(init=False)
    metrics: Metrics = field(default_factory=Unpublished)
    connectors: Connectors = field(default_factory=Unconnected)
