"""The tasks of all mappings: started at boot and with CreateEventSourceMapping, stopped with the mapping or the house."""

from __future__ import annotations

from lakebed.kernel.errors import AwsError
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.services.lambda_.invoking import Invoker
from lakebed.services.lambda_.sources.kinds import Poller, kind_of
from lakebed.services.lambda_.sources.mapping import Mapping
from lakebed.services.lambda_.sources.store import MappingStore


class Pollers:
    """One task for each mapping."""

    def __init__(self, kernel: Kernel, ports: Ports, invoker: Invoker, store: MappingStore) -> None:
        self.k, self.p, self.invoker, self.store = kernel, ports, invoker, store
        self._pollers: dict[str, Poller] = {}
        self._leaving: list[Poller] = []  # of deleted mappings, with batches under way

    async def start(self) -> None:
        """At boot, when every service exists."""
        for scope, mapping in self.store.all_mappings():
            self.add(scope, mapping)

    def add(self, scope: Scope, mapping: Mapping) -> None:
        """Begin polling."""
        kind = kind_of(mapping)
        poller = self._pollers[mapping.uuid] = kind.poller((self.k, self.p, self.invoker, self.store), (scope, mapping))
        self.k.tasks.add(poller)
        try:
            kind.subscribe(self.p, mapping)
        except AwsError as failure:
            self.k.log.warning("source of a mapping is gone", mapping=mapping.uuid, exc=failure)

    def poke(self, mapping: Mapping) -> None:
        """Its settings changed."""
        self.k.tasks.poke(mapping.task)

    async def remove(self, mapping: Mapping) -> None:
        """Stop polling; batches under way come to their end on their own."""
        kind_of(mapping).unsubscribe(self.p, mapping)
        await self.k.tasks.remove(mapping.task)
        poller = self._pollers.pop(mapping.uuid, None)
        self._leaving = [one for one in (*self._leaving, poller) if one is not None and one.busy]

    async def stop(self) -> None:
        """With the house: end the batches under way."""
        for poller in (*self._pollers.values(), *self._leaving):
            await poller.stop()
